//! Encoded records on their way to the broker.
//!
//! In: encoded bytes of keys, values and headers, appended by an outbox or a producer. Out: borrowed
//! views ([`Staged`]) that a transport enqueues. One byte arena and one entry list per batch, both
//! reused, so that staging a record allocates nothing in the steady state. Owned by the attempt that
//! fills it and, once sent, by its delivery. The values of records that are passed on stay in the chunk
//! they were read in, which the batch then keeps alive (`shared`).

use std::fmt;
use std::ops::Range;

use crate::record::Chunk;
use crate::topic::Partitioner;

mod receipt;
mod shared;

pub(crate) use receipt::{Answer, Outcome, Receipt, unheard};
use shared::Shared;

/// A topic that records can be staged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputTopic {
    pub(crate) cluster: &'static str,
    /// The topic's name on the broker.
    pub(crate) name: String,
    pub(crate) partitioner: Partitioner,
}

#[derive(Clone, Debug)]
struct Entry {
    topic: u32,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<Range<u32>>,
    value: Option<Value>,
    headers: Range<u32>,
}

#[derive(Clone, Debug)]
enum Value {
    Own(Range<u32>),
    /// A record's value in a chunk of `StagedBatch::shared`.
    Shared {
        chunk: u32,
        index: u32,
    },
}

#[derive(Clone, Debug)]
struct HeaderEntry {
    name: Range<u32>,
    value: Option<Range<u32>>,
}

/// Staged records, in order.
#[derive(Clone, Default)]
pub(crate) struct StagedBatch {
    bytes: Vec<u8>,
    headers: Vec<HeaderEntry>,
    entries: Vec<Entry>,
    shared: Shared,
}

/// One staged record, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staged<'a> {
    /// Index of the topic in the table that belongs to the batch.
    pub(crate) topic: usize,
    /// `None`: the topic's partitioner decides.
    pub(crate) partition: Option<i32>,
    /// Milliseconds since the Unix epoch; `None`: now.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    batch: &'a StagedBatch,
    header_range: (u32, u32),
}

impl<'a> Staged<'a> {
    pub(crate) fn header_count(&self) -> usize {
        (self.header_range.1 - self.header_range.0) as usize
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let batch = self.batch;
        batch.headers[self.header_range.0 as usize..self.header_range.1 as usize]
            .iter()
            .map(move |header| {
                let name = std::str::from_utf8(batch.slice(&header.name)).unwrap_or_default();
                (name, header.value.as_ref().map(|range| batch.slice(range)))
            })
    }

    /// Bytes of key, value and headers together.
    pub(crate) fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self
                .headers()
                .map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len))
                .sum::<usize>()
    }
}

/// A position in a batch to return to when an attempt fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    bytes: usize,
    headers: usize,
    entries: usize,
    chunks: usize,
}

impl StagedBatch {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys, values and headers.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len() + self.shared.bytes()
    }

    /// Bytes it has room for without growing.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            headers: self.headers.len(),
            entries: self.entries.len(),
            chunks: self.shared.len(),
        }
    }

    /// Forgets everything staged after `mark`.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        if self.shared.len() > 0 {
            for entry in &self.entries[mark.entries..] {
                if let Some(Value::Shared { chunk, index }) = entry.value {
                    self.shared.give_back(chunk, index);
                }
            }
            self.shared.truncate(mark.chunks);
        }
        self.bytes.truncate(mark.bytes);
        self.headers.truncate(mark.headers);
        self.entries.truncate(mark.entries);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.headers.clear();
        self.entries.clear();
        self.shared.clear();
    }

    /// Copies the values of chunks of which fewer than half the records are sent: a batch keeps its chunks
    /// alive until it is delivered.
    pub(crate) fn release_chunks(&mut self) {
        if !self.shared.is_wasteful() {
            return;
        }
        for entry in &mut self.entries {
            if let Some(Value::Shared { chunk, index }) = entry.value
                && let Some(value) = self.shared.wasted(chunk, index)
            {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(value);
                entry.value = Some(Value::Own(start as u32..self.bytes.len() as u32));
            }
        }
        self.shared.release();
    }

    /// Starts a record for the topic with this index; nothing is staged until the writer's `finish`.
    pub(crate) fn record(&mut self, topic: usize) -> RecordWriter<'_> {
        let mark = self.mark();
        RecordWriter {
            batch: self,
            mark,
            topic,
            partition: None,
            timestamp: None,
            key: None,
        }
    }

    /// Copies record `index` of `other` to the end of this batch, under the same topic index. A value in a chunk stays
    /// there.
    pub(crate) fn push_from(&mut self, other: &StagedBatch, index: usize) {
        let staged = other.get(index);
        let mut writer = self.record(staged.topic);
        if let Some(key) = staged.key {
            writer.key_bytes(key);
        }
        for (name, value) in staged.headers() {
            writer.header(name, value);
        }
        writer
            .partition(staged.partition)
            .timestamp(staged.timestamp);
        match other.shared_value(index) {
            Some((chunk, index)) => writer.finish_with_value_of(chunk, index),
            None => writer.finish(staged.value),
        }
    }

    /// The chunk that has the value of record `index`, and where.
    fn shared_value(&self, index: usize) -> Option<(&Chunk, usize)> {
        match self.entries[index].value.as_ref()? {
            Value::Own(_) => None,
            Value::Shared { chunk, index } => Some((self.shared.chunk(*chunk)?, *index as usize)),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Staged<'_> {
        let entry = &self.entries[index];
        Staged {
            topic: entry.topic as usize,
            partition: entry.partition,
            timestamp: entry.timestamp,
            key: entry.key.as_ref().map(|range| self.slice(range)),
            value: entry.value.as_ref().map(|value| match value {
                Value::Own(range) => self.slice(range),
                Value::Shared { chunk, index } => self.shared.value(*chunk, *index),
            }),
            batch: self,
            header_range: (entry.headers.start, entry.headers.end),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Staged<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }
}

impl fmt::Debug for StagedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StagedBatch({} records, {} bytes)",
            self.len(),
            self.byte_len()
        )
    }
}

