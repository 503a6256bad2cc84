//! Raw records as they come from a transport.
//!
//! In: chunks (records of one partition, in offset order) that a transport filled. Out: borrowed
//! views ([`RawRecord`]) for lanes and counted references ([`RecordRef`]) for the public record
//! types. A chunk is owned by whoever still holds its `Arc`: one count per chunk and holder, never a
//! copy per record.

use std::fmt;
use std::sync::Arc;

mod headers;

pub use headers::Headers;

/// When a record was written, as the broker reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Timestamp {
    /// The record carries no timestamp.
    #[default]
    None,
    /// Milliseconds since the Unix epoch, set by the producer.
    Create(i64),
    /// Milliseconds since the Unix epoch, set by the broker on append.
    LogAppend(i64),
}

impl Timestamp {
    /// Milliseconds since the Unix epoch, whoever set them.
    ///
    /// ```
    /// use citizenk::Timestamp;
    /// assert_eq!(Timestamp::Create(5).millis(), Some(5));
    /// assert_eq!(Timestamp::None.millis(), None);
    /// ```
    #[must_use]
    pub fn millis(self) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Create(ms) | Self::LogAppend(ms) => Some(ms),
        }
    }
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name on the broker.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    pub(crate) fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Records of one partition in offset order, kept by the transport that filled it.
///
/// `index` is always below `len()`; implementations may panic otherwise.
pub(crate) trait ChunkStore: Send + Sync + fmt::Debug {
    fn topic(&self) -> &Arc<str>;
    fn partition(&self) -> i32;
    fn len(&self) -> usize;
    fn offset(&self, index: usize) -> i64;
    /// The offset on the partition it was read from: what is committed. Another than `offset` where a
    /// record came back through a retry topic and shows itself as it stood on its source.
    fn position(&self, index: usize) -> i64 {
        self.offset(index)
    }
    /// How often the records were tried before they came back through a retry topic.
    fn earlier_attempts(&self) -> u32 {
        0
    }
    fn timestamp(&self, index: usize) -> Timestamp;
    fn key(&self, index: usize) -> Option<&[u8]>;
    fn payload(&self, index: usize) -> Option<&[u8]>;
    /// Calls `visit` for every header, in order, duplicates included.
    fn headers(&self, index: usize, visit: &mut dyn FnMut(&str, Option<&[u8]>));
    /// Bytes of all keys and values. Reads every record: to be asked for once.
    fn bytes(&self) -> usize {
        (0..self.len())
            .map(|index| {
                self.key(index).map_or(0, <[u8]>::len) + self.payload(index).map_or(0, <[u8]>::len)
            })
            .sum()
    }
}

pub(crate) type Chunk = Arc<dyn ChunkStore>;

/// One record of a chunk that is still held: what the public record types are made of.
#[derive(Clone)]
pub(crate) struct RecordRef {
    chunk: Chunk,
    index: u32,
}

impl RecordRef {
    pub(crate) fn new(chunk: Chunk, index: usize) -> Self {
        debug_assert!(index < chunk.len());
        Self {
            chunk,
            index: index as u32,
        }
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        self.chunk.topic()
    }

    pub(crate) fn partition(&self) -> i32 {
        self.chunk.partition()
    }

    pub(crate) fn offset(&self) -> i64 {
        self.chunk.offset(self.index as usize)
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        self.chunk.timestamp(self.index as usize)
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.chunk.key(self.index as usize)
    }

    pub(crate) fn payload(&self) -> Option<&[u8]> {
        self.chunk.payload(self.index as usize)
    }

    pub(crate) fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        self.visit_headers(&mut |name, value| headers.push(name, value));
        headers
    }

    pub(crate) fn visit_headers(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.chunk.headers(self.index as usize, visit);
    }

    /// A copy that no longer holds its chunk.
    pub(crate) fn detached(&self) -> Self {
        Self::new(Arc::new(OwnedRecord::from(self)), 0)
    }
}

impl fmt::Debug for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic(), self.partition(), self.offset())
    }
}

/// One record that owns its bytes: detached records, records made by hand, records posted to an
/// agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnedRecord {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Headers,
}

impl From<&RecordRef> for OwnedRecord {
    fn from(record: &RecordRef) -> Self {
        Self {
            topic: record.topic().clone(),
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key().map(<[u8]>::to_vec),
            payload: record.payload().map(<[u8]>::to_vec),
            headers: record.headers(),
        }
    }
}

impl ChunkStore for OwnedRecord {
    fn topic(&self) -> &Arc<str> {
        &self.topic
    }
    fn partition(&self) -> i32 {
        self.partition
    }
    fn len(&self) -> usize {
        1
    }
    fn offset(&self, _: usize) -> i64 {
        self.offset
    }
    fn timestamp(&self, _: usize) -> Timestamp {
        self.timestamp
    }
    fn key(&self, _: usize) -> Option<&[u8]> {
        self.key.as_deref()
    }
    fn payload(&self, _: usize) -> Option<&[u8]> {
        self.payload.as_deref()
    }
    fn headers(&self, _: usize, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        for (name, value) in self.headers.iter() {
            visit(name, value);
        }
    }
}
