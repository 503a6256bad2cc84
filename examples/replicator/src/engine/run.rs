//! One source and target of one mapping, while it runs: what happens to its batches, and what is counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use citizenk::prelude::*;
use citizenk::{RawRecord, RawRecords};
use replicator_domain::env::Share;
use replicator_domain::transform::{Buffers, NoSuchPartition};
use replicator_domain::{Mapping, Outcome, Pair, Record, Transform};

use super::Config;
use super::losses::Losses;
use super::sink::FileSink;
use super::trouble::Troubles;
use crate::bytes::KeyBytes;

/// Names a copy's source, so that it is not copied back.
pub(crate) const PROVENANCE: &str = "citizenk-provenance";

/// Any topic: bytes as keys and values.
pub(crate) const RAW: Topic<RawBytes, KeyBytes> = Topic::<RawBytes, KeyBytes>::raw("any").key_raw();

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a run does, in a word, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Running,
    /// Something it needs is missing; it is looked for again.
    Waiting(String),
    Paused,
    Completed,
    Failed(String),
}

/// Numbers that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) source: AtomicU64,
    /// Handed to the target, acknowledged or not.
    pub(crate) sent: AtomicU64,
    pub(crate) target: AtomicU64,
    pub(crate) filtered: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) unmapped: AtomicU64,
    pub(crate) partition_errors: AtomicU64,
    /// How often a record began to hold its partition.
    pub(crate) held: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    /// When the last record was read, in milliseconds since the Unix epoch; 0: never.
    pub(crate) last_at: AtomicI64,
}

/// What one batch adds; counted only when the batch succeeded.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) source: u64,
    pub(crate) sent: u64,
    pub(crate) filtered: u64,
    pub(crate) dropped: u64,
    pub(crate) undecodable: u64,
    pub(crate) failed: u64,
    pub(crate) unmapped: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// A batch that waits for the target.
#[derive(Debug)]
struct Mark {
    last: i64,
    sent: u64,
    at: std::time::Instant,
}

/// What may change while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What they are made of.
    pub(crate) config: Arc<Config>,
    pub(crate) mapping: Mapping,
    pub(crate) transform: Transform,
    pub(crate) source_count: i32,
    pub(crate) target_count: i32,
    /// The clusters' names in provenance headers.
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Rules {
    /// Whether they are made of this.
    pub(crate) fn is_of(&self, config: &Arc<Config>, sources: i32, targets: i32) -> bool {
        Arc::ptr_eq(&self.config, config)
            && (self.source_count, self.target_count) == (sources, targets)
    }

    /// Whether records of this partition go to the one of the same number: a partition that was added to the
    /// source a moment ago need not exist there.
    fn keeps(&self, partition: i32) -> bool {
        self.source_count == self.target_count && partition < self.target_count
    }
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) pair: Pair,
    /// Records of other partitions are another worker's.
    pub(super) share: Share,
    rules: RwLock<Arc<Rules>>,
    pub(crate) counters: Counters,
    phase: Mutex<Phase>,
    pub(crate) troubles: Mutex<Troubles>,
    marks: Mutex<BTreeMap<i32, VecDeque<Mark>>>,
    pub(super) next: Mutex<BTreeMap<i32, i64>>,
    pub(super) losses: Mutex<Losses>,
    pub(crate) latencies: Mutex<VecDeque<u32>>,
    pub(crate) sink: Option<Arc<FileSink>>,
}

/// The headers of a record from a cluster.
struct Raw<'a>(RawRecord<'a>);

impl replicator_domain::Headers for Raw<'_> {
    fn visit(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.0.visit_headers(visit);
    }
}

impl Run {
    pub(crate) fn new(pair: Pair, share: Share, rules: Rules, sink: Option<Arc<FileSink>>) -> Self {
        Self {
            pair,
            share,
            rules: RwLock::new(Arc::new(rules)),
            counters: Counters::default(),
            phase: Mutex::new(Phase::Starting),
            troubles: Mutex::default(),
            marks: Mutex::default(),
            next: Mutex::default(),
            losses: Mutex::default(),
            latencies: Mutex::default(),
            sink,
        }
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let mut now = lock(&self.phase);
        if *now != phase {
            let rules = self.rules();
            tracing::info!(
                mapping = rules.mapping.name,
                source = self.pair.source,
                target = self.pair.target,
                ?phase,
                "mapping"
            );
            *now = phase;
        }
    }

