//! Figures, by hand: `cargo test --release -p citizenk speed -- --ignored --nocapture`.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const RECORDS: usize = 1_000_000;

/// Counts, and says when all have come.
struct Count {
    left: AtomicUsize,
    done: Mutex<Option<Sender<()>>>,
}

impl Count {
    fn new(expected: usize) -> (Arc<Self>, Receiver<()>) {
        let (done, all) = channel();
        let count = Self {
            left: AtomicUsize::new(expected),
            done: Mutex::new(Some(done)),
        };
        (Arc::new(count), all)
    }

    fn add(&self, count: usize) {
        if self.left.fetch_sub(count, Ordering::AcqRel) == count {
            client::lock(&self.done).take();
        }
    }
}

impl DeliverySink for Count {
    fn delivered(&self, _: usize, result: Result<Delivered, TransportError>) {
        assert!(result.is_ok());
        self.add(1);
    }
}

/// Nanoseconds of CPU this process has used.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks: u64 =
        fields[11].parse::<u64>().expect("user") + fields[12].parse::<u64>().expect("system");
    Duration::from_millis(ticks * 10)
}

fn show(what: &str, count: usize, wall: Duration, cpu: Duration) {
    println!(
        "{what}: {count} records in {wall:?}: {:.0} ns and {:.0} ns CPU (with the broker) per record",
        wall.as_nanos() as f64 / count as f64,
        cpu.as_nanos() as f64 / count as f64
    );
}

#[test]
#[ignore = "a measurement"]
fn speed_of_producing() {
    for (partitions, keyed, headers) in [(1, false, false), (4, true, false), (4, true, true)] {
        let transport = broker();
        transport.create_topic("t", partitions).expect("created");
        let producer = producer(&transport, &[("queue.buffering.max.messages", "2000000")]);
        let topic = producer
            .topic(&output("t", Partitioner::Murmur2))
            .expect("a topic");
        let mut batch = StagedBatch::default();
        for index in 0..1000_usize {
            let mut record = batch.record(0);
            if keyed {
                record.key_bytes(&index.to_le_bytes());
            } else {
                record.partition(Some(0));
            }
            if headers {
                record.header("trace", Some(b"0123456789abcdef"));
            }
            record.finish(Some(&[7; 100]));
        }
        send(&producer, &[topic], &batch);
        let (count, all) = Count::new(RECORDS);
        let sink: Arc<dyn DeliverySink> = count;
        let (start, cpu_start) = (Instant::now(), cpu());
        for _ in 0..RECORDS / 1000 {
            assert_eq!(producer.produce(&[topic], &batch, 0..1000, &sink), 1000);
        }
        let enqueued = start.elapsed();
        let _ = all.recv_timeout(PATIENCE);
        let what = format!("produce to {partitions}, keyed {keyed}, headers {headers}");
        println!(
            "{what}: enqueue {:.0} ns",
            enqueued.as_nanos() as f64 / RECORDS as f64
        );
        show(&what, RECORDS, start.elapsed(), cpu() - cpu_start);
    }
}

/// Reads every payload's first byte where it lies.
struct Reader {
    count: Arc<Count>,
    chunks: Arc<AtomicUsize>,
    /// Paused until so many records are fetched.
    prefetch: Option<Receiver<()>>,
}

