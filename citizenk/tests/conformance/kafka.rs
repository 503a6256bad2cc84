//! Brokers that speak Kafka's protocol: the embedded one and a real one. Beside the service stands a client
//! of another library, so that citizenk does not judge itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use citizenk::testing::EmbeddedCluster;
use citizenk::{App, Flags, RunError, Settings};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::world::{Got, PATIENCE, Push};

/// For one answer of the broker.
const ANSWER: Duration = Duration::from_secs(20);
/// Between two looks at a condition.
const PACE: Duration = Duration::from_millis(10);

pub(crate) struct Kafka {
    cluster: Option<EmbeddedCluster>,
    servers: String,
    /// Names that no other case and no earlier run uses.
    prefix: String,
    group: String,
    partitions: BTreeMap<String, usize>,
    count: usize,
    /// Further settings of the service's consumers.
    consumer: Vec<String>,
    /// And of its producers.
    producer_settings: Vec<String>,
    workers: BTreeMap<usize, Worker>,
    producer: BaseProducer,
    reader: BaseConsumer,
}

struct Worker {
    port: u16,
    stop: Arc<Notify>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Worker {
    async fn result(self) -> Result<(), RunError> {
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("the service ends in time")
            .expect("the service does not panic")
    }
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        // As `TestApp` and Java's clients do.
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "2000000")
        .set("linger.ms", "0");
    config
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("it is bound").port()
}

