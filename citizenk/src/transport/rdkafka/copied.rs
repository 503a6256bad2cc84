//! Chunks whose records were copied, so that they keep nothing of what they came with.
//!
//! In: a chunk of librdkafka's messages. Out: the same records in pieces, each one piece of memory.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::chunk::Held;
use crate::record::{ChunkStore, Timestamp};

type Place = Range<usize>;

#[derive(Debug)]
struct Record {
    offset: i64,
    timestamp: Timestamp,
    key: Option<Place>,
    payload: Option<Place>,
    /// Its part of all headers.
    headers: Place,
}

/// Copied records of one partition.
pub(super) struct CopiedChunk {
    topic: Arc<str>,
    partition: i32,
    bytes: Vec<u8>,
    records: Vec<Record>,
    headers: Vec<(Box<str>, Option<Place>)>,
    _held: Held,
}

/// Appends the bytes.
fn put(all: &mut Vec<u8>, bytes: &[u8]) -> Place {
    let start = all.len();
    all.extend_from_slice(bytes);
    start..all.len()
}

/// Copies have so many bytes, or one record: a lane holds what it took until the last record of it is done.
const PIECE: usize = 128 << 10;

fn size(chunk: &impl ChunkStore, index: usize) -> usize {
    let (key, payload) = (chunk.key(index), chunk.payload(index));
    key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len)
}

/// Where the records end that are copied together.
pub(super) fn piece(chunk: &impl ChunkStore, first: usize) -> usize {
    let mut bytes = size(chunk, first);
    let more = (first + 1..chunk.len()).take_while(|index| {
        bytes += size(chunk, *index);
        bytes <= PIECE
    });
    first + 1 + more.count()
}

impl CopiedChunk {
    pub(super) fn of(chunk: &impl ChunkStore, which: Place, held: Held) -> Self {
        let bytes = which.clone().map(|index| size(chunk, index));
        let mut bytes = Vec::with_capacity(bytes.sum());
        let mut headers = Vec::new();
        let records = which
            .map(|index| Record {
                offset: chunk.offset(index),
                timestamp: chunk.timestamp(index),
                key: chunk.key(index).map(|key| put(&mut bytes, key)),
                payload: chunk.payload(index).map(|payload| put(&mut bytes, payload)),
                headers: {
                    let first = headers.len();
                    chunk.headers(index, &mut |name, value| {
                        let value = value.map(|value| put(&mut bytes, value));
                        headers.push((name.into(), value));
                    });
                    first..headers.len()
                },
            })
            .collect();
        Self {
            topic: chunk.topic().clone(),
            partition: chunk.partition(),
            bytes,
            records,
            headers,
            _held: held,
        }
    }

    fn at(&self, place: Option<&Place>) -> Option<&[u8]> {
        place.map(|place| &self.bytes[place.clone()])
    }
}

impl fmt::Debug for CopiedChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topic, partition, count) = (&self.topic, self.partition, self.records.len());
        write!(f, "{topic}/{partition} ({count} copied records)")
    }
}

impl ChunkStore for CopiedChunk {
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
        self.at(self.records[index].key.as_ref())
    }

    fn payload(&self, index: usize) -> Option<&[u8]> {
        self.at(self.records[index].payload.as_ref())
    }

    fn headers(&self, index: usize, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        for (name, value) in &self.headers[self.records[index].headers.clone()] {
            visit(name, self.at(value.as_ref()));
        }
    }
}
