//! Agents that share a consumer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Change;
use crate::policy::Guarantee;
use crate::runtime::dispatch::GroupAgent;
use crate::runtime::dispatch::orders::{AgentNumber, Orders};
use crate::runtime::engine::Group;
use crate::runtime::plan::AgentPlan;
use crate::runtime::seat::Seat;

/// What agents share a consumer by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) cluster: &'static str,
    pub(super) group: Option<String>,
    /// Without a group, agents with different start positions cannot share a consumer.
    pub(super) latest: bool,
    pub(super) guarantee: Guarantee,
}

impl Key {
    pub(super) fn of(plan: &AgentPlan) -> Self {
        Self {
            cluster: plan.cluster,
            group: plan.group.clone(),
            latest: plan.group.is_none() && plan.start_latest,
            guarantee: plan.guarantee,
        }
    }
}

/// An agent and where it sits.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Member {
    pub(in crate::runtime) number: AgentNumber,
    pub(in crate::runtime) plan: Arc<AgentPlan>,
    pub(in crate::runtime) seat: Arc<Seat>,
}

/// One consumer with its agents.
pub(super) struct Team {
    pub(super) number: usize,
    pub(super) key: Key,
    pub(super) name: String,
    pub(super) orders: Arc<Orders>,
    pub(super) running: Option<Group>,
    /// They come with the consumer, which has not started yet.
    pub(super) waiting: Vec<GroupAgent>,
    pub(super) members: Vec<Member>,
    pub(super) subscribed: BTreeSet<String>,
    pub(super) change: Option<Change>,
}

impl Team {
    pub(super) fn has(&self, member: &Member) -> bool {
        self.members.iter().any(|m| m.number == member.number)
    }

    pub(super) fn reads(&self, topic: &str) -> bool {
        self.members
            .iter()
            .any(|member| member.plan.reads(topic).is_some())
    }

    /// Another member that reads one of the agent's topics, and the topic.
    pub(super) fn shared(&self, plan: &AgentPlan, known: &Known) -> Option<(String, String)> {
        topics(plan, known).into_iter().find_map(|topic| {
            let other = self.members.iter().find(|member| {
                member.plan.spec.name != plan.spec.name && member.plan.reads(&topic).is_some()
            })?;
            Some((topic, other.plan.spec.name.clone()))
        })
    }
}

/// Topics by cluster, as far as agents with patterns need them.
pub(super) type Known = BTreeMap<&'static str, BTreeSet<String>>;

/// What an agent's consumer subscribes to for it, of the topics that are known.
pub(super) fn topics(plan: &AgentPlan, known: &Known) -> BTreeSet<String> {
    let matching = known
        .get(plan.cluster)
        .into_iter()
        .flatten()
        .filter(|topic| plan.patterns().any(|pattern| pattern.is_match(topic)));
    plan.consumed()
        .map(|topic| topic.to_string())
        .chain(matching.cloned())
        .collect()
}

/// The setting by which a change of topics takes everything from every member of the group, if there is
/// one.
pub(super) fn eager(settings: &BTreeMap<String, String>) -> Option<String> {
    let given = |key: &str| settings.get(key).map(String::as_str);
    if given("group.protocol") == Some("consumer") {
        return None;
    }
    let strategies = given("partition.assignment.strategy")?;
    let all = strategies.split(',').map(str::trim);
    all.clone()
        .any(|strategy| strategy != "cooperative-sticky")
        .then(|| strategies.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_and_roundrobin_take_everything_from_everybody() {
        let eager = |pairs: &[(&str, &str)]| {
            let settings = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            eager(&settings)
        };
        let strategy = "partition.assignment.strategy";
        assert_eq!(eager(&[]), None);
        assert_eq!(eager(&[(strategy, "cooperative-sticky")]), None);
        assert_eq!(eager(&[(strategy, "range")]).as_deref(), Some("range"));
        assert!(eager(&[(strategy, "range,cooperative-sticky")]).is_some());
        assert_eq!(
            eager(&[(strategy, "range"), ("group.protocol", "consumer")]),
            None
        );
    }
}
