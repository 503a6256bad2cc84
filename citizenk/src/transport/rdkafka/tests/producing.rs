use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::*;

#[test]
fn records_arrive_in_order_with_all_they_carry() {
    let transport = broker();
    transport.create_topic("in", 4).expect("created");
    let producer = producer(&transport, &[]);
    let topic = producer
        .topic(&output("in", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    for index in 0..10_000_usize {
        let mut record = batch.record(0);
        record.key_bytes(format!("k{index}").as_bytes());
        // Runs of plain records between ones with headers and timestamps.
        if index.is_multiple_of(3) {
            record
                .header("n", Some(index.to_string().as_bytes()))
                .header("n", Some(b""))
                .header("none", None)
                .timestamp(Some(1_600_000_000_000 + index as i64));
        }
        record
            .partition(Some((index % 4) as i32))
            .finish(Some(index.to_string().as_bytes()));
    }
    let results = send(&producer, &[topic], &batch);
    assert_eq!(producer.flush(PATIENCE), 0);
    for (index, result) in results.iter().enumerate() {
        let delivered = result.as_ref().expect("delivered");
        assert_eq!(delivered.partition, (index % 4) as i32);
        assert_eq!(delivered.offset, (index / 4) as i64);
    }

    let consumer = Consumer::start(&transport, spec(Some("g"), &["in"]));
    let mut next = [0_i64; 4];
    for record in consumer.records(10_000) {
        let partition = record.partition() as usize;
        assert_eq!(record.offset(), next[partition]);
        next[partition] += 1;
        let index = record.offset() as usize * 4 + partition;
        assert_eq!(value(&record), index);
        assert_eq!(&**record.topic(), "in");
        assert_eq!(record.key(), Some(format!("k{index}").as_bytes()));
        let headers = record.headers();
        let headers: Vec<_> = headers.iter().collect();
        if index.is_multiple_of(3) {
            assert_eq!(
                headers,
                [
                    ("n", Some(index.to_string().as_bytes())),
                    ("n", Some(b"".as_slice())),
                    ("none", None)
                ]
            );
            assert_eq!(
                record.timestamp(),
                Timestamp::Create(1_600_000_000_000 + index as i64)
            );
        } else {
            assert!(headers.is_empty());
            assert!(matches!(record.timestamp(), Timestamp::Create(ms) if ms > 1_700_000_000_000));
        }
    }
    assert!(transport.last_contact().expect("contact") < Duration::from_secs(5));
    consumer.close(PATIENCE);
}

#[test]
fn keys_go_where_the_partitioner_says() {
    fn by_length(key: &[u8], partitions: u32) -> u32 {
        key.len() as u32 % partitions
    }
    let transport = broker();
    let producer = producer(&transport, &[]);
    for partitioner in [
        Partitioner::Murmur2,
        Partitioner::Crc32,
        Partitioner::Custom(by_length),
    ] {
        let name = format!("{partitioner:?}");
        transport.create_topic(&name, 7).expect("created");
        let topic = producer
            .topic(&output(&name, partitioner))
            .expect("a topic");
        let keys: Vec<_> = (0..200)
            .map(|n| "x".repeat(n % 13 + 1) + &n.to_string())
            .collect();
        let mut batch = StagedBatch::default();
        for key in &keys {
            batch.record(0).key_bytes(key.as_bytes()).finish(Some(b"v"));
        }
        let results = send(&producer, &[topic], &batch);
        for (key, result) in keys.iter().zip(results) {
            let partition = result.expect("delivered").partition;
            assert_eq!(
                partition,
                partitioner.partition(key.as_bytes(), 7) as i32,
                "{name} {key}"
            );
        }
    }
    // Two addresses of what does the same are one partitioner; an empty key is none to Crc32 alone.
    fn by_length_again(key: &[u8], partitions: u32) -> u32 {
        u32::try_from(key.len()).expect("short") % partitions
    }
    let again = output("custom", Partitioner::Custom(by_length_again));
    producer.topic(&again).expect("the same partitioner");
    let empty = |partitioner: Partitioner| {
        let topic = output(&format!("{partitioner:?}"), partitioner);
        let topic = producer.topic(&topic).expect("a topic");
        let mut places = std::collections::BTreeSet::new();
        // Records without a key go to one partition for some milliseconds, and then to another.
        for _ in 0..500 {
            let mut batch = StagedBatch::default();
            batch.record(0).key_bytes(b"").finish(Some(b"v"));
            for result in send(&producer, &[topic], &batch) {
                places.insert(result.expect("delivered").partition);
            }
            if places.len() > 1 {
                break;
            }
        }
        places
    };
    assert!(empty(Partitioner::Crc32).len() > 1);
    let murmur2 = Partitioner::Murmur2.partition(b"", 7) as i32;
    assert_eq!(empty(Partitioner::Murmur2), [murmur2].into());
    let error = producer
        .topic(&output("murmur2", Partitioner::Crc32))
        .expect_err("two partitioners");
    assert!(error.to_string().contains("topic `murmur2`"), "{error}");
}

#[test]
fn null_and_empty_are_told_apart() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(&transport, &[]);
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    batch
        .record(0)
        .timestamp(Some(1_500_000_000_000))
        .finish(None);
    batch.record(0).key_bytes(b"").finish(Some(b""));
    batch
        .record(0)
        .key_bytes(b"k")
        .header("h", Some(b"1"))
        .finish(None);
    batch.record(0).header("h", None).finish(Some(b""));
    for result in send(&producer, &[topic], &batch) {
        result.expect("delivered");
    }
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    let records = consumer.records(4);
    assert_eq!(records[0].timestamp(), Timestamp::Create(1_500_000_000_000));
    let shown: Vec<_> = records.iter().map(|r| (r.key(), r.payload())).collect();
    let empty = Some(b"".as_slice());
    assert_eq!(
        shown,
        [
            (None, None),
            (empty, empty),
            (Some(b"k".as_slice()), None),
            (None, empty)
        ]
    );
    consumer.close(PATIENCE);
}

#[test]
fn a_full_queue_loses_nothing() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(
        &transport,
        &[("queue.buffering.max.messages", "10"), ("linger.ms", "1")],
    );
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    for index in 0..500_usize {
        let mut record = batch.record(0);
        if index.is_multiple_of(7) {
            record.header("h", Some(b"x"));
        }
        record.finish(Some(index.to_string().as_bytes()));
    }
    for (index, result) in send(&producer, &[topic], &batch).into_iter().enumerate() {
        assert_eq!(result.expect("delivered").offset, index as i64);
    }
}

