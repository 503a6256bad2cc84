//! When recorded records are due: the gaps between them are those between their timestamps.

use serde::{Deserialize, Serialize};

/// How fast time runs; 0: nobody waits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Speed(f64);

impl Speed {
    /// As recorded.
    pub const RECORDED: Self = Self(1.0);

    /// The factor.
    #[must_use]
    pub fn factor(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Speed {
    type Error = String;

    fn try_from(factor: f64) -> Result<Self, String> {
        if (0.0..=1e6).contains(&factor) {
            Ok(Self(factor))
        } else {
            Err(format!(
                "a speed is from 0 (nobody waits) to 1000000, not {factor}"
            ))
        }
    }
}

impl From<Speed> for f64 {
    fn from(speed: Speed) -> Self {
        speed.0
    }
}

/// The clock of one replay. Times are milliseconds: `now` of a clock that never goes back, `recorded` of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayClock {
    /// The recorded time that was due at `since`.
    recorded: i64,
    since: i64,
    speed: Speed,
    paused: bool,
    /// The latest recorded time so far: earlier ones are due at once.
    reached: i64,
}

impl ReplayClock {
    /// The record of `first` is due now.
    #[must_use]
    pub fn start(first: i64, now: i64, speed: Speed) -> Self {
        Self {
            recorded: first,
            since: now,
            speed,
            paused: false,
            reached: first,
        }
    }

    /// When the next record of the file is due; `None`: the replay is paused. File order wins: a timestamp that
    /// is missing or goes back is due with the record before.
    pub fn due(&mut self, recorded: Option<i64>) -> Option<i64> {
        if self.paused {
            return None;
        }
        self.reached = recorded.map_or(self.reached, |at| self.reached.max(at));
        if self.speed.0 == 0.0 {
            return Some(self.since);
        }
        // Exact for millennia; a saturated sum is far away all the same.
        let ahead = self.reached.saturating_sub(self.recorded) as f64 / self.speed.0;
        Some(self.since.saturating_add(ahead as i64))
    }

    /// The recorded time that is due now.
    #[must_use]
    pub fn position(&self, now: i64) -> i64 {
        if self.paused {
            return self.recorded;
        }
        if self.speed.0 == 0.0 {
            return self.reached;
        }
        let passed = now.saturating_sub(self.since) as f64 * self.speed.0;
        self.recorded.saturating_add(passed as i64)
    }

    /// Stops time.
    pub fn pause(&mut self, now: i64) {
        self.recorded = self.position(now);
        (self.since, self.paused) = (now, true);
    }

    /// Lets it go on.
    pub fn resume(&mut self, now: i64) {
        if self.paused {
            (self.since, self.paused) = (now, false);
        }
    }

    /// Whether time stands still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// How fast it runs.
    #[must_use]
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Changes how fast it runs, from now on.
    pub fn set_speed(&mut self, speed: Speed, now: i64) {
        self.recorded = self.position(now);
        (self.since, self.speed) = (now, speed);
    }

    /// Goes to a recorded time; the records from there on are due from now on.
    pub fn seek(&mut self, recorded: i64, now: i64) {
        (self.recorded, self.reached, self.since) = (recorded, recorded, now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn speed(factor: f64) -> Speed {
        Speed::try_from(factor).expect("valid")
    }

    #[test]
    fn gaps_are_kept_and_the_file_order_wins() {
        let mut clock = ReplayClock::start(1_000, 50_000, Speed::RECORDED);
        let due: Vec<_> = [
            Some(1_000),
            Some(1_500),
            None,
            Some(1_200),
            Some(1_500),
            Some(3_000),
        ]
        .map(|at| clock.due(at).expect("not paused"))
        .into();
        assert_eq!(due, [50_000, 50_500, 50_500, 50_500, 50_500, 52_000]);
        assert!(Speed::try_from(-1.0).is_err() && Speed::try_from(f64::NAN).is_err());
    }

    #[test]
    fn a_pause_a_speed_and_a_seek_move_what_follows() {
        let mut clock = ReplayClock::start(0, 0, speed(2.0));
        assert_eq!(clock.due(Some(1_000)), Some(500));
        clock.pause(600);
        assert_eq!(
            (clock.due(Some(2_000)), clock.position(9_000)),
            (None, 1_200)
        );
        clock.resume(10_000);
        assert_eq!(clock.due(Some(2_000)), Some(10_400));
        clock.set_speed(speed(0.5), 10_400);
        assert_eq!(clock.due(Some(3_000)), Some(12_400));
        clock.seek(100_000, 20_000);
        assert_eq!(clock.due(Some(100_500)), Some(21_000));
        clock.set_speed(speed(0.0), 21_000);
        assert_eq!(clock.due(Some(999_999)), Some(21_000));
    }

    proptest! {
        #[test]
        fn due_times_never_go_back_and_keep_gaps(
            stamps in prop::collection::vec(prop::option::weighted(0.9, 0_i64..100_000), 1..50), factor in 0.0_f64..10.0,
        ) {
            let first = stamps.iter().flatten().copied().next().unwrap_or(0);
            let mut clock = ReplayClock::start(first, 7, speed(factor));
            let (mut last, mut reached) = (i64::MIN, first);
            for stamp in stamps {
                let due = clock.due(stamp).expect("not paused");
                prop_assert!(due >= last && due >= 7);
                reached = stamp.map_or(reached, |stamp| reached.max(stamp));
                if factor > 0.0 {
                    let exact = 7.0 + (reached - first) as f64 / factor;
                    prop_assert!((due as f64 - exact).abs() <= 1.0, "{due} {exact}");
                }
                last = due;
            }
        }
    }
}
