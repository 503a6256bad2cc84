//! A consumer that writes down what it hears and does what the test orders.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{MemoryCluster, NewRecord};
use crate::record::{Chunk, TopicPartition};
use crate::topic::Partitioner;
use crate::transport::{
    ConsumerEvents, ConsumerHandle, ConsumerSpec, Control, Drain, Pace, Start, TransportError, lock,
};

mod consumers;
mod faults;
mod producers;
mod transactions;

const DRAIN: Duration = Duration::from_secs(5);

type Order = Box<dyn FnOnce(&mut dyn Control) + Send>;

/// What every consumer of a test has heard, in order.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn write(&self, line: String) {
        lock(&self.0).push(line);
    }

    /// Everything since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0))
    }

    fn contains(&self, line: &str) -> bool {
        lock(&self.0).iter().any(|l| l == line)
    }
}

/// What the test and the consumer share.
#[derive(Default)]
struct Desk {
    orders: VecDeque<Order>,
    drain: Drain,
    /// Records are not taken.
    holds: bool,
}

struct Script {
    name: String,
    journal: Journal,
    desk: Arc<Mutex<Desk>>,
    grouped: bool,
    next: BTreeMap<TopicPartition, i64>,
}

fn list(partitions: &[TopicPartition]) -> String {
    let names: Vec<_> = partitions.iter().map(ToString::to_string).collect();
    names.join(" ")
}

impl Script {
    fn say(&self, what: &str) {
        self.journal.write(format!("{} {what}", self.name));
    }
}

impl ConsumerEvents for Script {
    fn assigned(&mut self, control: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start> {
        self.say(&format!("assigned [{}]", list(partitions)));
        if self.grouped {
            let known = control.committed(partitions, DRAIN).unwrap();
            assert_eq!(known.len(), partitions.len());
        }
        vec![Start::Committed; partitions.len()]
    }

    fn revoke_begin(&mut self, partitions: &[TopicPartition], lost: bool) -> Drain {
        let what = if lost { "lost" } else { "revoking" };
        self.say(&format!("{what} [{}]", list(partitions)));
        lock(&self.desk).drain.clone()
    }

    fn revoke_end(&mut self, control: &mut dyn Control, partitions: &[TopicPartition], lost: bool) {
        let mut offsets = Vec::new();
        for partition in partitions {
            offsets.extend(self.next.remove_entry(partition));
        }
        if !lost {
            let result = if self.grouped && !offsets.is_empty() {
                control.commit_now(&offsets, DRAIN)
            } else {
                Ok(())
            };
            let code = result.map_or_else(|error| format!(" {}", error.code), |()| String::new());
            self.say(&format!("revoked [{}]{code}", list(partitions)));
        }
    }

    fn records(&mut self, _: &mut dyn Control, chunk: Chunk) {
        let values: Vec<_> = (0..chunk.len())
            .map(|index| String::from_utf8_lossy(chunk.payload(index).unwrap_or(b"-")).into_owned())
            .collect();
        let partition = TopicPartition::new(chunk.topic().clone(), chunk.partition());
        let from = chunk.offset(0);
        self.say(&format!("{partition}@{from} {}", values.join(",")));
        self.next.insert(partition, from + chunk.len() as i64);
    }

    fn tick(&mut self, control: &mut dyn Control) -> Pace {
        // Not under the lock: an order may call back.
        let orders = std::mem::take(&mut lock(&self.desk).orders);
        for order in orders {
            order(control);
        }
        Pace {
            wait: Duration::from_hours(24),
            take: !lock(&self.desk).holds,
        }
    }

    fn committed(&mut self, offsets: &[(TopicPartition, i64)], result: Result<(), TransportError>) {
        let offsets: Vec<_> = offsets
            .iter()
            .map(|(p, next)| format!("{p}={next}"))
            .collect();
        let code = result.map_or_else(|error| error.code, |()| "ok".to_owned());
        self.say(&format!("commit {} {code}", offsets.join(" ")));
    }

    fn error(&mut self, error: TransportError) {
        self.say(&format!("error {}", error.code));
    }

    fn skipped(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        self.say(&format!("skipped {partition} {from}..{to}"));
    }

    fn created_anew(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        self.say(&format!("anew {partition} {from}..{to}"));
    }

    fn statistics(&mut self, _: &str) {}

    fn closed(&mut self) {
        self.say("closed");
    }
}

/// A running scripted consumer.
struct Client {
    handle: Arc<dyn ConsumerHandle>,
    desk: Arc<Mutex<Desk>>,
}

impl Client {
    fn order(&self, order: impl FnOnce(&mut dyn Control) + Send + 'static) {
        lock(&self.desk).orders.push_back(Box::new(order));
        self.handle.wake();
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) {
        let offsets = offsets.to_vec();
        self.order(move |control| control.commit(&offsets));
    }

    fn hold(&self, holds: bool) {
        lock(&self.desk).holds = holds;
        self.handle.wake();
    }

    fn close(&self) {
        self.handle.close(DRAIN);
    }
}

struct World {
    cluster: MemoryCluster,
    journal: Journal,
}

impl World {
    fn new(partitions: usize) -> Self {
        let cluster = MemoryCluster::new();
        cluster.create_topic("t", partitions);
        Self {
            cluster,
            journal: Journal::default(),
        }
    }

    fn client_of(&self, name: &str, group: Option<&str>) -> Client {
        let desk = Arc::new(Mutex::new(Desk::default()));
        let script = Script {
            name: name.to_owned(),
            journal: self.journal.clone(),
            desk: desk.clone(),
            grouped: group.is_some(),
            next: BTreeMap::new(),
        };
        let spec = ConsumerSpec {
            name: name.to_owned(),
            group: group.map(str::to_owned),
            client_id: name.to_owned(),
            topics: vec!["t".to_owned()],
            settings: BTreeMap::new(),
            ends: false,
            max_chunk: 3,
            drain: DRAIN,
        };
        let handle = self
            .cluster
            .transport()
            .start_consumer(spec, Box::new(script))
            .unwrap();
        Client { handle, desk }
    }

    fn client(&self, name: &str) -> Client {
        self.client_of(name, Some("g"))
    }

    fn push(&self, partition: i32, values: &[&str]) {
        for value in values {
            let record = NewRecord {
                payload: Some(value.as_bytes().to_vec()),
                ..NewRecord::default()
            };
            let place = Some(partition);
            self.cluster
                .push("t", place, Partitioner::Murmur2, record)
                .unwrap();
        }
    }

    /// Lets everything happen; answers what was heard.
    async fn settle(&self) -> Vec<String> {
        tokio::time::timeout(Duration::from_hours(1), self.cluster.quiescent())
            .await
            .expect("the cluster settles");
        self.journal.take()
    }
}

/// Lets tasks run without letting paused time move.
async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn failure(code: &str, fatal: bool) -> TransportError {
    TransportError {
        context: "test".to_owned(),
        code: code.to_owned(),
        message: "ordered by the test".to_owned(),
        retriable: !fatal,
        fatal,
    }
}
