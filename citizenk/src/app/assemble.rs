//! From registered components to plans.
//!
//! In: the app's items and the names and numbers a run overrides. Out: everything that runs, resolved;
//! or everything that is wrong, at once. Pure.

mod clusters;
mod outputs;
mod planned;
#[cfg(feature = "web")]
mod routing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;

pub(crate) use self::planned::planned;
use super::component::{ComponentDef, Kind};
use super::module::{Defaults, Item};
use super::overrides::Overrides;
use super::retries;
use crate::Direction;
use crate::agent::{AgentSpec, GroupChoice, is_undecoded};
use crate::error::{BuildError, BuildIssue};
use crate::extract::{OutputTable, OutputTarget, StateRequirement};
use crate::lifecycle::HookDef;
use crate::middleware::{Around, CallKind, Component};
use crate::policy::{Guarantee, Policy, Then};
use crate::runtime::engine::{PlannedAgent, resolve_schedule};
use crate::runtime::plan::AgentPlan;
use crate::timer::{Placement, TimerDef};
use crate::topic::describe::TopicInfo;
use crate::topic::{DEFAULT_CLUSTER, Declared, check_name};

/// An app's components with the defaults of their modules.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    pub(crate) component: ComponentDef,
    pub(crate) defaults: Defaults,
}

/// Everything that runs.
#[derive(Clone)]
pub(crate) struct Assembled {
    pub(crate) agents: Vec<PlannedAgent>,
    pub(crate) timers: Vec<TimerDef>,
    pub(crate) hooks: Vec<HookDef>,
    #[cfg(feature = "web")]
    pub(crate) routes: Vec<crate::web::RouteDef>,
    /// Every topic the app names, by name.
    pub(crate) topics: BTreeMap<&'static str, TopicInfo>,
}

/// Components in registration order, each with what its modules and the app say.
pub(crate) fn flatten(items: &[Item], outer: &Defaults) -> Vec<Flat> {
    items
        .iter()
        .flat_map(|item| match item {
            Item::Component(component) => {
                vec![Flat {
                    component: (**component).clone(),
                    defaults: outer.clone(),
                }]
            }
            Item::Module(module) => {
                let own = &module.defaults;
                let inner = Defaults {
                    wraps: [outer.wraps.as_slice(), &own.wraps].concat(),
                    on_decode_error: own
                        .on_decode_error
                        .clone()
                        .or_else(|| outer.on_decode_error.clone()),
                    on_error: own.on_error.clone().or_else(|| outer.on_error.clone()),
                    on_produce_error: own
                        .on_produce_error
                        .clone()
                        .or_else(|| outer.on_produce_error.clone()),
                    guarantee: own.guarantee.or(outer.guarantee),
                    prefix: format!("{}{}", outer.prefix, own.prefix),
                    module: match outer.module.as_str() {
                        "" => module.name.clone(),
                        around => format!("{around}/{}", module.name),
                    },
                };
                flatten(&module.items, &inner)
            }
        })
        .collect()
}

