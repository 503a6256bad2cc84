//! One record with its decoded value.

use std::fmt;
use std::sync::Arc;

use crate::codec::TextKey;
use crate::error::DecodeError;
use crate::record::{Headers, OwnedRecord, RecordRef, Timestamp};

/// A record: its decoded value, key, headers and coordinates.
///
/// Holds the chunk of records it was read with; one that is kept for long should be kept as
/// [`Event::into_owned`].
///
/// ```
/// use citizenk::prelude::*;
/// let event = Event::new(7_u32).with_key("camera-1").with_offset("videos", 3, 17);
/// assert_eq!(event.value, 7);
/// assert_eq!(event.key::<String>().unwrap(), Some("camera-1".to_owned()));
/// assert_eq!((event.topic(), event.partition(), event.offset()), ("videos", 3, 17));
/// ```
#[derive(Clone)]
pub struct Event<T> {
    /// The decoded value.
    pub value: T,
    record: RecordRef,
}

impl<T: fmt::Debug> fmt::Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("value", &self.value)
            .field("record", &self.record)
            .finish()
    }
}

impl<T> Event<T> {
    pub(crate) fn from_record(value: T, record: RecordRef) -> Self {
        Self { value, record }
    }

    /// An event made by hand, for tests of handlers.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self {
            value,
            record: RecordRef::new(Arc::new(OwnedRecord::default()), 0),
        }
    }

    fn edit(self, change: impl FnOnce(&mut OwnedRecord)) -> Self {
        let mut record = OwnedRecord::from(&self.record);
        change(&mut record);
        Self {
            value: self.value,
            record: RecordRef::new(Arc::new(record), 0),
        }
    }

    /// The same event with this key.
    #[must_use]
    pub fn with_key(self, key: impl AsRef<[u8]>) -> Self {
        self.edit(|record| record.key = Some(key.as_ref().to_vec()))
    }

    /// The same event with one more header.
    #[must_use]
    pub fn with_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.edit(|record| record.headers.push(name, Some(value)))
    }

    /// The same event with this timestamp.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        self.edit(|record| record.timestamp = timestamp)
    }

    /// The same event at these coordinates.
    #[must_use]
    pub fn with_offset(self, topic: &str, partition: i32, offset: i64) -> Self {
        self.edit(|record| {
            record.topic = topic.into();
            record.partition = partition;
            record.offset = offset;
        })
    }

    /// The topic's name on the broker.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.record.topic()
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.record.partition()
    }

    /// The record's offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.record.offset()
    }

    /// When the record was written.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.record.timestamp()
    }

    /// The key's bytes.
    #[must_use]
    pub fn key_bytes(&self) -> Option<&[u8]> {
        self.record.key()
    }

    /// The key, read from its text form; topics with another key codec: [`Event::key_bytes`], or the
    /// `Key<K>` argument.
    ///
    /// # Errors
    /// When the key is not UTF-8 or not a `K`.
    pub fn key<K: TextKey>(&self) -> Result<Option<K>, DecodeError> {
        self.record.key().map(crate::codec::decode_text).transpose()
    }

    /// The record's headers.
    #[must_use]
    pub fn headers(&self) -> Headers {
        self.record.headers()
    }

    /// The same event with a copy of its key and headers instead of a hold on the whole chunk it was
    /// read with.
    #[must_use]
    pub fn into_owned(self) -> Self {
        Self {
            value: self.value,
            record: self.record.detached(),
        }
    }

    /// The same record with another value.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Event<U> {
        Event {
            value: change(self.value),
            record: self.record,
        }
    }
}