impl ConsumerEvents for Reader {
    fn assigned(&mut self, _: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start> {
        vec![Start::Beginning; partitions.len()]
    }
    fn revoke_begin(&mut self, _: &[TopicPartition], _: bool) -> Drain {
        Drain::default()
    }
    fn revoke_end(&mut self, _: &mut dyn Control, _: &[TopicPartition], _: bool) {}
    fn records(&mut self, _: &mut dyn Control, chunk: Chunk) {
        if let Some(prefetched) = self.prefetch.take() {
            let _ = prefetched.recv_timeout(PATIENCE);
        }
        self.chunks.fetch_add(1, Ordering::Relaxed);
        let sum: usize = (0..chunk.len())
            .map(|index| usize::from(chunk.payload(index).map_or(0, |bytes| bytes[0])))
            .sum();
        assert_eq!(sum, 7 * chunk.len());
        self.count.add(chunk.len());
    }
    fn tick(&mut self, _: &mut dyn Control) -> Duration {
        Duration::from_secs(60)
    }
    fn committed(&mut self, _: &[(TopicPartition, i64)], _: Result<(), TransportError>) {}
    fn error(&mut self, error: TransportError) {
        panic!("{error}");
    }
    fn skipped(&mut self, _: &TopicPartition, _: i64, _: i64) {}
    fn statistics(&mut self, _: &str) {}
    fn closed(&mut self) {}
}

fn full_topic(transport: &KafkaTransport) {
    // The broker keeps 5 MiB of a partition: 4 partitions, compressed a hundredfold.
    transport.create_topic("t", 4).expect("created");
    let producer = producer(
        transport,
        &[
            ("compression.type", "lz4"),
            ("linger.ms", "50"),
            ("queue.buffering.max.messages", "2000000"),
        ],
    );
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let mut batch = StagedBatch::default();
    for index in 0..1000_usize {
        batch
            .record(0)
            .partition(Some((index / 250) as i32))
            .finish(Some(&[7; 100]));
    }
    let (count, all) = Count::new(RECORDS);
    let sink: Arc<dyn DeliverySink> = count;
    for _ in 0..RECORDS / 1000 {
        assert_eq!(producer.produce(&[topic], &batch, 0..1000, &sink), 1000);
    }
    let _ = all.recv_timeout(PATIENCE);
}

#[test]
#[ignore = "a measurement"]
fn speed_of_consuming() {
    let transport = broker();
    full_topic(&transport);
    for (queued, prefetched) in [("5000", false), ("100000", false), ("2000000", true)] {
        let (count, all) = Count::new(RECORDS);
        let chunks = Arc::<AtomicUsize>::default();
        let (go, gone) = channel();
        let reader = Reader {
            count,
            chunks: chunks.clone(),
            prefetch: prefetched.then_some(gone),
        };
        let mut spec = spec(Some("g"), &["t"]);
        spec.group = Some(format!("g{queued}"));
        spec.settings
            .insert("queued.min.messages".to_owned(), queued.to_owned());
        spec.settings.insert(
            "queued.max.messages.kbytes".to_owned(),
            "2000000".to_owned(),
        );
        let (mut start, mut cpu_start) = (Instant::now(), cpu());
        let handle = transport
            .start_consumer(spec, Box::new(reader))
            .expect("starts");
        if prefetched {
            // By hand: nothing tells when all is fetched.
            std::thread::sleep(Duration::from_secs(4));
            (start, cpu_start) = (Instant::now(), cpu());
            drop(go);
        }
        let _ = all.recv_timeout(PATIENCE);
        let what = format!("consume, queue {queued}, prefetched {prefetched}");
        show(&what, RECORDS, start.elapsed(), cpu() - cpu_start);
        println!("{what}: {} chunks", chunks.load(Ordering::Relaxed));
        handle.close(PATIENCE);
    }
}

#[test]
#[ignore = "a measurement"]
fn speed_of_idling() {
    let transport = broker();
    transport.create_topic("t", 4).expect("created");
    let _producer = producer(&transport, &[]);
    // The embedded broker's short wait costs a hundred requests a second; a real one needs none.
    for wait in ["10", "100"] {
        let mut spec = spec(Some(wait), &["t"]);
        let key = "fetch.wait.max.ms".to_owned();
        spec.settings.insert(key, wait.to_owned());
        let consumer = Consumer::start(&transport, spec);
        consumer.assigned();
        let cpu_start = cpu();
        std::thread::sleep(Duration::from_secs(10));
        println!(
            "idle, fetch wait {wait} ms: {:?} CPU in 10 s, with the broker",
            cpu() - cpu_start
        );
        consumer.close(PATIENCE);
    }
}

/// What librdkafka costs by itself: the floor of the figures above, in the same process and minute.
mod floor {
    use rdkafka::bindings as rd;

    use super::super::super::client::{Client, Hooks, Polled};
    use super::super::super::conf::Conf;
    use super::super::super::list::List;
    use super::*;

    fn client(
        transport: &KafkaTransport,
        consumer: bool,
        settings: &[(&str, &str)],
    ) -> Arc<Client> {
        let mut conf = Conf::new("floor");
        conf.set("bootstrap.servers", transport.bootstrap_servers())
            .expect("set");
        for (key, value) in settings {
            conf.set(key, value).expect("set");
        }
        if !consumer {
            // SAFETY: the configuration is alive.
            unsafe { rd::rd_kafka_conf_set_events(conf.raw(), rd::RD_KAFKA_EVENT_DR) };
        }
        let polled = if consumer {
            Polled::Group
        } else {
            Polled::Main
        };
        let hooks = Hooks::new("floor", None, Arc::default());
        Client::new(conf, polled, consumer, hooks, transport.embedded.clone()).expect("a client")
    }

