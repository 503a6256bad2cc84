//! The broker of a contest: a Kafka, or librdkafka's mock inside this process.
//!
//! In: topics to make. Out: an address for the contestants, and afterwards what is in the topics and
//! what the groups have committed, so that no contestant wins by losing records.

use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::floor::MockBroker;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

pub(crate) const BOOTSTRAP: &str = "KAFKA_BOOTSTRAP_SERVERS";
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Cluster {
    servers: String,
    mock: Option<MockBroker>,
    made: Vec<String>,
}

impl Cluster {
    pub(crate) fn mock() -> Result<Self> {
        let mock = MockBroker::start()?;
        Ok(Self {
            servers: mock.servers().to_owned(),
            mock: Some(mock),
            made: Vec::new(),
        })
    }

    /// The one that the environment names.
    pub(crate) fn real() -> Result<Self> {
        match std::env::var(BOOTSTRAP) {
            Ok(servers) if !servers.trim().is_empty() => Ok(Self {
                servers,
                mock: None,
                made: Vec::new(),
            }),
            _ => Err(format!("--real needs {BOOTSTRAP} (`cargo xtask kafka up` prints it)").into()),
        }
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    pub(crate) fn is_mock(&self) -> bool {
        self.mock.is_some()
    }

    pub(crate) fn create(&mut self, topic: &str, partitions: i32) -> Result<()> {
        self.create_all(&[topic], partitions)
    }

    /// All of them in one request.
    pub(crate) fn create_all(&mut self, topics: &[&str], partitions: i32) -> Result<()> {
        if let Some(mock) = &self.mock {
            for topic in topics {
                mock.create_topic(topic, partitions)?;
            }
        } else {
            let new: Vec<_> = topics
                .iter()
                .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(1)))
                .collect();
            let answers = wait(self.admin()?.create_topics(&new, &options()))??;
            for answer in answers {
                answer.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
            }
        }
        self.made
            .extend(topics.iter().map(|topic| (*topic).to_owned()));
        Ok(())
    }

    /// Removes at the end what somebody else makes on our account.
    pub(crate) fn adopt(&mut self, topic: &str) {
        self.made.push(topic.to_owned());
    }

    /// Whether there is such a topic. All are asked for: to ask for one by its name may make it.
    pub(crate) fn has(&self, topic: &str) -> Result<bool> {
        let consumer: BaseConsumer = self.client("bench-look").create()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
        Ok(metadata.topics().iter().any(|known| known.name() == topic))
    }

    /// Removes a topic, where that is possible; the mock drops old records by itself.
    pub(crate) fn delete(&mut self, topic: &str) -> Result<()> {
        self.delete_all(&[topic])
    }

    /// All of them in one request.
    pub(crate) fn delete_all(&mut self, topics: &[&str]) -> Result<()> {
        let gone: HashSet<&str> = topics.iter().copied().collect();
        self.made.retain(|made| !gone.contains(made.as_str()));
        if self.mock.is_none() && !topics.is_empty() {
            wait(self.admin()?.delete_topics(topics, &options()))??;
        }
        Ok(())
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.client("bench-admin").create()?)
    }

    fn client(&self, group: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("group.id", group);
        config
    }

    /// How many records were ever written to the topic.
    pub(crate) fn written(&self, topic: &str) -> Result<i64> {
        self.length(topic)?.now()
    }

    /// The same for one who asks often.
    pub(crate) fn length(&self, topic: &str) -> Result<Length> {
        let consumer: BaseConsumer = self.client("bench-look").create()?;
        Ok(Length {
            partitions: partitions(&consumer, topic)?,
            topic: topic.to_owned(),
            consumer,
        })
    }

    /// How many records readers of finished transactions find in the topic. Read one by one: between the records
    /// of an exactly-once producer stand the marks of its transactions, which have offsets too.
    pub(crate) fn finished(&self, topic: &str) -> Result<i64> {
        let consumer: BaseConsumer = self
            .client("bench-look")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in partitions(&consumer, topic)? {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let (mut open, mut total) = (list.count(), 0);
        while open > 0 {
            match consumer.poll(TIMEOUT) {
                Some(Ok(_)) => total += 1,
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => return Err(error.into()),
                None => return Err(format!("`{topic}` cannot be read to its end").into()),
            }
        }
        Ok(total)
    }

    /// How many records of the topic the group has committed.
    pub(crate) fn committed(&self, topic: &str, group: &str) -> Result<i64> {
        let consumer: BaseConsumer = self.client(group).create()?;
        let mut list = TopicPartitionList::new();
        for partition in partitions(&consumer, topic)? {
            list.add_partition(topic, partition);
        }
        let committed = consumer.committed_offsets(list, TIMEOUT)?;
        let offsets = committed
            .elements()
            .into_iter()
            .filter_map(|entry| match entry.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            });
        Ok(offsets.sum())
    }
}

/// How long a topic is, asked through one client.
pub(crate) struct Length {
    consumer: BaseConsumer,
    topic: String,
    partitions: Vec<i32>,
}

impl Length {
    /// How many records were ever written to the topic.
    pub(crate) fn now(&self) -> Result<i64> {
        let mut total = 0;
        for partition in &self.partitions {
            let marks = self
                .consumer
                .fetch_watermarks(&self.topic, *partition, TIMEOUT)?;
            total += marks.1;
        }
        Ok(total)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let made = std::mem::take(&mut self.made);
        let made: Vec<&str> = made.iter().map(String::as_str).collect();
        if let Err(error) = self.delete_all(&made) {
            eprintln!("topics {} were not deleted: {error}", made.join(", "));
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT))
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let topics = metadata.topics();
    Ok(topics
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect())
}

fn wait<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor;

    #[test]
    fn the_mock_says_what_was_written_and_committed() {
        let mut cluster = Cluster::mock().unwrap();
        cluster.create("things", 3).unwrap();
        floor::fill(cluster.servers(), "things", 30, |number, key, value| {
            key.extend_from_slice(b"k");
            value.extend_from_slice(b"v");
            Ok((number % 3) as i32)
        })
        .unwrap();
        assert_eq!(cluster.written("things").unwrap(), 30);
        assert!(cluster.has("things").unwrap() && !cluster.has("nothing").unwrap());
        assert_eq!(cluster.committed("things", "nobody").unwrap(), 0);
    }
}
