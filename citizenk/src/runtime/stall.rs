//! Whether a partition makes progress, and what it waits for when it does not.
//!
//! In: what a partition looks like, once a second ([`Observation`]). Out: a [`Change`] when a stall begins
//! or ends, and what to try when it is the client that delivers nothing ([`Remedy`]). Pure: one
//! [`StallWatch`] per assigned partition, owned by the dispatcher.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// A partition at one moment; of several lanes, the one that is behind all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Everything below is settled.
    pub(crate) position: Option<i64>,
    /// The next offset to hand over to the lanes.
    pub(crate) next: Option<i64>,
    /// The next offset the partition will give a record, as far as it is known.
    pub(crate) end: Option<i64>,
    /// Fetching was stopped because of its lanes.
    pub(crate) paused: bool,
    /// A lane waits on purpose: for another agent, for a batch to fill, for the time of a record.
    pub(crate) resting: bool,
    /// Attempts after the first, ever.
    pub(crate) retries: u64,
    /// How often refused outputs were sent again, ever.
    pub(crate) refusals: u64,
    /// Shipments of outputs that were sent, ever.
    pub(crate) shipped: u64,
    /// Shipments the broker has answered, ever.
    pub(crate) answered: u64,
}

impl Observation {
    fn state(&self) -> State {
        let handed_over = match (self.position, self.next) {
            (Some(position), Some(next)) => position < next,
            (None, next) => next.is_some(),
            (Some(_), None) => false,
        };
        if handed_over {
            return if self.resting {
                State::Content
            } else {
                State::Handling
            };
        }
        match (self.end, self.next) {
            // Paused with nothing to do: resumed at the dispatcher's next tick.
            (Some(end), Some(next)) if end > next && !self.paused => State::Fetching,
            _ => State::Content,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to do, or it waits on purpose.
    Content,
    /// The lanes have records.
    Handling,
    /// The broker has records, the lanes have none.
    Fetching,
}

/// What a stalled partition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A call of the handler.
    Handler,
    /// The handler failed and is tried again.
    Retry {
        /// Since the partition stands still.
        attempts: u64,
    },
    /// The broker's acknowledgement of outputs.
    Outputs,
    /// The Kafka client delivers nothing though there is something.
    Client,
    /// The thread that polls the client does not come back.
    Poll,
}

impl Cause {
    /// For metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Retry { .. } => "retry",
            Self::Outputs => "outputs",
            Self::Client => "client",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler => f.write_str("a handler call is running"),
            Self::Retry { attempts } => {
                write!(f, "the handler fails and was tried again {attempts} times")
            }
            Self::Outputs => {
                f.write_str("outputs are not acknowledged; is their topic's cluster well?")
            }
            Self::Client => {
                f.write_str("the Kafka client delivers nothing though there are records")
            }
            Self::Poll => f.write_str("the polling thread is held up"),
        }
    }
}

/// A stall that began or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// When the partition last made progress, or had nothing to do.
    pub(crate) since: Instant,
    pub(crate) cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Began(Stall),
    /// With its last cause.
    Ended(Stall),
}

/// What to try with a client that delivers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Seek to the own next offset.
    Seek,
    /// Stop fetching the partition and begin anew.
    Restart,
    /// Nothing helped: find out whether there is a record at all.
    Probe,
}

/// What a look asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) change: Option<Change>,
    pub(crate) remedy: Option<Remedy>,
    /// The known end may be old: ask the broker.
    pub(crate) ask_end: bool,
}

/// Watches one partition.
#[derive(Debug)]
pub(crate) struct StallWatch {
    /// Zero: watches nothing.
    after: Duration,
    since: Instant,
    state: State,
    position: Option<i64>,
    /// The counts when the partition last made progress.
    retries: u64,
    refusals: u64,
    answered: u64,
    stall: Option<Stall>,
    remedies: u32,
    asked: Instant,
    /// The client was shown to be alive with this end: what lies before it are no records (ends of
    /// transactions, aborted or compacted ones).
    empty_to: Option<i64>,
}

impl StallWatch {
    pub(crate) fn new(after: Duration, now: Instant) -> Self {
        Self {
            after,
            since: now,
            state: State::Content,
            position: None,
            retries: 0,
            refusals: 0,
            answered: 0,
            stall: None,
            remedies: 0,
            asked: now,
            empty_to: None,
        }
    }

    /// The stall that goes on.
    pub(crate) fn stall(&self) -> Option<Stall> {
        self.stall
    }

    /// The client answered: there is nothing to deliver up to this end.
    pub(crate) fn alive(&mut self, end: Option<i64>) {
        self.empty_to = self.empty_to.max(end);
    }

    /// Whether a remedy was tried and its effect is not yet known.
    pub(crate) fn is_healing(&self) -> bool {
        self.remedies > 0
    }

