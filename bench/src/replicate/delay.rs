//! How much later records are in the target than in the source, at 10,000 a second.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::json;

use super::service::Service;
use super::{PARTITIONS, Result};
use crate::cluster::Cluster;
use crate::settings::{FETCH_WAIT, LINGER};
use crate::stats::percentile;
use crate::usage;

const RATE: u64 = 10_000;
/// Seconds that do not count.
const WARM: u64 = 2;
const BYTES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

/// When each record arrived, in nanoseconds since `begun`.
fn arrivals(servers: &str, topic: &str, records: u64, begun: Instant) -> Result<Vec<u64>, String> {
    let read = || -> Result<Vec<u64>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", "bench-delay")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "2")
            .set(FETCH_WAIT, "10")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let mut times = vec![0; usize::try_from(records)?];
        let (mut seen, mut quiet) = (0, Instant::now());
        while seen < records {
            match consumer.poll(Duration::from_millis(100)) {
                Some(message) => {
                    let message = message?;
                    let key = message.key().ok_or("a record without a key")?;
                    let number: usize = std::str::from_utf8(key)?.parse()?;
                    times[number] = u64::try_from(begun.elapsed().as_nanos())?;
                    (seen, quiet) = (seen + 1, Instant::now());
                }
                None if quiet.elapsed() > PATIENCE => {
                    return Err(format!("{seen} of {records} records of {topic}").into());
                }
                None => {}
            }
        }
        Ok(times)
    };
    read().map_err(|error| error.to_string())
}

fn write(servers: &str, topic: &str, records: u64) -> Result<(), String> {
    let write = || -> Result<()> {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", servers)
            // As librdkafka has it: a request for each record would leave the broker no time for anybody else.
            .set(LINGER, "5")
            .create()?;
        let (start, value) = (Instant::now(), vec![b'x'; BYTES]);
        for number in 0..records {
            let due = start + Duration::from_secs(1) * u32::try_from(number)? / RATE as u32;
            while let Some(left) = due.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
            let key = number.to_string();
            let partition = i32::try_from(number % PARTITIONS.unsigned_abs() as u64)?;
            let record = BaseRecord::to(topic).partition(partition);
            producer
                .send(record.key(&key).payload(&value))
                .map_err(|(error, _)| error)?;
        }
        Ok(producer.flush(PATIENCE)?)
    };
    write().map_err(|error| error.to_string())
}

pub(super) fn measure(cluster: &mut Cluster, binary: &Path, seconds: u64) -> Result<()> {
    let turn = format!("replicate-{}-delay", std::process::id());
    let (topic, output) = (format!("{turn}-in"), format!("{turn}-out"));
    for name in [&topic, &output] {
        cluster.create(name, PARTITIONS)?;
    }
    let servers = cluster.servers().to_owned();
    let service = Service::start(binary, &servers, &turn, &output, &json!({}))?;
    let records = (WARM + seconds) * RATE;
    let begun = Instant::now();
    let (there, here) = thread::scope(|scope| -> Result<(Vec<u64>, Vec<u64>)> {
        let there = scope.spawn(|| arrivals(&servers, &output, records, begun));
        let here = scope.spawn(|| arrivals(&servers, &topic, records, begun));
        let written = scope.spawn(|| write(&servers, &topic, records));
        let broken = |_| "a thread panicked";
        written.join().map_err(broken)??;
        Ok((
            there.join().map_err(broken)??,
            here.join().map_err(broken)??,
        ))
    })?;
    service.stop()?;
    let warm = usize::try_from(WARM * RATE)?;
    let mut later: Vec<u64> = there
        .iter()
        .zip(&here)
        .skip(warm)
        .map(|(there, here)| there.saturating_sub(*here))
        .collect();
    later.sort_unstable();
    let millis = |percent| percentile(&later, percent) as f64 / 1e6;
    println!(
        "\nadded latency at {RATE} records of {BYTES} bytes a second, {seconds} s (load {:.1}): p50 {:.1} ms, p99 {:.1} ms; goal: p50 linger + 2 ms, p99 linger + 15 ms, linger is 5 ms\n",
        usage::load().unwrap_or_default(),
        millis(50.0),
        millis(99.0)
    );
    for name in [&topic, &output] {
        cluster.delete(name)?;
    }
    Ok(())
}
