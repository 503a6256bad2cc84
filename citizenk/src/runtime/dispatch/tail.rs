//! The end of a chunk, for an agent that begins in its middle.

use std::sync::Arc;

use crate::record::{Chunk, ChunkStore, Timestamp};

/// The records of a chunk from one offset on.
#[derive(Debug)]
pub(super) struct Tail {
    chunk: Chunk,
    skip: usize,
}

impl Tail {
    /// `from` is at most the chunk's last offset.
    pub(super) fn new(chunk: Chunk, from: i64) -> Self {
        let skip = (0..chunk.len())
            .position(|index| chunk.offset(index) >= from)
            .unwrap_or(chunk.len());
        Self { chunk, skip }
    }
}

impl ChunkStore for Tail {
    fn topic(&self) -> &Arc<str> {
        self.chunk.topic()
    }
    fn partition(&self) -> i32 {
        self.chunk.partition()
    }
    fn len(&self) -> usize {
        self.chunk.len() - self.skip
    }
    fn offset(&self, index: usize) -> i64 {
        self.chunk.offset(self.skip + index)
    }
    fn position(&self, index: usize) -> i64 {
        self.chunk.position(self.skip + index)
    }
    fn earlier_attempts(&self) -> u32 {
        self.chunk.earlier_attempts()
    }
    fn timestamp(&self, index: usize) -> Timestamp {
        self.chunk.timestamp(self.skip + index)
    }
    fn key(&self, index: usize) -> Option<&[u8]> {
        self.chunk.key(self.skip + index)
    }
    fn payload(&self, index: usize) -> Option<&[u8]> {
        self.chunk.payload(self.skip + index)
    }
    fn headers(&self, index: usize, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.chunk.headers(self.skip + index, visit);
    }
}
