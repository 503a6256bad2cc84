//! What a case acts on: a broker of one of three kinds, a service on it, and a client beside the service.

use std::collections::BTreeMap;
use std::time::Duration;

use citizenk::testing::SendRefusal;
use citizenk::{App, RunError};

use crate::kafka::Kafka;
use crate::memory::Memory;

/// A record as a client that is not citizenk writes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Push {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
}

impl Push {
    pub(crate) fn value(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }

    pub(crate) fn tombstone() -> Self {
        Self::default()
    }

    /// `{"id": ID}` with the key ID on partition 0.
    pub(crate) fn order(id: u32) -> Self {
        Self::value(format!("{{\"id\":{id}}}")).key(id).on(0)
    }

    pub(crate) fn key(mut self, key: impl ToString) -> Self {
        self.key = Some(key.to_string());
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn on(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    pub(crate) fn anywhere(mut self) -> Self {
        self.partition = None;
        self
    }

    pub(crate) fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

/// A record as a client that is not citizenk reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        let value = self.value.as_deref().expect("not a tombstone");
        std::str::from_utf8(value).expect("UTF-8")
    }

    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().expect("a key")
    }

    /// A header of a dead letter.
    pub(crate) fn fact(&self, name: &str) -> &str {
        let name = format!("citizenk.dead-letter.{name}");
        self.headers.get(&name).map_or("", String::as_str)
    }
}

/// Where a case runs, before it has said what it needs.
pub(crate) enum Broker {
    Memory,
    Embedded,
    Real {
        servers: String,
        run: String,
        /// Settings of the service's consumers.
        consumer: &'static [&'static str],
    },
}

/// A broker with topics, and at most one service on it (of one or more workers).
pub(crate) enum World {
    Memory(Box<Memory>),
    Kafka(Box<Kafka>),
}

/// How long a condition may take to become true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl Broker {
    /// Topics with their partitions.
    pub(crate) async fn open(self, topics: &[(&'static str, usize)]) -> World {
        self.open_for(1, topics).await
    }

    /// For a service of several workers.
    pub(crate) async fn open_for(self, workers: usize, topics: &[(&'static str, usize)]) -> World {
        match self {
            Self::Memory => World::Memory(Box::new(Memory::open(workers, topics).await)),
            Self::Embedded => World::Kafka(Box::new(Kafka::embedded(workers, topics))),
            Self::Real {
                servers,
                run,
                consumer,
            } => {
                let mut kafka = Kafka::real(servers, run, workers, topics).await;
                for setting in consumer {
                    kafka.with_consumer(setting);
                }
                World::Kafka(Box::new(kafka))
            }
        }
    }
}

impl World {
    /// Starts the service.
    pub(crate) async fn start(&mut self, app: App) {
        match self {
            Self::Memory(world) => world.start(app).await,
            Self::Kafka(world) => world.start(&app),
        }
    }

    /// One more setting of the service's consumers; not on the in-memory log.
    pub(crate) fn with_consumer(&mut self, setting: &str) {
        match self {
            Self::Memory(_) => panic!("the in-memory log has no settings"),
            Self::Kafka(world) => world.with_consumer(setting),
        }
    }

    /// One more setting of the service's producers; not on the in-memory log.
    pub(crate) fn with_producer(&mut self, setting: &str) {
        match self {
            Self::Memory(_) => panic!("the in-memory log has no settings"),
            Self::Kafka(world) => world.with_producer(setting),
        }
    }

    /// The next requests to write records are refused; on the embedded broker only.
    pub(crate) fn refuse_sends(&self, refusal: SendRefusal, requests: usize) {
        match self {
            Self::Memory(_) => panic!("the in-memory log refuses by `fail_next`"),
            Self::Kafka(world) => world.embedded_cluster().refuse_sends(refusal, requests),
        }
    }

    /// Forgets what is left of that.
    pub(crate) fn accept_sends(&self) {
        if let Self::Kafka(world) = self {
            world.embedded_cluster().accept_sends();
        }
    }

    /// The topic's name on the broker.
    pub(crate) fn real_name(&self, topic: &str) -> String {
        match self {
            Self::Memory(_) => topic.to_owned(),
            Self::Kafka(world) => world.real_topic(topic),
        }
    }

    /// Writes records in order and waits until the broker has them.
    pub(crate) fn push(&self, topic: &str, records: impl IntoIterator<Item = Push>) {
        match self {
            Self::Memory(world) => records.into_iter().for_each(|push| world.push(topic, push)),
            Self::Kafka(world) => world.push(topic, records),
        }
    }

    /// Writes orders with these ids to partition 0.
    pub(crate) fn push_orders(&self, ids: impl IntoIterator<Item = u32>) {
        self.push("orders", ids.into_iter().map(Push::order));
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        condition: impl FnMut() -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let held = match self {
                Self::Memory(world) => world.until(condition).await,
                Self::Kafka(_) => Kafka::until(condition).await,
            };
            assert!(held, "{caller}: not in time: {what}");
        }
    }

    /// Waits until the topic has this many records, and answers all of them, by partition and offset.
    pub(crate) async fn read(&self, topic: &str, records: usize) -> Vec<Got> {
        self.until(&format!("{records} records on {topic}"), || match self {
            Self::Memory(world) => world.all(topic).len() >= records,
            Self::Kafka(world) => world.count(topic) >= records,
        })
        .await;
        self.all(topic)
    }

    /// What is on the topic now.
    pub(crate) fn all(&self, topic: &str) -> Vec<Got> {
        let mut all = match self {
            Self::Memory(world) => world.all(topic),
            Self::Kafka(world) => world.all(topic),
        };
        all.sort_by_key(|got| (got.partition, got.offset));
        all
    }

    /// The committed next offset of partition 0 of `orders`; 0 where there is none.
    pub(crate) fn position(&self) -> i64 {
        self.committed("orders").get(&0).copied().unwrap_or(0)
    }

    /// The service's committed next offsets.
    pub(crate) fn committed(&self, topic: &str) -> BTreeMap<i32, i64> {
        match self {
            Self::Memory(world) => world.committed(topic),
            Self::Kafka(world) => world.committed(topic),
        }
    }

    /// Waits until the service has committed that offset of partition 0 of `orders`.
    pub(crate) async fn until_at(&self, offset: i64) {
        let mut seen = -1;
        let what = format!("orders/0 committed up to {offset}");
        self.until(&what, || {
            let now = self.position();
            assert!(now >= seen, "the commit went back from {seen} to {now}");
            seen = now;
            seen >= offset
        })
        .await;
        assert_eq!(seen, offset, "committed too far");
    }

    /// What `/metrics` says.
    pub(crate) async fn metrics(&self) -> String {
        match self {
            Self::Memory(world) => world.metrics().await,
            Self::Kafka(world) => world.metrics().await,
        }
    }

    /// Stops all workers of the service in order.
    pub(crate) async fn stop(&mut self) -> Result<(), RunError> {
        match self {
            Self::Memory(world) => world.stop().await,
            Self::Kafka(world) => world.stop().await,
        }
    }

    /// Stops one worker in order.
    pub(crate) async fn stop_worker(&mut self, worker: usize) -> Result<(), RunError> {
        match self {
            Self::Memory(world) => world.stop_worker(worker).await,
            Self::Kafka(world) => world.stop_worker(worker).await,
        }
    }

    /// Waits until the service ends by itself; answers why.
    pub(crate) async fn ended(&mut self) -> RunError {
        match self {
            Self::Memory(world) => world.ended().await,
            Self::Kafka(world) => world.ended().await,
        }
    }
}