/// Checks everything and resolves it.
pub(crate) fn assemble(
    app: &str,
    flat: &[Flat],
    states: &[StateRequirement],
    extra_topics: &[TopicInfo],
    clusters: &[&'static str],
    overrides: &Overrides,
) -> Result<Assembled, BuildError> {
    let all: Vec<&'static str> = [DEFAULT_CLUSTER]
        .into_iter()
        .chain(clusters.iter().copied())
        .collect();
    let mut checks = Checks {
        app,
        clusters: &all,
        overrides,
        issues: Vec::new(),
        topics: BTreeMap::new(),
    };
    checks.app_name();
    checks.cluster_names(clusters);
    checks.component_names(flat);
    checks.states(flat, states);
    for topic in extra_topics {
        checks.topic("app", topic);
    }
    let mut assembled = Assembled {
        agents: Vec::new(),
        timers: Vec::new(),
        hooks: Vec::new(),
        #[cfg(feature = "web")]
        routes: Vec::new(),
        topics: BTreeMap::new(),
    };
    for Flat {
        component,
        defaults,
    } in flat
    {
        match &component.kind {
            Kind::Agent(agent) => {
                let spec = checks.tuned(&agent.spec);
                checks.agent(&spec);
                let overridden = overrides.agents.get(&spec.name);
                if overridden.and_then(|agent| agent.enabled) == Some(false) {
                    continue;
                }
                let plan = plan(app, spec, defaults, overrides);
                let plan = Arc::new(retries::named(plan, &overrides.names));
                checks.dead_letters(&plan);
                checks.retries(&plan);
                checks.one_cluster(&plan);
                checks.isolation(&plan);
                #[cfg(feature = "web")]
                checks.streams(&plan.spec, &defaults.prefix, &mut assembled.routes);
                assembled.agents.push(PlannedAgent {
                    plan,
                    factory: agent.factory.clone(),
                });
            }
            Kind::Timer(timer) => {
                if let Placement::Owner(topic) = &timer.placement {
                    checks.topic(&component.title(), topic);
                }
                if let Err(issue) = resolve_schedule(timer) {
                    checks.issues.push(issue);
                }
                let mut timer = (**timer).clone();
                checks.task(component, CallKind::Timer, defaults, &mut timer.task);
                assembled.timers.push(timer);
            }
            Kind::Hook(hook) => {
                let mut hook = (**hook).clone();
                checks.task(component, CallKind::Hook, defaults, &mut hook.task);
                assembled.hooks.push(hook);
            }
            #[cfg(feature = "web")]
            Kind::Route(route) => {
                checks.route_outputs(component, &route.sends);
                assembled
                    .routes
                    .push((**route).clone().prefixed(&defaults.prefix));
            }
        }
    }
    #[cfg(feature = "web")]
    checks.routing(&assembled.agents, &mut assembled.routes);
    checks.groups(&assembled.agents);
    checks.after(&assembled.agents);
    checks.placements(&assembled);
    checks.unknown_overrides(flat);
    assembled.topics = std::mem::take(&mut checks.topics);
    match BuildError::from_issues(checks.issues) {
        Some(error) => Err(error),
        None => Ok(assembled),
    }
}

fn plan(app: &str, mut spec: AgentSpec, defaults: &Defaults, overrides: &Overrides) -> AgentPlan {
    let or = |own: &Option<Policy>, outer: &Option<Policy>, default: Policy| {
        own.clone().or_else(|| outer.clone()).unwrap_or(default)
    };
    let on_decode = or(
        &spec.on_decode_error,
        &defaults.on_decode_error,
        Policy::stop(),
    );
    let on_error = or(&spec.on_error, &defaults.on_error, Policy::retry(5));
    let on_produce = or(
        &spec.on_produce_error,
        &defaults.on_produce_error,
        Policy::stop(),
    );
    spec.on_decode_error = Some(on_decode.clone());
    spec.on_error = Some(on_error.clone());
    spec.on_produce_error = Some(on_produce.clone());
    let names = &overrides.names;
    let mut targets: Vec<OutputTarget> = Vec::new();
    for topic in spec.written() {
        if targets.iter().all(|target| target.id != topic.id()) {
            let mut output = topic.output();
            output.name = names.real(topic.name);
            targets.push(OutputTarget {
                id: topic.id(),
                topic: output,
            });
        }
    }
    let group = match &spec.group {
        GroupChoice::App => Some(overrides.group.clone().unwrap_or_else(|| app.to_owned())),
        GroupChoice::Named(group) => Some(group.clone()),
        GroupChoice::None => None,
    };
    let component = Component {
        kind: CallKind::Agent,
        name: spec.name.clone(),
        group: group.clone(),
    };
    AgentPlan {
        around: Around::of(component, &[&defaults.wraps, &spec.wraps]),
        component: spec.component(),
        module: defaults.module.clone(),
        cluster: spec
            .topics
            .first()
            .map_or(DEFAULT_CLUSTER, |topic| topic.cluster),
        group,
        real_topics: spec
            .topics
            .iter()
            .map(|topic| names.real(topic.name).into())
            .collect(),
        matching: spec
            .topics
            .iter()
            .map(|topic| pattern(topic.plain).and_then(Result::ok))
            .collect(),
        start_latest: spec.start_latest.unwrap_or(false),
        retry_topics: Vec::new(),
        guarantee: match spec.group {
            // Nothing is committed, so there is nothing to commit together.
            GroupChoice::None => Guarantee::AtLeastOnce,
            GroupChoice::App | GroupChoice::Named(_) => {
                spec.guarantee.or(defaults.guarantee).unwrap_or_default()
            }
        },
        on_decode,
        on_error,
        on_produce,
        table: Arc::new(OutputTable::new(targets, overrides.schemas.clone())),
        spec,
    }
}

/// A topic name that begins with `^` stands for all topics that match it, as named on the broker.
fn pattern(name: &str) -> Option<Result<Regex, regex::Error>> {
    name.starts_with('^').then(|| Regex::new(name))
}

pub(super) struct Checks<'a> {
    app: &'a str,
    /// Those there are.
    clusters: &'a [&'static str],
    pub(super) overrides: &'a Overrides,
    pub(super) issues: Vec<BuildIssue>,
    pub(super) topics: BTreeMap<&'static str, TopicInfo>,
}

