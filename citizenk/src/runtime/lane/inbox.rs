//! The hand-over from the polling thread to a lane.
//!
//! In: chunks, and at the end a close. Out: chunks in order, until closed. Never blocks the polling
//! thread: it is told when the inbox is full and stops fetching.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::signs::Signs;
use crate::record::Chunk;
use crate::transport::{ConsumerHandle, DrainToken};

/// The consumer's handle, known only after its lanes could first be made.
#[derive(Debug, Default)]
pub(crate) struct Poller(OnceLock<Arc<dyn ConsumerHandle>>);

impl Poller {
    /// Called once, right after the consumer was started.
    pub(crate) fn set(&self, handle: Arc<dyn ConsumerHandle>) {
        // A second call would mean a second consumer for one dispatcher, which nothing makes.
        let _ = self.0.set(handle);
    }

    /// `None` before the consumer has started.
    pub(crate) fn handle(&self) -> Option<&Arc<dyn ConsumerHandle>> {
        self.0.get()
    }

    pub(crate) fn wake(&self) {
        if let Some(handle) = self.0.get() {
            handle.wake();
        }
    }
}

/// How a lane is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Goes on.
    No,
    /// Finish started calls and their outputs; discard the rest unsettled.
    Drain,
    /// Drop everything at once: the partition belongs to somebody else already.
    Abandon,
}

#[derive(Debug, Default)]
struct Queue {
    /// With the bytes of their keys and values.
    chunks: VecDeque<(Chunk, usize)>,
    /// Held until the lane has ended.
    tokens: Vec<DrainToken>,
    ended: bool,
}

/// How much may wait for one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Room {
    /// For so many records of any size.
    pub(crate) fn of(records: usize) -> Self {
        Self {
            records: records.max(1),
            bytes: usize::MAX,
        }
    }
}

/// Chunks on their way to one lane.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    records: AtomicUsize,
    bytes: AtomicUsize,
    /// What came although it was full, since it last had room.
    surplus_records: AtomicUsize,
    surplus_bytes: AtomicUsize,
    closing: AtomicU8,
    /// Set by the dispatcher when it stopped fetching because of this inbox.
    starving: AtomicBool,
    /// Full above so much; hungry again below half of it.
    capacity: Room,
    /// What the watchdog sees of the lane.
    pub(crate) signs: Signs,
    /// How many waits for a time of a record's own are going on.
    resting: AtomicUsize,
    pub(crate) notify: Notify,
    /// Tells who waits for the end of the lane; not `notify`, whose one permit belongs to the lane.
    told: Notify,
    abandoned: Notify,
    poller: Arc<Poller>,
}