    /// Looks at the partition.
    pub(crate) fn look(&mut self, now: Instant, seen: &Observation) -> Verdict {
        if self.after.is_zero() {
            return Verdict::default();
        }
        let mut state = seen.state();
        if state == State::Fetching && seen.end <= self.empty_to {
            state = State::Content;
        }
        if state == State::Content || state != self.state || seen.position != self.position {
            self.since = now;
            self.state = state;
            self.position = seen.position;
            self.retries = seen.retries;
            self.refusals = seen.refusals;
            self.answered = seen.answered;
            self.remedies = 0;
            let ended = self.stall.take().map(Change::Ended);
            return Verdict {
                change: ended,
                remedy: None,
                ask_end: self.ask(now, state),
            };
        }
        let mut waiting = now.saturating_duration_since(self.since);
        if state == State::Fetching {
            // Nobody knew of the records for up to as long: until the broker was asked, and had answered.
            waiting += self.after / 3;
        }
        if waiting < self.after {
            return Verdict {
                ask_end: self.ask(now, state),
                ..Verdict::default()
            };
        }
        let stall = Stall {
            since: self.since,
            cause: self.cause(state, seen),
        };
        let change = self.stall.is_none().then_some(Change::Began(stall));
        self.stall = Some(stall);
        let due = waiting >= self.after * (self.remedies + 1);
        let remedy = (state == State::Fetching && due).then(|| {
            self.remedies += 1;
            match self.remedies {
                1 => Remedy::Seek,
                2 => Remedy::Restart,
                _ => Remedy::Probe,
            }
        });
        Verdict {
            change,
            remedy,
            ask_end: self.ask(now, state),
        }
    }

    /// A client that delivers nothing does not hear of new records either, so the broker is asked: now
    /// and then while there is nothing to do.
    fn ask(&mut self, now: Instant, state: State) -> bool {
        let asked = now.saturating_duration_since(self.asked);
        let due = state != State::Handling && asked >= self.ask_every();
        if due {
            self.asked = now;
        }
        due
    }

    /// Often enough that a silent client is known before the time is over.
    fn ask_every(&self) -> Duration {
        self.after / 4
    }

