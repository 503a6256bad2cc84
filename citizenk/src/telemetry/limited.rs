//! A log line that may be wanted often, but not a thousand times a second.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Clock;

/// Lets one line through per period and counts what it held back; the next line says how many.
///
/// ```ignore
/// if let Some(suppressed) = self.limited.allow() {
///     tracing::warn!("skipped a record of {topic}{suppressed}");
/// }
/// ```
#[derive(Debug)]
pub(crate) struct Limited {
    per: Duration,
    clock: Clock,
    /// Milliseconds of the clock from which the next line may pass.
    next: AtomicU64,
    suppressed: AtomicU64,
}

/// How many lines were held back since the last; prints ` (and 12 more like it)` or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suppressed(pub(crate) u64);

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " (and {count} more like it)"),
        }
    }
}

impl Limited {
    /// One line per period, the first at once.
    pub(crate) fn new(per: Duration, clock: Clock) -> Self {
        Self {
            per,
            clock,
            next: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written now, and how many were not since the last one. Any thread.
    pub(crate) fn allow(&self) -> Option<Suppressed> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.clock.elapsed());
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(millis(self.per));
        // Of several threads that see the period over, one wins and writes.
        if now >= next
            && self
                .next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            return Some(Suppressed(self.suppressed.swap(0, Ordering::Relaxed)));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// What was held back and not yet said: to be logged when the service stops.
    pub(crate) fn pending(&self) -> Suppressed {
        Suppressed(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn paused<F: Future>(test: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(test)
    }

    #[test]
    fn one_line_per_period_and_the_rest_is_counted() {
        paused(async {
            let limited = Limited::new(Duration::from_secs(1), Clock::tokio(DateTime::UNIX_EPOCH));
            assert_eq!(limited.allow(), Some(Suppressed(0)));
            assert_eq!(limited.allow(), None);
            assert_eq!(limited.allow(), None);
            tokio::time::advance(Duration::from_millis(999)).await;
            assert_eq!(limited.allow(), None);
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(limited.allow(), Some(Suppressed(3)));
            assert_eq!(limited.allow(), None);
            assert_eq!(limited.pending(), Suppressed(1));
            assert_eq!(limited.pending(), Suppressed(0));
        });
        assert_eq!(Suppressed(0).to_string(), "");
        assert_eq!(Suppressed(12).to_string(), " (and 12 more like it)");
    }

    proptest! {
        #[test]
        fn every_line_is_written_or_counted(pauses in prop::collection::vec(0..3_000_u64, 1..40)) {
            paused(async {
                let limited = Limited::new(Duration::from_secs(1), Clock::tokio(DateTime::UNIX_EPOCH));
                let mut said = 0;
                for pause in &pauses {
                    tokio::time::advance(Duration::from_millis(*pause)).await;
                    if let Some(Suppressed(count)) = limited.allow() {
                        said += 1 + count;
                    }
                }
                assert_eq!(said + limited.pending().0, pauses.len() as u64);
            });
        }
    }
}
