//! Sending outside an attempt: the port behind [`Producer`](crate::Producer).

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use tokio::sync::oneshot;

use super::fan::{Fan, Part};
pub(crate) use crate::config::TopicNames;
use crate::extract::{LoneReply, OutputTable, ProduceError, ProducePort, ProduceReply, Sent};
use crate::runtime::lane::shipping::Outlet;
use crate::staging::{Answer, OutputTopic, Receipt, StagedBatch, unheard};
use crate::telemetry::{ProducerMetrics, UnawaitedErrors};
use crate::topic::{Partitioner, TopicId};
use crate::transport::{Delivered, DeliverySink, ProducerHandle, ProducerTopic, TransportError};

/// The app's producers, one for each cluster.
#[derive(Debug)]
pub(crate) struct Sender {
    parts: Arc<[Part]>,
    /// Over all of them, where there are several.
    fan: Option<Arc<dyn ProducerHandle>>,
    names: TopicNames,
    /// Topics that records were sent to one by one, the first ones first: a program has few.
    routes: Box<[OnceLock<Arc<Route>>]>,
    /// Of the parts, in their order; none where nothing is counted.
    metrics: Vec<ProducerMetrics>,
}

/// Where the records of a topic go, which the program names so.
#[derive(Debug)]
struct Route {
    id: TopicId,
    partitioner: Partitioner,
    producer: Arc<dyn ProducerHandle>,
    topic: ProducerTopic,
    unawaited: Option<UnawaitedErrors>,
}

/// More than these are looked up by name.
const MOST_ROUTES: usize = 256;

/// Collects the acknowledgements of one call.
struct Acks {
    inner: Mutex<AcksInner>,
    unawaited: Option<UnawaitedErrors>,
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
            if let Err(Err(error)) = done.send(result) {
                unheard(&error, self.unawaited.as_ref());
            }
        }
    }
}

impl Sender {
    /// Of producers by the names of their clusters. With several it must be called inside a runtime.
    pub(crate) fn new(
        producers: impl IntoIterator<Item = (&'static str, Arc<dyn ProducerHandle>)>,
        names: TopicNames,
    ) -> Self {
        let producers = producers.into_iter();
        let parts: Arc<[Part]> = producers
            .map(|(cluster, producer)| Part { cluster, producer })
            .collect();
        let fan =
            (parts.len() > 1).then(|| Arc::new(Fan::new(parts.clone())) as Arc<dyn ProducerHandle>);
        Self {
            parts,
            fan,
            names,
            routes: (0..MOST_ROUTES).map(|_| OnceLock::new()).collect(),
            metrics: Vec::new(),
        }
    }

    /// Counts what fails when nobody waits for it, for each of the producers.
    pub(crate) fn counted(self, metrics: Vec<ProducerMetrics>) -> Self {
        Self { metrics, ..self }
    }

    fn unawaited(&self, cluster: &str, name: &str) -> Option<UnawaitedErrors> {
        let part = self.parts.iter().position(|part| part.cluster == cluster)?;
        let metrics = self.metrics.get(part)?;
        Some(metrics.unawaited(&self.names.real(name)))
    }

    /// Clusters and their producers.
    pub(crate) fn producers(
        &self,
    ) -> impl Iterator<Item = (&'static str, &Arc<dyn ProducerHandle>)> {
        let parts = self.parts.iter();
        parts.map(|part| (part.cluster, &part.producer))
    }

    fn part_of(&self, cluster: &str) -> Result<usize, TransportError> {
        let mut parts = self.parts.iter();
        let part = parts.position(|part| part.cluster == cluster);
        part.ok_or_else(|| TransportError {
            context: format!("sending to cluster `{cluster}`"),
            code: "_INVALID_ARG".to_owned(),
            message: "the app has no such cluster".to_owned(),
            retriable: false,
            fatal: true,
        })
    }

    /// What sends to these topics, named as on the broker.
    fn outlet_to(&self, topics: &[OutputTopic]) -> Result<Outlet, TransportError> {
        let mut clusters = topics.iter().map(|topic| topic.cluster);
        let first = clusters.next().unwrap_or(self.parts[0].cluster);
        let one = clusters.all(|cluster| cluster == first);
        let producer = match &self.fan {
            Some(fan) if !one => fan,
            _ => &self.parts[self.part_of(first)?].producer,
        };
        let topics: Result<Vec<_>, _> = topics.iter().map(|topic| producer.topic(topic)).collect();
        Ok(Outlet {
            topics: topics?.into(),
            producer: producer.clone(),
        })
    }

    /// Where the lanes of an agent with this table send.
    pub(crate) fn outlet(&self, table: &OutputTable) -> Result<Outlet, TransportError> {
        let targets = table.targets().iter();
        let topics: Vec<_> = targets.map(|target| target.topic.clone()).collect();
        self.outlet_to(&topics)
    }

    /// Sends everything an open outbox staged, whatever the topics.
    pub(crate) fn send_table(
        self: &Arc<Self>,
        table: &OutputTable,
        batch: StagedBatch,
    ) -> impl Future<Output = Result<usize, TransportError>> + Send + use<> {
        let targets = table.targets().iter();
        let topics: Vec<_> = targets
            .map(|target| self.named(target.topic.clone()))
            .collect();
        let count = batch.len();
        // Who calls waits.
        let sending = self
            .outlet_to(&topics)
            .map(|outlet| send_to(outlet, batch, None));
        async move { sending?.await.map(|_| count) }
    }

    /// By the name on the broker instead of that in the program.
    fn named(&self, mut topic: OutputTopic) -> OutputTopic {
        topic.name = self.names.real(&topic.name);
        topic
    }

    /// Finds a topic without allocating, but for the first time.
    fn route(&self, id: TopicId, partitioner: Partitioner) -> Result<Arc<Route>, TransportError> {
        let mut known = self.routes.iter().map_while(OnceLock::get);
        let found = known.find(|route| route.id.is(id) && route.partitioner == partitioner);
        if let Some(route) = found {
            return Ok(route.clone());
        }
        let producer = &self.parts[self.part_of(id.cluster)?].producer;
        let topic = producer.topic(&self.named(OutputTopic {
            cluster: id.cluster,
            name: id.text().to_owned(),
            partitioner,
        }))?;
        let route = Arc::new(Route {
            id,
            partitioner,
            producer: producer.clone(),
            topic,
            unawaited: self.unawaited(id.cluster, id.text()),
        });
        // Another thread may have come first with the same: both are right.
        let mut free = self.routes.iter();
        let _ = free.find(|slot| slot.set(route.clone()).is_ok());
        Ok(route)
    }
}

impl Route {
    /// Sends the only record of a batch, which is taken out only when the queue is full.
    fn send_one(self: Arc<Self>, record: &mut StagedBatch) -> LoneReply {
        let receipt = Arc::new(Receipt::new(self.unawaited.clone()));
        let answer = Answer::to(&receipt);
        // At once, so that calls keep their order even when their futures are awaited later.
        match self.producer.produce_one(self.topic, record, answer) {
            Ok(()) => LoneReply::Under(receipt),
            Err(answer) => {
                let sending = self.sent_later(mem::take(record), answer);
                LoneReply::Full(Box::pin(async move {
                    sending.await;
                    poll_fn(|cx| receipt.poll(cx)).await
                }))
            }
        }
    }

