use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::transactions::errors;
use super::*;

/// Started calls end before their partitions are given up, and the next owner starts behind them.
fn drains_before_giving_back(strategy: &str) {
    let transport = broker();
    transport.create_topic("t", 4).expect("created");
    for partition in 0..4 {
        fill(&transport, "t", partition, 0..50);
    }
    let member = |name: &str| {
        let mut spec = spec(Some("g"), &["t"]);
        spec.name = name.to_owned();
        spec.settings.insert(
            "partition.assignment.strategy".to_owned(),
            strategy.to_owned(),
        );
        spec
    };
    let first = Consumer::start(&transport, member("first"));
    assert_eq!(first.assigned().len(), 4);
    first.records(200);
    // A call is running while the second member joins. The commit comes before: the embedded broker may
    // refuse it during a rebalance, where Kafka takes it (`real.rs` commits at the end of the revoke).
    client::lock(&first.running).push(first.drain.add());
    let commits: Vec<_> = (0..4)
        .map(|partition| (TopicPartition::new("t", partition), 50))
        .collect();
    first
        .act(move |control| control.commit_now(&commits, PATIENCE))
        .expect("committed");
    let second = Consumer::start(&transport, member("second"));
    let (revoked, lost) = first.wait(|seen| match seen {
        Seen::Began(partitions, lost) => Some((partitions, lost)),
        _ => None,
    });
    assert!(!lost && !revoked.is_empty());
    assert!(
        first.seen.recv_timeout(Duration::from_millis(200)).is_err(),
        "the revoke waits for the running call"
    );
    client::lock(&first.running).clear();
    let ended = first.wait(|seen| match seen {
        Seen::Ended(partitions, lost) => Some((partitions, lost)),
        _ => None,
    });
    assert_eq!(ended, (revoked, false));

    // New records reach each partition's owner once, and nothing old is read again.
    let mut owned = 0;
    while owned == 0 {
        owned = second.assigned().len();
    }
    assert_eq!(owned, 2, "{strategy}");
    for partition in 0..4 {
        fill(&transport, "t", partition, 50..60);
    }
    for consumer in [&first, &second] {
        let mut next = HashMap::new();
        for record in consumer.records(20) {
            let next = next.entry(record.partition()).or_insert(50);
            assert_eq!(record.offset(), *next);
            *next += 1;
        }
        assert_eq!(next.len(), 2);
    }
    first.close(PATIENCE);
    second.close(PATIENCE);
    ends(transport);
}

#[test]
fn a_cooperative_revoke_drains() {
    drains_before_giving_back("cooperative-sticky");
}

#[test]
fn an_eager_revoke_drains() {
    drains_before_giving_back("range");
}

#[test]
fn a_commit_that_meets_a_join_is_tried_again() {
    const OFFSET_COMMIT: i16 = 8;
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..10);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.records(10);
    let joining = Code::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    let commit = || {
        let id = TopicPartition::new("t", 0);
        consumer.act(move |control| control.commit_now(&[(id, 10)], PATIENCE))
    };
    errors(&transport, OFFSET_COMMIT, &[joining; 3]);
    commit().expect("committed in the end");
    // A join that goes on is not waited for: it may wait for this member.
    errors(&transport, OFFSET_COMMIT, &[joining; 100]);
    let start = Instant::now();
    let error = commit().expect_err("refused all the time");
    assert_eq!(error.code, "REBALANCE_IN_PROGRESS");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    consumer.close(PATIENCE);
}

#[test]
fn a_pause_ends_with_the_assignment() {
    let transport = broker();
    transport.create_topic("t", 2).expect("created");
    let member = |name: &str| {
        let mut spec = spec(Some("g"), &["t"]);
        spec.name = name.to_owned();
        let strategy = "partition.assignment.strategy".to_owned();
        spec.settings.insert(strategy, "range".to_owned());
        spec
    };
    let first = Consumer::start(&transport, member("first"));
    let both = first.assigned();
    let paused = both.clone();
    first.act(move |control| control.pause(&paused));
    // Eager: all partitions are taken away, and some come back.
    let second = Consumer::start(&transport, member("second"));
    let kept = first.assigned();
    assert_eq!(kept.len(), 1);
    for id in &both {
        fill(&transport, "t", id.partition, 0..10);
    }
    assert_eq!(first.records(10).len(), 10);
    assert_eq!(second.records(10).len(), 10);
    first.close(PATIENCE);
    second.close(PATIENCE);
}

#[test]
fn the_newer_group_protocol_works_too() {
    let transport = broker();
    transport.create_topic("t", 2).expect("created");
    fill(&transport, "t", 0, 0..10);
    fill(&transport, "t", 1, 0..10);
    let mut newer = spec(Some("g"), &["t"]);
    newer.settings = map(&[
        ("group.protocol", "consumer"),
        ("group.remote.assignor", "range"),
    ]);
    let consumer = Consumer::start(&transport, newer);
    consumer.records(20);
    let id = TopicPartition::new("t", 0);
    consumer
        .act(move |control| control.commit_now(&[(id, 10)], PATIENCE))
        .expect("committed");
    consumer.close(PATIENCE);
}

#[test]
fn a_lost_assignment_is_neither_drained_nor_committed_and_comes_back() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..10);
    let mut slow = spec(Some("g"), &["t"]);
    let key = "max.poll.interval.ms".to_owned();
    slow.settings.insert(key, "6000".to_owned());
    let consumer = Consumer::start(&transport, slow);
    consumer.records(10);
    let running = consumer.drain.add();
    // The polling thread is held up for longer than the group allows.
    let (_never, blocked) = channel::<()>();
    let _ = consumer.acts.send(Box::new(move |_| {
        let _ = blocked.recv_timeout(Duration::from_secs(8));
    }));
    consumer.handle.wake();
    let mut errors = Vec::new();
    let lost = consumer.wait(|seen| match seen {
        Seen::Error(error) => {
            errors.push(error);
            None
        }
        Seen::Began(_, lost) => Some(lost),
        _ => None,
    });
    assert!(lost);
    let start = Instant::now();
    consumer.wait(|seen| matches!(seen, Seen::Ended(_, true)).then_some(()));
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "a lost assignment was drained"
    );
    drop(running);
    // Nothing was committed: all is read again.
    assert_eq!(consumer.records(10)[0].offset(), 0);
    while let Ok(seen) = consumer.seen.try_recv() {
        if let Seen::Error(error) = seen {
            errors.push(error);
        }
    }
    assert!(errors.iter().all(|error| !error.fatal), "{errors:?}");
    consumer.close(PATIENCE);
}

#[test]
fn a_consumer_that_closes_takes_no_topics() {
    let transport = broker();
    for topic in ["t", "u"] {
        transport.create_topic(topic, 1).expect("created");
    }
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    assert_eq!(consumer.assigned().len(), 1);
    // A call holds up the end.
    client::lock(&consumer.running).push(consumer.drain.add());
    consumer.handle.close(PATIENCE);
    consumer.wait(|seen| matches!(seen, Seen::Began(..)).then_some(()));
    let both = ["t", "u"].map(str::to_owned);
    let error = consumer.handle.subscribe(&both).expect_err("it closes");
    assert!(error.to_string().contains("`test` subscribing"), "{error}");
    client::lock(&consumer.running).clear();
    consumer.wait(|seen| matches!(seen, Seen::Closed).then_some(()));
}
