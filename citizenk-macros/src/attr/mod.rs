//! Arguments of attributes.
//!
//! In: the tokens between the attribute's parentheses. Out: one struct of [`slot::Slot`]s per attribute,
//! each value typed and with its spans. One table per attribute ([`keys::Table`]) drives parsing, the
//! "supported:" lists, the suggestions and the documentation.

pub(crate) mod agent;
pub(crate) mod avro;
pub(crate) mod duration;
pub(crate) mod hook;
pub(crate) mod keys;
pub(crate) mod message;
pub(crate) mod module;
pub(crate) mod policy;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod slot;
pub(crate) mod stream;
pub(crate) mod suggest;
pub(crate) mod timer;
pub(crate) mod value;

use keys::Args as _;

/// The attributes that turn a function into a component.
pub(crate) const ON_FUNCTIONS: &[&str] = &[
    "agent",
    "route",
    "topic_router",
    "broadcast_router",
    "websocket_in",
    "repeat_every",
    "repeat_at",
    "on_event",
];

/// The attribute that has an argument of this name, for those who put it on another.
pub(crate) fn owner_of(argument: &str) -> Option<&'static str> {
    let tables = [
        (
            agent::AgentArgs::TABLE.attribute,
            agent::AgentArgs::TABLE.names().any(|n| n == argument),
        ),
        (
            timer::EveryArgs::TABLE.attribute,
            timer::EveryArgs::TABLE.names().any(|n| n == argument),
        ),
        (
            timer::AtArgs::TABLE.attribute,
            timer::AtArgs::TABLE.names().any(|n| n == argument),
        ),
        (
            hook::HookArgs::TABLE.attribute,
            hook::HookArgs::TABLE.names().any(|n| n == argument),
        ),
        (
            route::RouteArgs::TABLE.attribute,
            route::RouteArgs::TABLE.names().any(|n| n == argument),
        ),
        (
            router::TopicRouterArgs::TABLE.attribute,
            router::TopicRouterArgs::TABLE
                .names()
                .any(|n| n == argument),
        ),
        (
            router::BroadcastRouterArgs::TABLE.attribute,
            router::BroadcastRouterArgs::TABLE
                .names()
                .any(|n| n == argument),
        ),
        (
            stream::WebsocketInArgs::TABLE.attribute,
            stream::WebsocketInArgs::TABLE
                .names()
                .any(|n| n == argument),
        ),
        (
            module::ModuleArgs::TABLE.attribute,
            module::ModuleArgs::TABLE.names().any(|n| n == argument),
        ),
    ];
    tables
        .into_iter()
        .find(|(_, found)| *found)
        .map(|(attribute, _)| attribute)
}
