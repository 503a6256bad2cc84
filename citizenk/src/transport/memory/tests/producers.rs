use std::ops::Range;

use super::*;
use crate::record::Timestamp;
use crate::staging::{OutputTopic, StagedBatch};
use crate::transport::{Delivered, DeliverySink, ProducerHandle, ProducerSpec, ProducerTopic};

struct Sink(Journal);

impl DeliverySink for Sink {
    fn delivered(&self, index: usize, result: Result<Delivered, TransportError>) {
        self.0.write(match result {
            Ok(Delivered { partition, offset }) => format!("{index} {partition}@{offset}"),
            Err(error) => format!("{index} {}", error.code),
        });
    }
}

struct Out {
    world: World,
    producer: Arc<dyn ProducerHandle>,
    topic: ProducerTopic,
    sink: Arc<dyn DeliverySink>,
}

impl Out {
    fn new() -> Self {
        let world = World::new(2);
        let spec = ProducerSpec {
            name: "p".to_owned(),
            client_id: "p".to_owned(),
            settings: BTreeMap::from([
                ("message.max.bytes".to_owned(), "10".to_owned()),
                ("message.timeout.ms".to_owned(), "30000".to_owned()),
            ]),
        };
        let producer = world.cluster.transport().start_producer(spec).unwrap();
        let topic = OutputTopic {
            cluster: "default",
            name: "t".to_owned(),
            partitioner: Partitioner::Custom(|key, _| u32::from(key[0] - b'0')),
        };
        let topic = producer.topic(&topic).unwrap();
        let sink = Arc::new(Sink(world.journal.clone()));
        Self {
            world,
            producer,
            topic,
            sink,
        }
    }

    fn produce(&self, batch: &StagedBatch, range: Range<usize>) -> usize {
        self.producer
            .produce(&[self.topic], batch, range, &self.sink)
    }

    fn send(&self, records: usize) -> usize {
        self.produce(&batch(records), 0..records)
    }
}

/// Records of partition 0.
fn batch(records: usize) -> StagedBatch {
    let mut batch = StagedBatch::default();
    for index in 0..records {
        let value = index.to_string();
        batch
            .record(0)
            .key_bytes(b"0")
            .finish(Some(value.as_bytes()));
    }
    batch
}

