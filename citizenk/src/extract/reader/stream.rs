//! Records as they are found.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};

use super::{DecodePayload, Found, FoundStream, ReadError, Unread};
use crate::agent::Event;
use crate::record::{Chunk, RecordRef};

/// How far a read is.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Offsets between the ends of what is read.
    pub(crate) all: AtomicU64,
    /// Those that have passed.
    pub(crate) passed: AtomicU64,
    pub(crate) records: AtomicU64,
}

/// How far a read is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Records the stream has given so far, those included that it passed over.
    pub records: u64,
    /// Offsets that were to be read when the read began. Not each has a record: transactions leave marks,
    /// compaction leaves gaps.
    pub offsets: u64,
    /// How many of them have been read, those included that are on their way to the stream.
    pub passed: u64,
}

/// The records of a read: a [`Stream`] of [`Event`]s, also to be used without one through
/// [`RecordStream::next`].
///
/// Dropping it ends the read at once. It can be moved to other tasks.
#[must_use = "nothing is read before the stream is polled"]
pub struct RecordStream<T> {
    found: FoundStream,
    decode: Arc<DecodePayload<T>>,
    counts: Arc<Counts>,
    current: Option<(Chunk, Range<usize>)>,
    ended: bool,
}

impl<T> fmt::Debug for RecordStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordStream")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

impl<T> Unpin for RecordStream<T> {}

impl<T> RecordStream<T> {
    pub(super) fn new(
        found: FoundStream,
        decode: Arc<DecodePayload<T>>,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            found,
            decode,
            counts,
            current: None,
            ended: false,
        }
    }

    /// The next record; `None` at the end. Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Event<T>, ReadError>> {
        StreamExt::next(self).await
    }

    /// All records. For reads of a size that fits into memory.
    ///
    /// # Errors
    /// The first error of the read.
    pub async fn all(mut self) -> Result<Vec<Event<T>>, ReadError> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event?);
        }
        Ok(all)
    }

    /// How far it is. What there is to read is known once the first record has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            records: self.counts.records.load(Ordering::Relaxed),
            offsets: self.counts.all.load(Ordering::Relaxed),
            passed: self.counts.passed.load(Ordering::Relaxed),
        }
    }

    /// The next record of the current chunk; `None` when there is none left in it.
    fn of_current(&mut self) -> Option<Result<Event<T>, ReadError>> {
        let (chunk, rest) = self.current.as_mut()?;
        for index in rest {
            self.counts.records.fetch_add(1, Ordering::Relaxed);
            let value = (self.decode)(chunk.payload(index));
            let unread = match value {
                Ok(None) => continue,
                Ok(Some(value)) => {
                    let record = RecordRef::new(chunk.clone(), index);
                    return Some(Ok(Event::from_record(value, record)));
                }
                Err(unread) => unread,
            };
            let topic = chunk.topic().to_string();
            return Some(Err(match unread {
                Unread::OutputOnly => ReadError::OutputOnly { topic },
                Unread::Decode(source) => ReadError::Decode {
                    topic,
                    partition: chunk.partition(),
                    offset: chunk.offset(index),
                    source,
                },
            }));
        }
        self.current = None;
        None
    }
}

impl<T> Stream for RecordStream<T> {
    type Item = Result<Event<T>, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.ended {
            let item = match this.of_current() {
                Some(item) => item,
                None => match std::task::ready!(this.found.as_mut().poll_next(cx)) {
                    None => break,
                    Some(Ok(Found::Records(chunk, range))) => {
                        this.current = Some((chunk, range));
                        continue;
                    }
                    Some(Ok(Found::Deleted(id, from, to))) => Err(ReadError::Deleted {
                        topic: id.topic.to_string(),
                        partition: id.partition,
                        from,
                        to,
                    }),
                    Some(Err(error)) => Err(error),
                },
            };
            if item.as_ref().is_err_and(ReadError::is_final) {
                this.end();
            }
            return Poll::Ready(Some(item));
        }
        this.end();
        Poll::Ready(None)
    }
}

impl<T> RecordStream<T> {
    /// Lets go of the read.
    fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            self.current = None;
            self.found = Box::pin(futures_util::stream::empty());
        }
    }
}
