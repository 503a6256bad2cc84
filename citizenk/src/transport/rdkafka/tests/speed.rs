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

#[test]
#[ignore = "a measurement"]
fn speed_of_consuming() {
    let transport = broker();
    // The broker keeps 5 MiB of a partition: 4 partitions, compressed a hundredfold.
    transport.create_topic("t", 4).expect("created");
    let producer = producer(
        &transport,
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
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    let _producer = producer(&transport, &[]);
    consumer.assigned();
    let cpu_start = cpu();
    std::thread::sleep(Duration::from_secs(10));
    println!("idle: {:?} CPU in 10 s, with the broker", cpu() - cpu_start);
    consumer.close(PATIENCE);
}
