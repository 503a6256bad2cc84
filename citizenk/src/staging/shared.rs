//! Values that stay in the chunk they were read in.
//!
//! In: chunks, and which of their values are sent. Out: those values, and how many bytes they have. Owned by
//! the batch that sends them.

use std::ptr;

use super::Value;
use crate::record::Chunk;

/// Smaller values are copied: that is cheaper than to look them up.
const LEAST: usize = 128;

#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    chunks: Vec<Part>,
    /// Bytes of all values that are sent.
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Part {
    /// `None` once its values were copied.
    chunk: Option<Chunk>,
    /// How many of its records are sent, and the bytes of their values.
    records: usize,
    bytes: usize,
}

impl Part {
    /// It keeps more than twice as many records alive as are sent of it.
    fn is_wasteful(&self) -> bool {
        let kept = self.chunk.as_ref().map_or(0, |chunk| chunk.len());
        kept > 2 * self.records
    }

    fn value(&self, index: u32) -> &[u8] {
        let chunk = self.chunk.as_ref();
        // `take` has found a value there, and chunks do not change.
        let value = chunk.and_then(|chunk| chunk.payload(index as usize));
        value.unwrap_or_default()
    }
}

impl Shared {
    /// Chunks.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that a record's value is sent, if it is worth it.
    pub(super) fn take(&mut self, chunk: &Chunk, index: usize) -> Option<Value> {
        let size = chunk.payload(index)?.len();
        if size < LEAST {
            return None;
        }
        let same = |part: &Part| {
            let last = part.chunk.as_ref();
            last.is_some_and(|last| ptr::addr_eq(&raw const **last, &raw const **chunk))
        };
        if !self.chunks.last().is_some_and(same) {
            self.chunks.push(Part {
                chunk: Some(chunk.clone()),
                records: 0,
                bytes: 0,
            });
        }
        let last = self.chunks.len() - 1;
        let part = &mut self.chunks[last];
        part.records += 1;
        part.bytes += size;
        self.bytes += size;
        Some(Value::Shared {
            chunk: u32::try_from(last).ok()?,
            index: u32::try_from(index).ok()?,
        })
    }

    /// `None` once its values were copied.
    pub(super) fn chunk(&self, chunk: u32) -> Option<&Chunk> {
        self.chunks[chunk as usize].chunk.as_ref()
    }

    pub(super) fn value(&self, chunk: u32, index: u32) -> &[u8] {
        self.chunks[chunk as usize].value(index)
    }

    /// The value is not sent after all.
    pub(super) fn give_back(&mut self, chunk: u32, index: u32) {
        let part = &mut self.chunks[chunk as usize];
        let size = part.value(index).len();
        part.records -= 1;
        part.bytes -= size;
        self.bytes -= size;
    }

    /// Forgets the chunks from this one on, whose values were given back.
    pub(super) fn truncate(&mut self, chunks: usize) {
        self.chunks.truncate(chunks);
    }

    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.bytes = 0;
    }

    pub(super) fn is_wasteful(&self) -> bool {
        self.chunks.iter().any(Part::is_wasteful)
    }

    /// A value that is better copied, because it keeps too much alive.
    pub(super) fn wasted(&self, chunk: u32, index: u32) -> Option<&[u8]> {
        let part = &self.chunks[chunk as usize];
        part.is_wasteful().then(|| part.value(index))
    }

    /// Lets go of the chunks whose values were copied.
    pub(super) fn release(&mut self) {
        for part in self.chunks.iter_mut().filter(|part| part.is_wasteful()) {
            self.bytes -= part.bytes;
            *part = Part {
                chunk: None,
                records: 0,
                bytes: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::{ChunkStore, Timestamp};
    use crate::staging::StagedBatch;

    #[derive(Debug)]
    struct Values(Arc<str>, Vec<Vec<u8>>);

    impl ChunkStore for Values {
        fn topic(&self) -> &Arc<str> {
            &self.0
        }
        fn partition(&self) -> i32 {
            0
        }
        fn len(&self) -> usize {
            self.1.len()
        }
        fn offset(&self, index: usize) -> i64 {
            index as i64
        }
        fn timestamp(&self, _: usize) -> Timestamp {
            Timestamp::default()
        }
        fn key(&self, _: usize) -> Option<&[u8]> {
            None
        }
        fn payload(&self, index: usize) -> Option<&[u8]> {
            Some(&self.1[index])
        }
        fn headers(&self, _: usize, _: &mut dyn FnMut(&str, Option<&[u8]>)) {}
    }

    fn chunk(count: u8, size: usize) -> Chunk {
        Arc::new(Values(
            "t".into(),
            (0..count).map(|number| vec![number; size]).collect(),
        ))
    }

    fn pass_on(batch: &mut StagedBatch, chunk: &Chunk, indices: impl IntoIterator<Item = usize>) {
        for index in indices {
            batch.record(0).finish_with_value_of(chunk, index);
        }
    }

    fn firsts(batch: &StagedBatch) -> Vec<(u8, usize)> {
        let values = batch.iter().filter_map(|record| record.value);
        values.map(|value| (value[0], value.len())).collect()
    }

    #[test]
    fn large_values_stay_where_they_are_until_the_batch_is_cleared() {
        let (large, small) = (chunk(4, 1000), chunk(2, 10));
        let mut batch = StagedBatch::default();
        pass_on(&mut batch, &large, 0..3);
        pass_on(&mut batch, &small, 0..2);
        assert_eq!(batch.bytes.len(), 20, "only the small ones are copied");
        assert_eq!(batch.byte_len(), 3020);
        assert_eq!(
            (Arc::strong_count(&large), Arc::strong_count(&small)),
            (2, 1)
        );
        let expected = [(0, 1000), (1, 1000), (2, 1000), (0, 10), (1, 10)];
        assert_eq!(firsts(&batch), expected);
        let mut copy = StagedBatch::default();
        (0..5).for_each(|index| copy.push_from(&batch, index));
        assert_eq!(copy.bytes.len(), 20, "and what goes again stays there");
        batch.release_chunks();
        assert_eq!(Arc::strong_count(&large), 3, "most of it is sent");
        batch.clear();
        assert_eq!((batch.byte_len(), Arc::strong_count(&large)), (0, 2));
        assert_eq!(firsts(&copy), expected);
        copy.clear();
        assert_eq!(Arc::strong_count(&large), 1);
    }

    #[test]
    fn a_chunk_is_not_kept_for_a_few_of_its_values() {
        let (one, other) = (chunk(10, 200), chunk(2, 200));
        let mut batch = StagedBatch::default();
        pass_on(&mut batch, &one, [3, 7]);
        pass_on(&mut batch, &other, 0..2);
        batch.release_chunks();
        assert_eq!((Arc::strong_count(&one), Arc::strong_count(&other)), (1, 2));
        assert_eq!(firsts(&batch), [(3, 200), (7, 200), (0, 200), (1, 200)]);
        assert_eq!(batch.byte_len(), 800);
    }

    #[test]
    fn what_is_taken_back_counts_no_more() {
        let one = chunk(3, 200);
        let mut batch = StagedBatch::default();
        pass_on(&mut batch, &one, 0..1);
        let mark = batch.mark();
        pass_on(&mut batch, &one, 1..3);
        pass_on(&mut batch, &chunk(1, 500), 0..1);
        batch.truncate(mark);
        assert_eq!((batch.byte_len(), firsts(&batch).len()), (200, 1));
        batch.release_chunks();
        assert_eq!(Arc::strong_count(&one), 1, "a third of it is left");
    }
}
