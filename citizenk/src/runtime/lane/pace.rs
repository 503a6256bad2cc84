//! How many quick records settle and ship together.
//!
//! In: when a lane begins with records and when it settles them. Out: after how many it is to settle
//! again. Many records settled together cost less; none shall wait long for those behind it. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Before anything is known of the handler.
const FIRST: u32 = 64;
const MOST: u32 = 512;
/// A finished record waits about this long at most for the ones behind it.
const PATIENCE: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Pace {
    records: u32,
    since: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            records: FIRST,
            since: now,
        }
    }

    /// Settle after this many records.
    #[inline]
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// The lane begins with records after it had none, or after a call that waited.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// As many records as were asked for are settled.
    pub(super) fn settled(&mut self, now: Instant) {
        let took = now.saturating_duration_since(self.since);
        self.since = now;
        let most = self.records.saturating_mul(2).min(MOST);
        let fitting = u128::from(self.records) * PATIENCE.as_nanos() / took.as_nanos().max(1);
        self.records = u32::try_from(fitting).unwrap_or(most).clamp(1, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figure it comes to with a handler that takes so long.
    fn settles_at(each: Duration, rounds: usize) -> u32 {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..rounds {
            now += each * pace.records();
            pace.settled(now);
        }
        pace.records()
    }

    #[test]
    fn quick_records_settle_in_hundreds_and_slow_ones_alone() {
        assert_eq!(settles_at(Duration::ZERO, 3), MOST);
        assert_eq!(settles_at(Duration::from_micros(1), 3), MOST);
        assert_eq!(settles_at(Duration::from_micros(10), 8), 100);
        assert_eq!(settles_at(Duration::from_millis(5), 1), 1);
    }

    #[test]
    fn time_without_records_does_not_count() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.begin(start + Duration::from_secs(60));
        pace.settled(start + Duration::from_secs(60) + Duration::from_micros(64));
        assert_eq!(pace.records(), 2 * FIRST);
    }
}
