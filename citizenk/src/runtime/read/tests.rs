//! Reads of the in-memory log.

use std::collections::BTreeSet;

use super::*;
use crate::codec::RawBytes;
use crate::extract::{Position, Read, Reader};
use crate::record::Timestamp;
use crate::schema::Schemas;
use crate::testing::block_on;
use crate::topic::Partitioner;
use crate::transport::memory::{MemoryCluster, NewRecord};

fn reader(cluster: &MemoryCluster) -> Reader {
    Reader::new(
        Arc::new(Reads {
            transport: cluster.transport(),
            settings: BTreeMap::new(),
            client_id: "reads".to_owned(),
            names: TopicNames::default(),
        }),
        Schemas::none(),
    )
}

fn push(cluster: &MemoryCluster, partition: i32, at: i64, payload: &[u8]) {
    let record = NewRecord {
        payload: Some(payload.to_vec()),
        timestamp: Timestamp::Create(at),
        ..NewRecord::default()
    };
    let pushed = cluster.push("t", Some(partition), Partitioner::Murmur2, record);
    pushed.unwrap();
}

async fn places(read: Read<Option<RawBytes>>) -> Vec<(i32, i64)> {
    let records = read.stream().all().await.unwrap();
    let place = |record: &crate::Event<_>| (record.partition(), record.offset());
    records.iter().map(place).collect()
}

#[test]
fn the_newest_are_found_over_all_partitions_in_the_order_of_each() {
    block_on(async {
        let cluster = MemoryCluster::new();
        cluster.create_topic("t", 3);
        // Times of one partition need not rise.
        for (partition, at) in [(0, 1), (0, 9), (0, 2), (1, 5), (1, 6), (0, 7)] {
            push(&cluster, partition, at, b"x");
        }
        let reader = reader(&cluster);
        let newest = [(1, 0), (1, 1), (0, 3)];
        assert_eq!(places(reader.raw("t").last(3)).await, newest);
        let each = [(0, 2), (0, 3), (1, 0), (1, 1)];
        assert_eq!(places(reader.raw("t").last_each(2)).await, each);
        assert_eq!(places(reader.raw("t").last(100)).await.len(), 6);
        assert!(places(reader.raw("t").last(0)).await.is_empty());
        let one = reader.raw("t").partition(0).last(2).to(Position::Offset(2));
        assert_eq!(places(one).await, [(0, 0), (0, 1)]);
    });
}

#[test]
fn an_end_without_records_is_reached() {
    block_on(async {
        let cluster = MemoryCluster::new();
        cluster.create_topic("t", 2);
        push(&cluster, 0, 1, b"x");
        cluster.set_empty_end("t", 0, 3);
        cluster.set_empty_end("t", 1, 2);
        let reader = reader(&cluster);
        assert_eq!(places(reader.raw("t")).await, [(0, 0)]);
        // Windows grow until the records behind the empty end are there.
        assert_eq!(places(reader.raw("t").last(1)).await, [(0, 0)]);
    });
}

#[test]
fn what_retention_took_is_told_and_the_rest_is_read() {
    block_on(async {
        let cluster = MemoryCluster::new();
        cluster.create_topic("t", 1);
        for at in 0..10 {
            push(&cluster, 0, at, b"x");
        }
        cluster.truncate("t", 0, 4);
        let read = reader(&cluster).raw("t").from(Position::Offset(2));
        let mut stream = read.to(Position::Offset(6)).stream();
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(!error.is_final());
        assert_eq!(
            error.to_string(),
            "t/0: offsets 2 to 3 were deleted before they were read"
        );
        let rest = stream.all().await.unwrap();
        assert_eq!(
            rest.iter().map(crate::Event::offset).collect::<Vec<_>>(),
            [4, 5]
        );
    });
}

#[test]
fn reading_stops_while_nobody_polls_and_ends_with_the_stream() {
    block_on(async {
        let cluster = MemoryCluster::new();
        cluster.create_topic("t", 2);
        let payload = vec![7; 10_000];
        const EACH: i64 = 20_000;
        for at in 0..EACH {
            push(&cluster, 0, at, &payload);
            push(&cluster, 1, at, &payload);
        }
        let mut stream = reader(&cluster).raw("t").stream();
        stream.next().await.unwrap().unwrap();
        // An hour in which nobody polls.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let ahead = stream.progress();
        assert_eq!((ahead.records, ahead.offsets), (1, 2 * EACH as u64));
        // Twice 4 MiB, and a chunk of 500 records per partition.
        assert!(
            ahead.passed * 10_000 < (8 << 20) + 2 * 500 * 10_000,
            "{ahead:?}"
        );
        let mut seen: BTreeSet<(i32, i64)> = BTreeSet::from([(0, 0), (1, 0)]);
        let mut count = 1;
        while let Some(record) = stream.next().await {
            let record = record.unwrap();
            seen.insert((record.partition(), record.offset()));
            count += 1;
        }
        assert_eq!(count, 2 * EACH);
        assert_eq!(seen.len() as i64, 2 * EACH, "each once");
        assert_eq!(stream.progress().passed, 2 * EACH as u64);
        drop(stream);
        cluster.quiescent().await;

        let mut endless = reader(&cluster).raw("t").follow().stream();
        endless.next().await.unwrap().unwrap();
        drop(endless);
        let before = cluster.activity();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let after = cluster.activity();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(cluster.activity(), after, "nobody reads any more");
        assert!(after >= before);
    });
}

#[test]
fn a_broker_that_is_silent_is_an_error_that_names_the_place() {
    block_on(async {
        let cluster = MemoryCluster::new();
        cluster.create_topic("t", 1);
        for at in 0..3 {
            push(&cluster, 0, at, b"x");
        }
        let mut stream = reader(&cluster).raw("t").stream();
        cluster.withhold("t", 0, Some(crate::transport::memory::Withheld::ForEver));
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(error.is_final());
        assert_eq!(error.to_string(), "t/0@0: no record came for 30s");
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn a_follower_goes_on_behind_the_last_ones_and_finds_new_partitions() {
    block_on(async {
        let cluster = MemoryCluster::new();
        cluster.create_topic("t", 1);
        for at in 0..3 {
            push(&cluster, 0, at, b"x");
        }
        let mut stream = reader(&cluster).raw("t").last(1).follow().stream();
        let mut next = async || {
            let record = stream.next().await.unwrap().unwrap();
            (record.partition(), record.offset())
        };
        assert_eq!(next().await, (0, 2));
        push(&cluster, 0, 4, b"x");
        assert_eq!(next().await, (0, 3));
        cluster.create_topic("t", 2);
        push(&cluster, 1, 5, b"x");
        assert_eq!(next().await, (1, 0));
    });
}
