//! Agents as resolved for one run: names on the broker, policies, output tables.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use crate::agent::AgentSpec;
use crate::extract::OutputTable;
use crate::middleware::Around;
use crate::policy::{Guarantee, Policy};
use crate::topic::describe::TopicInfo;

/// Holds an agent's failed records for one delay: `<group>.<agent>.retry.<delay>`.
#[derive(Debug)]
pub(crate) struct RetryTopic {
    pub(crate) delay: Duration,
    pub(crate) info: TopicInfo,
    /// The name on the broker.
    pub(crate) real: Arc<str>,
    /// Its index in the agent's output table.
    pub(crate) output: usize,
}

/// One agent of a running app.
#[derive(Debug)]
pub(crate) struct AgentPlan {
    pub(crate) spec: AgentSpec,
    /// For messages: "agent `orders`".
    pub(crate) component: String,
    /// The modules it stands in, joined by `/`; empty: none.
    pub(crate) module: String,
    /// Where its topics are.
    pub(crate) cluster: &'static str,
    /// `None`: reads without a group.
    pub(crate) group: Option<String>,
    /// The topics' names on the broker, in the order of `spec.topics`.
    pub(crate) real_topics: Vec<Arc<str>>,
    /// Of topics whose name begins with `^`: what the names of the topics it reads must match.
    pub(crate) matching: Vec<Option<Regex>>,
    pub(crate) start_latest: bool,
    pub(crate) guarantee: Guarantee,
    /// Where records go that fail, and come back from; in the order they pass through them.
    pub(crate) retry_topics: Vec<RetryTopic>,
    pub(crate) on_decode: Policy,
    pub(crate) on_error: Policy,
    pub(crate) on_produce: Policy,
    /// Everything the agent may write: output, sends, dead-letter topics.
    pub(crate) table: Arc<OutputTable>,
    /// The middlewares around its calls, if there are any.
    pub(crate) around: Option<Around>,
}

impl AgentPlan {
    /// What the names of further topics match that it reads, as named on the broker.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Regex> {
        self.matching.iter().flatten()
    }

    /// The topics its consumer subscribes to for it, as named on the broker, but for its patterns.
    pub(crate) fn consumed(&self) -> impl Iterator<Item = &Arc<str>> {
        let retries = self.retry_topics.iter().map(|topic| &topic.real);
        let own = self.real_topics.iter().zip(&self.matching);
        own.filter(|(_, pattern)| pattern.is_none())
            .map(|(topic, _)| topic)
            .chain(retries)
    }

    /// Whether and how the agent reads a topic: which of its own it is, or its number among the retry
    /// topics, from 1.
    pub(crate) fn reads(&self, topic: &str) -> Option<(usize, usize)> {
        let own = self.real_topics.iter().position(|real| **real == *topic);
        let retry = || {
            self.retry_topics
                .iter()
                .position(|retry| *retry.real == *topic)
        };
        let matching = || {
            let matches = |pattern: &Option<Regex>| {
                pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.is_match(topic))
            };
            self.matching.iter().position(matches)
        };
        own.map(|input| (input, 0))
            .or_else(|| retry().map(|number| (0, number + 1)))
            .or_else(|| matching().map(|input| (input, 0)))
    }
}
