//! The state that every contestant counts its records in, and that notes the milestones of a run.
//!
//! In: one call per record. Out: the marks at the first record, after a fifth of them (from where on
//! things are steady), and at the last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::usage::Mark;

/// Cheap to clone: one counter behind all clones.
#[derive(Clone, Debug)]
pub(crate) struct Counts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: u64,
    warm: u64,
    seen: AtomicU64,
    first: OnceLock<Mark>,
    warmed: OnceLock<Mark>,
    last: OnceLock<Mark>,
    reached: Notify,
}

/// The milestones of a run that reached its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Milestones {
    pub(crate) first: Mark,
    pub(crate) warmed: Mark,
    pub(crate) last: Mark,
    /// Records between `warmed` and `last`.
    pub(crate) steady: u64,
    /// All records that were counted; more than wanted when some came twice.
    pub(crate) seen: u64,
}

impl Counts {
    /// Expects so many records, at least two.
    pub(crate) fn new(target: u64) -> Self {
        let target = target.max(2);
        Self(Arc::new(Inner {
            target,
            warm: target / 5,
            seen: AtomicU64::new(0),
            first: OnceLock::new(),
            warmed: OnceLock::new(),
            last: OnceLock::new(),
            reached: Notify::new(),
        }))
    }

    /// Counts a record.
    #[inline]
    pub(crate) fn count(&self) {
        let before = self.0.seen.fetch_add(1, Ordering::Relaxed);
        if before == 0 || before == self.0.warm || before + 1 == self.0.target {
            self.milestone(before);
        }
    }

    #[cold]
    fn milestone(&self, before: u64) {
        let inner = &self.0;
        // Each is set once: the counter passes each number once.
        if before == 0 {
            let _ = inner.first.set(Mark::now());
        }
        if before == inner.warm {
            let _ = inner.warmed.set(Mark::now());
        }
        if before + 1 == inner.target {
            let _ = inner.last.set(Mark::now());
            inner.reached.notify_waiters();
        }
    }

    pub(crate) fn target(&self) -> u64 {
        self.0.target
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0.last.get().is_some()
    }

    /// Completes when the last record was counted.
    pub(crate) async fn done(&self) {
        let reached = self.0.reached.notified();
        tokio::pin!(reached);
        reached.as_mut().enable();
        if !self.is_done() {
            reached.await;
        }
    }

    /// The milestones, or how many records were seen when some are missing.
    pub(crate) fn milestones(&self) -> Result<Milestones, String> {
        let inner = &self.0;
        let seen = inner.seen.load(Ordering::Relaxed);
        match (inner.first.get(), inner.warmed.get(), inner.last.get()) {
            (Some(first), Some(warmed), Some(last)) => Ok(Milestones {
                first: *first,
                warmed: *warmed,
                last: *last,
                steady: inner.target - inner.warm - 1,
                seen,
            }),
            _ => Err(format!("only {seen} of {} records were seen", inner.target)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_come_with_the_last_record() {
        let counts = Counts::new(10);
        for _ in 0..9 {
            counts.count();
        }
        assert!(!counts.is_done());
        assert_eq!(
            counts.milestones().unwrap_err(),
            "only 9 of 10 records were seen"
        );
        counts.clone().count();
        let milestones = counts.milestones().unwrap();
        assert_eq!((milestones.seen, milestones.steady), (10, 7));
        assert!(milestones.last.wall_since(&milestones.first) >= 0.0);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_record() {
        let counts = Counts::new(2);
        let other = counts.clone();
        tokio::join!(counts.done(), async move {
            other.count();
            tokio::task::yield_now().await;
            other.count();
        });
        // And at once when it has passed.
        counts.done().await;
    }
}