    fn cause(&self, state: State, seen: &Observation) -> Cause {
        if state == State::Fetching {
            return Cause::Client;
        }
        let attempts = seen.retries.saturating_sub(self.retries);
        if attempts > 0 {
            return Cause::Retry { attempts };
        }
        if seen.refusals > self.refusals {
            return Cause::Outputs;
        }
        // Answers still come: then the oldest record does not wait for one.
        if seen.shipped > seen.answered && seen.answered == self.answered {
            return Cause::Outputs;
        }
        Cause::Handler
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AFTER: Duration = Duration::from_secs(30);

    fn busy(position: i64) -> Observation {
        Observation {
            position: Some(position),
            next: Some(100),
            end: Some(100),
            ..Observation::default()
        }
    }

    fn starved() -> Observation {
        Observation {
            position: Some(100),
            next: Some(100),
            end: Some(150),
            ..Observation::default()
        }
    }

    /// Looks once a second for so long; all verdicts that say something.
    fn watch(
        watch: &mut StallWatch,
        from: &mut Instant,
        seconds: u64,
        seen: &Observation,
    ) -> Vec<(Option<Change>, Option<Remedy>)> {
        (0..seconds)
            .filter_map(|_| {
                *from += Duration::from_secs(1);
                let verdict = watch.look(*from, seen);
                (verdict.change.is_some() || verdict.remedy.is_some())
                    .then_some((verdict.change, verdict.remedy))
            })
            .collect()
    }

    fn cause(seen: &Observation, then: &Observation) -> Option<Cause> {
        let mut now = Instant::now();
        let mut stalls = StallWatch::new(AFTER, now);
        watch(&mut stalls, &mut now, 1, seen);
        watch(&mut stalls, &mut now, 31, then);
        stalls.stall().map(|stall| stall.cause)
    }

    #[test]
    fn causes_are_told_apart() {
        assert_eq!(cause(&busy(10), &busy(10)), Some(Cause::Handler));
        let retried = Observation {
            retries: 3,
            ..busy(10)
        };
        assert_eq!(
            cause(&busy(10), &retried),
            Some(Cause::Retry { attempts: 3 })
        );
        let refused = Observation {
            refusals: 1,
            ..busy(10)
        };
        assert_eq!(cause(&busy(10), &refused), Some(Cause::Outputs));
        let shipped = Observation {
            shipped: 2,
            answered: 1,
            ..busy(10)
        };
        assert_eq!(cause(&shipped, &shipped), Some(Cause::Outputs));
        let answering = Observation {
            shipped: 4,
            answered: 3,
            ..busy(10)
        };
        assert_eq!(cause(&shipped, &answering), Some(Cause::Handler));
        assert_eq!(cause(&starved(), &starved()), Some(Cause::Client));
    }

    #[test]
    fn who_waits_on_purpose_or_has_nothing_to_do_is_not_stalled() {
        for content in [
            Observation {
                resting: true,
                ..busy(10)
            },
            busy(100),
            Observation::default(),
            Observation {
                paused: true,
                ..starved()
            },
        ] {
            assert_eq!(cause(&content, &content), None, "{content:?}");
        }
    }

    #[test]
    fn a_stall_is_told_once_and_so_is_its_end() {
        let mut now = Instant::now();
        let mut stalls = StallWatch::new(AFTER, now);
        let told = watch(&mut stalls, &mut now, 300, &busy(10));
        assert!(matches!(told[..], [(Some(Change::Began(_)), None)]));
        let told = watch(&mut stalls, &mut now, 300, &busy(100));
        assert!(matches!(told[..], [(Some(Change::Ended(_)), None)]));
        assert_eq!(stalls.stall(), None);
    }

    #[test]
    fn a_silent_client_is_healed_step_by_step() {
        let mut now = Instant::now();
        let mut stalls = StallWatch::new(AFTER, now);
        let told = watch(&mut stalls, &mut now, 95, &starved());
        let remedies: Vec<_> = told.iter().filter_map(|(_, remedy)| *remedy).collect();
        assert_eq!(remedies, [Remedy::Seek, Remedy::Restart, Remedy::Probe]);
        // A busy lane is never healed away.
        let mut stalls = StallWatch::new(AFTER, now);
        let told = watch(&mut stalls, &mut now, 300, &busy(10));
        assert!(told.iter().all(|(_, remedy)| remedy.is_none()));
    }

    #[test]
    fn ends_that_are_no_records_are_no_stall() {
        let mut now = Instant::now();
        let mut stalls = StallWatch::new(AFTER, now);
        watch(&mut stalls, &mut now, 31, &starved());
        stalls.alive(starved().end);
        let told = watch(&mut stalls, &mut now, 300, &starved());
        assert!(matches!(told[..], [(Some(Change::Ended(_)), None)]));
        let more = Observation {
            end: Some(151),
            ..starved()
        };
        let told = watch(&mut stalls, &mut now, 32, &more);
        assert!(matches!(
            told[..],
            [(Some(Change::Began(_)), Some(Remedy::Seek))]
        ));
    }

    #[test]
    fn a_zero_time_watches_nothing_and_asks_nothing() {
        let mut now = Instant::now();
        let mut stalls = StallWatch::new(Duration::ZERO, now);
        for seen in [busy(10), starved()] {
            for _ in 0..100 {
                now += Duration::from_secs(100);
                assert_eq!(stalls.look(now, &seen), Verdict::default());
            }
        }
    }

    #[test]
    fn an_idle_partition_asks_for_its_end_now_and_then() {
        let mut now = Instant::now();
        let mut stalls = StallWatch::new(AFTER, now);
        let mut asked = 0;
        for _ in 0..120 {
            now += Duration::from_secs(1);
            asked += u32::from(stalls.look(now, &busy(100)).ask_end);
        }
        assert_eq!(asked, 15);
    }

    proptest! {
        /// Whatever is seen, a stall is told only when nothing moved for the whole time, beginnings and
        /// ends alternate, and nobody is given up before two other remedies were tried.
        #[test]
        fn no_false_alarm(looks in prop::collection::vec((0..4_i64, 0..3_i64, any::<bool>(), any::<bool>(), 1..20_u64), 1..200)) {
            let mut now = Instant::now();
            let mut stalls = StallWatch::new(AFTER, now);
            let mut moved = now;
            let mut last = None;
            let mut stalled = false;
            let mut tried = 0;
            for (position, ahead, resting, paused, seconds) in looks {
                now += Duration::from_secs(seconds);
                let seen = Observation { position: Some(position), next: Some(position.max(2)), end: Some(2 + ahead), resting, paused, ..Observation::default() };
                if last != Some(position) {
                    moved = now;
                    last = Some(position);
                }
                let verdict = stalls.look(now, &seen);
                match verdict.change {
                    Some(Change::Began(stall)) => {
                        // The last look for records may have been just before they came.
                        let least = if stall.cause == Cause::Client { AFTER - AFTER / 3 } else { AFTER };
                        prop_assert!(!stalled && now - moved >= least && stall.since >= moved);
                        stalled = true;
                    }
                    Some(Change::Ended(_)) => {
                        prop_assert!(stalled);
                        stalled = false;
                        tried = 0;
                    }
                    None => {}
                }
                match verdict.remedy {
                    Some(Remedy::Seek) => tried = 1,
                    Some(Remedy::Restart) => { prop_assert_eq!(tried, 1); tried = 2; }
                    Some(Remedy::Probe) => { prop_assert!(tried >= 2); }
                    None => {}
                }
                prop_assert_eq!(stalls.stall().is_some(), stalled);
            }
        }
    }
}
