//! What the embedded broker cannot show: runs where `cargo xtask real` has started a Kafka that creates
//! topics of 4 partitions by itself, and is left out elsewhere.

use std::time::SystemTime;

use super::*;
use crate::admin::NewTopic;
use crate::transport::Spot;

/// `None` outside the real-Kafka tier.
pub(super) fn cluster() -> Option<KafkaTransport> {
    std::env::var_os("CITIZENK_REAL_KAFKA")?;
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("KAFKA_BOOTSTRAP_SERVERS is set");
    let transport =
        KafkaTransport::new(map(&[("bootstrap.servers", &servers)])).expect("a cluster");
    Some(transport)
}

/// A name no earlier run has used.
pub(super) fn fresh(name: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{name}-{}", now.expect("after 1970").as_nanos())
}

fn member(name: &str, topic: &str, strategy: &str) -> ConsumerSpec {
    let mut spec = spec(Some(topic), &[topic]);
    spec.name = name.to_owned();
    let key = "partition.assignment.strategy".to_owned();
    spec.settings.insert(key, strategy.to_owned());
    spec
}

fn commits_on_revoke(strategy: &str) {
    let Some(transport) = cluster() else { return };
    let topic = fresh(strategy);
    for partition in 0..4 {
        fill(&transport, &topic, partition, 0..50);
    }
    let first = Consumer::start(&transport, member("first", &topic, strategy));
    assert_eq!(first.assigned().len(), 4);
    first.records(200);
    client::lock(&first.running).push(first.drain.add());
    for partition in 0..4 {
        let commit = (TopicPartition::new(topic.as_str(), partition), 50);
        client::lock(&first.last_commit).push(commit);
    }
    let second = Consumer::start(&transport, member("second", &topic, strategy));
    first.wait(|seen| matches!(seen, Seen::Began(_, false)).then_some(()));
    client::lock(&first.running).clear();
    first.wait(|seen| matches!(seen, Seen::Ended(_, false)).then_some(()));
    while second.assigned().is_empty() {}
    for partition in 0..4 {
        fill(&transport, &topic, partition, 50..60);
    }
    for consumer in [&first, &second] {
        for record in consumer.records(20) {
            assert!(record.offset() >= 50, "{strategy}: read again");
        }
    }
    let start = Instant::now();
    first.close(PATIENCE);
    second.close(PATIENCE);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_revoke_commits_with_every_assignor() {
    commits_on_revoke("cooperative-sticky");
    commits_on_revoke("range");
}

#[test]
fn pauses_seeks_and_reading_without_a_group() {
    let Some(transport) = cluster() else { return };
    assert_eq!(transport.kind(), BrokerKind::Kafka);
    assert!(transport.create_topic("x", 1).is_err());
    let topic = fresh("plain");
    fill(&transport, &topic, 0, 0..1000);
    let consumer = Consumer::start(&transport, spec(None, &[&topic]));
    assert_eq!(consumer.assigned().len(), 4);
    assert_eq!(consumer.records(1000)[999].offset(), 999);
    let id = TopicPartition::new(topic.as_str(), 0);
    let mut slowest = Duration::ZERO;
    for at in [0, 500, 999] {
        let paused = id.clone();
        consumer.act(move |control| control.pause(&[paused]));
        let resumed = id.clone();
        let start = Instant::now();
        consumer.act(move |control| control.resume(&[(resumed, at)]));
        assert_eq!(consumer.chunk().offset(0), at);
        slowest = slowest.max(start.elapsed());
        let end = id.clone();
        consumer.act(move |control| control.seek(&[(end, 1000)]));
        while let Ok(seen) = consumer.seen.try_recv() {
            assert!(matches!(seen, Seen::Records(_)), "{seen:?}");
        }
    }
    println!("resume to first record: {slowest:?} at most");
    let start = Instant::now();
    fill(&transport, &topic, 0, 1000..1001);
    assert_eq!(consumer.records(1)[0].offset(), 1000);
    println!("a new producer's first record: {:?}", start.elapsed());
    assert!(transport.last_contact().expect("contact") < Duration::from_secs(1));
    consumer.close(PATIENCE);
    let lost = Consumer::starting(&transport, spec(Some(&topic), &[&topic]), |_| {
        Start::Offset(5000)
    });
    lost.wait(|seen| match seen {
        Seen::Anew(from, _) => (from == 5000).then_some(()),
        _ => None,
    });
    lost.close(PATIENCE);
}

/// Leaders of a topic that is just being made refuse records for some milliseconds, one partition longer than another.
#[test]
fn topics_that_are_made_by_writing_have_every_record_in_its_place() {
    const TOPICS: usize = 15;
    const RECORDS: usize = 8;
    let Some(transport) = cluster() else { return };
    let many = |thread: usize| {
        for number in 0..TOPICS {
            // A producer's first record is in question, in a request that the second does not wait for.
            let settings = [("batch.num.messages", "1"), ("linger.ms", "0")];
            let producer = producer(&transport, &settings);
            let topic = output(
                &fresh(&format!("made-{thread}-{number}")),
                Partitioner::Murmur2,
            );
            let topic = producer.topic(&topic).expect("a topic");
            let mut batch = StagedBatch::default();
            let value = vec![b'x'; 100_000];
            for _ in 0..RECORDS {
                batch.record(0).partition(Some(0)).finish(Some(&value));
            }
            let offsets = send(&producer, &[topic], &batch)
                .into_iter()
                .map(|result| result.expect("delivered").offset);
            assert!(offsets.eq(0..RECORDS as i64), "one overtook another");
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || many(thread));
        }
    });
}

#[test]
fn the_ends_of_many_topics_that_are_new_to_a_client_are_asked_for_at_once() {
    const TOPICS: usize = 300;
    let Some(transport) = cluster() else { return };
    let admin = transport.admin().expect("an admin client");
    let names: Vec<String> = (0..TOPICS).map(|_| fresh("many")).collect();
    let made = names.iter().map(|name| {
        let topic = NewTopic::new(name.as_str()).partitions(1);
        admin.create_topic(topic, false, PATIENCE)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    for made in runtime.block_on(futures_util::future::join_all(made)) {
        made.expect("created");
    }
    for _ in 0..5 {
        let fresh = cluster().expect("the same");
        std::thread::scope(|scope| {
            for name in &names {
                let fresh = &fresh;
                scope.spawn(move || {
                    fresh.topics(Some(name), PATIENCE).expect("known");
                    let id = TopicPartition::new(name.as_str(), 0);
                    let ends = fresh.offsets(&[id], Spot::End, false, PATIENCE);
                    assert_eq!(ends.expect("an answer"), [Some(0)], "{name}");
                });
            }
        });
    }
}
