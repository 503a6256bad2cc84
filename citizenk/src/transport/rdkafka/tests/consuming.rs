use super::*;

#[test]
fn a_wake_ticks_at_once() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let start = Instant::now();
        consumer.act(|_| ());
        slowest = slowest.max(start.elapsed());
    }
    // The thread would otherwise wait for a second.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    consumer.close(PATIENCE);
}

#[test]
fn a_resume_goes_on_at_the_given_offset() {
    let transport = broker();
    transport.create_topic("t", 2).expect("created");
    fill(&transport, "t", 0, 0..3000);
    fill(&transport, "t", 1, 0..3000);
    let mut spec = spec(Some("g"), &["t"]);
    spec.max_chunk = 100;
    let consumer = Consumer::start(&transport, spec);
    let first = TopicPartition::new("t", 0);
    let mut next = [0_i64; 2];
    let mut rounds = 0;
    let take = |next: &mut [i64; 2], chunk: Chunk| {
        let next = &mut next[chunk.partition() as usize];
        for index in 0..chunk.len() {
            assert_eq!(
                chunk.offset(index),
                *next,
                "partition {}",
                chunk.partition()
            );
            *next += 1;
        }
    };
    while next != [3000, 3000] {
        let chunk = consumer.chunk();
        let partition = chunk.partition();
        take(&mut next, chunk);
        if partition == 0 && rounds < 10 {
            rounds += 1;
            let paused = first.clone();
            consumer.act(move |control| control.pause(&[paused]));
            // What was handed over before the pause is let go, to be read again.
            while let Ok(seen) = consumer.seen.try_recv() {
                match seen {
                    Seen::Records(chunk) if chunk.partition() == 1 => take(&mut next, chunk),
                    _ => {}
                }
            }
            let (resumed, at) = (first.clone(), next[0]);
            consumer.act(move |control| control.resume(&[(resumed, at)]));
        }
    }
    assert_eq!(rounds, 10);
    consumer.close(PATIENCE);
}

#[test]
fn a_paused_partition_gives_nothing_and_a_resume_is_quick() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..10);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.records(10);
    let id = TopicPartition::new("t", 0);
    let paused = id.clone();
    consumer.act(move |control| control.pause(&[paused]));
    fill(&transport, "t", 0, 10..20);
    assert!(
        consumer
            .seen
            .recv_timeout(Duration::from_millis(300))
            .is_err(),
        "nothing comes while paused"
    );
    let start = Instant::now();
    consumer.act(move |control| control.resume(&[(id, 5)]));
    let values: Vec<_> = consumer.records(15).iter().map(value).collect();
    assert_eq!(values, (5..20).collect::<Vec<_>>());
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    consumer.close(PATIENCE);
    ends(transport);
}

#[test]
fn seeks_move_both_ways() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..100);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.records(100);
    for target in [10, 90, 50] {
        let position = (TopicPartition::new("t", 0), target);
        consumer.act(move |control| control.seek(&[position]));
        let values: Vec<_> = consumer
            .records(100 - target as usize)
            .iter()
            .map(value)
            .collect();
        assert_eq!(values, (target as usize..100).collect::<Vec<_>>());
    }
    consumer.close(PATIENCE);
    ends(transport);
}

#[test]
fn a_commit_is_where_the_next_consumer_goes_on() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..100);
    let id = TopicPartition::new("t", 0);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.records(100);
    let at = id.clone();
    consumer.act(move |control| control.commit(&[(at, 40)]));
    let result = consumer.wait(|seen| match seen {
        Seen::Committed(result) => Some(result),
        _ => None,
    });
    result.expect("committed");
    let at = id.clone();
    consumer
        .act(move |control| control.commit_now(&[(at, 60)], PATIENCE))
        .expect("committed");
    let at = id.clone();
    let committed = consumer.act(move |control| control.committed(&[at], PATIENCE));
    assert_eq!(committed.expect("known"), [Some(60)]);
    let at = id.clone();
    let marks = consumer.act(move |control| control.watermarks(&at, PATIENCE));
    let marks = marks.expect("known");
    assert_eq!((marks.low, marks.high), (0, 100));
    let at = id.clone();
    assert_eq!(
        consumer.act(move |control| control.cached_high_watermark(&at)),
        Some(100)
    );
    let count = consumer.act(|control| control.partition_count("t", PATIENCE));
    assert_eq!(count.expect("known"), 1);
    assert!(
        consumer
            .act(|control| control.partition_count("no", PATIENCE))
            .is_err()
    );
    consumer.last_commit.lock().expect("free").push((id, 70));
    consumer.close(PATIENCE);

    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    let records = consumer.records(30);
    assert_eq!(value(&records[0]), 70);
    consumer.close(PATIENCE);
    drop(records);
    ends(transport);
}

