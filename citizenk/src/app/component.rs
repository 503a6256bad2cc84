//! What can be registered.

use crate::agent::Origin;
use crate::lifecycle::HookDef;
use crate::runtime::lane::AgentDef;
use crate::timer::TimerDef;
#[cfg(feature = "web")]
use crate::web::RouteDef;

/// Functions marked with one of the attributes; the attribute adds a type of the function's name that
/// implements this.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a citizenk component",
    label = "not a component",
    note = "register a function marked `#[agent]`, `#[topic_router]`, `#[broadcast_router]`, `#[repeat_every]` or `#[on_event]`"
)]
pub trait Component {
    /// What the function is.
    fn describe() -> ComponentDef;
}

/// What a registered function is.
#[derive(Clone, Debug)]
pub struct ComponentDef {
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Agent(Box<AgentDef>),
    Timer(Box<TimerDef>),
    Hook(Box<HookDef>),
    #[cfg(feature = "web")]
    Route(Box<RouteDef>),
}

impl ComponentDef {
    /// For stubs of functions whose attribute has errors; never registered, as the program does not
    /// compile.
    #[doc(hidden)]
    #[must_use]
    pub fn broken() -> Self {
        unreachable!("a component with compile errors is never described")
    }

    pub(crate) fn name(&self) -> &str {
        match &self.kind {
            Kind::Agent(agent) => &agent.spec.name,
            Kind::Timer(timer) => &timer.name,
            Kind::Hook(hook) => &hook.name,
            #[cfg(feature = "web")]
            Kind::Route(route) => &route.name,
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        match &self.kind {
            Kind::Agent(agent) => &agent.spec.origin,
            Kind::Timer(timer) => &timer.origin,
            Kind::Hook(hook) => &hook.origin,
            #[cfg(feature = "web")]
            Kind::Route(route) => &route.origin,
        }
    }

    /// For messages: "agent `orders`".
    pub(crate) fn title(&self) -> String {
        let kind = match &self.kind {
            Kind::Agent(_) => "agent",
            Kind::Timer(_) => "timer",
            Kind::Hook(_) => "hook",
            #[cfg(feature = "web")]
            Kind::Route(_) => "route",
        };
        format!("{kind} `{}`", self.name())
    }
}

impl From<AgentDef> for ComponentDef {
    fn from(agent: AgentDef) -> Self {
        Self {
            kind: Kind::Agent(Box::new(agent)),
        }
    }
}

impl From<TimerDef> for ComponentDef {
    fn from(timer: TimerDef) -> Self {
        Self {
            kind: Kind::Timer(Box::new(timer)),
        }
    }
}

impl From<HookDef> for ComponentDef {
    fn from(hook: HookDef) -> Self {
        Self {
            kind: Kind::Hook(Box::new(hook)),
        }
    }
}

#[cfg(feature = "web")]
impl From<RouteDef> for ComponentDef {
    fn from(route: RouteDef) -> Self {
        Self {
            kind: Kind::Route(Box::new(route)),
        }
    }
}
