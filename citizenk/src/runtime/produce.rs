//! Sending outside an attempt: the port behind [`Producer`](crate::Producer).

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::oneshot;

use crate::extract::{LoneReply, OutputTable, ProduceError, ProducePort, ProduceReply, Sent};
use crate::runtime::lane::shipping::Outlet;
use crate::staging::{Answer, OutputTopic, Receipt, StagedBatch};
use crate::topic::Partitioner;
use crate::transport::{Delivered, DeliverySink, ProducerHandle, ProducerTopic, TransportError};

/// Names of topics on the broker: the program's own, an override, or with a prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicNames {
    pub(crate) renamed: HashMap<String, String>,
    pub(crate) prefix: String,
}

impl TopicNames {
    pub(crate) fn real(&self, name: &str) -> String {
        match self.renamed.get(name) {
            Some(real) => real.clone(),
            None => format!("{}{name}", self.prefix),
        }
    }
}

/// The app's producer.
#[derive(Debug)]
pub(crate) struct Sender {
    producer: Arc<dyn ProducerHandle>,
    names: TopicNames,
    /// Topics that records were sent to one by one: a program has few.
    known: RwLock<Vec<Known>>,
}

/// A topic as the program names it; the same constant has the same address.
#[derive(Debug)]
struct Known {
    name: &'static str,
    partitioner: Partitioner,
    topic: ProducerTopic,
}

/// More than these are looked up by name.
const MOST_KNOWN: usize = 256;

/// Collects the acknowledgements of one call.
struct Acks {
    inner: Mutex<AcksInner>,
}

struct AcksInner {
    sent: Vec<Option<Sent>>,
    left: usize,
    error: Option<TransportError>,
    done: Option<oneshot::Sender<Result<Vec<Sent>, TransportError>>>,
}

impl DeliverySink for Acks {
    fn delivered(&self, index: usize, result: Result<Delivered, TransportError>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(Delivered { partition, offset }) => {
                inner.sent[index] = Some(Sent { partition, offset })
            }
            Err(error) => {
                inner.error.get_or_insert(error);
            }
        }
        inner.left -= 1;
        if inner.left == 0
            && let Some(done) = inner.done.take()
        {
            let result = match inner.error.take() {
                Some(error) => Err(error),
                None => Ok(inner.sent.drain(..).flatten().collect()),
            };
            // Nobody waits any more when the caller dropped the future.
            let _ = done.send(result);
        }
    }
}

impl Sender {
    pub(crate) fn new(producer: Arc<dyn ProducerHandle>, names: TopicNames) -> Self {
        Self {
            producer,
            names,
            known: RwLock::default(),
        }
    }

    pub(crate) fn handle(&self) -> &Arc<dyn ProducerHandle> {
        &self.producer
    }

    /// Where the lanes of an agent with this table send.
    pub(crate) fn outlet(&self, table: &OutputTable) -> Result<Outlet, TransportError> {
        let topics: Result<Vec<_>, _> = table
            .targets()
            .iter()
            .map(|target| self.producer.topic(&target.topic))
            .collect();
        Ok(Outlet {
            producer: self.producer.clone(),
            topics: topics?.into(),
        })
    }

    /// Sends everything an open outbox staged, whatever the topics.
    pub(crate) fn send_table(
        self: &Arc<Self>,
        table: &OutputTable,
        batch: StagedBatch,
    ) -> impl Future<Output = Result<usize, TransportError>> + Send + use<> {
        let topics: Result<Vec<_>, _> = table
            .targets()
            .iter()
            .map(|target| self.resolve(target.topic.clone()))
            .collect();
        let count = batch.len();
        let sending = topics.map(|topics| self.send_to(topics, batch));
        async move { sending?.await.map(|_| count) }
    }

    fn resolve(&self, mut topic: OutputTopic) -> Result<ProducerTopic, TransportError> {
        topic.name = self.names.real(&topic.name);
        self.producer.topic(&topic)
    }

    /// Finds a topic without allocating, but for the first time.
    fn known(
        &self,
        name: &'static str,
        partitioner: Partitioner,
    ) -> Result<ProducerTopic, TransportError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known
            .iter()
            .find(|known| std::ptr::eq(known.name, name) && known.partitioner == partitioner);
        if let Some(found) = found {
            return Ok(found.topic);
        }
        drop(known);
        let topic = self.resolve(OutputTopic {
            name: name.to_owned(),
            partitioner,
        })?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_KNOWN {
            known.push(Known {
                name,
                partitioner,
                topic,
            });
        }
        Ok(topic)
    }

    /// Sends the only record of a batch, which is taken out only when the queue is full.
    fn send_one(
        &self,
        name: &'static str,
        partitioner: Partitioner,
        record: &mut StagedBatch,
    ) -> Result<LoneReply, TransportError> {
        let topic = self.known(name, partitioner)?;
        let receipt = Arc::new(Receipt::default());
        let answer = Answer::to(&receipt);
        // At once, so that calls keep their order even when their futures are awaited later.
        Ok(match self.producer.produce_one(topic, record, answer) {
            Ok(()) => LoneReply::Under(receipt),
            Err(answer) => {
                let sending = sent_later(self.producer.clone(), topic, mem::take(record), answer);
                LoneReply::Full(Box::pin(async move {
                    sending.await;
                    poll_fn(|cx| receipt.poll(cx)).await
                }))
            }
        })
    }

    fn send_to(
        &self,
        topics: Vec<ProducerTopic>,
        batch: StagedBatch,
    ) -> impl Future<Output = Result<Vec<Sent>, TransportError>> + Send + use<> {
        let (done, reply) = oneshot::channel();
        let count = batch.len();
        let inner = AcksInner {
            sent: vec![None; count],
            left: count,
            error: None,
            done: Some(done),
        };
        let sink: Arc<dyn DeliverySink> = Arc::new(Acks {
            inner: Mutex::new(inner),
        });
        let producer = self.producer.clone();
        // At once, so that calls keep their order even when their futures are awaited later.
        let mut taken = producer.produce(&topics, &batch, 0..count, &sink);
        async move {
            while taken < count {
                let space = producer.space().notified();
                tokio::pin!(space);
                space.as_mut().enable();
                taken += producer.produce(&topics, &batch, taken..count, &sink);
                if taken < count {
                    space.await;
                }
            }
            if count == 0 {
                return Ok(Vec::new());
            }
            reply.await.unwrap_or_else(|_| {
                Err(TransportError {
                    context: "waiting for the acknowledgement".to_owned(),
                    code: "_DESTROY".to_owned(),
                    message: "the producer has ended".to_owned(),
                    retriable: false,
                    fatal: true,
                })
            })
        }
    }
}