/// Writes one record into a batch; dropping it without `finish` leaves the batch unchanged.
pub(crate) struct RecordWriter<'a> {
    batch: &'a mut StagedBatch,
    mark: Mark,
    topic: usize,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<Range<u32>>,
}

impl RecordWriter<'_> {
    pub(crate) fn partition(&mut self, partition: Option<i32>) -> &mut Self {
        self.partition = partition;
        self
    }

    pub(crate) fn timestamp(&mut self, millis: Option<i64>) -> &mut Self {
        self.timestamp = millis;
        self
    }

    pub(crate) fn key_bytes(&mut self, key: &[u8]) -> &mut Self {
        let range = self.append(key);
        self.key = Some(range);
        self
    }

    /// Lets `encode` append the key's bytes.
    pub(crate) fn key_with<E>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<&mut Self, E> {
        let start = self.batch.bytes.len();
        encode(&mut self.batch.bytes)?;
        self.key = Some(self.range_from(start));
        Ok(self)
    }

    pub(crate) fn header(&mut self, name: &str, value: Option<&[u8]>) -> &mut Self {
        let name = self.append(name.as_bytes());
        let value = value.map(|bytes| self.append(bytes));
        self.batch.headers.push(HeaderEntry { name, value });
        self
    }

    /// Ends the record with a value, or with `None` for a tombstone.
    pub(crate) fn finish(&mut self, value: Option<&[u8]>) {
        let value = value.map(|bytes| Value::Own(self.append(bytes)));
        self.push(value);
    }

    /// Ends the record with the value of one that was read, which is left where it is if it is large.
    pub(crate) fn finish_with_value_of(&mut self, chunk: &Chunk, index: usize) {
        match self.batch.shared.take(chunk, index) {
            Some(value) => self.push(Some(value)),
            None => self.finish(chunk.payload(index)),
        }
    }

    /// Ends the record with the bytes that `encode` appends.
    pub(crate) fn finish_with<E>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.batch.bytes.len();
        encode(&mut self.batch.bytes)?;
        let value = self.range_from(start);
        self.push(Some(Value::Own(value)));
        Ok(())
    }

    fn push(&mut self, value: Option<Value>) {
        let headers = self.mark.headers as u32..self.batch.headers.len() as u32;
        self.batch.entries.push(Entry {
            topic: self.topic as u32,
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.take(),
            value,
            headers,
        });
        self.mark = self.batch.mark();
    }

    fn append(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(bytes);
        self.range_from(start)
    }

    fn range_from(&self, start: usize) -> Range<u32> {
        start as u32..self.batch.bytes.len() as u32
    }
}

impl Drop for RecordWriter<'_> {
    fn drop(&mut self) {
        // Nothing is to be forgotten after a `finish`, which is nearly always.
        if self.batch.mark() != self.mark {
            self.batch.truncate(self.mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_record_leaves_nothing_behind() {
        let mut batch = StagedBatch::default();
        batch.record(0).key_bytes(b"a").finish(Some(b"1"));
        batch.record(1).key_bytes(b"b").header("h", Some(b"x"));
        assert_eq!(batch.len(), 1);
        assert_eq!(batch.byte_len(), 2);
        batch
            .record(2)
            .header("h", None)
            .header("i", Some(b"y"))
            .finish(None);
        let last = batch.get(1);
        assert_eq!((last.topic, last.key, last.value), (2, None, None));
        assert_eq!(
            last.headers().collect::<Vec<_>>(),
            [("h", None), ("i", Some(b"y".as_slice()))]
        );
    }

    #[test]
    fn truncate_returns_to_the_mark_and_copies_keep_everything() {
        let mut batch = StagedBatch::default();
        batch
            .record(0)
            .key_bytes(b"k")
            .header("h", Some(b"v"))
            .timestamp(Some(7))
            .partition(Some(3))
            .finish(Some(b"x"));
        let mark = batch.mark();
        batch.record(0).finish(Some(b"gone"));
        batch.truncate(mark);
        assert_eq!(batch.len(), 1);
        let mut copy = StagedBatch::default();
        copy.push_from(&batch, 0);
        let record = copy.get(0);
        assert_eq!(
            (record.partition, record.timestamp, record.key, record.value),
            (
                Some(3),
                Some(7),
                Some(b"k".as_slice()),
                Some(b"x".as_slice())
            )
        );
        assert_eq!(record.size(), 4);
    }
}
