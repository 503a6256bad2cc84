//! Whether a polling thread still comes round.
//!
//! In: a beat per round. Out: how long there was none; the watch thread reports a thread that does not
//! come back, because that thread itself cannot.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::stall::Cause;
use crate::telemetry::ConsumerMetrics;

/// The heart of one consumer's polling thread.
#[derive(Debug)]
pub(crate) struct Heart {
    name: String,
    /// Zero: nobody looks.
    after: Duration,
    start: Instant,
    /// Milliseconds since `start`.
    last: AtomicU64,
    stopped: AtomicBool,
    reported: AtomicBool,
    metrics: ConsumerMetrics,
}

impl Heart {
    pub(crate) fn new(name: String, after: Duration, metrics: ConsumerMetrics) -> Self {
        Self {
            name,
            after,
            start: Instant::now(),
            last: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            metrics,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The thread came round. Called by it alone.
    pub(crate) fn beat(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.start).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// The thread has ended as it should.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// For how long it did not come round, if that is too long.
    pub(crate) fn silence(&self, now: Instant) -> Option<Duration> {
        if self.after.is_zero() || self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let last = self.start + Duration::from_millis(self.last.load(Ordering::Relaxed));
        let silence = now.saturating_duration_since(last);
        (silence >= self.after).then_some(silence)
    }

    /// Reports a silence once, and its end.
    pub(crate) fn check(&self, now: Instant) {
        match self.silence(now) {
            Some(silence) if !self.reported.swap(true, Ordering::Relaxed) => {
                self.metrics.stalled(Cause::Poll.name());
                tracing::error!(
                    consumer = self.name,
                    silent = ?silence,
                    "the polling thread does not come round: nothing is read or committed, and the group will expel this member"
                );
            }
            None if self.reported.swap(false, Ordering::Relaxed) => {
                tracing::info!(consumer = self.name, "the polling thread comes round again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_silence_is_reported_once_and_counts_until_the_next_beat() {
        let metrics = Metrics::new();
        let after = Duration::from_secs(30);
        let heart = Heart::new("g".to_owned(), after, metrics.consumer("default", "g"));
        let start = Instant::now();
        heart.beat(start);
        assert_eq!(heart.silence(start + Duration::from_secs(29)), None);
        let late = start + Duration::from_secs(31);
        assert!(heart.silence(late).is_some_and(|silence| silence >= after));
        heart.check(late);
        heart.check(late);
        let line = "citizenk_stalls_total{group=\"g\",cause=\"poll\"} 1";
        assert!(metrics.render().contains(line), "{}", metrics.render());
        heart.beat(late);
        heart.check(late);
        assert_eq!(heart.silence(late), None);
        heart.stop();
        assert_eq!(heart.silence(late + after * 2), None);
    }
}
