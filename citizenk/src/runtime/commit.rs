//! When a group's offsets are committed.
//!
//! In: the interval, and how commits ended. Out: whether one is due. At the interval, and soon again after one
//! that failed: a group in the middle of a join refuses commits, and what is not committed when the process dies
//! is handled again. Pure; owned by the dispatcher.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause after a commit that failed; each further one is twice as long, up to the interval.
const AGAIN: Duration = Duration::from_millis(50);
/// The longest pause where the interval is shorter.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct CommitPace {
    /// Zero: at every look.
    every: Duration,
    /// `None`: nothing is committed here.
    due: Option<Instant>,
    in_flight: bool,
    failures: u32,
}

impl CommitPace {
    pub(crate) fn new(every: Duration, now: Instant) -> Self {
        Self {
            every,
            due: Some(now + every),
            in_flight: false,
            failures: 0,
        }
    }

    /// For who commits nothing: without a group, or where transactions do.
    pub(crate) fn never() -> Self {
        Self {
            every: Duration::ZERO,
            due: None,
            in_flight: false,
            failures: 0,
        }
    }

    /// Whether a commit is to be sent now, of what there is to commit; the next one is due an interval later.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = !self.in_flight && self.due.is_some_and(|due| now >= due);
        if due {
            self.due = Some(now + self.every);
        }
        due
    }

    /// A commit was sent.
    pub(crate) fn sent(&mut self) {
        self.in_flight = true;
    }

    /// The commit that was sent ended.
    pub(crate) fn ended(&mut self, succeeded: bool, now: Instant) {
        self.in_flight = false;
        if succeeded {
            self.failures = 0;
            return;
        }
        let most = if self.every.is_zero() {
            LONGEST
        } else {
            self.every
        };
        // 2^10 times the first pause is beyond every interval.
        let pause = AGAIN * (1 << self.failures.min(10));
        self.due = self.due.map(|_| now + pause.min(most));
        self.failures += 1;
    }

    /// Does not wait for the interval.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.due = self.due.map(|_| now);
    }

    /// How long until the next commit is due; `None`: there is no time to wait for, as long as one is on its
    /// way, whose end is heard of.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let every_look = self.every.is_zero() && self.failures == 0;
        let due = self.due.filter(|_| !every_look && !self.in_flight)?;
        Some(due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    #[test]
    fn who_has_nothing_to_commit_is_never_woken_for_it() {
        let now = Instant::now();
        let late = now + 10 * EVERY;
        let mut pace = CommitPace::never();
        pace.hurry(now);
        assert_eq!((pace.wait(late), pace.is_due(late)), (None, false));
        let mut pace = CommitPace::new(EVERY, now);
        assert!(pace.is_due(now + EVERY));
        pace.sent();
        assert_eq!(pace.wait(late), None, "it ends by itself");
        pace.ended(true, late);
        assert_eq!(pace.wait(late), Some(Duration::ZERO));
    }

    #[test]
    fn a_commit_that_failed_is_tried_again_soon_and_then_less_and_less() {
        let mut now = Instant::now();
        let mut pace = CommitPace::new(EVERY, now);
        assert!(!pace.is_due(now));
        now += EVERY;
        assert!(pace.is_due(now));
        pace.sent();
        now += EVERY;
        assert!(!pace.is_due(now), "one at a time");
        let mut pauses = Vec::new();
        for _ in 0..40 {
            pace.ended(false, now);
            let pause = pace.wait(now).expect("a time to wait for");
            assert!(!pace.is_due(now + pause - Duration::from_millis(1)));
            now += pause;
            assert!(pace.is_due(now));
            pace.sent();
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses[..6], [50, 100, 200, 400, 800, 1000]);
        assert!(pauses[6..].iter().all(|pause| *pause == 1000));
        pace.ended(true, now);
        assert_eq!(pace.wait(now), Some(EVERY));
    }

    #[test]
    fn without_an_interval_only_failures_are_waited_for() {
        let now = Instant::now();
        let mut pace = CommitPace::new(Duration::ZERO, now);
        assert!(pace.is_due(now) && pace.is_due(now));
        assert_eq!(pace.wait(now), None);
        pace.sent();
        pace.ended(false, now);
        assert!(!pace.is_due(now));
        assert_eq!(pace.wait(now), Some(AGAIN));
        assert!(pace.is_due(now + AGAIN));
        pace.sent();
        pace.ended(true, now + AGAIN);
        assert_eq!(pace.wait(now), None);
    }
}