impl Inbox {
    pub(crate) fn new(capacity: Room, poller: Arc<Poller>) -> Self {
        Self {
            queue: Mutex::default(),
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            surplus_records: AtomicUsize::new(0),
            surplus_bytes: AtomicUsize::new(0),
            closing: AtomicU8::new(0),
            starving: AtomicBool::new(false),
            capacity,
            signs: Signs::default(),
            resting: AtomicUsize::new(0),
            notify: Notify::new(),
            told: Notify::new(),
            abandoned: Notify::new(),
            poller,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the dispatcher only, with the bytes of the chunk's keys and values.
    pub(crate) fn push(&self, chunk: Chunk, bytes: usize) {
        if self.is_full() {
            self.surplus_records
                .fetch_add(chunk.len(), Ordering::Relaxed);
            self.surplus_bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.surplus_records.store(0, Ordering::Relaxed);
            self.surplus_bytes.store(0, Ordering::Relaxed);
        }
        self.records.fetch_add(chunk.len(), Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.lock().chunks.push_back((chunk, bytes));
        self.notify.notify_one();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.load(Ordering::Relaxed) >= self.capacity.records
            || self.bytes.load(Ordering::Relaxed) >= self.capacity.bytes
    }

    /// As much again has come since it was full: what a consumer that only keeps its place in the group lets through,
    /// one poll after the other.
    pub(crate) fn is_overfull(&self) -> bool {
        self.surplus_records.load(Ordering::Relaxed) >= self.capacity.records
            || self.surplus_bytes.load(Ordering::Relaxed) >= self.capacity.bytes
    }

    /// Remembers that fetching waits for this inbox; `false` when there is room after all.
    pub(crate) fn starve(&self) -> bool {
        self.starving.store(true, Ordering::SeqCst);
        // The lane may have emptied the inbox between the check and the mark.
        !self.has_room()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.records.load(Ordering::SeqCst) <= self.capacity.records / 2
            && self.bytes.load(Ordering::SeqCst) <= self.capacity.bytes / 2
    }

    /// Records handed over and not yet taken.
    pub(crate) fn queued(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes of keys and values handed over and not yet taken.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A chunk and the bytes of its keys and values. Called by the lane only.
    pub(crate) fn pop(&self) -> Option<(Chunk, usize)> {
        let (chunk, bytes) = self.lock().chunks.pop_front()?;
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.records.fetch_sub(chunk.len(), Ordering::SeqCst);
        if self.has_room() && self.starving.swap(false, Ordering::SeqCst) {
            self.poller.wake();
        }
        Some((chunk, bytes))
    }

    pub(crate) fn closing(&self) -> Closing {
        match self.closing.load(Ordering::Acquire) {
            0 => Closing::No,
            1 => Closing::Drain,
            _ => Closing::Abandon,
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing() != Closing::No
    }

    /// Tells the lane to end; the token is dropped once it has.
    pub(crate) fn close(&self, how: Closing, token: Option<DrainToken>) {
        let level = match how {
            Closing::No => 0,
            Closing::Drain => 1,
            Closing::Abandon => 2,
        };
        self.closing.fetch_max(level, Ordering::AcqRel);
        let mut queue = self.lock();
        if !queue.ended {
            queue.tokens.extend(token);
        }
        drop(queue);
        self.notify.notify_one();
        self.told.notify_waiters();
        if how == Closing::Abandon {
            self.abandoned.notify_one();
        }
    }

    /// Waits until the lane is to be dropped wherever it is; for whoever runs it.
    pub(crate) async fn abandoned(&self) {
        while self.closing() != Closing::Abandon {
            self.abandoned.notified().await;
        }
    }

    /// Whether the lane is over.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().ended
    }

    /// Called by the lane when it is over: releases whoever waits for it.
    pub(crate) fn ended(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        queue.chunks.clear();
        queue.tokens.clear();
        self.records.store(0, Ordering::SeqCst);
        self.bytes.store(0, Ordering::SeqCst);
    }

    /// Waits until the lane is told to end.
    pub(crate) async fn closed(&self) -> Closing {
        loop {
            let mut told = pin!(self.told.notified());
            // Before the look, so that a close right after it is heard.
            told.as_mut().enable();
            match self.closing() {
                Closing::No => told.await,
                closing => return closing,
            }
        }
    }

    /// The lane waits for the time of a record, which is no stall, as long as the answer is held.
    pub(crate) fn rest(&self) -> Resting<'_> {
        self.resting.fetch_add(1, Ordering::Relaxed);
        Resting(self)
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed) > 0
    }
}

/// Ends the rest when dropped; see [`Inbox::rest`].
#[derive(Debug)]
pub(crate) struct Resting<'a>(&'a Inbox);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.resting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Releases whoever waits for the lane, also when the lane is dropped in the middle.
#[derive(Debug)]
pub(crate) struct EndGuard(Arc<Inbox>);

impl EndGuard {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        Self(inbox)
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.ended();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::record::{Headers, OwnedRecord, Timestamp};

    #[test]
    fn what_comes_although_it_is_full_is_limited_to_as_much_again() {
        let room = Room {
            records: 2,
            bytes: 100,
        };
        let inbox = |chunks: &[usize]| {
            let inbox = Inbox::new(room, Arc::new(Poller::default()));
            let record = || OwnedRecord {
                topic: "t".into(),
                partition: 0,
                offset: 0,
                timestamp: Timestamp::None,
                key: None,
                payload: None,
                headers: Headers::default(),
            };
            chunks
                .iter()
                .for_each(|bytes| inbox.push(Arc::new(record()), *bytes));
            (inbox.is_full(), inbox.is_overfull())
        };
        assert_eq!(inbox(&[1]), (false, false));
        assert_eq!(inbox(&[1, 1, 1]), (true, false));
        assert_eq!(inbox(&[1, 1, 1, 1]), (true, true));
        assert_eq!(
            inbox(&[5_000]),
            (true, false),
            "one large chunk is no trickle"
        );
        assert_eq!(inbox(&[100, 99]), (true, false));
        assert_eq!(inbox(&[100, 100]), (true, true));
    }

    #[test]
    fn who_waits_for_the_end_leaves_new_records_to_the_lane() {
        let inbox = Inbox::new(Room::of(1), Arc::new(Poller::default()));
        let mut closed = pin!(inbox.closed());
        assert_eq!(closed.as_mut().now_or_never(), None);
        inbox.notify.notify_one();
        assert_eq!(closed.as_mut().now_or_never(), None);
        assert_eq!(inbox.notify.notified().now_or_never(), Some(()));
        inbox.close(Closing::Drain, None);
        assert_eq!(closed.now_or_never(), Some(Closing::Drain));
        assert_eq!(inbox.closed().now_or_never(), Some(Closing::Drain));
    }
}
