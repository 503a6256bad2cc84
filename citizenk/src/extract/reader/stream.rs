//! Records as they are found.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};

use super::{DecodePayload, Found, FoundStream, ReadError, Unread};
use crate::agent::Event;
use crate::error::{DecodeError, Obtained};
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
    /// Fetches the schema of the first record of `current`.
    obtaining: Option<Pin<Box<dyn Future<Output = Obtained> + Send>>>,
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
            obtaining: None,
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

    /// The next record of the current chunk; `None` when there is none left in it, or its schema has to be
    /// fetched first.
    fn of_current(&mut self) -> Option<Result<Event<T>, ReadError>> {
        let (chunk, rest) = self.current.as_mut()?;
        while rest.start < rest.end {
            let index = rest.start;
            let value = (self.decode)(chunk, index);
            if let Err(Unread::Decode(error)) = &value
                && let Some(missing) = error.obtain().cloned()
            {
                self.obtaining = Some(Box::pin(async move { missing.obtain().await }));
                return None;
            }
            rest.start += 1;
            self.counts.records.fetch_add(1, Ordering::Relaxed);
            return Some(match value {
                Ok(None) => continue,
                Ok(Some(value)) => {
                    let record = RecordRef::new(chunk.clone(), index);
                    Ok(Event::from_record(value, record))
                }
                Err(unread) => Err(unreadable(chunk, index, unread)),
            });
        }
        self.current = None;
        None
    }

    /// What became of the schema of the current chunk's next record; a record without one is passed over
    /// with an error.
    fn obtained(&mut self, obtained: Obtained) -> Option<ReadError> {
        let source = match obtained {
            Obtained::There => return None,
            Obtained::Nowhere(error) => error,
            Obtained::Unavailable(reason) => DecodeError::message("schema", reason),
        };
        let (chunk, rest) = self.current.as_mut()?;
        let index = rest.start;
        rest.start += 1;
        self.counts.records.fetch_add(1, Ordering::Relaxed);
        Some(unreadable(chunk, index, Unread::Decode(source)))
    }
}

fn unreadable(chunk: &Chunk, index: usize, unread: Unread) -> ReadError {
    let topic = chunk.topic().to_string();
    match unread {
        Unread::OutputOnly => ReadError::OutputOnly { topic },
        Unread::Decode(source) => ReadError::Decode {
            topic,
            partition: chunk.partition(),
            offset: chunk.offset(index),
            source,
        },
    }
}

impl<T> Stream for RecordStream<T> {
    type Item = Result<Event<T>, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.ended {
            if let Some(obtaining) = &mut this.obtaining {
                let obtained = std::task::ready!(obtaining.as_mut().poll(cx));
                this.obtaining = None;
                if let Some(error) = this.obtained(obtained) {
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let item = match this.of_current() {
                Some(item) => item,
                None if this.obtaining.is_some() => continue,
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
            self.obtaining = None;
            self.found = Box::pin(futures_util::stream::empty());
        }
    }
}