/// Sends a record as soon as the queue has room for it.
async fn sent_later(
    producer: Arc<dyn ProducerHandle>,
    topic: ProducerTopic,
    record: StagedBatch,
    mut answer: Answer,
) {
    loop {
        let space = producer.space().notified();
        tokio::pin!(space);
        space.as_mut().enable();
        match producer.produce_one(topic, &record, answer) {
            Ok(()) => return,
            Err(back) => answer = back,
        }
        space.await;
    }
}

/// The port handlers see; sends once the app runs.
#[derive(Clone, Default)]
pub(crate) struct Port {
    sender: Arc<RwLock<Option<Arc<Sender>>>>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Port")
    }
}

impl Port {
    pub(crate) fn set(&self, sender: Option<Arc<Sender>>) {
        *self.sender.write().unwrap_or_else(PoisonError::into_inner) = sender;
    }

    pub(crate) fn get(&self) -> Option<Arc<Sender>> {
        self.sender
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ProducePort for Port {
    fn send_one(
        &self,
        topic: &'static str,
        partitioner: Partitioner,
        record: &mut StagedBatch,
    ) -> Result<LoneReply, ProduceError> {
        let Some(sender) = self.get() else {
            return Err(ProduceError::NotRunning {
                topic: topic.to_owned(),
            });
        };
        sender
            .send_one(topic, partitioner, record)
            .map_err(|source| ProduceError::Delivery {
                topic: topic.to_owned(),
                source,
            })
    }

    fn send(&self, topic: OutputTopic, batch: StagedBatch) -> ProduceReply {
        let name = topic.name.clone();
        let Some(sender) = self.get() else {
            return Box::pin(async move { Err(ProduceError::NotRunning { topic: name }) });
        };
        match sender.resolve(topic) {
            Ok(topic) => {
                let sending = sender.send_to(vec![topic], batch);
                Box::pin(async move {
                    sending.await.map_err(|source| ProduceError::Delivery {
                        topic: name,
                        source,
                    })
                })
            }
            Err(source) => Box::pin(async move {
                Err(ProduceError::Delivery {
                    topic: name,
                    source,
                })
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transport::rdkafka::{EmbeddedOptions, KafkaTransport};
    use crate::transport::{ProducerSpec, Transport};

    const PATIENCE: Duration = Duration::from_secs(20);
    const RECORDS: i64 = 30;

    #[tokio::test]
    async fn records_that_find_the_queue_full_are_sent_when_there_is_room() {
        let transport = KafkaTransport::embedded(EmbeddedOptions::default()).expect("a broker");
        transport.create_topic("prefix.t", 1).expect("created");
        let settings = [
            ("queue.buffering.max.messages", "10"),
            // Nothing leaves the queue while the loop below fills it.
            ("linger.ms", "100"),
        ];
        let spec = ProducerSpec {
            name: "test".to_owned(),
            client_id: "test".to_owned(),
            settings: settings
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        let names = TopicNames {
            prefix: "prefix.".to_owned(),
            ..TopicNames::default()
        };
        let producer = transport.start_producer(spec).expect("a producer");
        let port = Port::default();
        port.set(Some(Arc::new(Sender::new(producer, names))));
        let mut replies = Vec::new();
        for _ in 0..RECORDS {
            let mut batch = StagedBatch::default();
            batch.record(0).partition(Some(0)).finish(Some(b"v"));
            let reply = port.send_one("t", Partitioner::Murmur2, &mut batch);
            replies.push(reply.expect("the topic is known"));
        }
        let full = |reply: &&LoneReply| matches!(reply, LoneReply::Full(_));
        assert!(replies.iter().filter(full).count() > 0);
        let mut places = Vec::new();
        for reply in replies {
            let outcome = async {
                match reply {
                    LoneReply::Under(receipt) => poll_fn(|cx| receipt.poll(cx)).await,
                    LoneReply::Full(sending) => sending.await,
                }
            };
            let outcome = tokio::time::timeout(PATIENCE, outcome).await;
            places.push(outcome.expect("in time").expect("delivered"));
        }
        // Each once; were the machine to pause in the loop, some would overtake others.
        places.sort_unstable();
        let expected: Vec<_> = (0..RECORDS).map(|offset| (0, offset)).collect();
        assert_eq!(places, expected);
    }
}
