//! Where components may send to, and what timers and hooks get of their modules.

use super::Checks;
use crate::Direction;
use crate::agent::AgentSpec;
use crate::app::component::ComponentDef;
use crate::app::module::Defaults;
use crate::error::BuildIssue;
use crate::middleware::{Around, CallKind, Component};
use crate::runtime::task::TaskDef;
use crate::topic::describe::TopicInfo;

impl Checks<'_> {
    pub(super) fn agent_outputs(&mut self, spec: &AgentSpec) {
        let mut messages = input_only(spec.output.iter().chain(&spec.sends));
        if spec.needs_sends && spec.output.is_none() {
            messages.extend(nowhere_to_send(&spec.sends));
        }
        for message in messages {
            self.agent_issue(spec, message);
        }
    }

    /// Adds the endpoints of an agent's live clients.
    #[cfg(feature = "web")]
    pub(super) fn streams(
        &mut self,
        spec: &AgentSpec,
        prefix: &str,
        routes: &mut Vec<crate::web::RouteDef>,
    ) {
        for message in crate::web::stream_issues(spec) {
            self.agent_issue(spec, message);
        }
        let served = crate::web::stream_routes(spec).into_iter();
        routes.extend(served.map(|route| route.prefixed(prefix)));
    }

    /// Checks the topics an endpoint writes to by itself.
    #[cfg(feature = "web")]
    pub(super) fn route_outputs(&mut self, component: &ComponentDef, sends: &[TopicInfo]) {
        let (title, origin) = (component.title(), component.origin().to_string());
        for topic in sends {
            self.topic(&title, topic);
        }
        for message in input_only(sends.iter()) {
            let issue = BuildIssue::new(&title, message).at_text(&origin);
            self.issues.push(issue);
        }
    }

    /// Checks a timer's or hook's function and resolves what stands around its calls.
    pub(super) fn task(
        &mut self,
        component: &ComponentDef,
        kind: CallKind,
        defaults: &Defaults,
        task: &mut TaskDef,
    ) {
        let (title, origin) = (component.title(), component.origin().to_string());
        let spec = &task.spec;
        for topic in &spec.sends {
            self.topic(&title, topic);
        }
        let mut messages = input_only(spec.sends.iter());
        if spec.uses_outbox {
            messages.extend(nowhere_to_send(&spec.sends));
        }
        for message in messages {
            let issue = BuildIssue::new(&title, message).at_text(&origin);
            self.issues.push(issue);
        }
        let component = Component {
            kind,
            name: component.name().to_owned(),
            group: None,
        };
        task.around = Around::of(component, &[&defaults.wraps, &task.spec.wraps]);
    }
}

fn input_only<'a>(topics: impl Iterator<Item = &'a TopicInfo>) -> Vec<String> {
    topics
        .filter(|topic| topic.direction == Direction::Input)
        .map(|topic| {
            format!(
                "writes topic `{}`, which is declared for input only",
                topic.name
            )
        })
        .collect()
}

fn nowhere_to_send(sends: &[TopicInfo]) -> Option<String> {
    sends.is_empty().then(|| {
        "takes an `Outbox`, but names no topic it may send to; add `sends = [TOPIC]`".to_owned()
    })
}
