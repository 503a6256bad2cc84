//! Reads topics: while a run goes on, and at its end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde::Deserialize;
use xtask::failure::{Failure, OrFail, Result};
use xtask::process;

use crate::history::{Commit, End, Glimpse, Id, Input, Output, Place};
use crate::journal;
use crate::load::Item;

const TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
const OFFSETS: &str = "__consumer_offsets";

/// A record of the output topic, as JSON.
#[citizenk::message]
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) producer: u32,
    pub(crate) seq: u64,
    /// Where its input stands.
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Makes some outputs too large.
    pub(crate) padding: String,
}

/// A dead letter, and what its headers say about the record.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) facts: BTreeMap<String, String>,
}

impl Letter {
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// Where the record stands.
    pub(crate) fn place(&self) -> Option<Place> {
        let partition = self.fact("partition").parse().ok()?;
        Some(Place::new(partition, self.fact("offset").parse().ok()?))
    }
}

/// A topic that is read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) servers: String,
    pub(crate) topic: String,
}

impl Source {
    fn consumer(&self, isolation: &str) -> Result<BaseConsumer> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            // No member of it: partitions are assigned by hand and nothing is committed.
            .set("group.id", "faults-observer")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", isolation)
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "50")
            .set("log_level", "2")
            .create()
            .or_fail(|| format!("read {}", self.topic))
    }

    fn partitions(&self, consumer: &BaseConsumer) -> Result<Vec<i32>> {
        let doing = || format!("list the partitions of {}", self.topic);
        let metadata = consumer
            .fetch_metadata(Some(&self.topic), TIMEOUT)
            .or_fail(doing)?;
        let topics = metadata.topics();
        Ok(topics
            .iter()
            .flat_map(|topic| topic.partitions())
            .map(|partition| partition.id())
            .collect())
    }

    fn assign(&self, consumer: &BaseConsumer, partitions: &[i32]) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(&self.topic, *partition, Offset::Beginning)
                .or_fail(|| format!("read {}", self.topic))?;
        }
        consumer
            .assign(&list)
            .or_fail(|| format!("read {}", self.topic))
    }

    /// Every record up to the end, in the order of each partition.
    fn read(
        &self,
        isolation: &str,
        mut see: impl FnMut(&BorrowedMessage<'_>) -> Result<()>,
    ) -> Result<()> {
        let consumer = self.consumer(isolation)?;
        let partitions = self.partitions(&consumer)?;
        self.assign(&consumer, &partitions)?;
        let mut open: BTreeSet<i32> = partitions.into_iter().collect();
        let begun = Instant::now();
        while !open.is_empty() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => see(&message)?,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                // The client tries again by itself; the deadline ends it.
                Some(Err(_)) | None => {}
            }
            if process::stop_requested() {
                return Err(Failure::interrupted());
            }
            if begun.elapsed() > 3 * TIMEOUT {
                return Err(Failure::new(format!(
                    "the end of {} was not reached; open: {open:?}",
                    self.topic
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn inputs(&self) -> Result<Vec<Input>> {
        self.inputs_but(&BTreeSet::new())
    }

    /// Every record of the load, where others stand as well.
    pub(crate) fn inputs_but(&self, others: &BTreeSet<Place>) -> Result<Vec<Input>> {
        let mut found = Vec::new();
        self.read("read_committed", |message| {
            let place = Place::new(message.partition(), message.offset());
            if others.contains(&place) {
                return Ok(());
            }
            let item: Item = decode(message)?;
            found.push(Input {
                place,
                id: item.id(),
                key: item.key,
            });
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn outputs(&self) -> Result<Vec<Output>> {
        let mut found = Vec::new();
        self.read("read_committed", |message| {
            found.push(output(message)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Every committed dead letter.
    pub(crate) fn letters(&self) -> Result<Vec<Letter>> {
        let mut found = Vec::new();
        self.read("read_committed", |message| {
            let headers = message.headers();
            let pairs = headers.iter().flat_map(|headers| headers.iter());
            found.push(Letter {
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                facts: pairs
                    .filter_map(|header| {
                        let name = header.key.strip_prefix("citizenk.dead-letter.")?;
                        let text = String::from_utf8_lossy(header.value.unwrap_or_default());
                        Some((name.to_owned(), text.into_owned()))
                    })
                    .collect(),
            });
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn ends(&self) -> Result<Vec<End>> {
        let (all, stable) = (
            self.consumer("read_uncommitted")?,
            self.consumer("read_committed")?,
        );
        let doing = || format!("find the end of {}", self.topic);
        let mut found = Vec::new();
        for partition in self.partitions(&all)? {
            found.push(End {
                partition,
                stable: stable
                    .fetch_watermarks(&self.topic, partition, TIMEOUT)
                    .or_fail(doing)?
                    .1,
                high: all
                    .fetch_watermarks(&self.topic, partition, TIMEOUT)
                    .or_fail(doing)?
                    .1,
            });
        }
        Ok(found)
    }

    /// The first offset of each partition that does not begin at 0.
    pub(crate) fn lows(&self) -> Result<BTreeMap<i32, i64>> {
        let consumer = self.consumer("read_uncommitted")?;
        let mut found = BTreeMap::new();
        for partition in self.partitions(&consumer)? {
            let (low, _) = consumer
                .fetch_watermarks(&self.topic, partition, TIMEOUT)
                .or_fail(|| format!("find the begin of {}", self.topic))?;
            if low > 0 {
                found.insert(partition, low);
            }
        }
        Ok(found)
    }

    /// The broker that leads a partition.
    pub(crate) fn leader(&self, partition: i32) -> Result<i32> {
        let consumer = self.consumer("read_uncommitted")?;
        let metadata = consumer
            .fetch_metadata(Some(&self.topic), TIMEOUT)
            .or_fail(|| format!("ask who leads {}", self.topic))?;
        let partitions = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions());
        let leader = partitions
            .filter(|found| found.id() == partition)
            .map(|found| found.leader())
            .next();
        leader.ok_or_else(|| Failure::new(format!("{} has no partition {partition}", self.topic)))
    }
}

fn decode<'a, T: Deserialize<'a>>(message: &'a BorrowedMessage<'_>) -> Result<T> {
    let bytes = message.payload().unwrap_or_default();
    serde_json::from_slice(bytes).or_fail(|| {
        format!(
            "understand {}/{}@{}",
            message.topic(),
            message.partition(),
            message.offset()
        )
    })
}

fn output(message: &BorrowedMessage<'_>) -> Result<Output> {
    let done: Done = decode(message)?;
    Ok(Output {
        place: Place::new(message.partition(), message.offset()),
        id: Id {
            producer: done.producer,
            seq: done.seq,
        },
        source: Place::new(done.partition, done.offset),
    })
}

/// Every offset the group has committed for the topic, in the broker's order: the broker keeps them in
/// a topic of its own.
pub(crate) fn commits(servers: &str, group: &str, topic: &str) -> Result<Vec<Commit>> {
    let source = Source {
        servers: servers.to_owned(),
        topic: OFFSETS.to_owned(),
    };
    let mut found = Vec::new();
    source.read("read_committed", |message| {
        let Some(partition) = message.key().and_then(|key| commit_key(key, group, topic)) else {
            return Ok(());
        };
        // Without a value the offset was forgotten.
        if let Some(next) = message.payload().and_then(commit_value) {
            let millis = message.timestamp().to_millis().unwrap_or(0);
            found.push(Commit {
                partition,
                next,
                time: u64::try_from(millis).unwrap_or(0) * 1000,
            });
        }
        Ok(())
    })?;
    Ok(found)
}

/// The partition whose offset the record holds, if it is of this group and topic.
fn commit_key(bytes: &[u8], group: &str, topic: &str) -> Option<i32> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*version) > 1 {
        return None;
    }
    let (found, rest) = text(rest)?;
    let (of, rest) = text(rest)?;
    (found == group.as_bytes() && of == topic.as_bytes()).then_some(())?;
    Some(i32::from_be_bytes(*rest.first_chunk::<4>()?))
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::try_from(i16::from_be_bytes(*length)).ok()?)
}

/// In every version the offset follows the version.
fn commit_value(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(*bytes.get(2..)?.first_chunk::<8>()?))
}

#[derive(Debug, Default)]
struct Seen {
    glimpses: Vec<Glimpse>,
    ids: HashSet<Id>,
    failure: Option<Failure>,
}

/// Reads the output topic while the run goes on.
#[derive(Debug)]
pub(crate) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watcher {
    /// The topic may be new: its partitions are named, for a broker may not know them yet.
    pub(crate) fn start(source: &Source, partitions: i32) -> Result<Self> {
        let consumer = source.consumer("read_committed")?;
        source.assign(&consumer, &(0..partitions).collect::<Vec<_>>())?;
        let seen = Arc::<Mutex<Seen>>::default();
        let stop = Arc::<AtomicBool>::default();
        let (to, stopped) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Errors are the faults of the run; the client goes on by itself.
                let Some(Ok(message)) = consumer.poll(POLL) else {
                    continue;
                };
                let time = journal::now();
                let mut seen = lock(&to);
                match output(&message) {
                    Ok(output) => {
                        seen.ids.insert(output.id);
                        seen.glimpses.push(Glimpse { output, time });
                    }
                    Err(failure) => seen.failure = Some(failure),
                }
            }
        });
        Ok(Self {
            seen,
            stop,
            thread: Some(thread),
        })
    }

    /// What of these has not come out yet.
    pub(crate) fn missing(&self, inputs: &[Input]) -> Result<Vec<Input>> {
        let seen = lock(&self.seen);
        if let Some(failure) = &seen.failure {
            return Err(failure.clone());
        }
        Ok(inputs
            .iter()
            .filter(|input| !seen.ids.contains(&input.id))
            .copied()
            .collect())
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.seen).glimpses.len()
    }

    pub(crate) fn glimpses(&self) -> Vec<Glimpse> {
        lock(&self.seen).glimpses.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It looks at the flag after every poll.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(version: i16, group: &str, topic: &str, partition: i32) -> Vec<u8> {
        let mut bytes = version.to_be_bytes().to_vec();
        for text in [group, topic] {
            bytes.extend((text.len() as i16).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(partition.to_be_bytes());
        bytes
    }

    #[test]
    fn commits_of_others_are_left_out() {
        assert_eq!(commit_key(&key(1, "g", "t", 4), "g", "t"), Some(4));
        assert_eq!(commit_key(&key(0, "g", "t", 4), "g", "t"), Some(4));
        assert_eq!(commit_key(&key(1, "other", "t", 4), "g", "t"), None);
        assert_eq!(commit_key(&key(1, "g", "other", 4), "g", "t"), None);
        // What the broker says about groups has higher versions.
        assert_eq!(commit_key(&key(2, "g", "t", 4), "g", "t"), None);
        assert_eq!(commit_key(&[0], "g", "t"), None);
    }

    #[test]
    fn the_offset_follows_the_version() {
        let value = [&3_i16.to_be_bytes()[..], &77_i64.to_be_bytes(), &[0; 12]].concat();
        assert_eq!(commit_value(&value), Some(77));
        assert_eq!(commit_value(&[0, 3, 0]), None);
    }
}
