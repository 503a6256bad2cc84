//! How far a lane has come.
//!
//! In: tickets opened in offset order and settled in any order. Out: the position below which
//! everything is settled. Owned by one lane and one assignment of its partition: a lane of an earlier
//! assignment settles its own tracker, which nobody reads any more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A span of records that settles as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    number: u64,
    /// The first offset behind the span before; the lowest number for the first span.
    pub(crate) from: i64,
    pub(crate) through: i64,
}

/// Contiguous watermark over tickets.
#[derive(Debug, Default)]
pub(crate) struct AckTracker {
    /// The offset to read next after a restart; `None` until something settled.
    position: Option<i64>,
    /// Number of the first open ticket.
    first: u64,
    open: VecDeque<Entry>,
    /// The last offset of the span opened last.
    opened: Option<i64>,
}

#[derive(Debug)]
struct Entry {
    through: i64,
    settled: bool,
}

impl AckTracker {
    /// Starts at a known position.
    pub(crate) fn at(position: Option<i64>) -> Self {
        Self {
            position,
            ..Self::default()
        }
    }

    /// Opens the span that ends with offset `through`; spans are opened in offset order.
    pub(crate) fn open(&mut self, through: i64) -> Ticket {
        debug_assert!(self.opened.is_none_or(|last| last < through));
        let from = self.opened.map_or(i64::MIN, next_offset);
        self.opened = Some(through);
        self.open.push_back(Entry {
            through,
            settled: false,
        });
        Ticket {
            number: self.first + self.open.len() as u64 - 1,
            from,
            through,
        }
    }

    /// Settles a span; settling it twice changes nothing.
    pub(crate) fn settle(&mut self, ticket: Ticket) {
        let Some(index) = ticket.number.checked_sub(self.first) else {
            return;
        };
        if let Some(entry) = self.open.get_mut(index as usize) {
            entry.settled = true;
        }
        while self.open.front().is_some_and(|entry| entry.settled) {
            if let Some(entry) = self.open.pop_front() {
                self.position = Some(next_offset(entry.through));
                self.first += 1;
            }
        }
    }

    /// The next offset to read after a restart: everything below is settled.
    pub(crate) fn position(&self) -> Option<i64> {
        self.position
    }

    /// Spans opened and not passed by the position.
    #[cfg(test)]
    pub(crate) fn outstanding(&self) -> usize {
        self.open.len()
    }
}

/// What a partition may commit: the lowest position of its lanes, where one that begins further on is ahead
/// of what was `read`. `None` without lanes.
pub(crate) fn lowest(
    positions: impl Iterator<Item = Option<i64>>,
    read: Option<i64>,
) -> Option<Option<i64>> {
    let read = read.unwrap_or(i64::MAX);
    positions
        .min()
        .map(|slowest| slowest.map(|position| position.min(read)))
}

/// Kafka commits the offset of the next record, not of the last one.
pub(crate) fn next_offset(last: i64) -> i64 {
    last + 1
}

/// An [`AckTracker`] shared between a lane, its deliveries and the committing thread.
#[derive(Debug)]
pub(crate) struct LaneAck {
    tracker: Mutex<AckTracker>,
    /// Told whenever something was settled.
    news: Option<Arc<Notify>>,
}

impl LaneAck {
    pub(crate) fn at(position: Option<i64>) -> Self {
        Self {
            tracker: Mutex::new(AckTracker::at(position)),
            news: None,
        }
    }

    /// Tells `news` of everything that is settled.
    pub(crate) fn telling(position: Option<i64>, news: Arc<Notify>) -> Self {
        Self {
            news: Some(news),
            ..Self::at(position)
        }
    }

    fn lock(&self) -> MutexGuard<'_, AckTracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(&self, through: i64) -> Ticket {
        self.lock().open(through)
    }

    pub(crate) fn settle(&self, ticket: Ticket) {
        self.lock().settle(ticket);
        self.tell();
    }

    fn tell(&self) {
        if let Some(news) = &self.news {
            news.notify_one();
        }
    }

    /// Opens and settles a span at once.
    pub(crate) fn settle_through(&self, through: i64) {
        let mut tracker = self.lock();
        let ticket = tracker.open(through);
        tracker.settle(ticket);
        drop(tracker);
        self.tell();
    }

    pub(crate) fn position(&self) -> Option<i64> {
        self.lock().position()
    }
}

#[cfg(test)]
#[path = "ack_tests.rs"]
mod tests;