impl Checks<'_> {
    pub(super) fn issue(&mut self, component: &str, message: impl Into<String>) {
        self.issues.push(BuildIssue::new(component, message));
    }

    pub(super) fn agent_issue(&mut self, spec: &AgentSpec, message: impl Into<String>) {
        let issue = BuildIssue::new(spec.component(), message).at_text(spec.origin.to_string());
        self.issues.push(issue);
    }

    fn app_name(&mut self) {
        if let Err(reason) = check_name(self.app) {
            let reason = reason.replace("topic name", "app name");
            self.issue("app", format!("{reason}; the name is the consumer group"));
        }
    }

    fn component_names(&mut self, flat: &[Flat]) {
        let mut seen: BTreeMap<(&str, String), String> = BTreeMap::new();
        for Flat { component, .. } in flat {
            let origin = component.origin().to_string();
            let title = component.title();
            let kind = title.split(' ').next().unwrap_or_default().to_owned();
            if let Some(first) = seen.get(&(component.name(), kind.clone())) {
                let message = if *first == origin {
                    format!("is registered twice (at {origin})")
                } else {
                    format!(
                        "has the name of another one (at {first}); give one of them `name = \"..\"`"
                    )
                };
                self.issues
                    .push(BuildIssue::new(title, message).at_text(origin));
            } else {
                seen.insert((component.name(), kind), origin);
            }
        }
    }

    fn states(&mut self, flat: &[Flat], states: &[StateRequirement]) {
        let mut given = BTreeSet::new();
        for state in states {
            if !given.insert(state.name) {
                self.issue(
                    "app",
                    format!(
                        "has two states of type `{}`; wrap one in a type of its own",
                        state.name
                    ),
                );
            }
        }
        self.needed_states(flat, states);
    }

    fn needed_states(&mut self, flat: &[Flat], states: &[StateRequirement]) {
        for Flat { component, .. } in flat {
            let needed = match &component.kind {
                Kind::Agent(agent) => agent.spec.states.clone(),
                Kind::Timer(timer) => timer.task.spec.states.clone(),
                Kind::Hook(hook) => hook.task.spec.states.clone(),
                #[cfg(feature = "web")]
                Kind::Route(route) => route.states(),
            };
            for need in needed {
                if states.iter().all(|state| state.id != need.id) {
                    let issue = crate::extract::missing_state(&component.title(), need.name);
                    self.issues
                        .push(issue.at_text(component.origin().to_string()));
                }
            }
        }
    }

    /// Notes a topic; one name means one format everywhere in the app.
    pub(super) fn topic(&mut self, component: &str, topic: &TopicInfo) {
        self.cluster(component, topic);
        if let Some(pattern) = pattern(topic.plain) {
            if let Err(error) = pattern {
                let name = topic.plain;
                self.issue(
                    component,
                    format!("`{name}` is not a regular expression: {error}"),
                );
            }
            if *topic.declared != Declared::default() {
                let message = format!(
                    "`{}` stands for topics that exist; partitions, replication and configs are declared for a topic by its name",
                    topic.name
                );
                self.issue(component, message);
            }
            self.rules(component, topic);
            return;
        }
        if let Err(reason) = check_name(topic.plain) {
            self.issue(component, reason);
            return;
        }
        let real = self.overrides.names.real(topic.name);
        if let Err(reason) = check_name(&real) {
            self.issue(
                component,
                format!("topic `{}` is renamed: {reason}", topic.name),
            );
        }
        if let Err(reason) = crate::admin::problems(&real, &topic.declared) {
            self.issue(component, format!("topic `{}`: {reason}", topic.name));
        }
        self.rules(component, topic);
        if let Err(reason) = topic.own_schemas(&real) {
            self.issue(component, format!("topic `{}`: {reason}", topic.name));
        }
        // Who passes bytes on need not know what others know.
        let known = self.topics.get(topic.name);
        if known.is_some() && is_undecoded(topic) {
            return;
        }
        let Some(known) = known.filter(|known| !is_undecoded(known)) else {
            let topic = topic.with_schemas(&self.overrides.schemas);
            self.topics.insert(topic.name, topic);
            return;
        };
        let pairs = [
            ("codec", known.codec, topic.codec),
            ("key codec", known.key_codec, topic.key_codec),
            ("value type", known.value_type, topic.value_type),
            ("key type", known.key_type, topic.key_type),
            ("validation", known.validation(), topic.validation()),
        ];
        let difference = pairs.iter().find(|(_, a, b)| a != b).map(|(what, a, b)| {
            format!(
                "uses topic `{}` with {what} `{b}`, elsewhere it has `{a}`; use one constant",
                topic.name
            )
        });
        if let Some(difference) = difference {
            self.issue(component, difference);
        } else if let Some(difference) = known.wire.difference(&topic.wire) {
            let message = format!(
                "uses topic `{}` with {difference} than elsewhere; use one constant",
                topic.name
            );
            self.issue(component, message);
        } else if known.declared != topic.declared {
            let message = format!(
                "uses topic `{}` with other partitions, replication or configs than elsewhere; use one constant",
                topic.name
            );
            self.issue(component, message);
        } else if known.partitioner.is_untold(topic.partitioner) {
            let message = format!(
                "uses topic `{}` with a custom partitioner that panics on every key it is tried with, so it cannot be told from the one the topic has elsewhere; let it give each key a partition, also one of another form",
                topic.name
            );
            self.issue(component, message);
        } else if known.partitioner != topic.partitioner {
            let message = format!(
                "uses topic `{}` with partitioner {:?}, elsewhere it has {:?}; use one constant",
                topic.name, topic.partitioner, known.partitioner
            );
            self.issue(component, message);
        }
    }

    fn rules(&mut self, component: &str, topic: &TopicInfo) {
        if let Err(reason) = topic.check_rules() {
            self.issue(component, format!("topic `{}`: {reason}", topic.name));
        }
    }

    fn tuned(&self, spec: &AgentSpec) -> AgentSpec {
        let mut spec = spec.clone();
        if let Some(over) = self.overrides.agents.get(&spec.name) {
            let tuning = &mut spec.tuning;
            tuning.batch_size = over.batch_size.unwrap_or(tuning.batch_size);
            tuning.batch_timeout = over.batch_timeout.unwrap_or(tuning.batch_timeout);
            tuning.concurrency = over.concurrency.unwrap_or(tuning.concurrency);
            tuning.timeout = over.timeout.or(tuning.timeout);
            tuning.buffer_bytes = over.buffer_bytes;
        }
        spec
    }

    fn agent(&mut self, spec: &AgentSpec) {
        let component = spec.component();
        self.formats(&component, spec);
        if spec.topics.is_empty() {
            self.agent_issue(spec, "reads no topic; name one with `topics = [..]`");
        }
        for (number, topic) in spec.topics.iter().enumerate() {
            if topic.direction == Direction::Output {
                self.agent_issue(
                    spec,
                    format!(
                        "reads topic `{}`, which is declared for output only",
                        topic.name
                    ),
                );
            }
            if spec.topics[..number]
                .iter()
                .any(|other| other.name == topic.name)
            {
                self.agent_issue(spec, format!("reads topic `{}` twice", topic.name));
            }
        }
        for topic in spec.written().filter(|topic| topic.plain.starts_with('^')) {
            self.agent_issue(
                spec,
                format!("writes to the pattern `{}`; name a topic", topic.name),
            );
        }
        self.agent_outputs(spec);
        if spec.tuning.batch_size == 0 {
            self.agent_issue(spec, "`batch_size` must be at least 1");
        }
        if spec.tuning.concurrency == 0 {
            self.agent_issue(spec, "`concurrency` must be at least 1");
        }
        if spec.tuning.batch_size > 1 && !spec.is_batch {
            self.agent_issue(
                spec,
                "receives one record at a time; `batch_size` needs `Batch<T>`",
            );
        }
        if spec.tuning.concurrency > 1 && spec.is_batch {
            self.agent_issue(
                spec,
                "takes batches, which hold many keys; `concurrency` (keys at once) needs `Event<T>`",
            );
        }
        if let GroupChoice::Named(group) = &spec.group
            && let Err(reason) = check_name(group)
        {
            self.agent_issue(spec, reason.replace("topic name", "group name"));
        }
        if spec.group == GroupChoice::None && spec.guarantee == Some(Guarantee::ExactlyOnce) {
            self.agent_issue(
                spec,
                "reads without a group, which commits nothing; exactly once needs a group",
            );
        }
        if let Some(policy) = &spec.on_decode_error
            && policy.retry.is_some()
        {
            self.agent_issue(
                spec,
                "`on_decode_error` cannot retry: the bytes will not change",
            );
        }
    }

    fn dead_letters(&mut self, plan: &AgentPlan) {
        for policy in [&plan.on_decode, &plan.on_error, &plan.on_produce] {
            let Then::DeadLetter(letters) = &policy.then else {
                continue;
            };
            self.topic(&plan.component, letters);
            if plan
                .spec
                .topics
                .iter()
                .any(|topic| topic.name == letters.name)
            {
                self.agent_issue(
                    &plan.spec,
                    format!("sends dead letters to topic `{}`, which it reads: they would come back for ever", letters.name),
                );
                return;
            }
        }
    }

    fn retries(&mut self, plan: &AgentPlan) {
        for topic in &plan.retry_topics {
            self.topic(&plan.component, &topic.info);
        }
        for problem in retries::problems(plan) {
            self.agent_issue(&plan.spec, problem);
        }
    }
}
