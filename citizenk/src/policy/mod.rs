//! What happens to records that fail.
//!
//! In: an error, how often it was tried and how many retry topics the record has been through. Out: a
//! decision ([`Decision`]): again after a pause, skip, through a retry topic,
//! dead letter, stop. Pure: the lane that asked carries it out.

use std::time::Duration;

use crate::error::{AgentError, Wish};
use crate::time::Human;
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;

/// What to do with records that fail: `retry(n, ..)`, `retry_topics([..], ..)`, `skip`,
/// `dead_letter(TOPIC)` or `stop`.
///
/// Three places ask a policy: decoding, the handler, and the delivery of outputs. Nothing is dropped
/// silently: a skip is counted and logged with topic, partition and offset.
///
/// ```
/// use std::time::Duration;
/// use citizenk::prelude::*;
/// use citizenk::Policy;
///
/// const DLQ: Topic<RawBytes> = Topic::raw("orders.dlq");
/// let policy = Policy::retry(5)
///     .backoff(Duration::from_millis(100), Duration::from_secs(10))
///     .then_dead_letter(&DLQ);
/// assert_eq!(policy.to_string(), "retry(5, backoff = \"100ms..10s\", then = dead_letter(orders.dlq))");
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) retry: Option<Retry>,
    /// The delays of the retry topics, in the order a record passes through them.
    pub(crate) later: Vec<Duration>,
    pub(crate) then: Then,
}

/// How often and how fast to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Tries after the first one.
    pub(crate) count: u32,
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

/// What ends the tries.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    Skip,
    DeadLetter(Box<TopicInfo>),
    Stop,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    RetryAfter(Duration),
    /// To the agent's retry topic of this number; 0 is the first.
    Later(usize),
    Skip,
    DeadLetter,
    Stop,
}

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

impl Policy {
    /// Try again up to `count` times, then stop unless told otherwise. The pause starts at 100 ms and
    /// doubles up to 10 s. Meanwhile the partition waits, so that order holds.
    #[must_use]
    pub const fn retry(count: u32) -> Self {
        Self {
            retry: Some(Retry {
                count,
                first: FIRST_BACKOFF,
                longest: LONGEST_BACKOFF,
            }),
            later: Vec::new(),
            then: Then::Stop,
        }
    }

    /// Send the record to the agent's retry topic of the first delay and go on; when its time has come
    /// it is handled again, and after another failure it goes to the topic of the next delay. Stop after
    /// the last one unless told otherwise.
    ///
    /// The order of a key's records is given up for those that fail. For `on_error` only; every delay
    /// stands once and is above zero, otherwise the app does not build. See
    /// [`Policy::then_retry_topics`].
    #[must_use]
    pub fn retry_topics(delays: impl IntoIterator<Item = Duration>) -> Self {
        Self {
            retry: None,
            later: delays.into_iter().collect(),
            then: Then::Stop,
        }
    }

    /// Count, log and go on behind the record.
    #[must_use]
    pub const fn skip() -> Self {
        Self {
            retry: None,
            later: Vec::new(),
            then: Then::Skip,
        }
    }

    /// Stop the service; the record is not committed.
    #[must_use]
    pub const fn stop() -> Self {
        Self {
            retry: None,
            later: Vec::new(),
            then: Then::Stop,
        }
    }

    /// Send the record's bytes, key and headers, with the reason, to this topic.
    #[must_use]
    pub fn dead_letter<V: 'static, K: 'static>(topic: &Topic<V, K>) -> Self {
        Self {
            retry: None,
            later: Vec::new(),
            then: Then::DeadLetter(Box::new(TopicInfo::of(topic))),
        }
    }

    /// The first and the longest pause between tries.
    #[must_use]
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        if let Some(retry) = &mut self.retry {
            retry.first = first;
            retry.longest = longest;
        }
        self
    }

    /// Go on through retry topics when the tries are used up; each time the record comes back it is tried
    /// as often again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use citizenk::prelude::*;
    /// use citizenk::Policy;
    ///
    /// const DLQ: Topic<RawBytes> = Topic::raw("orders.dlq");
    /// let policy = Policy::retry(1)
    ///     .backoff(Duration::from_millis(100), Duration::from_secs(1))
    ///     .then_retry_topics([Duration::from_secs(30), Duration::from_secs(600)])
    ///     .then_dead_letter(&DLQ);
    /// assert_eq!(
    ///     policy.to_string(),
    ///     "retry(1, backoff = \"100ms..1s\", then = retry_topics([\"30s\", \"10m\"], then = dead_letter(orders.dlq)))"
    /// );
    /// ```
    #[must_use]
    pub fn then_retry_topics(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.later = delays.into_iter().collect();
        self
    }

    /// Skip when the tries are used up.
    #[must_use]
    pub fn then_skip(mut self) -> Self {
        self.then = Then::Skip;
        self
    }

    /// Dead letter when the tries are used up.
    #[must_use]
    pub fn then_dead_letter<V: 'static, K: 'static>(mut self, topic: &Topic<V, K>) -> Self {
        self.then = Then::DeadLetter(Box::new(TopicInfo::of(topic)));
        self
    }

    /// Stop when the tries are used up (the default).
    #[must_use]
    pub fn then_stop(mut self) -> Self {
        self.then = Then::Stop;
        self
    }

    pub(crate) fn dead_letter_topic(&self) -> Option<&TopicInfo> {
        match &self.then {
            Then::DeadLetter(topic) => Some(topic),
            Then::Skip | Then::Stop => None,
        }
    }

    /// Decides after try number `attempt` (1 = the first) failed of a record that has been through `stage`
    /// retry topics; tries are counted anew behind each. A wish of the handler wins over the
    /// policy's end, but a wished dead letter needs a topic.
    pub(crate) fn decide(&self, error: &AgentError, attempt: u32, stage: usize) -> Decision {
        match error.wish() {
            None | Some(Wish::Retry) => self.decide_plain(attempt, stage),
            Some(Wish::Skip) => Decision::Skip,
            Some(Wish::Stop) => Decision::Stop,
            Some(Wish::DeadLetter) if self.dead_letter_topic().is_some() => Decision::DeadLetter,
            Some(Wish::DeadLetter) => Decision::Stop,
        }
    }

    pub(crate) fn decide_plain(&self, attempt: u32, stage: usize) -> Decision {
        match self.retry {
            Some(retry) if attempt <= retry.count => Decision::RetryAfter(retry.pause(attempt)),
            _ => self.end(stage),
        }
    }

    pub(crate) fn end(&self, stage: usize) -> Decision {
        match self.then {
            _ if stage < self.later.len() => Decision::Later(stage),
            Then::Skip => Decision::Skip,
            Then::DeadLetter(_) => Decision::DeadLetter,
            Then::Stop => Decision::Stop,
        }
    }
}