    /// After a failure that is over.
    pub(crate) fn recover(&self, to: impl FnOnce() -> Phase) {
        let failed = matches!(&*lock(&self.phase), Phase::Failed(_));
        if failed {
            self.enter(to());
        }
    }

    /// What it does; trouble with a record or a target that does not answer counts more than that it runs.
    pub(crate) fn phase(&self) -> Phase {
        let phase = lock(&self.phase).clone();
        if phase != Phase::Running {
            return phase;
        }
        let waits = {
            let troubles = lock(&self.troubles);
            if let Some(why) = troubles.fails(&self.pair.source) {
                return Phase::Failed(why);
            }
            troubles.waits()
        };
        let marks = lock(&self.marks);
        let oldest = marks
            .values()
            .filter_map(|marks| marks.front())
            .map(|mark| mark.at.elapsed())
            .max();
        match oldest.filter(|age| age.as_secs() >= 30) {
            Some(age) => {
                let target = &self.pair.target;
                Phase::Failed(format!(
                    "`{target}` has acknowledged nothing for {} s; the log says why",
                    age.as_secs()
                ))
            }
            None => waits.map_or(phase, Phase::Waiting),
        }
    }

    pub(crate) fn count(&self, tally: &Tally) {
        let add = |counter: &AtomicU64, by: u64| {
            if by > 0 {
                counter.fetch_add(by, Ordering::Relaxed);
            }
        };
        let counters = &self.counters;
        add(&counters.source, tally.source);
        add(&counters.sent, tally.sent);
        add(&counters.filtered, tally.filtered);
        add(&counters.dropped, tally.dropped);
        add(&counters.undecodable, tally.undecodable);
        add(&counters.failed, tally.failed);
        add(&counters.unmapped, tally.unmapped);
        add(&counters.bytes_in, tally.bytes_in);
        add(&counters.bytes_out, tally.bytes_out);
    }

    /// Handles a batch of a partition: everything that is to be copied is staged in `out` or written to the file.
    pub(crate) fn batch(
        &self,
        records: &RawRecords,
        out: &Outbox,
        target: &Topic<RawBytes, KeyBytes>,
        now: i64,
    ) -> citizenk::Result<()> {
        let first = records.iter().next();
        let (partition, offset) = first.map_or((0, 0), |first| (first.partition(), first.offset()));
        if !self.share.has(partition) {
            return Ok(());
        }
        let last = records.iter().next_back();
        let last = last.map_or(offset, |last| last.offset());
        let handled = self.copy(records, out, target, now);
        let mut troubles = lock(&self.troubles);
        match &handled {
            Ok(()) => troubles.handled(partition, last),
            Err(error) => {
                let reason = error.to_string();
                if troubles.failed(partition, offset, &reason) {
                    self.news(partition, offset, &reason);
                }
            }
        }
        handled
    }

    /// Says and counts what holds a partition, once however often it is tried again.
    fn news(&self, partition: i32, offset: i64, reason: &str) {
        self.counters.held.fetch_add(1, Ordering::Relaxed);
        let rules = self.rules();
        tracing::warn!(
            mapping = rules.mapping.name,
            source = self.pair.source,
            partition,
            offset,
            reason,
            "held"
        );
    }

    fn copy(
        &self,
        records: &RawRecords,
        out: &Outbox,
        target: &Topic<RawBytes, KeyBytes>,
        now: i64,
    ) -> citizenk::Result<()> {
        let rules = self.rules();
        let mut tally = Tally {
            source: records.len() as u64,
            ..Tally::default()
        };
        let raw = rules.transform.is_raw() && !rules.mapping.provenance && self.sink.is_none();
        if raw {
            let partition = records.iter().next().map_or(0, |record| record.partition());
            let counted = records
                .iter()
                .inspect(|record| tally.bytes_in += size(record.key(), record.value()));
            if rules.keeps(partition) {
                out.forward(target, counted)?;
            } else {
                out.forward_by_key(target, counted)?;
            }
            (tally.bytes_out, tally.sent) = (tally.bytes_in, tally.source);
        } else {
            self.each(&rules, records, out, target, &mut tally)?;
        }
        self.count(&tally);
        self.remember(records, &tally, now);
        Ok(())
    }

