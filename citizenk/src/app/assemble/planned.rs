//! Agents that come while the app runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Checks, Flat, Overrides, plan};
use crate::app::component::Kind;
use crate::app::retries;
use crate::error::{BuildError, BuildIssue};
use crate::extract::StateRequirement;
use crate::runtime::engine::PlannedAgent;
use crate::topic::check_name;
use crate::topic::describe::TopicInfo;

/// Checks and resolves an agent that comes while the app runs; `topics` are those the app names.
pub(crate) fn planned(
    app: &str,
    flat: &Flat,
    states: &[StateRequirement],
    topics: &BTreeMap<&'static str, TopicInfo>,
    clusters: &[&'static str],
    overrides: &Overrides,
) -> Result<PlannedAgent, BuildError> {
    let mut checks = Checks {
        app,
        clusters,
        overrides,
        issues: Vec::new(),
        topics: topics.clone(),
    };
    let Kind::Agent(agent) = &flat.component.kind else {
        // The caller makes the component of an agent.
        return Err(BuildIssue::new(flat.component.title(), "is not an agent").into());
    };
    let needs = std::slice::from_ref(flat);
    checks.needed_states(needs, states);
    let spec = checks.tuned(&agent.spec);
    checks.agent(&spec);
    if !spec.after.is_empty() {
        checks.agent_issue(
            &spec,
            "waits for another agent (`after`), which is possible only for agents that the app registers",
        );
    }
    if spec.stream.is_served() {
        checks.agent_issue(
            &spec,
            "has a path for live clients, which is possible only for agents that the app registers",
        );
    }
    if let Err(reason) = check_name(&spec.name) {
        checks.agent_issue(&spec, reason.replace("topic name", "agent name"));
    }
    let plan = plan(app, spec, &flat.defaults, overrides);
    let plan = Arc::new(retries::named(plan, &overrides.names));
    checks.dead_letters(&plan);
    checks.retries(&plan);
    checks.one_cluster(&plan);
    checks.isolation(&plan);
    match BuildError::from_issues(checks.issues) {
        Some(error) => Err(error),
        None => Ok(PlannedAgent {
            plan,
            factory: agent.factory.clone(),
        }),
    }
}
