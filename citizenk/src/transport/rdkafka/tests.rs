//! Against the embedded broker. Every wait is on a channel or condition, and bounded.
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;

use super::embedded::EmbeddedBroker;
use super::*;
use crate::record::{Chunk, RecordRef, Timestamp, TopicPartition};
use crate::staging::{OutputTopic, StagedBatch};
use crate::topic::Partitioner;
use crate::transport::{
    Control, Delivered, DeliverySink, Drain, DrainToken, Pace, ProducerTopic, Start,
};

mod aborting;
mod administering;
mod consuming;
mod groupless;
mod lone;
mod producing;
mod reads;
mod real;
mod real_transactions;
mod rebalancing;
mod transactions;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(30);

fn broker() -> KafkaTransport {
    KafkaTransport::embedded(EmbeddedOptions::default()).expect("the embedded broker starts")
}

fn producer(transport: &KafkaTransport, settings: &[(&str, &str)]) -> Arc<dyn ProducerHandle> {
    transport
        .start_producer(ProducerSpec {
            name: "test".to_owned(),
            client_id: "test".to_owned(),
            settings: map(settings),
        })
        .expect("the producer starts")
}

fn map(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
    settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn output(name: &str, partitioner: Partitioner) -> OutputTopic {
    OutputTopic {
        cluster: "default",
        name: name.to_owned(),
        partitioner,
    }
}

/// A topic that takes records at once.
fn opened(producer: &Arc<dyn ProducerHandle>, name: &str) -> ProducerTopic {
    let topic = producer.topic(&output(name, Partitioner::Murmur2));
    let topic = topic.expect("a topic");
    let mut refused = StagedBatch::default();
    refused.record(0).partition(Some(-3)).finish(None);
    let sink: Arc<dyn DeliverySink> = Arc::new(Results::default());
    let start = Instant::now();
    while producer.produce(&[topic], &refused, 0..1, &sink) == 0 {
        assert!(start.elapsed() < PATIENCE, "`{name}` takes no records");
        std::thread::yield_now();
    }
    topic
}

fn spec(group: Option<&str>, topics: &[&str]) -> ConsumerSpec {
    ConsumerSpec {
        name: "test".to_owned(),
        group: group.map(str::to_owned),
        client_id: "test".to_owned(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        settings: map(&[
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "500"),
            ("fetch.wait.max.ms", "10"),
        ]),
        ends: false,
        max_chunk: 1000,
        drain: Duration::from_secs(5),
    }
}

/// Collects delivery results by record index.
#[derive(Default)]
struct Results {
    by_index: Mutex<HashMap<usize, Vec<Result<Delivered, TransportError>>>>,
    changed: Condvar,
}

impl DeliverySink for Results {
    fn delivered(&self, index: usize, result: Result<Delivered, TransportError>) {
        client::lock(&self.by_index)
            .entry(index)
            .or_default()
            .push(result);
        self.changed.notify_all();
    }
}

impl Results {
    /// Waits for `count` records' results, each reported once.
    fn wait(&self, count: usize) -> Vec<Result<Delivered, TransportError>> {
        let guard = client::lock(&self.by_index);
        let (results, timeout) = self
            .changed
            .wait_timeout_while(guard, PATIENCE, |results| results.len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !timeout.timed_out(),
            "{} of {count} reported",
            results.len()
        );
        (0..count)
            .map(|index| {
                let reports = &results[&index];
                assert_eq!(reports.len(), 1, "record {index} is reported once");
                reports[0].clone()
            })
            .collect()
    }
}

/// Produces a whole batch and waits for its results.
fn send(
    producer: &Arc<dyn ProducerHandle>,
    topics: &[ProducerTopic],
    batch: &StagedBatch,
) -> Vec<Result<Delivered, TransportError>> {
    let results = Arc::new(Results::default());
    let sink: Arc<dyn DeliverySink> = results.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut done = 0;
    while done < batch.len() {
        let space = producer.space().notified();
        done += producer.produce(topics, batch, done..batch.len(), &sink);
        if done < batch.len() {
            runtime
                .block_on(async { tokio::time::timeout(PATIENCE, space).await })
                .expect("room is made");
        }
    }
    results.wait(batch.len())
}

fn fill(transport: &KafkaTransport, topic: &str, partition: i32, values: std::ops::Range<usize>) {
    let mut batch = StagedBatch::default();
    for value in values {
        batch
            .record(0)
            .partition(Some(partition))
            .finish(Some(value.to_string().as_bytes()));
    }
    write(transport, topic, &batch);
}

/// Produces a whole batch to one topic.
fn write(transport: &KafkaTransport, topic: &str, batch: &StagedBatch) {
    let producer = producer(transport, &[]);
    let handle = producer
        .topic(&output(topic, Partitioner::Murmur2))
        .expect("a topic");
    for result in send(&producer, &[handle], batch) {
        result.expect("delivered");
    }
}

/// What a consumer's events saw.
#[derive(Debug)]
enum Seen {
    Assigned(Vec<TopicPartition>),
    Began(Vec<TopicPartition>, bool),
    Ended(Vec<TopicPartition>, bool),
    Records(Chunk),
    Committed(Result<(), TransportError>),
    Error(TransportError),
    Skipped(i64, i64),
    Anew(i64, i64),
    Statistics(String),
    Closed,
}

type Act = Box<dyn FnOnce(&mut dyn Control) + Send>;

/// Events that pass everything on, start where a function says, and run what the test hands over.
struct Recorder {
    seen: Sender<Seen>,
    acts: Receiver<Act>,
    start: Box<dyn FnMut(&TopicPartition) -> Start + Send>,
    /// Resume from committed offsets where there are some.
    committed_first: bool,
    /// What a revoke must wait for.
    drain: Drain,
    /// Committed at the end of a revoke.
    last_commit: Arc<Mutex<Vec<(TopicPartition, i64)>>>,
}

impl ConsumerEvents for Recorder {
    fn assigned(&mut self, control: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start> {
        let committed = if self.committed_first {
            control
                .committed(partitions, PATIENCE)
                .expect("committed offsets")
        } else {
            vec![None; partitions.len()]
        };
        let starts = partitions
            .iter()
            .zip(committed)
            .map(|(partition, committed)| match committed {
                Some(offset) => Start::Offset(offset),
                None => (self.start)(partition),
            })
            .collect();
        let _ = self.seen.send(Seen::Assigned(partitions.to_vec()));
        starts
    }

    fn revoke_begin(&mut self, partitions: &[TopicPartition], lost: bool) -> Drain {
        let _ = self.seen.send(Seen::Began(partitions.to_vec(), lost));
        self.drain.clone()
    }

    fn revoke_end(&mut self, control: &mut dyn Control, partitions: &[TopicPartition], lost: bool) {
        let commits = std::mem::take(&mut *client::lock(&self.last_commit));
        if !commits.is_empty() {
            control
                .commit_now(&commits, PATIENCE)
                .expect("committed at the end");
        }
        let _ = self.seen.send(Seen::Ended(partitions.to_vec(), lost));
    }

    fn records(&mut self, _: &mut dyn Control, chunk: Chunk) {
        let _ = self.seen.send(Seen::Records(chunk));
    }

    fn tick(&mut self, control: &mut dyn Control) -> Pace {
        while let Ok(act) = self.acts.try_recv() {
            act(control);
        }
        Pace {
            wait: Duration::from_secs(60),
            take: true,
        }
    }

    fn committed(&mut self, _: &[(TopicPartition, i64)], result: Result<(), TransportError>) {
        let _ = self.seen.send(Seen::Committed(result));
    }

    fn error(&mut self, error: TransportError) {
        let _ = self.seen.send(Seen::Error(error));
    }

    fn skipped(&mut self, _: &TopicPartition, from: i64, to: i64) {
        let _ = self.seen.send(Seen::Skipped(from, to));
    }

    fn created_anew(&mut self, _: &TopicPartition, from: i64, to: i64) {
        let _ = self.seen.send(Seen::Anew(from, to));
    }

    fn statistics(&mut self, json: &str) {
        let _ = self.seen.send(Seen::Statistics(json.to_owned()));
    }

    fn closed(&mut self) {
        let _ = self.seen.send(Seen::Closed);
    }
}

/// A consumer under test.
struct Consumer {
    handle: Arc<dyn ConsumerHandle>,
    seen: Receiver<Seen>,
    acts: Sender<Act>,
    drain: Drain,
    /// Started calls.
    running: Mutex<Vec<DrainToken>>,
    last_commit: Arc<Mutex<Vec<(TopicPartition, i64)>>>,
}

impl Consumer {
    fn start(transport: &KafkaTransport, spec: ConsumerSpec) -> Self {
        Self::starting(transport, spec, |_| Start::Beginning)
    }

    fn starting(
        transport: &KafkaTransport,
        spec: ConsumerSpec,
        start: impl FnMut(&TopicPartition) -> Start + Send + 'static,
    ) -> Self {
        let (seen_in, seen) = channel();
        let (acts, acts_out) = channel();
        let drain = Drain::default();
        let last_commit = Arc::<Mutex<Vec<(TopicPartition, i64)>>>::default();
        let recorder = Recorder {
            seen: seen_in,
            acts: acts_out,
            start: Box::new(start),
            committed_first: spec.group.is_some(),
            drain: drain.clone(),
            last_commit: last_commit.clone(),
        };
        let handle = transport
            .start_consumer(spec, Box::new(recorder))
            .expect("the consumer starts");
        Self {
            handle,
            seen,
            acts,
            drain,
            running: Mutex::default(),
            last_commit,
        }
    }

    /// The next thing seen that `pick` wants; what it does not want is passed over.
    fn wait<T>(&self, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let seen = self.seen.recv_timeout(left).expect("seen in time");
            if let Some(picked) = pick(seen) {
                return picked;
            }
        }
    }

    fn chunk(&self) -> Chunk {
        self.wait(|seen| match seen {
            Seen::Records(chunk) => Some(chunk),
            _ => None,
        })
    }

    /// The next `count` records.
    fn records(&self, count: usize) -> Vec<RecordRef> {
        let mut records = Vec::new();
        while records.len() < count {
            let chunk = self.chunk();
            records.extend((0..chunk.len()).map(|index| RecordRef::new(chunk.clone(), index)));
        }
        assert_eq!(records.len(), count);
        records
    }

    fn assigned(&self) -> Vec<TopicPartition> {
        self.wait(|seen| match seen {
            Seen::Assigned(partitions) => Some(partitions),
            _ => None,
        })
    }

    /// Runs something on the polling thread and waits for its answer.
    fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Control) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = channel();
        self.acts
            .send(Box::new(move |control| {
                let _ = answer.send(act(control));
            }))
            .expect("the thread runs");
        self.handle.wake();
        answered.recv_timeout(PATIENCE).expect("an answer")
    }

    fn close(&self, leave: Duration) {
        self.handle.close(leave);
        self.wait(|seen| matches!(seen, Seen::Closed).then_some(()));
    }
}