    fn each(
        &self,
        rules: &Rules,
        records: &RawRecords,
        out: &Outbox,
        target: &Topic<RawBytes, KeyBytes>,
        tally: &mut Tally,
    ) -> citizenk::Result<()> {
        let mut buffers = Buffers::default();
        let mut lines = Vec::new();
        for raw in records.iter() {
            let headers = Raw(raw);
            let record = Record {
                topic: &self.pair.source,
                partition: raw.partition(),
                offset: raw.offset(),
                timestamp: raw.timestamp().millis(),
                key: raw.key(),
                value: raw.value(),
                headers: &headers,
            };
            tally.bytes_in += size(raw.key(), raw.value());
            if rules.mapping.provenance && comes_from(&record, &rules.to) {
                tally.dropped += 1;
                continue;
            }
            let applied = rules.transform.apply(&record, &mut buffers);
            let (key, value, partition, unmapped) = match applied {
                Outcome::Copy {
                    key,
                    value,
                    partition,
                    unmapped,
                } => (key, value, partition, unmapped),
                Outcome::Held(reason) => {
                    self.hold(&reason, &record);
                    return Err(AgentError::new(reason));
                }
                other => {
                    leave_out(other, tally);
                    continue;
                }
            };
            tally.unmapped += unmapped as u64;
            tally.sent += 1;
            tally.bytes_out += size(key.or(raw.key()), value.or(raw.value()));
            if self.sink.is_some() {
                let written = Record {
                    key: key.or(record.key),
                    value: value.or(record.value),
                    ..record
                };
                replicator_domain::lines::write(&written, &mut lines);
                continue;
            }
            let same = rules.keeps(raw.partition());
            let resolved = partition.resolve(raw.partition(), same, rules.target_count);
            let resolved = resolved.map_err(|wrong| self.no_partition(wrong, &record))?;
            let mut forwarding = out.forwarding(target, raw);
            if let Some(key) = key {
                forwarding = forwarding.key(key);
            }
            if let Some(value) = value {
                forwarding = forwarding.value(value);
            }
            forwarding = match resolved {
                Some(partition) => forwarding.partition(partition),
                None => forwarding.by_key(),
            };
            if rules.mapping.provenance {
                forwarding = forwarding.header(PROVENANCE, rules.from.as_bytes());
            }
            forwarding.send()?;
        }
        if let Some(sink) = &self.sink {
            sink.append(&lines)?;
        }
        Ok(())
    }

    /// The record holds its partition; answers whether that is news.
    fn hold(&self, reason: &str, record: &Record<'_>) -> bool {
        let (partition, offset) = (record.partition, record.offset);
        let news = lock(&self.troubles).hold(partition, offset, reason);
        if news {
            self.news(partition, offset, reason);
        }
        news
    }

    fn no_partition(&self, wrong: NoSuchPartition, record: &Record<'_>) -> AgentError {
        let NoSuchPartition { partition, count } = wrong;
        let target = &self.pair.target;
        let reason = format!(
            "`key:partition` says {partition}, but `{target}` has partitions 0 to {}",
            count - 1
        );
        if self.hold(&reason, record) {
            self.counters
                .partition_errors
                .fetch_add(1, Ordering::Relaxed);
        }
        AgentError::new(reason)
    }

    fn remember(&self, records: &RawRecords, tally: &Tally, now: i64) {
        let (Some(first), Some(last)) = (records.iter().next(), records.iter().next_back()) else {
            return;
        };
        let (first, partition, end) = (first.offset(), last.partition(), last.offset());
        self.counters.last_at.store(now, Ordering::Relaxed);
        if let Some(written) = last.timestamp().millis() {
            let mut latencies = lock(&self.latencies);
            if latencies.len() >= 512 {
                latencies.pop_front();
            }
            latencies.push_back(u32::try_from((now - written).max(0)).unwrap_or(u32::MAX));
        }
        let before = lock(&self.next).insert(partition, end + 1);
        {
            let mut losses = lock(&self.losses);
            let resumed = losses.resumed.remove(&partition);
            if let Some(expected) = before.or(resumed).filter(|expected| *expected < first) {
                losses.missing.push((partition, expected, first));
            }
        }
        let missing =
            before.map_or(0, |before| first - before) + (end - first + 1 - records.len() as i64);
        self.counters
            .gaps
            .fetch_add(u64::try_from(missing).unwrap_or(0), Ordering::Relaxed);
        if self.sink.is_some() {
            self.counters
                .target
                .fetch_add(tally.sent, Ordering::Relaxed);
            return;
        }
        let mark = Mark {
            last: end,
            sent: tally.sent,
            at: std::time::Instant::now(),
        };
        lock(&self.marks)
            .entry(partition)
            .or_default()
            .push_back(mark);
    }