#[test]
fn a_chunk_outlives_its_consumer_and_the_transport() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..10);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    let records = consumer.records(10);
    consumer.close(PATIENCE);
    drop(consumer);
    let broker = Arc::downgrade(transport.embedded.as_ref().expect("embedded"));
    drop(transport);
    assert_eq!(records.iter().map(value).sum::<usize>(), 45);
    assert!(records[0].headers().is_empty());
    // The last one ends the client, on a thread of its own.
    let start = Instant::now();
    drop(records);
    assert!(start.elapsed() < Duration::from_secs(1));
    while broker.strong_count() > 0 {
        assert!(start.elapsed() < PATIENCE, "the client was not destroyed");
        std::thread::yield_now();
    }
}

#[test]
fn a_close_is_bounded_while_the_broker_is_away() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..10);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.records(10);
    transport
        .embedded
        .as_ref()
        .expect("embedded")
        .set_down(true);
    let error = consumer.wait(|seen| match seen {
        Seen::Error(error) => Some(error),
        _ => None,
    });
    assert!(error.retriable && !error.fatal, "{error}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    let start = Instant::now();
    consumer.handle.close(Duration::from_secs(1));
    let mut order = Vec::new();
    consumer.wait(|seen| {
        order.push(seen);
        matches!(order.last(), Some(Seen::Closed)).then_some(())
    });
    assert!(
        order.iter().any(|seen| matches!(seen, Seen::Ended(..))),
        "{order:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn offsets_that_are_gone_are_reported_as_skipped() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    // The broker keeps 5 MiB of a partition.
    let producer = producer(
        &transport,
        &[("linger.ms", "0"), ("batch.num.messages", "10")],
    );
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    for _ in 0..200 {
        batch.record(0).finish(Some(&[7; 100_000]));
    }
    send(&producer, &[topic], &batch);
    let consumer = Consumer::starting(&transport, spec(Some("g"), &["t"]), |_| Start::Offset(3));
    let (from, to) = consumer.wait(|seen| match seen {
        Seen::Skipped(from, to) => Some((from, to)),
        _ => None,
    });
    assert_eq!(from, 3);
    assert!(to > 3 && to < 200, "{to}");
    let records = consumer.records(200 - to as usize);
    assert_eq!(records[0].offset(), to);
    consumer.close(PATIENCE);
    drop((consumer, producer, records));
    ends(transport);
}

#[test]
fn a_topic_that_ends_before_the_position_is_read_from_its_first_record() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..10);
    let consumer = Consumer::starting(&transport, spec(Some("g"), &["t"]), |_| Start::Offset(500));
    let anew = consumer.wait(|seen| match seen {
        Seen::Anew(from, to) => Some((from, to)),
        _ => None,
    });
    assert_eq!(anew, (500, 0));
    fill(&transport, "t", 0, 10..12);
    let records = consumer.records(12);
    assert_eq!(records[0].offset(), 0);
    consumer.close(PATIENCE);
}

#[test]
fn consumer_settings_that_the_runtime_owns_are_refused() {
    let transport = broker();
    for (key, value) in [
        ("enable.auto.commit", "true"),
        ("auto.offset.reset", "earliest"),
        ("group.id", "other"),
        ("no.such.setting", "1"),
    ] {
        let mut spec = spec(Some("g"), &["t"]);
        spec.settings = map(&[(key, value)]);
        let (seen, _seen) = channel();
        let (_acts, acts) = channel();
        let events = Recorder {
            seen,
            acts,
            start: Box::new(|_| Start::Beginning),
            committed_first: false,
            drain: Drain::default(),
            last_commit: Arc::default(),
        };
        let error = transport
            .start_consumer(spec, Box::new(events))
            .expect_err("refused");
        assert_eq!(error.context, format!("consumer setting `{key}`"));
    }
}

#[test]
fn reading_starts_at_the_end_where_that_is_asked_for() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..10);
    let consumer = Consumer::starting(&transport, spec(Some("g"), &["t"]), |_| Start::Offset(10));
    let id = TopicPartition::new("t", 0);
    consumer.assigned();
    // A seek right after the assignment, before anything was fetched, is not lost.
    consumer.act(move |control| control.seek(&[(id, 7)]));
    assert_eq!(consumer.records(3)[0].offset(), 7);
    consumer.close(PATIENCE);

    let mut statistics = spec(Some("h"), &["t"]);
    statistics
        .settings
        .insert("statistics.interval.ms".to_owned(), "20".to_owned());
    let consumer = Consumer::starting(&transport, statistics, |_| Start::End);
    // Once a fetch has told the end, the start is resolved.
    let id = TopicPartition::new("t", 0);
    let json = consumer.wait(|seen| match seen {
        Seen::Statistics(json) => {
            let at = id.clone();
            let known = consumer.act(move |control| control.cached_high_watermark(&at));
            (known == Some(10)).then_some(json)
        }
        _ => None,
    });
    assert!(
        json.starts_with('{') && json.contains("\"topics\""),
        "{json}"
    );
    fill(&transport, "t", 0, 10..12);
    assert_eq!(consumer.records(2)[0].offset(), 10);
    consumer.close(PATIENCE);
}

