//! What is wrong between components, each of which is right by itself.

use std::collections::BTreeMap;

use super::after;
use super::assemble::{Assembled, Checks, Flat};
use super::component::Kind;
use crate::agent::{AgentSpec, is_bytes, is_undecoded};
use crate::error::BuildIssue;
use crate::policy::Guarantee;
use crate::runtime::engine::PlannedAgent;
use crate::runtime::plan::AgentPlan;
use crate::suggest::did_you_mean;
use crate::timer::Placement;

impl Checks<'_> {
    /// Offsets belong to (group, topic): who shares both shares one start position and one guarantee.
    pub(super) fn groups(&mut self, agents: &[PlannedAgent]) {
        let mut seen: BTreeMap<(&str, &str, &str), &AgentPlan> = BTreeMap::new();
        let mut issues = Vec::new();
        for PlannedAgent { plan, .. } in agents {
            let Some(group) = &plan.group else { continue };
            for topic in &plan.real_topics {
                let key = (plan.cluster, &**group, &**topic);
                let Some(other) = seen.get(&key) else {
                    seen.insert(key, plan);
                    continue;
                };
                let name = &other.spec.name;
                if other.start_latest != plan.start_latest {
                    issues.push((
                        plan.clone(),
                        format!(
                            "starts topic `{topic}` elsewhere than agent `{name}`, but both are in group `{group}`; give one of them `group = \"..\"`"
                        ),
                    ));
                }
                if other.guarantee != plan.guarantee {
                    issues.push((
                        plan.clone(),
                        format!(
                            "reads topic `{topic}` with guarantee {}, agent `{name}` of the same group `{group}` with {}; a record is committed once for both, so give them the same `guarantee` or one of them `group = \"..\"`",
                            plan.guarantee, other.guarantee
                        ),
                    ));
                }
            }
        }
        for (plan, message) in issues {
            self.agent_issue(&plan.spec, message);
        }
    }

    /// All that is said about one topic must be the same. What an agent passes on as bytes may go to a topic
    /// whose values others know.
    pub(super) fn formats(&mut self, component: &str, spec: &AgentSpec) {
        let undecoded = !spec.topics.is_empty() && spec.topics.iter().all(is_undecoded);
        for topic in spec.topics.iter().chain(spec.written()) {
            if !(undecoded && is_bytes(topic) && self.topics.contains_key(topic.name)) {
                self.topic(component, topic);
            }
        }
    }

    /// With exactly once the runtime owns what of transactions is read.
    pub(super) fn isolation(&mut self, plan: &AgentPlan) {
        if let Some(source) = self.overrides.uncommitted.get(plan.cluster)
            && plan.guarantee == Guarantee::ExactlyOnce
        {
            let message = format!(
                "runs exactly once, where the consumer setting `isolation.level` ({source}) must be `read_committed`, its default: else records of transactions that are aborted would be handled, and then the ones sent in their place; remove the setting, or read with guarantee at least once in a program of its own"
            );
            self.agent_issue(&plan.spec, message);
        }
    }

    pub(super) fn after(&mut self, agents: &[PlannedAgent]) {
        for (plan, message) in after::problems(agents) {
            self.agent_issue(&plan.spec, message);
        }
    }

    pub(super) fn placements(&mut self, assembled: &Assembled) {
        let grouped = |name: Option<&str>| {
            assembled.agents.iter().any(|agent| {
                let topics = &agent.plan.spec.topics;
                agent.plan.group.is_some()
                    && name.is_none_or(|name| topics.iter().any(|topic| topic.name == name))
            })
        };
        for timer in &assembled.timers {
            let problem = match &timer.placement {
                Placement::Every => None,
                Placement::One if grouped(None) => None,
                Placement::One => Some("runs on one worker, but no agent reads a topic in a group, so no worker owns one".to_owned()),
                Placement::Owner(topic) if grouped(Some(topic.name)) => None,
                Placement::Owner(topic) => Some(format!(
                    "runs on the owner of topic `{}`, which no agent reads in a group",
                    topic.name
                )),
            };
            if let Some(problem) = problem {
                let issue = BuildIssue::new(format!("timer `{}`", timer.name), problem);
                self.issues.push(issue.at_text(timer.origin.to_string()));
            }
        }
    }

    pub(super) fn unknown_overrides(&mut self, flat: &[Flat]) {
        let agents: Vec<&str> = flat
            .iter()
            .filter(|flat| matches!(flat.component.kind, Kind::Agent(_)))
            .map(|flat| flat.component.name())
            .collect();
        for (name, over) in &self.overrides.agents {
            if !agents.contains(&name.as_str()) {
                let hint = did_you_mean(name, agents.iter().copied());
                let message = format!("there is no agent of this name{hint}");
                let issue = BuildIssue::new(format!("[agents.{name}]"), message);
                self.issues.push(issue.at_text(over.source.clone()));
            }
        }
        let renamed: Vec<String> = self.overrides.names.renamed.keys().cloned().collect();
        for name in renamed {
            if !self.topics.contains_key(name.as_str()) {
                let hint = did_you_mean(&name, self.topics.keys().copied());
                self.issue(
                    &format!("--topic {name}=.."),
                    format!("the app names no topic `{name}`{hint}"),
                );
            }
        }
    }
}