impl Retry {
    /// The pause after try number `attempt`: doubles from `first` to `longest`.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.first
            .saturating_mul(factor.max(1))
            .min(self.longest.max(self.first))
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let then = match &self.then {
            Then::Skip => "skip".to_owned(),
            Then::DeadLetter(topic) => format!("dead_letter({})", topic.name),
            Then::Stop => "stop".to_owned(),
        };
        let then = match self.later.as_slice() {
            [] => then,
            delays => {
                let delays: Vec<String> = delays
                    .iter()
                    .map(|delay| format!("\"{}\"", Human(*delay)))
                    .collect();
                format!("retry_topics([{}], then = {then})", delays.join(", "))
            }
        };
        match &self.retry {
            Some(retry) => write!(
                f,
                "retry({}, backoff = \"{}..{}\", then = {then})",
                retry.count,
                Human(retry.first),
                Human(retry.longest)
            ),
            None => f.write_str(&then),
        }
    }
}

/// What is promised about records and their outputs when a worker or a broker fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// Nothing is lost; after a crash what was done since the last commit is done again. The default.
    #[default]
    AtLeastOnce,
    /// Outputs and the offsets of their inputs become visible together, in transactions of about
    /// 100 ms (KIP-98, KIP-447): for readers of committed records each output is there exactly once.
    /// What a handler does outside of its outbox may still happen twice. Needs brokers 2.5 or newer,
    /// not the embedded one.
    ExactlyOnce,
}

impl std::fmt::Display for Guarantee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AtLeastOnce => "at_least_once",
            Self::ExactlyOnce => "exactly_once",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RawBytes;

    const DLQ: Topic<RawBytes> = Topic::raw("dlq");

    #[test]
    fn tries_end_in_the_policys_end() {
        let policy = Policy::retry(2).then_skip();
        let error = AgentError::new("x");
        assert_eq!(
            policy.decide(&error, 1, 0),
            Decision::RetryAfter(Duration::from_millis(100))
        );
        assert_eq!(
            policy.decide(&error, 2, 0),
            Decision::RetryAfter(Duration::from_millis(200))
        );
        assert_eq!(policy.decide(&error, 3, 0), Decision::Skip);
    }

    #[test]
    fn retry_topics_come_between_the_tries_and_the_end() {
        let delays = [Duration::from_secs(30), Duration::from_secs(600)];
        let policy = Policy::retry(1).then_retry_topics(delays).then_skip();
        let (error, again) = (AgentError::new("x"), Duration::from_millis(100));
        for (stage, end) in [
            (0, Decision::Later(0)),
            (1, Decision::Later(1)),
            (2, Decision::Skip),
            (9, Decision::Skip),
        ] {
            assert_eq!(policy.decide(&error, 1, stage), Decision::RetryAfter(again));
            assert_eq!(policy.decide(&error, 2, stage), end, "stage {stage}");
        }
        assert_eq!(
            policy.decide(&AgentError::skip("x"), 1, 0),
            Decision::Skip,
            "a wish wins"
        );
        let alone = Policy::retry_topics(delays);
        assert_eq!(alone.decide_plain(1, 1), Decision::Later(1));
        assert_eq!(alone.decide_plain(1, 2), Decision::Stop);
        assert_eq!(
            alone.then_dead_letter(&DLQ).to_string(),
            "retry_topics([\"30s\", \"10m\"], then = dead_letter(dlq))"
        );
    }

    #[test]
    fn a_wish_wins_but_a_dead_letter_needs_a_topic() {
        assert_eq!(
            Policy::retry(9).decide(&AgentError::skip("x"), 1, 0),
            Decision::Skip
        );
        assert_eq!(
            Policy::skip().decide(&AgentError::dead_letter("x"), 1, 0),
            Decision::Stop
        );
        assert_eq!(
            Policy::dead_letter(&DLQ).decide(&AgentError::dead_letter("x"), 1, 0),
            Decision::DeadLetter
        );
        assert_eq!(
            Policy::dead_letter(&DLQ).decide(&AgentError::stop("x"), 1, 0),
            Decision::Stop
        );
    }

    proptest! {
        #[test]
        fn pauses_never_shrink_and_stay_within_bounds(first in 1..10_000u64, longest in 1..100_000u64, attempt in 1..200u32) {
            let retry = Retry { count: 200, first: Duration::from_millis(first), longest: Duration::from_millis(longest) };
            let (now, next) = (retry.pause(attempt), retry.pause(attempt + 1));
            prop_assert!(now <= next);
            prop_assert!(now >= retry.first && next <= retry.longest.max(retry.first));
        }
    }
}
