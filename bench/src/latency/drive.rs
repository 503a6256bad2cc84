//! Writes at a rate and reads the answers.
//!
//! In: topics. Out: how long each record took. The writer never waits for an answer, so a contestant that
//! stops for a while is seen in every record written meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::{EchoRun, Ping, Result, now};
use crate::settings::{FETCH_WAIT, LINGER, latency_fetch_wait};

type Client = ThreadedProducer<DefaultProducerContext>;

const POLL: Duration = Duration::from_millis(100);

pub(super) struct Plan<'a> {
    pub(super) run: &'a EchoRun,
    pub(super) partitions: i32,
    pub(super) rate: u32,
    pub(super) records: u64,
    /// The first ones, which do not count: they wait for the group, and for caches.
    pub(super) skipped: u64,
    /// For the first answer, and for any other.
    pub(super) patience: Duration,
}

/// Nanoseconds since a record was written.
#[derive(Default)]
pub(super) struct Times {
    pub(super) handled: Vec<u64>,
    pub(super) answered: Vec<u64>,
}

/// Writes one record, and when it was answered all others at the rate.
pub(super) fn drive(plan: &Plan<'_>) -> Result<Times> {
    let consumer = consumer(plan)?;
    let producer: Client = ClientConfig::new()
        .set("bootstrap.servers", &plan.run.servers)
        .set(LINGER, "0")
        .create()?;
    write(&producer, plan, 0)?;
    let mut reader = Reader {
        plan,
        consumer,
        seen: 0,
        times: Times::default(),
    };
    let over = AtomicBool::new(false);
    reader.read_until(1, &over)?;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let result = write_all(&producer, plan).map_err(|error| error.to_string());
            over.store(result.is_err(), Ordering::Relaxed);
            result
        });
        let read = reader.read_until(plan.records, &over);
        let written = writer.join().map_err(|_| "the writer panicked")?;
        written?;
        read
    })?;
    producer.flush(plan.patience)?;
    Ok(reader.times)
}

fn consumer(plan: &Plan<'_>) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &plan.run.servers)
        .set("group.id", "bench-latency-reader")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "2")
        .set(FETCH_WAIT, latency_fetch_wait(plan.run.embedded))
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..plan.partitions {
        list.add_partition_offset(&plan.run.output, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

fn write_all(producer: &Client, plan: &Plan<'_>) -> Result<()> {
    let start = Instant::now();
    let pace = Duration::from_secs(1) / plan.rate;
    for sequence in 1..plan.records {
        let due = start + pace * u32::try_from(sequence)?;
        // Nobody unparks this thread, but it may wake early.
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
        write(producer, plan, sequence)?;
    }
    Ok(())
}

fn write(producer: &Client, plan: &Plan<'_>, sequence: u64) -> Result<()> {
    let key = sequence.to_string();
    let value = serde_json::to_vec(&Ping::new(sequence))?;
    let partition = i32::try_from(sequence % u64::from(plan.partitions.unsigned_abs()))?;
    let record = BaseRecord::to(&plan.run.topic)
        .partition(partition)
        .key(&key)
        .payload(&value);
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(())
}

struct Reader<'a> {
    plan: &'a Plan<'a>,
    consumer: BaseConsumer,
    seen: u64,
    times: Times,
}

impl Reader<'_> {
    /// Until so many answers were read in all, or the writer has failed.
    fn read_until(&mut self, wanted: u64, over: &AtomicBool) -> Result<()> {
        let mut last = Instant::now();
        while self.seen < wanted && !over.load(Ordering::Relaxed) {
            let Some(message) = self.consumer.poll(POLL) else {
                if last.elapsed() > self.plan.patience {
                    let (seen, name) = (self.seen, self.plan.run.who.name());
                    return Err(format!("{name}: {seen} of {wanted} answers came").into());
                }
                continue;
            };
            let read = now();
            let message = message?;
            last = Instant::now();
            let pong: Ping = serde_json::from_slice(message.payload().unwrap_or_default())?;
            self.seen += 1;
            if pong.sequence >= self.plan.skipped {
                self.times
                    .handled
                    .push(pong.handled.saturating_sub(pong.written));
                self.times.answered.push(read.saturating_sub(pong.written));
            }
        }
        Ok(())
    }
}