#[test]
fn a_full_queue_keeps_nobody_busy() {
    const WATCHED: Duration = Duration::from_secs(1);
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(
        &transport,
        &[("queue.buffering.max.messages", "10"), ("linger.ms", "1")],
    );
    let topics = [opened(&producer, "t")];
    let mut batch = StagedBatch::default();
    for index in 0..50_usize {
        batch.record(0).finish(Some(index.to_string().as_bytes()));
    }
    let embedded = transport.embedded.as_ref().expect("embedded");
    embedded.set_down(true);
    let results = Arc::new(Results::default());
    let sink: Arc<dyn DeliverySink> = results.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let (mut done, mut tries) = (0, 0);
    let mut offer = |wait: Duration| {
        let space = producer.space().notified();
        done += producer.produce(&topics, &batch, done..batch.len(), &sink);
        tries += 1;
        // Its end is the end of the time or of the queue.
        let _ = runtime.block_on(async { tokio::time::timeout(wait, space).await });
        (done, tries)
    };
    let end = Instant::now() + WATCHED;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let (done, _) = offer(left);
        assert!(done < batch.len(), "there is no room for all");
    }
    let (_, tries) = offer(Duration::ZERO);
    // It is told ten times a second that there may be room.
    assert!(tries <= 20, "{tries} tries in {WATCHED:?}");
    embedded.set_down(false);
    let begun = Instant::now();
    while offer(Duration::from_millis(100)).0 < batch.len() {
        assert!(begun.elapsed() < PATIENCE, "there is room again");
    }
    for result in results.wait(batch.len()) {
        result.expect("delivered");
    }
}