#[tokio::test(start_paused = true)]
async fn records_go_where_they_say_and_reports_come_from_a_task() {
    let out = Out::new();
    out.world.cluster.set_now(1_000);
    tokio::time::advance(Duration::from_millis(5)).await;
    let mut batch = StagedBatch::default();
    batch.record(0).key_bytes(b"1").finish(Some(b"key"));
    batch
        .record(0)
        .partition(Some(0))
        .timestamp(Some(7))
        .header("h", Some(b"v"))
        .finish(None);
    batch.record(0).finish(Some(b"turn"));
    batch.record(0).finish(Some(b"turn"));
    batch.record(0).partition(Some(2)).finish(Some(b"nowhere"));
    batch.record(0).finish(Some(b"far too large"));
    assert_eq!(out.produce(&batch, 0..6), 6);
    assert_eq!(
        out.world.journal.take(),
        ["4 _UNKNOWN_PARTITION", "5 MSG_SIZE_TOO_LARGE"]
    );
    assert_eq!(out.producer.in_flight(), 4);
    assert!(!out.world.cluster.idle());
    assert_eq!(
        out.world.settle().await,
        ["0 1@0", "1 0@0", "2 0@1", "3 1@1"]
    );
    assert_eq!(out.producer.flush(DRAIN), 0);

    let records = out.world.cluster.records("t");
    let places: Vec<_> = records.iter().map(|r| (r.partition, r.offset)).collect();
    assert_eq!(places, [(1, 0), (0, 0), (0, 1), (1, 1)]);
    assert_eq!(records[0].timestamp, Timestamp::Create(1_005));
    assert_eq!(records[1].timestamp, Timestamp::Create(7));
    assert_eq!(records[1].payload, None);
    assert_eq!(records[1].headers.text("h"), Some("v"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_created_and_an_unknown_handle_refused() {
    let out = Out::new();
    let topic = OutputTopic {
        cluster: "default",
        name: "new".to_owned(),
        partitioner: Partitioner::Murmur2,
    };
    let new = out.producer.topic(&topic).unwrap();
    assert_eq!(out.producer.topic(&topic), Ok(new));
    assert_ne!(new, out.topic);
    let taken = out.producer.produce(&[new], &batch(1), 0..1, &out.sink);
    assert_eq!(taken, 1);
    assert_eq!(out.world.settle().await.len(), 1);
    assert_eq!(out.world.cluster.end_offsets("new").len(), 4);
    let unknown = ProducerTopic(9);
    out.producer.produce(&[unknown], &batch(1), 0..1, &out.sink);
    assert_eq!(out.world.journal.take(), ["0 UNKNOWN_TOPIC_OR_PART"]);
}

#[tokio::test(start_paused = true)]
async fn ordered_failures_keep_their_place_and_append_nothing() {
    let out = Out::new();
    let error = failure("TOPIC_AUTHORIZATION_FAILED", false);
    out.world.cluster.fail_next("t", 2, &error);
    assert_eq!(out.send(3), 3);
    assert_eq!(
        out.world.settle().await,
        [
            "0 TOPIC_AUTHORIZATION_FAILED",
            "1 TOPIC_AUTHORIZATION_FAILED",
            "2 0@0",
        ]
    );
    assert_eq!(out.world.cluster.records("t").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn held_reports_wait_for_their_release() {
    let out = Out::new();
    out.world.cluster.hold_deliveries(true);
    assert_eq!(out.send(3), 3);
    assert_eq!(out.world.cluster.end_offsets("t"), [3, 0]);
    assert!(out.world.settle().await.is_empty());
    assert_eq!(out.world.cluster.in_flight(), 3);
    out.world.cluster.release_deliveries(1);
    assert_eq!(out.world.settle().await, ["0 0@0"]);
    out.world.cluster.hold_deliveries(false);
    assert_eq!(out.world.settle().await, ["1 0@1", "2 0@2"]);
    assert_eq!(out.world.cluster.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_takes_no_more_until_there_is_space() {
    let out = Out::new();
    out.world.cluster.queue_capacity(2);
    let batch = batch(5);
    let mut sent = 0;
    let mut waits = 0;
    while sent < 5 {
        // Registered first, so that space made meanwhile is not missed.
        let space = out.producer.space().notified();
        let taken = out.produce(&batch, sent..5);
        sent += taken;
        if sent < 5 {
            assert!(taken <= 2);
            assert!(out.producer.in_flight() <= 2);
            waits += 1;
            tokio::time::timeout(Duration::from_secs(1), space)
                .await
                .expect("space is announced");
        }
    }
    assert!(waits >= 2);
    assert_eq!(
        out.world.settle().await,
        ["0 0@0", "1 0@1", "2 0@2", "3 0@3", "4 0@4"]
    );

    out.world.cluster.hold_deliveries(true);
    assert_eq!(out.send(5), 2);
    let space = out.producer.space().notified();
    out.world.cluster.queue_capacity(4);
    tokio::time::timeout(Duration::from_secs(1), space)
        .await
        .expect("a larger queue has space");
}

#[tokio::test(start_paused = true)]
async fn an_absent_broker_keeps_records_in_order() {
    let out = Out::new();
    let _reader = out.world.client("a");
    out.world.settle().await;
    out.world.cluster.set_available(false);
    assert_eq!(out.send(2), 2);
    assert_eq!(out.world.settle().await, ["a error _ALL_BROKERS_DOWN"]);
    assert_eq!(out.producer.in_flight(), 2);
    assert!(out.world.cluster.records("t").is_empty());
    out.world.cluster.set_available(true);
    assert_eq!(out.world.settle().await, ["a t/0@0 0,1", "0 0@0", "1 0@1"]);
    assert_eq!(out.producer.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_producer_still_reports_what_it_took() {
    let out = Out::new();
    out.world.cluster.hold_deliveries(true);
    assert_eq!(out.send(2), 2);
    let Out {
        world, producer, ..
    } = out;
    drop(producer);
    assert!(world.settle().await.is_empty());
    world.cluster.hold_deliveries(false);
    assert_eq!(world.settle().await, ["0 0@0", "1 0@1"]);
    turns().await;
    assert_eq!(world.cluster.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn records_that_wait_too_long_for_the_broker_time_out() {
    let out = Out::new();
    out.world.cluster.set_available(false);
    assert_eq!(out.send(1), 1);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(out.send(1), 1);
    assert!(out.world.settle().await.is_empty());
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(out.world.settle().await, ["0 _MSG_TIMED_OUT"]);
    out.world.cluster.set_available(true);
    assert_eq!(out.world.settle().await, ["0 0@0"]);
}