    /// Counts what the target has acknowledged: what lies before the first offset that is not settled.
    pub(crate) fn settle(&self, positions: &BTreeMap<i32, Option<i64>>) {
        let mut marks = lock(&self.marks);
        let mut acknowledged = 0;
        marks.retain(|partition, marks| {
            match positions.get(partition) {
                // Given away: what was begun was waited for.
                None => acknowledged += marks.drain(..).map(|mark| mark.sent).sum::<u64>(),
                Some(next) => {
                    while let Some(mark) = marks
                        .front()
                        .filter(|mark| next.is_some_and(|next| mark.last < next))
                    {
                        acknowledged += mark.sent;
                        marks.pop_front();
                    }
                }
            }
            !marks.is_empty()
        });
        self.counters
            .target
            .fetch_add(acknowledged, Ordering::Relaxed);
        drop(marks);
        lock(&self.troubles).keep(|partition| positions.contains_key(&partition));
        // Others may read on what is given away.
        lock(&self.next).retain(|partition, _| positions.contains_key(partition));
    }

    /// How many records the target has not acknowledged.
    pub(crate) fn queue(&self) -> u64 {
        self.in_flight().values().sum()
    }

    /// The same by partition of the source; those with none are left out.
    pub(crate) fn in_flight(&self) -> BTreeMap<i32, u64> {
        let marks = lock(&self.marks);
        let sums = marks
            .iter()
            .map(|(partition, marks)| (*partition, marks.iter().map(|mark| mark.sent).sum()));
        sums.filter(|(_, sum)| *sum > 0).collect()
    }
}

/// Counts why a record is not copied.
pub(crate) fn leave_out(outcome: Outcome<'_>, tally: &mut Tally) {
    match outcome {
        Outcome::Filtered => tally.filtered += 1,
        Outcome::Dropped => tally.dropped += 1,
        Outcome::Undecodable(reason) => {
            tracing::debug!(reason, "left out");
            tally.undecodable += 1;
        }
        Outcome::Failed(reason) | Outcome::Held(reason) => {
            tracing::debug!(reason, "left out");
            tally.failed += 1;
        }
        Outcome::Copy { .. } => {}
    }
}

pub(crate) fn size(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64
}

fn comes_from(record: &Record<'_>, place: &str) -> bool {
    let mut found = false;
    record.headers.visit(&mut |name, value| {
        found |= name == PROVENANCE && value == Some(place.as_bytes());
    });
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn run() -> Run {
        let pair = Pair {
            source: "A".to_owned(),
            target: "B".to_owned(),
        };
        let mapping = r#"{"name": "a", "source_topic_name": "A", "target_topic_name": "B"}"#;
        let rules = Rules {
            config: Arc::default(),
            mapping: serde_json::from_str(mapping).expect("a mapping"),
            transform: Transform::default(),
            source_count: 2,
            target_count: 2,
            from: "source/A".to_owned(),
            to: "target/B".to_owned(),
        };
        Run::new(pair, Share::ALL, rules, None)
    }

    #[test]
    fn what_is_in_flight_is_known_by_partition_until_it_is_acknowledged() {
        let run = run();
        let mark = |last, sent| Mark {
            last,
            sent,
            at: std::time::Instant::now(),
        };
        lock(&run.marks).extend([
            (0, VecDeque::from([mark(9, 10), mark(14, 4)])),
            (1, VecDeque::from([mark(5, 0)])),
        ]);
        assert_eq!(run.in_flight(), BTreeMap::from([(0, 14)]));
        run.settle(&BTreeMap::from([(0, Some(10)), (1, Some(0))]));
        assert_eq!(run.in_flight(), BTreeMap::from([(0, 4)]));
        assert_eq!(run.queue(), 4);
    }

    #[test]
    fn a_partition_that_comes_back_leaves_no_gap_for_what_others_read() {
        let run = run();
        lock(&run.next).extend([(0, 10), (1, 7)]);
        run.settle(&BTreeMap::from([(1, Some(7))]));
        assert_eq!(*lock(&run.next), BTreeMap::from([(1, 7)]));
    }
}