#[test]
fn a_client_with_nothing_to_deliver_shows_that_it_lives() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    fill(&transport, "t", 0, 0..3);
    let mut spec = spec(None, &["t"]);
    spec.ends = true;
    let consumer = Consumer::start(&transport, spec);
    let mut read = 0;
    while read < 3 {
        read += consumer.chunk().len();
    }
    for anew in [false, true] {
        let partition = TopicPartition::new("t", 0);
        consumer.act(move |control| control.knock(&partition, 3, anew));
        let end = Instant::now() + PATIENCE;
        let answered = || {
            let partition = TopicPartition::new("t", 0);
            consumer.act(move |control| control.answered(&partition))
        };
        while !answered() {
            assert!(Instant::now() < end, "anew: {anew}");
            std::thread::yield_now();
        }
    }
    // It goes on where it was.
    fill(&transport, "t", 0, 3..4);
    assert_eq!(consumer.chunk().offset(0), 3);
    consumer.close(PATIENCE);
}

#[test]
fn a_poll_takes_about_a_mebibyte_however_much_is_there() {
    /// Of requests for records.
    const FETCH: i16 = 1;
    const RECORD: usize = 100_000;
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let mut batch = StagedBatch::default();
    // The broker keeps 5 MiB of a partition.
    for _ in 0..40 {
        batch
            .record(0)
            .partition(Some(0))
            .finish(Some(&[7; RECORD]));
    }
    write(&transport, "t", &batch);
    let broker = transport.embedded.clone().expect("embedded");
    count_requests(&broker);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    // Nothing is taken before all of it was fetched, 1 MiB at a time.
    consumer.act(move |_| {
        let end = Instant::now() + PATIENCE;
        while requests(&broker).get(&FETCH).is_none_or(|count| *count < 8) {
            assert!(Instant::now() < end, "it is not fetched");
            std::thread::yield_now();
        }
    });
    let mut left = batch.len();
    while left > 0 {
        let chunk = consumer.chunk();
        assert!(chunk.bytes() <= 1 << 20, "{} bytes", chunk.bytes());
        left -= chunk.len();
    }
    consumer.close(PATIENCE);
}

#[test]
fn records_that_are_kept_keep_nothing_of_what_came_with_them() {
    let transport = broker();
    transport.create_topic("t", 2).expect("created");
    let producer = producer(&transport, &[("linger.ms", "0")]);
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    let copied = |chunk: &Chunk| format!("{chunk:?}").contains("copied");
    // Of each round the small one is kept, as by a call that never ends. The broker keeps 5 MiB of a partition.
    let round = |kept: &mut Vec<Chunk>| {
        let mut batch = StagedBatch::default();
        let mut small = batch.record(0);
        small.partition(Some(0)).key_bytes(b"k");
        small.header("a", Some(b"1")).header("a", None);
        small.finish(kept.len().is_multiple_of(2).then_some(b"small"));
        drop(small);
        for _ in 0..40 {
            let mut large = batch.record(0);
            large.partition(Some(1)).finish(Some(&[7; 100_000]));
        }
        for result in send(&producer, &[topic], &batch) {
            result.expect("delivered");
        }
        let mut left = 41;
        while left > 0 {
            let chunk = consumer.chunk();
            assert!(!copied(&chunk) || chunk.bytes() <= 128 << 10, "{chunk:?}");
            left -= chunk.len();
            kept.extend((chunk.partition() == 0).then_some(chunk));
        }
    };
    let mut kept = Vec::new();
    for _ in 0..40 {
        round(&mut kept);
    }
    let first = kept.iter().position(copied).expect("copies");
    // 16 MiB came together, and four times that may be kept: 4 MB in each round.
    assert!((17..=27).contains(&first), "{first}");
    assert!(kept[first..].iter().all(copied));
    for (index, chunk) in kept.iter().enumerate() {
        let record = RecordRef::new(chunk.clone(), 0);
        let value = index.is_multiple_of(2).then_some(b"small".as_slice());
        assert_eq!(
            (record.key(), record.payload()),
            (Some(b"k".as_slice()), value)
        );
        assert_eq!((record.offset(), record.partition()), (index as i64, 0));
        assert!(record.timestamp().millis().is_some());
        let headers = record.headers();
        let headers: Vec<_> = headers.iter().collect();
        assert_eq!(headers, [("a", Some(b"1".as_slice())), ("a", None)]);
    }
    kept.clear();
    round(&mut kept);
    round(&mut kept);
    assert!(!copied(&kept[1]), "nothing is kept any more");
    drop(kept);
    consumer.close(PATIENCE);
    drop((consumer, producer));
    ends(transport);
}
