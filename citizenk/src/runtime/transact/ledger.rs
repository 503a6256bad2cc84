//! Outputs of one lane that wait for the watermark.
//!
//! In: batches of outputs, each with the span of input it came from. Out: the batches whose input every
//! lane of the partition is done with, in input order. An output must never enter a transaction without
//! its input's offset, nor an offset without its outputs: so a position that would cut a span in two is
//! drawn back to the span's beginning. Lanes whose spans end nowhere at the same offset are asked to meet:
//! each ends a span at one offset that all of them still have before them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::runtime::ack::{LaneAck, Ticket};
use crate::runtime::lane::inbox::Inbox;
use crate::staging::StagedBatch;

/// A lane with more than this waiting goes on only when a transaction took some of it, or as far as another lane waits
/// for it: at most to the end of what that one has taken out of its inbox.
const MAX_RECORDS: usize = 10_000;
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Cleared batches kept for the lane.
const SPARES: usize = 64;

#[derive(Debug)]
struct Page {
    /// The first offset of the span.
    from: i64,
    batch: StagedBatch,
}

/// Staged batches by the last offset of their span.
#[derive(Debug, Default)]
struct Pages {
    pages: BTreeMap<i64, Page>,
    records: usize,
    bytes: usize,
}

impl Pages {
    fn stage(&mut self, from: i64, through: i64, batch: StagedBatch) {
        self.records += batch.len();
        self.bytes += batch.byte_len();
        self.pages.insert(through, Page { from, batch });
    }

    /// The highest position up to `position` that lies between spans.
    fn boundary(&self, position: i64) -> i64 {
        match self.pages.range(position..).next() {
            Some((_, page)) if page.from < position => page.from,
            _ => position,
        }
    }

    fn take_below(&mut self, position: i64) -> impl Iterator<Item = StagedBatch> + use<> {
        let rest = self.pages.split_off(&position);
        let taken = std::mem::replace(&mut self.pages, rest);
        for page in taken.values() {
            self.records -= page.batch.len();
            self.bytes -= page.batch.byte_len();
        }
        taken.into_values().map(|page| page.batch)
    }
}

/// A lane's outputs on their way into a transaction.
#[derive(Debug)]
pub(crate) struct Ledger {
    pages: Mutex<Pages>,
    spares: Mutex<Vec<StagedBatch>>,
    lane: Arc<Inbox>,
    ack: Arc<LaneAck>,
    /// The next offset behind all that the lane took out of its inbox.
    read: AtomicI64,
    /// Where the lane is to end a span; [`NOWHERE`] unless lanes have to meet.
    meeting: AtomicI64,
}