impl Kafka {
    fn new(
        cluster: Option<EmbeddedCluster>,
        servers: String,
        run: &str,
        count: usize,
        topics: &[(&'static str, usize)],
    ) -> Self {
        let group = format!("conformance-{run}");
        let mut reading = config(&servers);
        reading
            .set("group.id", &group)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        Self {
            producer: config(&servers).create().expect("right settings"),
            reader: reading.create().expect("right settings"),
            cluster,
            servers,
            prefix: format!("{run}-"),
            group,
            partitions: topics
                .iter()
                .map(|(name, partitions)| ((*name).to_owned(), *partitions))
                .collect(),
            count,
            consumer: Vec::new(),
            producer_settings: Vec::new(),
            workers: BTreeMap::new(),
        }
    }

    pub(crate) fn embedded(workers: usize, topics: &[(&'static str, usize)]) -> Self {
        let cluster = EmbeddedCluster::start().expect("a loopback port");
        let servers = cluster.bootstrap_servers().to_owned();
        let world = Self::new(Some(cluster), servers, "run", workers, topics);
        for (name, partitions) in topics {
            let cluster = world.cluster.as_ref().expect("just given");
            cluster
                .create_topic(&world.real_name(name), *partitions)
                .expect("a right name");
        }
        world
    }

    pub(crate) async fn real(
        servers: String,
        run: String,
        workers: usize,
        topics: &[(&'static str, usize)],
    ) -> Self {
        let admin: AdminClient<_> = config(&servers).create().expect("right settings");
        let world = Self::new(None, servers, &run, workers, topics);
        let names: Vec<_> = topics
            .iter()
            .map(|(name, partitions)| (world.real_name(name), *partitions as i32))
            .collect();
        let new: Vec<_> = names
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
            .collect();
        let created = admin.create_topics(&new, &AdminOptions::new()).await;
        for topic in created.expect("the broker answers") {
            topic.expect("a topic nobody has used");
        }
        world
    }

    fn real_name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    pub(crate) fn with_consumer(&mut self, setting: &str) {
        self.consumer.push(setting.to_owned());
    }

    pub(crate) fn with_producer(&mut self, setting: &str) {
        self.producer_settings.push(setting.to_owned());
    }

    /// The broker in this process, for what only it can be told.
    pub(crate) fn embedded_cluster(&self) -> &EmbeddedCluster {
        self.cluster
            .as_ref()
            .expect("a case of the embedded broker")
    }

    pub(crate) fn real_topic(&self, topic: &str) -> String {
        self.real_name(topic)
    }

    pub(crate) fn start(&mut self, app: &App) {
        for worker in 0..self.count {
            let started = self.worker(app.clone().commit_interval(Duration::from_millis(50)));
            self.workers.insert(worker, started);
        }
    }

    fn worker(&self, app: App) -> Worker {
        let port = free_port();
        // The embedded broker waits for a session's time less a second whenever a member comes or goes, and
        // with the answer to an empty fetch for all of its wait.
        let quick = [
            "session.timeout.ms=3000",
            "heartbeat.interval.ms=300",
            "fetch.wait.max.ms=10",
        ];
        let flags = Flags {
            embedded: self.cluster.is_some(),
            bootstrap_servers: self.cluster.is_none().then(|| self.servers.clone()),
            http: Some(format!("127.0.0.1:{port}")),
            group: Some(self.group.clone()),
            topic_prefix: Some(self.prefix.clone()),
            consumer: match self.cluster {
                Some(_) => [&quick.map(str::to_owned)[..], &self.consumer].concat(),
                None => self.consumer.clone(),
            },
            producer: self.producer_settings.clone(),
            ..Flags::default()
        };
        let settings = Settings::resolve(flags, &BTreeMap::new(), None).expect("right settings");
        let (stop, cluster) = (Arc::new(Notify::new()), self.cluster.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let service = app.build_with(settings).await?;
            let shutdown = async move { stopped.notified().await };
            match cluster {
                Some(cluster) => cluster.run(service, shutdown).await,
                None => service.run_until(shutdown).await,
            }
        });
        Worker { port, stop, task }
    }

    pub(crate) async fn stop(&mut self) -> Result<(), RunError> {
        let workers = std::mem::take(&mut self.workers);
        workers.values().for_each(|worker| worker.stop.notify_one());
        let mut result = Ok(());
        for worker in workers.into_values() {
            result = result.and(worker.result().await);
        }
        result
    }

    pub(crate) async fn stop_worker(&mut self, worker: usize) -> Result<(), RunError> {
        let worker = self.workers.remove(&worker).expect("it runs");
        worker.stop.notify_one();
        worker.result().await
    }

    pub(crate) async fn ended(&mut self) -> RunError {
        let worker = self.workers.remove(&0).expect("it runs");
        worker.result().await.expect_err("it stops by itself")
    }

    pub(crate) async fn until(mut condition: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        let mut pace = tokio::time::interval(PACE);
        while start.elapsed() < PATIENCE {
            pace.tick().await;
            if condition() {
                return true;
            }
        }
        false
    }

    pub(crate) fn push(&self, topic: &str, records: impl IntoIterator<Item = Push>) {
        let topic = self.real_name(topic);
        for push in records {
            let mut record = BaseRecord::<str, [u8]>::to(&topic);
            if let Some(key) = &push.key {
                record = record.key(key);
            }
            if let Some(value) = &push.value {
                record = record.payload(value);
            }
            if let Some(partition) = push.partition {
                record = record.partition(partition);
            }
            if let Some(timestamp) = push.timestamp {
                record = record.timestamp(timestamp);
            }
            let mut headers = OwnedHeaders::new();
            for (key, value) in push.headers {
                let value = Some(value);
                headers = headers.insert(Header { key, value });
            }
            let sent = self.producer.send(record.headers(headers));
            sent.map_err(|(error, _)| error).expect("room in the queue");
        }
        self.producer.flush(ANSWER).expect("the broker answers");
    }

    fn ends(&self, topic: &str) -> Vec<(i32, i64)> {
        let real = self.real_name(topic);
        (0..self.partitions[topic] as i32)
            .map(|partition| {
                let ends = self.reader.fetch_watermarks(&real, partition, ANSWER);
                (partition, ends.expect("the broker answers").1)
            })
            .collect()
    }

    pub(crate) fn count(&self, topic: &str) -> usize {
        self.ends(topic).iter().map(|(_, end)| *end as usize).sum()
    }

    pub(crate) fn all(&self, topic: &str) -> Vec<Got> {
        let mut ends = self.ends(topic);
        ends.retain(|(_, end)| *end > 0);
        let mut all = Vec::new();
        if ends.is_empty() {
            return all;
        }
        let mut from_the_start = TopicPartitionList::new();
        for (partition, _) in &ends {
            from_the_start
                .add_partition_offset(&self.real_name(topic), *partition, Offset::Beginning)
                .expect("a right offset");
        }
        self.reader.assign(&from_the_start).expect("a right list");
        let start = Instant::now();
        while !ends.is_empty() {
            assert!(start.elapsed() < PATIENCE, "{topic} cannot be read");
            let Some(message) = self.reader.poll(PACE) else {
                continue;
            };
            match message {
                Ok(message) => all.push(got(&message)),
                // Not the last record: the mark of a transaction may stand behind it.
                Err(KafkaError::PartitionEOF(ended)) => {
                    ends.retain(|(partition, _)| *partition != ended);
                }
                Err(error) => panic!("reading {topic}: {error}"),
            }
        }
        self.reader.unassign().expect("a right list");
        all
    }

    pub(crate) fn committed(&self, topic: &str) -> BTreeMap<i32, i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.real_name(topic), 0, self.partitions[topic] as i32 - 1);
        let Ok(answer) = self.reader.committed_offsets(asked, ANSWER) else {
            // The coordinator of a new group may be on its way.
            return BTreeMap::new();
        };
        answer
            .elements()
            .iter()
            .filter_map(|element| match element.offset() {
                Offset::Offset(offset) => Some((element.partition(), offset)),
                _ => None,
            })
            .collect()
    }

    pub(crate) async fn metrics(&self) -> String {
        let port = self.workers[&0].port;
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        let asked = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.write_all(request.as_bytes()).await?;
            stream.read_to_string(&mut answer).await
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.expect("in time").expect("the service answers");
        answer
    }
}

fn got(message: &impl Message) -> Got {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().map(|headers| {
        let pairs = headers.iter();
        pairs.map(|header| {
            (
                header.key.to_owned(),
                text(header.value.unwrap_or_default()),
            )
        })
    });
    Got {
        key: message.key().map(text),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.into_iter().flatten().collect(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
    }
}
