//! What a group's transactions may contain: the owned partitions, their lanes and how far each is.
//!
//! In: partitions from the dispatcher, settled spans from lanes. Out: outputs and positions that belong
//! together, for the transactor. Shared between the polling thread, the lanes and the transactor; no
//! lock is held while anything waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::ledger::Ledger;
use crate::record::TopicPartition;
use crate::runtime::ack::LaneAck;
use crate::runtime::lane::inbox::Inbox;
use crate::runtime::plan::AgentPlan;
use crate::staging::StagedBatch;
use crate::telemetry::LaneMetrics;
use crate::transport::{Drain, DrainToken};

/// One lane of an owned partition.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) ack: Arc<LaneAck>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) plan: Arc<AgentPlan>,
    pub(crate) metrics: LaneMetrics,
}

#[derive(Debug)]
struct Owned {
    /// Tells one assignment of a partition from the next.
    assignment: u64,
    lines: Vec<Line>,
    /// What transactions took so far; not necessarily committed.
    taken: Option<i64>,
    committed: Option<i64>,
    /// Where the lanes were asked to meet, as long as nothing could be taken since.
    meeting: Option<i64>,
}

impl Owned {
    /// The highest position, beyond what was taken, below which everything is settled by all lanes and no span is cut.
    /// Where lanes have settled more and their spans end nowhere together, they are asked to meet.
    fn advance(&mut self) -> Option<i64> {
        let settled = self.lines.iter().map(|line| line.ack.position()).min()??;
        let beyond = |position: &i64| self.taken.is_none_or(|taken| taken < *position);
        if !beyond(&settled) {
            // One that is full gets no more, and so the others none either to fill a batch with.
            let is_stuck = |line: &Line| {
                line.ledger.is_full() && line.ack.position().is_some_and(|at| beyond(&at))
            };
            if self.lines.len() > 1 && self.lines.iter().any(is_stuck) {
                self.meet();
            }
            return None;
        }
        let position = self.between_spans(settled).filter(beyond);
        if position.is_none() {
            self.meet();
        } else if self.meeting.take().is_some() {
            self.lines.iter().for_each(|line| line.ledger.part());
        }
        position
    }

    /// The lanes' batches may be cut differently for ever: then no transaction would come about, and lanes with a
    /// full ledger would wait for one.
    fn meet(&mut self) {
        let has_come = |at| move |line: &Line| line.ack.position() >= Some(at);
        if self
            .meeting
            .is_some_and(|at| !self.lines.iter().all(has_come(at)))
        {
            return;
        }
        // Everybody has this before him: chunks are handed to all lanes alike, and end here for each of them.
        let at = self.lines.iter().map(|line| line.ledger.read()).max();
        self.meeting = at;
        for line in &self.lines {
            at.iter().for_each(|at| line.ledger.meet_at(*at));
        }
    }

    fn between_spans(&self, settled: i64) -> Option<i64> {
        let mut position = settled;
        loop {
            let drawn = self
                .lines
                .iter()
                .map(|line| line.ledger.boundary(position))
                .min()
                .unwrap_or(position);
            if drawn == position {
                // Where the first span of a lane begins is not always known.
                return Some(position).filter(|position| *position > i64::MIN);
            }
            position = drawn;
        }
    }
}

/// Outputs of one lane, taken for a transaction.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) partition: TopicPartition,
    pub(super) assignment: u64,
    pub(super) line: Line,
    pub(super) batch: StagedBatch,
}

/// A position taken for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) assignment: u64,
    pub(super) position: i64,
}

/// Partitions that are being given back: what they have settled has to be committed first.
#[derive(Debug)]
pub(super) struct Flush {
    /// Empty once the lanes have ended.
    pub(super) lanes: Drain,
    /// Dropped when the transaction is over.
    pub(super) done: DrainToken,
}

#[derive(Debug, Default)]
struct Inner {
    owned: BTreeMap<TopicPartition, Owned>,
    flushes: Vec<Flush>,
    /// Nobody makes transactions any more.
    ended: bool,
    assignments: u64,
}