    /// Sends a record as soon as the queue has room for it.
    async fn sent_later(self: Arc<Self>, record: StagedBatch, mut answer: Answer) {
        loop {
            let space = self.producer.space().notified();
            tokio::pin!(space);
            space.as_mut().enable();
            match self.producer.produce_one(self.topic, &record, answer) {
                Ok(()) => return,
                Err(back) => answer = back,
            }
            space.await;
        }
    }
}

fn send_to(
    outlet: Outlet,
    batch: StagedBatch,
    unawaited: Option<UnawaitedErrors>,
) -> impl Future<Output = Result<Vec<Sent>, TransportError>> + Send + use<> {
    let Outlet { producer, topics } = outlet;
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
        unawaited,
    });
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
    fn unheard(&self, topic: TopicId, error: &ProduceError) {
        let sender = self.get();
        let unawaited = sender.and_then(|sender| sender.unawaited(topic.cluster, topic.text()));
        unheard(error, unawaited.as_ref());
    }

    fn send_one(
        &self,
        topic: TopicId,
        partitioner: Partitioner,
        record: &mut StagedBatch,
    ) -> Result<LoneReply, ProduceError> {
        let route = {
            let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
            let Some(sender) = &*sender else {
                return Err(ProduceError::NotRunning {
                    topic: topic.to_string(),
                });
            };
            // The lock must not be held while the program's own partitioner is called, which may send, too.
            sender.route(topic, partitioner)
        };
        match route {
            Ok(route) => Ok(route.send_one(record)),
            Err(source) => Err(ProduceError::Delivery {
                topic: topic.to_string(),
                source,
            }),
        }
    }

    fn send(&self, topic: OutputTopic, batch: StagedBatch) -> ProduceReply {
        let name = topic.name.clone();
        let Some(sender) = self.get() else {
            return Box::pin(async move { Err(ProduceError::NotRunning { topic: name }) });
        };
        let unawaited = sender.unawaited(topic.cluster, &topic.name);
        match sender.outlet_to(&[sender.named(topic)]) {
            Ok(outlet) => {
                let sending = send_to(outlet, batch, unawaited);
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
    use crate::config::DEFAULT_CLUSTER;
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
        port.set(Some(Arc::new(Sender::new(
            [(DEFAULT_CLUSTER, producer)],
            names,
        ))));
        let topic = TopicId {
            cluster: DEFAULT_CLUSTER,
            name: "t",
        };
        let mut replies = Vec::new();
        for _ in 0..RECORDS {
            let mut batch = StagedBatch::default();
            batch.record(0).partition(Some(0)).finish(Some(b"v"));
            let reply = port.send_one(topic, Partitioner::Murmur2, &mut batch);
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
