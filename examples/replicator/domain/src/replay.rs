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

/// A timestamp that says something: negative ones stand for none.
#[must_use]
pub fn known(timestamp: Option<i64>) -> Option<i64> {
    timestamp.filter(|at| *at >= 0)
}

/// What a replay does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It sends the record of this number, which was due at this time of the clock.
    Send {
        /// The record's number, from 0.
        index: usize,
        /// When it was due.
        due: i64,
    },
    /// It waits until this time of the clock.
    Wait(i64),
    /// It stands still until it is told to go on.
    Paused,
    /// No record is left; a seek may still lead back.
    End,
}

/// The replay of one file: which record is next, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Player {
    /// Its time.
    clock: ReplayClock,
    next: usize,
    records: usize,
    drift: i64,
    span: (Option<i64>, Option<i64>),
}

impl Player {
    /// Of so many records, with the first and the last timestamp of the file. The record of `first` is due now.
    #[must_use]
    pub fn start(
        records: usize,
        span: (Option<i64>, Option<i64>),
        first: i64,
        now: i64,
        speed: Speed,
    ) -> Self {
        Self {
            clock: ReplayClock::start(first, now, speed),
            next: 0,
            records,
            drift: 0,
            span,
        }
    }

    /// What to do now. `stamp` tells a record's timestamp.
    pub fn step(&mut self, now: i64, stamp: impl Fn(usize) -> Option<i64>) -> Step {
        if self.is_over() {
            return Step::End;
        }
        match self.clock.due(known(stamp(self.next))) {
            None => Step::Paused,
            Some(due) if due > now => Step::Wait(due),
            Some(due) => {
                let index = self.next;
                self.next += 1;
                // Nobody waits for anything: nothing is late.
                let due = if self.clock.speed.0 == 0.0 { now } else { due };
                self.drift = now.saturating_sub(due);
                Step::Send { index, due }
            }
        }
    }

    /// Goes to the first record at or after a recorded time, behind the last one where there is none. Time before the
    /// first record is not waited for.
    pub fn seek(&mut self, recorded: i64, now: i64, stamp: impl Fn(usize) -> Option<i64>) {
        let recorded = self.span.0.map_or(recorded, |first| recorded.max(first));
        let at = |index: &usize| known(stamp(*index)).is_some_and(|at| at >= recorded);
        self.next = (0..self.records).find(at).unwrap_or(self.records);
        self.clock.seek(recorded, now);
    }

    /// From the first record again, unless something led back already; the record of `first` is due now.
    pub fn again(&mut self, first: i64, now: i64) {
        if self.is_over() {
            self.next = 0;
            self.clock.seek(first, now);
        }
    }

    /// Stops time.
    pub fn pause(&mut self, now: i64) {
        self.clock.pause(now);
    }

    /// Lets it go on.
    pub fn resume(&mut self, now: i64) {
        self.clock.resume(now);
    }

    /// Changes how fast it runs, from now on.
    pub fn set_speed(&mut self, speed: Speed, now: i64) {
        self.clock.set_speed(speed, now);
    }

    /// Whether time stands still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.clock.is_paused()
    }

    /// Whether no record is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.next >= self.records
    }

    /// How fast it runs.
    #[must_use]
    pub fn speed(&self) -> Speed {
        self.clock.speed()
    }

    /// How many records are behind it.
    #[must_use]
    pub fn done(&self) -> usize {
        self.next
    }

    /// How late the last record was, in milliseconds.
    #[must_use]
    pub fn drift(&self) -> i64 {
        self.drift
    }

    /// The recorded time that is due now; behind the last record time is over.
    #[must_use]
    pub fn position(&self, now: i64) -> i64 {
        let position = self.clock.position(now);
        match self.span.1.filter(|_| self.is_over()) {
            Some(last) => position.min(last),
            None => position,
        }
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

    /// Plays a file with these timestamps from the first one, at the time 0 of the clock.
    fn player(stamps: &[i64], factor: f64) -> Player {
        let known: Vec<i64> = stamps.iter().copied().filter(|at| *at >= 0).collect();
        let span = (known.first().copied(), known.last().copied());
        Player::start(stamps.len(), span, span.0.unwrap_or(0), 0, speed(factor))
    }

    #[test]
    fn what_says_no_time_or_an_earlier_one_follows_the_record_before() {
        let stamps = [-1, 5_000, -1, 4_000, 6_000];
        let mut player = player(&stamps, 1.0);
        let stamp = |index: usize| Some(stamps[index]);
        for index in 0..4 {
            assert_eq!(player.step(0, stamp), Step::Send { index, due: 0 });
        }
        assert_eq!(player.step(0, stamp), Step::Wait(1_000));
        assert_eq!(player.drift(), 0);
    }

    #[test]
    fn what_changes_during_a_wait_counts_for_the_rest_of_it() {
        let stamps = [0, 10_000];
        let mut player = player(&stamps, 1.0);
        let stamp = |index: usize| Some(stamps[index]);
        assert_eq!(player.step(0, stamp), Step::Send { index: 0, due: 0 });
        assert_eq!(player.step(0, stamp), Step::Wait(10_000));
        player.set_speed(speed(2.0), 4_000);
        assert_eq!(player.step(4_000, stamp), Step::Wait(7_000));
        player.pause(5_000);
        player.pause(5_500);
        assert_eq!(player.step(60_000, stamp), Step::Paused);
        assert_eq!(player.position(60_000), 6_000);
        player.set_speed(speed(4.0), 70_000);
        assert_eq!(player.step(70_000, stamp), Step::Paused);
        player.resume(80_000);
        player.resume(80_500);
        assert_eq!(player.step(80_500, stamp), Step::Wait(81_000));
        player.set_speed(speed(0.0), 80_600);
        let sent = Step::Send {
            index: 1,
            due: 80_700,
        };
        assert_eq!(player.step(80_700, stamp), sent);
        assert_eq!((player.step(90_000, stamp), player.drift()), (Step::End, 0));
    }

    #[test]
    fn a_seek_leads_anywhere_and_waits_for_nothing_that_is_not_there() {
        let stamps = [1_000, 2_000, 9_000];
        let mut player = player(&stamps, 1.0);
        let stamp = |index: usize| Some(stamps[index]);
        // Long before the first record; into a gap; beyond the end, and back from there.
        player.seek(0, 50, stamp);
        assert_eq!(player.step(50, stamp), Step::Send { index: 0, due: 50 });
        player.seek(8_000, 100, stamp);
        assert_eq!(player.step(100, stamp), Step::Wait(1_100));
        player.seek(99_000, 200, stamp);
        assert_eq!(player.step(200, stamp), Step::End);
        assert_eq!((player.position(900), player.done()), (9_000, 3));
        player.seek(2_000, 1_000, stamp);
        let back = Step::Send {
            index: 1,
            due: 1_000,
        };
        assert_eq!(player.step(1_000, stamp), back);
        // A seek that came at the very end is not undone by the next round.
        player.seek(9_000, 1_500, stamp);
        player.again(1_000, 1_600);
        assert_eq!(player.done(), 2);
        assert_eq!(
            player.step(1_600, stamp),
            Step::Send {
                index: 2,
                due: 1_500
            }
        );
        player.again(1_000, 1_700);
        assert_eq!((player.done(), player.position(1_700)), (0, 1_000));
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
