//! What happens to records that fail.
//!
//! In: an error and how often it was tried. Out: a decision ([`Decision`]): again after a pause, skip,
//! dead letter, stop. Pure: the lane that asked carries it out.

use std::time::Duration;

use crate::error::{AgentError, Wish};
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;

/// What to do with records that fail: `retry(n, ..)`, `skip`, `dead_letter(TOPIC)` or `stop`.
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
    DeadLetter(TopicInfo),
    Stop,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    RetryAfter(Duration),
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
            then: Then::Stop,
        }
    }

    /// Count, log and go on behind the record.
    #[must_use]
    pub const fn skip() -> Self {
        Self {
            retry: None,
            then: Then::Skip,
        }
    }

    /// Stop the service; the record is not committed.
    #[must_use]
    pub const fn stop() -> Self {
        Self {
            retry: None,
            then: Then::Stop,
        }
    }

    /// Send the record's bytes, key and headers, with the reason, to this topic.
    #[must_use]
    pub fn dead_letter<V: 'static, K: 'static>(topic: &Topic<V, K>) -> Self {
        Self {
            retry: None,
            then: Then::DeadLetter(TopicInfo::of(topic)),
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

    /// Skip when the tries are used up.
    #[must_use]
    pub fn then_skip(mut self) -> Self {
        self.then = Then::Skip;
        self
    }

    /// Dead letter when the tries are used up.
    #[must_use]
    pub fn then_dead_letter<V: 'static, K: 'static>(mut self, topic: &Topic<V, K>) -> Self {
        self.then = Then::DeadLetter(TopicInfo::of(topic));
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

    /// Decides after try number `attempt` (1 = the first) failed. A wish of the handler wins over the
    /// policy's end, but a wished dead letter needs a topic.
    pub(crate) fn decide(&self, error: &AgentError, attempt: u32) -> Decision {
        match error.wish() {
            None | Some(Wish::Retry) => self.decide_plain(attempt),
            Some(Wish::Skip) => Decision::Skip,
            Some(Wish::Stop) => Decision::Stop,
            Some(Wish::DeadLetter) if self.dead_letter_topic().is_some() => Decision::DeadLetter,
            Some(Wish::DeadLetter) => Decision::Stop,
        }
    }

    pub(crate) fn decide_plain(&self, attempt: u32) -> Decision {
        match self.retry {
            Some(retry) if attempt <= retry.count => Decision::RetryAfter(retry.pause(attempt)),
            _ => self.end(),
        }
    }

    pub(crate) fn end(&self) -> Decision {
        match self.then {
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
        match &self.retry {
            Some(retry) => write!(
                f,
                "retry({}, backoff = \"{:?}..{:?}\", then = {then})",
                retry.count, retry.first, retry.longest
            ),
            None => f.write_str(&then),
        }
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
            policy.decide(&error, 1),
            Decision::RetryAfter(Duration::from_millis(100))
        );
        assert_eq!(
            policy.decide(&error, 2),
            Decision::RetryAfter(Duration::from_millis(200))
        );
        assert_eq!(policy.decide(&error, 3), Decision::Skip);
    }

    #[test]
    fn a_wish_wins_but_a_dead_letter_needs_a_topic() {
        assert_eq!(
            Policy::retry(9).decide(&AgentError::skip("x"), 1),
            Decision::Skip
        );
        assert_eq!(
            Policy::skip().decide(&AgentError::dead_letter("x"), 1),
            Decision::Stop
        );
        assert_eq!(
            Policy::dead_letter(&DLQ).decide(&AgentError::dead_letter("x"), 1),
            Decision::DeadLetter
        );
        assert_eq!(
            Policy::dead_letter(&DLQ).decide(&AgentError::stop("x"), 1),
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