/// The books of one group.
#[derive(Debug, Default)]
pub(crate) struct Book {
    inner: Mutex<Inner>,
    news: Arc<Notify>,
    closed: AtomicBool,
    /// Ends pauses of the transactor when the books close.
    closing: Notify,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a lane of this group, which reads from `position` on, settles and stages into.
    pub(crate) fn line(
        &self,
        position: Option<i64>,
        lane: &Arc<Inbox>,
        plan: &Arc<AgentPlan>,
        metrics: &LaneMetrics,
    ) -> Line {
        let ack = Arc::new(LaneAck::telling(position, self.news.clone()));
        Line {
            ledger: Arc::new(Ledger::new(lane.clone(), ack.clone())),
            ack,
            plan: plan.clone(),
            metrics: metrics.clone(),
        }
    }

    /// The partition is ours from this position on.
    pub(crate) fn own(&self, partition: &TopicPartition, position: Option<i64>, lines: Vec<Line>) {
        let mut inner = self.lock();
        inner.assignments += 1;
        let owned = Owned {
            assignment: inner.assignments,
            lines,
            taken: position,
            committed: position,
            meeting: None,
        };
        inner.owned.insert(partition.clone(), owned);
    }

    /// The partition is ours no more: nothing of it enters a transaction from here on.
    pub(crate) fn disown(&self, partition: &TopicPartition) {
        self.lock().owned.remove(partition);
        self.news.notify_one();
    }

    /// Asks for a transaction once the lanes have ended.
    pub(crate) fn flush(&self, lanes: Drain, done: DrainToken) {
        let mut inner = self.lock();
        if !inner.ended {
            inner.flushes.push(Flush { lanes, done });
        }
        drop(inner);
        self.news.notify_one();
    }

    /// The group's consumer has left.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.notify_one();
        self.closing.notify_one();
    }

    pub(crate) fn committed(&self, partition: &TopicPartition) -> Option<i64> {
        self.lock().owned.get(partition)?.committed
    }

    // The transactor's side.

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) async fn until_closed(&self) {
        while !self.is_closed() {
            self.closing.notified().await;
        }
        // Others may wait on the same permit.
        self.closing.notify_one();
    }

    /// There will be no more transactions: nobody has to wait for one.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.flushes.clear();
    }

    pub(super) async fn until_news(&self) {
        self.news.notified().await;
    }

    pub(super) fn take_flushes(&self) -> Vec<Flush> {
        std::mem::take(&mut self.lock().flushes)
    }

    /// Takes everything that may be committed and was not taken yet.
    pub(super) fn take(
        &self,
        positions: &mut BTreeMap<TopicPartition, Taken>,
        pieces: &mut Vec<Piece>,
    ) {
        for (partition, owned) in &mut self.lock().owned {
            let Some(position) = owned.advance() else {
                continue;
            };
            owned.taken = Some(position);
            let taken = Taken {
                assignment: owned.assignment,
                position,
            };
            positions.insert(partition.clone(), taken);
            for line in &owned.lines {
                let batches = line.ledger.take_below(position);
                pieces.extend(batches.into_iter().map(|batch| Piece {
                    partition: partition.clone(),
                    assignment: owned.assignment,
                    line: line.clone(),
                    batch,
                }));
            }
        }
    }

    /// Whether the partition is still ours by the assignment it was taken under.
    pub(super) fn owns(&self, partition: &TopicPartition, assignment: u64) -> bool {
        let inner = self.lock();
        inner
            .owned
            .get(partition)
            .is_some_and(|owned| owned.assignment == assignment)
    }

    pub(super) fn set_committed(&self, positions: &BTreeMap<TopicPartition, Taken>) {
        let mut inner = self.lock();
        for (partition, taken) in positions {
            if let Some(owned) = inner.owned.get_mut(partition)
                && owned.assignment == taken.assignment
            {
                owned.committed = Some(taken.position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_under_an_earlier_assignment_counts_no_more() {
        let book = Book::default();
        let partition = TopicPartition::new("t", 0);
        book.own(&partition, Some(5), Vec::new());
        assert!(book.owns(&partition, 1));
        let taken = Taken {
            assignment: 1,
            position: 9,
        };
        let positions = BTreeMap::from([(partition.clone(), taken)]);
        // It goes and comes back while a transaction is under way.
        book.disown(&partition);
        assert!(!book.owns(&partition, 1));
        book.own(&partition, Some(7), Vec::new());
        assert!(!book.owns(&partition, 1) && book.owns(&partition, 2));
        book.set_committed(&positions);
        assert_eq!(book.committed(&partition), Some(7));
        let taken = Taken {
            assignment: 2,
            ..taken
        };
        book.set_committed(&BTreeMap::from([(partition.clone(), taken)]));
        assert_eq!(book.committed(&partition), Some(9));
    }
}