#[test]
fn records_that_cannot_be_accepted_are_reported_and_the_others_go() {
    let transport = broker();
    transport.create_topic("t", 2).expect("created");
    let producer = producer(&transport, &[("message.max.bytes", "2000")]);
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    batch
        .record(0)
        .partition(Some(0))
        .finish(Some(b"first, so that the partitions are known"));
    send(&producer, &[topic], &batch);
    batch.clear();
    batch.record(0).partition(Some(0)).finish(Some(b"a"));
    batch.record(0).finish(Some(&[0; 5000]));
    batch.record(0).partition(Some(9)).finish(Some(b"c"));
    batch.record(0).partition(Some(-3)).finish(Some(b"d"));
    batch.record(1).finish(Some(b"e"));
    batch.record(0).partition(Some(1)).finish(Some(b"f"));
    let results = send(&producer, &[topic], &batch);
    let codes: Vec<_> = results
        .iter()
        .map(|result| {
            result
                .as_ref()
                .map_or_else(|error| error.code.as_str(), |_| "ok")
        })
        .collect();
    assert_eq!(
        codes,
        [
            "ok",
            "MSG_SIZE_TOO_LARGE",
            "_UNKNOWN_PARTITION",
            "_UNKNOWN_PARTITION",
            "_INVALID_ARG",
            "ok"
        ]
    );
    let text = results[1]
        .as_ref()
        .map_or_else(ToString::to_string, |_| String::new());
    assert!(
        text.contains(
            "producing to `t`: 5000 bytes are more than the producer's `message.max.bytes`"
        ),
        "{text}"
    );
    assert_eq!(producer.flush(PATIENCE), 0);
}

#[test]
fn of_a_batch_refused_for_one_record_the_others_arrive() {
    const PRODUCE: i16 = 0;
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(&transport, &[("linger.ms", "100")]);
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    for number in 0..10_usize {
        let mut record = batch.record(0);
        record.key_bytes(number.to_string().as_bytes());
        if number == 7 {
            record.header("kind", Some(b"seventh"));
        }
        record.finish(Some(number.to_string().as_bytes()));
    }
    let refuse = |count: usize| {
        let codes = [Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2];
        let embedded = transport.embedded.as_ref().expect("embedded");
        // SAFETY: the cluster is alive, the codes are copied.
        unsafe {
            rd::rd_kafka_mock_push_request_errors_array(
                embedded.cluster(),
                PRODUCE,
                count,
                codes.as_ptr(),
            );
        }
    };
    let failed = |results: &[Result<Delivered, TransportError>]| -> Vec<String> {
        let errors = results.iter().filter_map(|result| result.as_ref().err());
        errors.map(|error| error.code.clone()).collect()
    };
    // The batch; then the batch, and the first of its records alone.
    refuse(1);
    let results = send(&producer, &[topic], &batch);
    assert_eq!(failed(&results), Vec::<String>::new());
    refuse(2);
    let results = send(&producer, &[topic], &batch);
    assert_eq!(failed(&results), ["MSG_SIZE_TOO_LARGE"]);
    assert_eq!(producer.flush(PATIENCE), 0);

    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    let records = consumer.records(19);
    for (number, record) in records[..10].iter().enumerate() {
        assert_eq!(record.key(), Some(number.to_string().as_bytes()));
        assert_eq!(value(record), number);
        let headers = record.headers();
        let headers: Vec<_> = headers.iter().collect();
        let expected = [("kind", Some(b"seventh".as_slice()))];
        assert_eq!(headers, expected[..usize::from(number == 7)]);
    }
    consumer.close(PATIENCE);
}

