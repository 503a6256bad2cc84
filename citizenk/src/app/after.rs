//! Agents that wait for others (`after = [..]`).
//!
//! In: resolved plans. Out: who waits for nobody, for itself, or for ever. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::runtime::engine::PlannedAgent;
use crate::runtime::plan::AgentPlan;
use crate::suggest::did_you_mean;

pub(super) fn problems(agents: &[PlannedAgent]) -> Vec<(&AgentPlan, String)> {
    let mut problems = unknown(agents);
    problems.extend(cycles(agents));
    problems.extend(shared(agents));
    problems
}

/// What one consumer reads of a topic reaches both agents: records wait for the later one, and it waits for them.
fn shared(agents: &[PlannedAgent]) -> Vec<(&AgentPlan, String)> {
    let mut problems = Vec::new();
    for PlannedAgent { plan, .. } in agents {
        let awaited = agents.iter().map(|other| &other.plan).filter(|other| {
            let named = plan.spec.after.contains(&other.spec.name);
            named
                && plan.spec.name != other.spec.name
                && plan.group.is_some()
                && plan.group == other.group
                && plan.cluster == other.cluster
        });
        for other in awaited {
            if let Some(topic) = plan.consumed().find(|topic| other.reads(topic).is_some()) {
                let problem = format!(
                    "comes after `{}`, which reads topic `{topic}` in the same group: neither would get on; give one of them a group of its own",
                    other.spec.name
                );
                problems.push((&**plan, problem));
            }
        }
    }
    problems
}

fn unknown(agents: &[PlannedAgent]) -> Vec<(&AgentPlan, String)> {
    let mut problems = Vec::new();
    let names: Vec<&str> = agents
        .iter()
        .map(|agent| agent.plan.spec.name.as_str())
        .collect();
    for PlannedAgent { plan, .. } in agents {
        for name in &plan.spec.after {
            if *name == plan.spec.name {
                problems.push((&**plan, "comes after itself".to_owned()));
            } else if !names.contains(&name.as_str()) {
                let hint = did_you_mean(name, names.iter().copied());
                let problem = format!("comes after agent `{name}`, which is not registered{hint}");
                problems.push((&**plan, problem));
            }
        }
    }
    problems
}

/// Agents that wait for each other would wait for ever.
fn cycles(agents: &[PlannedAgent]) -> Vec<(&AgentPlan, String)> {
    let mut problems = Vec::new();
    let waits: BTreeMap<&str, &[String]> = agents
        .iter()
        .map(|agent| {
            (
                agent.plan.spec.name.as_str(),
                agent.plan.spec.after.as_slice(),
            )
        })
        .collect();
    let mut told = BTreeSet::new();
    for PlannedAgent { plan, .. } in agents {
        let name = plan.spec.name.as_str();
        let mut ahead: Vec<&str> = plan.spec.after.iter().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        while let Some(next) = ahead.pop() {
            if next != name && seen.insert(next) {
                ahead.extend(
                    waits
                        .get(next)
                        .copied()
                        .unwrap_or_default()
                        .iter()
                        .map(String::as_str),
                );
            }
            let closed = next == name && !seen.is_empty();
            if closed && told.insert(name) {
                let others = seen.iter().copied().collect::<Vec<_>>().join("`, `");
                let problem = format!("comes after `{others}`, which in turn wait for it");
                problems.push((&**plan, problem));
            }
        }
    }
    problems
}