/// Drops the transport and waits until the broker has ended, which it does after its last client was
/// destroyed: nothing that was made hangs.
fn ends(transport: KafkaTransport) {
    let broker = Arc::downgrade(transport.embedded.as_ref().expect("embedded"));
    drop(transport);
    let end = Instant::now() + PATIENCE;
    while broker.strong_count() > 0 {
        assert!(Instant::now() < end, "a client was not destroyed");
        std::thread::yield_now();
    }
}

fn value(record: &RecordRef) -> usize {
    std::str::from_utf8(record.payload().expect("a value"))
        .expect("text")
        .parse()
        .expect("a number")
}

/// From here on.
fn count_requests(broker: &EmbeddedBroker) {
    // SAFETY: the cluster is alive.
    unsafe { rd::rd_kafka_mock_start_request_tracking(broker.cluster()) };
}

/// How many requests of each kind the embedded broker has got.
fn requests(broker: &EmbeddedBroker) -> BTreeMap<i16, usize> {
    let mut kinds = BTreeMap::new();
    let mut count = 0;
    // SAFETY: the cluster is alive; the requests are copies, destroyed once after their use.
    unsafe {
        let all = rd::rd_kafka_mock_get_requests(broker.cluster(), &raw mut count);
        for index in 0..count {
            let kind = rd::rd_kafka_mock_request_api_key(*all.add(index));
            *kinds.entry(kind).or_default() += 1;
        }
        rd::rd_kafka_mock_request_destroy_array(all, count);
    }
    kinds
}
