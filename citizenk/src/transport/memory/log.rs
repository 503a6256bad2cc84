//! Pure: what a topic keeps.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::record::{ChunkStore, Headers, OwnedRecord, Timestamp};

/// What is appended: a record without its coordinates.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewRecord {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    pub(crate) timestamp: Timestamp,
}

/// The partitions of one topic.
#[derive(Debug)]
pub(super) struct TopicLog {
    name: Arc<str>,
    partitions: Vec<PartitionLog>,
    /// Where the next record without key and partition goes.
    turn: usize,
}

#[derive(Debug, Default)]
struct PartitionLog {
    start: i64,
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Position in the cluster's append order, so that partitions can be shown merged.
    sequence: u64,
    record: Arc<OwnedRecord>,
}

/// What a read at a position finds.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Where the records start: behind the asked position after a truncation, before it when the log
    /// ends earlier.
    pub(super) from: i64,
    pub(super) high: i64,
    /// `None`: nothing there yet.
    pub(super) chunk: Option<MemoryChunk>,
}

impl TopicLog {
    pub(super) fn new(name: Arc<str>, partitions: usize) -> Self {
        let mut log = Self {
            name,
            partitions: Vec::new(),
            turn: 0,
        };
        log.grow(partitions.max(1));
        log
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Adds partitions up to this number; never removes any.
    pub(super) fn grow(&mut self, partitions: usize) {
        let count = partitions.max(self.partitions.len());
        self.partitions.resize_with(count, PartitionLog::default);
    }

    pub(super) fn has(&self, partition: i32) -> bool {
        usize::try_from(partition).is_ok_and(|index| index < self.partitions.len())
    }

    /// The partition for a record that nothing else places: each in its turn.
    pub(super) fn next_turn(&mut self) -> i32 {
        let partition = self.turn % self.partitions.len();
        self.turn = partition + 1;
        partition as i32
    }

    /// Appends to an existing partition; answers the offset.
    pub(super) fn append(
        &mut self,
        partition: i32,
        record: NewRecord,
        sequence: u64,
    ) -> Option<i64> {
        let log = self.partitions.get_mut(usize::try_from(partition).ok()?)?;
        let offset = log.end();
        log.entries.push_back(Entry {
            sequence,
            record: Arc::new(OwnedRecord {
                topic: self.name.clone(),
                partition,
                offset,
                timestamp: record.timestamp,
                key: record.key,
                payload: record.payload,
                headers: record.headers,
            }),
        });
        Some(offset)
    }

    /// First kept and next offset.
    pub(super) fn watermarks(&self, partition: i32) -> Option<(i64, i64)> {
        let log = self.partitions.get(usize::try_from(partition).ok()?)?;
        Some((log.start, log.end()))
    }

    /// The offset of the first kept record of this time or later.
    pub(super) fn at_time(&self, partition: i32, millis: i64) -> Option<i64> {
        let log = self.partitions.get(usize::try_from(partition).ok()?)?;
        let found = log
            .entries
            .iter()
            .find(|entry| entry.record.timestamp.millis() >= Some(millis))?;
        Some(found.record.offset)
    }

    /// Forgets everything below `to` (at most everything); answers the new start.
    pub(super) fn truncate(&mut self, partition: i32, to: i64) -> Option<i64> {
        let log = self.partitions.get_mut(usize::try_from(partition).ok()?)?;
        let to = to.clamp(log.start, log.end());
        log.entries.drain(..(to - log.start) as usize);
        log.start = to;
        Some(to)
    }

    /// Up to `max` records from `position`. A position that retention has passed moves to the first
    /// kept record; one behind the end is out of range and starts over, as `earliest` does.
    pub(super) fn fetch(&self, partition: i32, position: i64, max: usize) -> Option<Fetched> {
        let log = self.partitions.get(usize::try_from(partition).ok()?)?;
        let high = log.end();
        let from = if (log.start..=high).contains(&position) {
            position
        } else {
            log.start
        };
        let records: Vec<_> = log
            .entries
            .range((from - log.start) as usize..)
            .take(max)
            .map(|entry| entry.record.clone())
            .collect();
        let chunk = (!records.is_empty()).then(|| MemoryChunk {
            topic: self.name.clone(),
            partition,
            records,
        });
        Some(Fetched { from, high, chunk })
    }

    /// Everything kept, in append order over all partitions.
    pub(super) fn records(&self) -> Vec<OwnedRecord> {
        let mut all: Vec<_> = self.partitions.iter().flat_map(|p| &p.entries).collect();
        all.sort_by_key(|entry| entry.sequence);
        all.into_iter()
            .map(|entry| OwnedRecord::clone(&entry.record))
            .collect()
    }
}

impl PartitionLog {
    fn end(&self) -> i64 {
        self.start + self.entries.len() as i64
    }
}

/// Records of one partition, shared with the log.
#[derive(Debug)]
pub(super) struct MemoryChunk {
    topic: Arc<str>,
    partition: i32,
    records: Vec<Arc<OwnedRecord>>,
}

impl ChunkStore for MemoryChunk {
    fn topic(&self) -> &Arc<str> {
        &self.topic
    }
    fn partition(&self) -> i32 {
        self.partition
    }
    fn len(&self) -> usize {
        self.records.len()
    }
    fn offset(&self, index: usize) -> i64 {
        self.records[index].offset
    }
    fn timestamp(&self, index: usize) -> Timestamp {
        self.records[index].timestamp
    }
    fn key(&self, index: usize) -> Option<&[u8]> {
        self.records[index].key.as_deref()
    }
    fn payload(&self, index: usize) -> Option<&[u8]> {
        self.records[index].payload.as_deref()
    }
    fn headers(&self, index: usize, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        for (name, value) in self.records[index].headers.iter() {
            visit(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Append(i32),
        Truncate(i32, i64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..3i32).prop_map(Op::Append),
            1 => (0..3i32, -2..40i64).prop_map(|(p, to)| Op::Truncate(p, to)),
        ]
    }

    proptest! {
        /// After any appends and truncations a reader that starts anywhere sees every kept record of
        /// the partition once, in order, whatever its chunk size.
        #[test]
        fn readers_see_every_kept_record_once(
            ops in prop::collection::vec(op(), 0..120),
            start in 0..40i64,
            max in 1..7usize,
        ) {
            let mut log = TopicLog::new("t".into(), 3);
            let mut model: [(i64, Vec<u64>); 3] = Default::default();
            for (sequence, op) in ops.into_iter().enumerate() {
                let sequence = sequence as u64;
                match op {
                    Op::Append(p) => {
                        let record = NewRecord {
                            payload: Some(sequence.to_be_bytes().to_vec()),
                            ..NewRecord::default()
                        };
                        let offset = log.append(p, record, sequence);
                        let (_, kept) = &mut model[p as usize];
                        prop_assert_eq!(offset, Some(kept.len() as i64));
                        kept.push(sequence);
                    }
                    Op::Truncate(p, to) => {
                        let (low, kept) = &mut model[p as usize];
                        *low = to.clamp(*low, kept.len() as i64);
                        prop_assert_eq!(log.truncate(p, to), Some(*low));
                    }
                }
            }
            for (p, (low, all)) in model.iter().enumerate() {
                let high = all.len() as i64;
                prop_assert_eq!(log.watermarks(p as i32), Some((*low, high)));
                let first = if (*low..=high).contains(&start) { start } else { *low };
                let (mut position, mut seen) = (start, Vec::new());
                while let Some(Fetched { from, chunk: Some(chunk), .. }) = log.fetch(p as i32, position, max) {
                    prop_assert!(chunk.len() <= max);
                    for index in 0..chunk.len() {
                        prop_assert_eq!(chunk.offset(index), from + index as i64);
                        seen.push(chunk.payload(index).map(<[u8]>::to_vec));
                    }
                    position = from + chunk.len() as i64;
                }
                let expected: Vec<_> = all[first as usize..]
                    .iter()
                    .map(|sequence| Some(sequence.to_be_bytes().to_vec()))
                    .collect();
                prop_assert_eq!(seen, expected);
            }
            let merged: Vec<_> = log.records().into_iter().filter_map(|r| r.payload).collect();
            prop_assert!(merged.is_sorted());
        }
    }
}