#[test]
fn flush_waits_for_the_reports_without_lingering() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(&transport, &[("linger.ms", "20000")]);
    let topic = opened(&producer, "t");
    let mut batch = StagedBatch::default();
    for _ in 0..100 {
        batch.record(0).finish(Some(b"v"));
    }
    let results = Arc::new(Results::default());
    let sink: Arc<dyn DeliverySink> = results.clone();
    assert_eq!(producer.produce(&[topic], &batch, 0..100, &sink), 100);
    assert_eq!(producer.flush(PATIENCE), 0);
    assert_eq!(client::lock(&results.by_index).len(), 100);
    let start = Instant::now();
    assert_eq!(producer.produce(&[topic], &batch, 0..1, &sink), 1);
    assert_eq!(producer.flush(PATIENCE), 0);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_dropped_producer_reports_what_it_could_not_send() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(&transport, &[("message.timeout.ms", "3000")]);
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    batch.record(0).finish(Some(b"v"));
    send(&producer, &[topic], &batch);
    transport
        .embedded
        .as_ref()
        .expect("embedded")
        .set_down(true);
    let results = Arc::new(Results::default());
    let sink: Arc<dyn DeliverySink> = results.clone();
    assert_eq!(producer.produce(&[topic], &batch, 0..1, &sink), 1);
    drop(producer);
    let error = results.wait(1).remove(0).expect_err("not sent");
    assert!(error.context.contains("t/0"), "{error}");
}

#[test]
fn a_bad_setting_is_named_and_a_secret_is_not_told() {
    let transport = broker();
    let start = |key: &str, value: &str| {
        let settings = map(&[(key, value), ("security.protocol", "ssl")]);
        let (name, client_id) = ("p".to_owned(), "p".to_owned());
        transport
            .start_producer(ProducerSpec {
                name,
                client_id,
                settings,
            })
            .expect_err("refused")
    };
    let error = start("linger.millis", "5");
    assert_eq!(error.context, "producer setting `linger.millis`");
    assert!(
        error.message.contains("No such configuration property"),
        "{error}"
    );
    let error = start("linger.ms", "soon");
    assert_eq!(error.context, "producer setting `linger.ms`");
    let error = start("ssl.key.pem", "hunter2");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let error = start("partitioner", "random");
    assert!(error.message.contains("set by citizenk"), "{error}");
    assert!(KafkaTransport::new(BTreeMap::new()).is_err());
}

#[test]
fn topics_are_listed_and_created_once() {
    let transport = broker();
    transport.create_topic("a", 3).expect("created");
    transport.create_topic("a", 5).expect("exists");
    transport.create_topic("b", 1).expect("created");
    let mut all = transport.topics(None, PATIENCE).expect("topics");
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<_> = all
        .iter()
        .map(|t| (t.name.as_str(), t.partitions))
        .collect();
    assert_eq!(shown, [("a", 3), ("b", 1)]);
    assert_eq!(
        transport.topics(Some("a"), PATIENCE).expect("topic").len(),
        1
    );
    // Asking does not create.
    assert!(
        transport
            .topics(Some("c"), PATIENCE)
            .expect("none")
            .is_empty()
    );
    assert_eq!(transport.topics(None, PATIENCE).expect("topics").len(), 2);
}

#[test]
fn the_last_statistics_are_kept() {
    let transport = broker();
    let producer = producer(&transport, &[("statistics.interval.ms", "10")]);
    let end = Instant::now() + PATIENCE;
    while producer
        .statistics()
        .is_none_or(|json| !json.starts_with('{'))
    {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
}

/// A broker that has nothing of a producer takes any sequence, so that a record that it refused for a moment and a
/// later one change places; librdkafka would take the refused one for written, and it would be lost.
#[test]
fn the_first_record_is_not_lost_when_only_the_second_is_taken() {
    const PRODUCE: i16 = 0;
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    // Each record is a request of its own, and none waits for the one before it.
    let settings = [("batch.num.messages", "1"), ("linger.ms", "0")];
    let producer = producer(&transport, &settings);
    let topic = opened(&producer, "t");
    let refusal = Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    super::transactions::errors(&transport, PRODUCE, &[refusal]);
    super::transactions::delay(&transport, 200);
    let mut batch = StagedBatch::default();
    for value in 0..5_usize {
        let value = value.to_string();
        batch.record(0).finish(Some(value.as_bytes()));
    }
    let offsets: Vec<i64> = send(&producer, &[topic], &batch)
        .into_iter()
        .map(|result| result.expect("delivered").offset)
        .collect();
    let consumer = Consumer::start(&transport, spec(None, &["t"]));
    let mut found = vec![-1; 5];
    for record in consumer.records(5) {
        found[value(&record)] = record.offset();
    }
    assert_eq!(found, offsets, "each is where its report says");
    consumer.close(PATIENCE);
}
