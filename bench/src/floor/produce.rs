//! Writing by hand: encode into one buffer, enqueue a copy, let a second thread take the reports.

use std::ffi::c_void;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::Result;
use super::client::{Client, Conf, OK, Topic, check};
use super::consume::Record;
use crate::contest::Run;
use crate::counts::Counts;
use crate::reading::Reading;
use crate::settings;

/// The partitioner chooses.
const ANY: i32 = -1;
const ROOM_WAIT: Duration = Duration::from_micros(500);
const POLL_MS: i32 = 100;
const FLUSH_MS: i32 = 60_000;

/// What the delivery reports said.
#[derive(Default)]
struct Deliveries {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Deliveries {
    fn reported(&self) -> u64 {
        self.done.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed)
    }
}

/// A producer whose reports are counted.
pub(super) struct Producer {
    client: Client,
    /// Reached by librdkafka through a pointer: dropped after the client.
    deliveries: Box<Deliveries>,
}

unsafe extern "C" fn delivered(
    _rk: *mut rd::rd_kafka_t,
    message: *const rd::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: the message lives during the call; the opaque is the producer's `Deliveries`.
    unsafe {
        let deliveries = &*opaque.cast::<Deliveries>();
        let counter = if (*message).err == OK {
            &deliveries.done
        } else {
            &deliveries.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Producer {
    pub(super) fn new(servers: &str) -> Result<Self> {
        Self::with(servers, &[])
    }

    /// With settings that differ.
    pub(super) fn with(servers: &str, own: &[(&str, &str)]) -> Result<Self> {
        let mut conf = Conf::new(servers)?;
        conf.set_all(&settings::PRODUCER)?;
        conf.set_all(own)?;
        let deliveries = Box::<Deliveries>::default();
        // SAFETY: the configuration lives; the counters outlive the client.
        unsafe {
            rd::rd_kafka_conf_set_opaque(
                conf.raw(),
                std::ptr::from_ref(&*deliveries).cast_mut().cast(),
            );
            rd::rd_kafka_conf_set_dr_msg_cb(conf.raw(), Some(delivered));
        }
        let client = conf.client(rd::rd_kafka_type_t::RD_KAFKA_PRODUCER)?;
        Ok(Self { client, deliveries })
    }

    /// Runs `work`, which enqueues records, while a thread takes the reports; then waits until all are
    /// acknowledged. Answers how many.
    pub(super) fn run(
        &self,
        topic: &str,
        work: impl FnOnce(&mut Lane<'_>) -> Result<()>,
    ) -> Result<u64> {
        let topic = self.client.topic(topic)?;
        let mut lane = Lane {
            topic,
            deliveries: &self.deliveries,
            sent: 0,
        };
        let rk = Shared(self.client.rk());
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let polling = scope.spawn(|| {
                let Shared(rk) = *{ &rk };
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: the client outlives the scope.
                    unsafe { rd::rd_kafka_poll(rk, POLL_MS) };
                }
            });
            let result = work(&mut lane).and_then(|()| {
                // SAFETY: the client lives.
                let code = unsafe { rd::rd_kafka_flush(self.client.rk(), FLUSH_MS) };
                check(code, "flush")
            });
            over.store(true, Ordering::Relaxed);
            let ended = polling.join();
            result?;
            ended.map_err(|_| "the polling thread panicked".into())
        })
        .and_then(|()| match self.deliveries.failed.load(Ordering::Relaxed) {
            0 => Ok(self.deliveries.done.load(Ordering::Relaxed)),
            failed => Err(format!("{failed} records were not delivered").into()),
        })
    }
}

/// librdkafka's client may be used from every thread.
struct Shared(*mut rd::rd_kafka_t);

// SAFETY: librdkafka's interface is thread-safe.
unsafe impl Sync for Shared {}

/// Enqueues records, as many at once as may be under way.
pub(super) struct Lane<'a> {
    topic: Topic<'a>,
    deliveries: &'a Deliveries,
    sent: u64,
}

impl Lane<'_> {
    /// Enqueues, waiting for room first if need be.
    pub(super) fn send(&mut self, partition: i32, key: &[u8], value: &[u8]) -> Result<()> {
        self.enqueue(|topic| topic.produce(partition, key, value))
    }

    /// The same with all that a record that was read has.
    pub(super) fn forward(&mut self, record: &Record<'_>) -> Result<()> {
        let mut headers = record.take_headers();
        self.enqueue(|topic| topic.forward(record, &mut headers))
    }

    fn enqueue(&mut self, mut produce: impl FnMut(&Topic<'_>) -> Result<bool>) -> Result<()> {
        while self.sent - self.deliveries.reported() >= settings::WINDOW as u64 {
            thread::park_timeout(ROOM_WAIT);
        }
        while !produce(&self.topic)? {
            thread::park_timeout(ROOM_WAIT);
        }
        self.sent += 1;
        Ok(())
    }
}

/// Encodes and sends all records.
pub(crate) fn produce(run: &Run, counts: &Counts) -> Result<()> {
    let producer = Producer::new(&run.servers)?;
    let sent = producer.run(&run.topic, |lane| {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for sequence in 0..run.records {
            let reading = Reading::nth(sequence, run.bytes);
            key.clear();
            value.clear();
            write!(key, "{}", reading.sensor)?;
            serde_json::to_writer(&mut value, &reading)?;
            lane.send(ANY, &key, &value)?;
            counts.count();
        }
        Ok(())
    })?;
    expect(sent, run.records)
}

/// Fills a topic before the contest: `make` writes key and value of a record, and chooses its partition.
pub(crate) fn fill(
    servers: &str,
    topic: &str,
    records: u64,
    mut make: impl FnMut(u64, &mut Vec<u8>, &mut Vec<u8>) -> Result<i32>,
) -> Result<()> {
    let producer = Producer::new(servers)?;
    let sent = producer.run(topic, |lane| {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for sequence in 0..records {
            key.clear();
            value.clear();
            let partition = make(sequence, &mut key, &mut value)?;
            lane.send(partition, &key, &value)?;
        }
        Ok(())
    })?;
    expect(sent, records)
}

fn expect(sent: u64, wanted: u64) -> Result<()> {
    if sent == wanted {
        Ok(())
    } else {
        Err(format!("{sent} of {wanted} records were acknowledged").into())
    }
}
