//! Whose partitions routers follow.

use std::collections::BTreeSet;

use super::Checks;
use crate::runtime::engine::PlannedAgent;
use crate::web::{Goal, RouteDef};

impl Checks<'_> {
    /// Finds the group each router follows.
    pub(super) fn routing(&mut self, agents: &[PlannedAgent], routes: &mut [RouteDef]) {
        for route in routes {
            let title = route.title();
            let origin = route.origin.to_string();
            let Some(routing) = &mut route.routing else {
                continue;
            };
            let followed = match &mut routing.to {
                Goal::Owner { topic, real, .. } => {
                    self.topic(&title, topic);
                    *real = self.overrides.names.real(topic.name);
                    **topic = topic.with_schemas(&self.overrides.schemas);
                    Some(&**topic)
                }
                Goal::All { .. } => None,
            };
            let reads = |agent: &&PlannedAgent| {
                followed.is_none_or(|topic| {
                    agent
                        .plan
                        .spec
                        .topics
                        .iter()
                        .any(|read| read.name == topic.name)
                })
            };
            let wanted = |agent: &&PlannedAgent| {
                let name = &agent.plan.spec.name;
                routing.agent.as_ref().is_none_or(|wanted| wanted == name)
            };
            let groups: BTreeSet<(&'static str, &String)> = agents
                .iter()
                .filter(wanted)
                .filter(reads)
                .filter_map(|agent| Some((agent.plan.cluster, agent.plan.group.as_ref()?)))
                .collect();
            let what =
                followed.map_or_else(String::new, |topic| format!(" topic `{}`", topic.name));
            let message = match (groups.len(), &routing.agent) {
                (1, _) => None,
                // The app itself has said whose they are.
                (0, None) if routing.late => continue,
                (0, Some(agent)) => Some(format!(
                    "follows agent `{agent}`, which is none that reads{what} in a consumer group"
                )),
                (0, None) => Some(format!(
                    "follows the workers that read{what}, but no agent reads it in a consumer group"
                )),
                _ => Some(format!(
                    "follows the workers that read{what}, but agents of several groups do; say whose with `agent = ..`"
                )),
            };
            match message {
                Some(message) => self
                    .issues
                    .push(crate::error::BuildIssue::new(title, message).at_text(origin)),
                None => {
                    routing.late = false;
                    routing.group = groups
                        .first()
                        .map(|(cluster, group)| (*cluster, (*group).clone()));
                }
            }
        }
    }
}