/// Below every offset.
const NOWHERE: i64 = i64::MIN;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(super) fn new(lane: Arc<Inbox>, ack: Arc<LaneAck>) -> Self {
        Self {
            pages: Mutex::default(),
            spares: Mutex::default(),
            lane,
            ack,
            read: AtomicI64::new(NOWHERE),
            meeting: AtomicI64::new(NOWHERE),
        }
    }

    /// Notes that the lane has taken everything below `next` out of its inbox.
    pub(crate) fn took(&self, next: i64) {
        self.read.store(next, Ordering::SeqCst);
    }

    /// Whether another lane waits for this one to come further: room or not, it has to go on.
    pub(crate) fn is_awaited(&self) -> bool {
        let meeting = self.meeting.load(Ordering::SeqCst);
        meeting > NOWHERE && self.ack.position() < Some(meeting)
    }

    /// Whether the lane has read as far as it is awaited: its span has to end here.
    pub(crate) fn is_at_meeting(&self) -> bool {
        self.is_awaited() && self.read.load(Ordering::SeqCst) >= self.meeting.load(Ordering::SeqCst)
    }

    pub(super) fn read(&self) -> i64 {
        self.read.load(Ordering::SeqCst)
    }

    pub(super) fn meet_at(&self, offset: i64) {
        self.meeting.store(offset, Ordering::SeqCst);
        self.lane.notify.notify_one();
    }

    /// The lanes have met.
    pub(super) fn part(&self) {
        self.meeting.store(NOWHERE, Ordering::SeqCst);
    }

    /// Notes the outputs of a span; the span is to be settled after this and not before.
    pub(crate) fn stage(&self, span: Ticket, batch: StagedBatch) {
        lock(&self.pages).stage(span.from, span.through, batch);
    }

    /// Whether the lane has to wait before it stages more, unless it is awaited.
    pub(crate) fn is_full(&self) -> bool {
        let pages = lock(&self.pages);
        pages.records >= MAX_RECORDS || pages.bytes >= MAX_BYTES
    }

    /// An empty batch to stage into.
    pub(crate) fn spare(&self) -> StagedBatch {
        lock(&self.spares).pop().unwrap_or_default()
    }

    /// Takes a batch back once its transaction is over.
    pub(super) fn recycle(&self, mut batch: StagedBatch) {
        batch.clear();
        let mut spares = lock(&self.spares);
        if spares.len() < SPARES {
            spares.push(batch);
        }
    }

    pub(super) fn boundary(&self, position: i64) -> i64 {
        lock(&self.pages).boundary(position)
    }

    pub(super) fn take_below(&self, position: i64) -> Vec<StagedBatch> {
        let taken: Vec<_> = lock(&self.pages).take_below(position).collect();
        if !taken.is_empty() {
            self.lane.notify.notify_one();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(records: usize) -> StagedBatch {
        let mut batch = StagedBatch::default();
        (0..records).for_each(|_| batch.record(0).finish(Some(b"x")));
        batch
    }

    #[test]
    fn a_position_inside_a_span_is_drawn_back_to_its_beginning() {
        let mut pages = Pages::default();
        pages.stage(0, 9, batch(2));
        pages.stage(20, 29, batch(3));
        assert_eq!(pages.boundary(5), 0);
        assert_eq!(pages.boundary(10), 10);
        assert_eq!(pages.boundary(15), 15);
        assert_eq!(pages.boundary(25), 20);
        assert_eq!(pages.boundary(30), 30);
        assert_eq!(
            pages
                .take_below(20)
                .map(|taken| taken.len())
                .collect::<Vec<_>>(),
            [2]
        );
        assert_eq!((pages.records, pages.bytes), (3, 3));
    }

    proptest! {
        /// Whatever the spans and positions: what is taken below a boundary is exactly the outputs of
        /// the offsets below it, each once and in order.
        #[test]
        fn outputs_and_offsets_never_part(
            lengths in prop::collection::vec(1..20i64, 1..40),
            mut cuts in prop::collection::vec(0..800i64, 1..20),
        ) {
            let mut pages = Pages::default();
            let mut from = 0;
            let mut spans = Vec::new();
            for (number, length) in lengths.iter().enumerate() {
                let through = from + length - 1;
                // Every third span has no outputs and is never staged.
                if number % 3 != 2 {
                    pages.stage(from, through, batch(usize::try_from(*length).expect("small")));
                }
                spans.push((from, through, number % 3 != 2));
                from = through + 1;
            }
            cuts.sort_unstable();
            let mut taken = 0;
            for cut in cuts {
                let boundary = pages.boundary(cut.min(from));
                prop_assert!(boundary <= cut);
                taken += pages.take_below(boundary).map(|batch| batch.len() as i64).sum::<i64>();
                let due: i64 = spans.iter().filter(|(_, through, staged)| *staged && *through < boundary).map(|(from, through, _)| through - from + 1).sum();
                let cut_in_two = spans.iter().any(|(from, through, staged)| *staged && *from < boundary && *through >= boundary);
                prop_assert!(!cut_in_two);
                prop_assert_eq!(taken, due);
            }
        }
    }
}