    fn produce(keyed: bool) {
        let transport = broker();
        transport.create_topic("t", 4).expect("created");
        let client = client(
            &transport,
            false,
            &[
                ("queue.buffering.max.messages", "2000000"),
                ("enable.idempotence", "true"),
                ("partitioner", "murmur2_random"),
            ],
        );
        let topic = client.topic("t").expect("a topic");
        let payload = [7_u8; 100];
        let keys: Vec<_> = (0..1000_usize).map(usize::to_le_bytes).collect();
        let served = client.clone();
        let reports = std::thread::spawn(move || {
            let mut left = RECORDS + 1000;
            while left > 0 {
                // SAFETY: the client is alive; each event is destroyed once.
                unsafe {
                    let event = rd::rd_kafka_queue_poll(served.queue(), 1000);
                    if !event.is_null() {
                        while !rd::rd_kafka_event_message_next(event).is_null() {
                            left -= 1;
                        }
                        rd::rd_kafka_event_destroy(event);
                    }
                }
            }
        });
        let send = || {
            let mut run: Vec<_> = keys
                .iter()
                .map(|key| rd::rd_kafka_message_t {
                    err: error::OK,
                    rkt: std::ptr::null_mut(),
                    partition: -1,
                    payload: payload.as_ptr().cast_mut().cast(),
                    len: payload.len(),
                    key: if keyed {
                        key.as_ptr().cast_mut().cast()
                    } else {
                        std::ptr::null_mut()
                    },
                    key_len: if keyed { key.len() } else { 0 },
                    offset: 0,
                    _private: std::ptr::null_mut(),
                })
                .collect();
            let partition = if keyed { -1 } else { 0 };
            // SAFETY: the topic is alive, the bytes are copied.
            let sent = unsafe {
                rd::rd_kafka_produce_batch(
                    topic.raw(),
                    partition,
                    rd::RD_KAFKA_MSG_F_COPY,
                    run.as_mut_ptr(),
                    1000,
                )
            };
            assert_eq!(sent, 1000);
        };
        send();
        // SAFETY: the client is alive.
        unsafe { rd::rd_kafka_flush(client.rk(), 10_000) };
        let (start, cpu_start) = (Instant::now(), cpu());
        for _ in 0..RECORDS / 1000 {
            send();
        }
        let enqueued = start.elapsed();
        reports.join().expect("reported");
        println!(
            "floor produce, keyed {keyed}: enqueue {:.0} ns",
            enqueued.as_nanos() as f64 / RECORDS as f64
        );
        show("floor produce", RECORDS, start.elapsed(), cpu() - cpu_start);
    }

    #[test]
    #[ignore = "a measurement"]
    fn speed_floor_of_producing() {
        produce(false);
        produce(true);
    }

    #[test]
    #[ignore = "a measurement"]
    fn speed_floor_of_consuming() {
        let transport = broker();
        full_topic(&transport);
        for prefetched in [false, true] {
            let queued = if prefetched { "2000000" } else { "5000" };
            let client = client(
                &transport,
                true,
                &[
                    ("group.id", "floor"),
                    ("queued.min.messages", queued),
                    ("queued.max.messages.kbytes", "2000000"),
                    ("fetch.queue.backoff.ms", "2"),
                    ("fetch.wait.max.ms", "10"),
                ],
            );
            let mut list = List::with_capacity(4);
            for partition in 0..4 {
                list.add_named("t", partition, -2);
            }
            let (mut start, mut cpu_start) = (Instant::now(), cpu());
            // SAFETY: client and list are alive.
            unsafe { rd::rd_kafka_assign(client.rk(), list.as_ptr()) };
            if prefetched {
                std::thread::sleep(Duration::from_secs(4));
                (start, cpu_start) = (Instant::now(), cpu());
            }
            let mut buffer = vec![std::ptr::null_mut(); 1000];
            let (mut count, mut sum) = (0, 0_usize);
            while count < RECORDS {
                // SAFETY: the queue is alive, the buffer has room; each message is destroyed once.
                unsafe {
                    let mut got = rd::rd_kafka_consume_batch_queue(
                        client.queue(),
                        1000,
                        buffer.as_mut_ptr(),
                        1,
                    );
                    if got > 0 {
                        got += rd::rd_kafka_consume_batch_queue(
                            client.queue(),
                            0,
                            buffer.as_mut_ptr().add(1),
                            999,
                        );
                    }
                    for message in &buffer[..got as usize] {
                        sum += usize::from(*(**message).payload.cast::<u8>());
                        rd::rd_kafka_message_destroy(*message);
                    }
                    count += got as usize;
                }
            }
            assert_eq!(sum, 7 * RECORDS);
            show(
                &format!("floor consume, prefetched {prefetched}"),
                RECORDS,
                start.elapsed(),
                cpu() - cpu_start,
            );
            // SAFETY: the client is alive.
            unsafe { rd::rd_kafka_consumer_close(client.rk()) };
        }
    }
}
