//! Validated definitions.
//!
//! In: an attribute's arguments and its checked function. Out: what an expansion needs and nothing it
//! has to doubt. Each `validate` is the only way to make its model, and reports what the arguments and
//! the function are only wrong about together.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{LitStr, Path, Type};

use crate::attr::agent::AgentArgs;
use crate::attr::hook::{self, Event, HookArgs};
use crate::attr::policy::Policy;
use crate::attr::route::{Method, RouteArgs};
use crate::attr::slot::Slot;
use crate::attr::stream::{SlowClient, WebsocketInArgs};
use crate::attr::timer::{AtArgs, EveryArgs, OnError, Placement, TimerArgs};
use crate::attr::value::{Group, Guarantee, List, Millis, Number, Start, TopicInput};
use crate::check::{Function, last_segment};
use crate::item::text_of;
use crate::report::Report;

/// An agent.
pub(crate) struct Agent {
    pub(crate) function: Function,
    pub(crate) topics: Vec<TopicInput>,
    pub(crate) batch_size: Option<Number>,
    pub(crate) batch_timeout: Option<Millis>,
    pub(crate) output: Option<Path>,
    pub(crate) sends: Vec<Path>,
    pub(crate) on_decode_error: Option<Policy>,
    pub(crate) on_error: Option<Policy>,
    pub(crate) on_produce_error: Option<Policy>,
    pub(crate) guarantee: Option<Guarantee>,
    pub(crate) timeout: Option<Millis>,
    pub(crate) concurrency: Option<Number>,
    pub(crate) blocking: Option<bool>,
    pub(crate) group: Option<Group>,
    pub(crate) start: Option<Start>,
    pub(crate) after: Vec<Path>,
    pub(crate) wrap: Vec<Path>,
    pub(crate) stream: Option<Stream>,
}

/// Where an agent's returned values go live.
pub(crate) struct Stream {
    pub(crate) websocket: Option<LitStr>,
    pub(crate) events: Option<LitStr>,
    pub(crate) filter: Option<Path>,
    pub(crate) slow_client: Option<SlowClient>,
}

impl Agent {
    /// Joins arguments and function; `None` when anything was reported, here or before.
    pub(crate) fn validate(
        args: AgentArgs,
        function: Function,
        report: &mut Report,
    ) -> Option<Self> {
        let title = function.title();
        let name = function.ident.unraw();
        records(&function, report);
        match args.topics.value() {
            Some(topics) if topics.items.is_empty() => {
                report.at(topics.brackets, "`topics` needs at least one topic");
            }
            Some(topics) => no_duplicates(&topics.items, "topic", report),
            None if args.topics.was_given() || args.common.meant("topics") => {}
            None => report.at_with_help(
                name.span(),
                format!("{title} has no topics"),
                "write `#[agent(topics = [ORDERS])]`",
            ),
        }
        if let Some(sends) = args.sends.value() {
            no_duplicates(&sends.items, "topic", report);
        }
        if let Some(timeout) = args.batch_timeout.given()
            && !args.batch_size.was_given()
        {
            report.at(
                timeout.key,
                "`batch_timeout` has no effect without `batch_size`",
            );
        }
        if let Some(output) = args.output.given()
            && function.returns_nothing()
        {
            report.at_with_help(
                output.key,
                format!("{title} returns nothing that could go to `output`"),
                "return the value, or `Option`, `Vec` or `citizenk::Result` of it",
            );
        }
        let stream = stream(&args, &function, report);
        if let (Some(guarantee), Some(Group::None)) = (args.guarantee.given(), args.group.value()) {
            report.at(
                guarantee.key,
                "`group = none` commits nothing, so there is nothing to guarantee",
            );
        }
        if let Some(after) = args.after.value() {
            no_duplicates(&after.items, "agent", report);
            let handle = args.handle().unwrap_or(&function.ident);
            for path in after.items.iter().filter(|path| path.is_ident(handle)) {
                report.on(path, format!("{title} cannot wait for itself"));
            }
        }
        if !report.is_clean() {
            return None;
        }
        Some(Self {
            topics: items(args.topics.value()),
            batch_size: args.batch_size.value().cloned(),
            batch_timeout: args.batch_timeout.value().cloned(),
            output: args.output.value().cloned(),
            sends: items(args.sends.value()),
            on_decode_error: args.on_decode_error.value().cloned(),
            on_error: args.on_error.value().cloned(),
            on_produce_error: args.on_produce_error.value().cloned(),
            guarantee: args.guarantee.value().copied(),
            timeout: args.timeout.value().cloned(),
            concurrency: args.concurrency.value().cloned(),
            blocking: args.blocking.value().copied(),
            // Behind a load balancer a client would see a part of the records otherwise.
            group: args
                .group
                .value()
                .cloned()
                .or(stream.as_ref().map(|_| Group::None)),
            start: args
                .start
                .value()
                .copied()
                .or(stream.as_ref().map(|_| Start::Latest)),
            after: items(args.after.value()),
            wrap: items(args.wrap.value()),
            stream,
            function,
        })
    }
}

/// Checks what an agent says of its live clients.
fn stream(args: &AgentArgs, function: &Function, report: &mut Report) -> Option<Stream> {
    let title = function.title();
    let paths = [("websocket", &args.websocket), ("events", &args.events)];
    let given = paths
        .iter()
        .find_map(|(name, slot)| slot.given().map(|given| (*name, given)));
    let Some((name, path)) = given else {
        let meant =
            |(name, slot): &(&str, &Slot<LitStr>)| slot.was_given() || args.common.meant(name);
        if !paths.iter().any(meant) {
            let without = [
                ("filter", args.filter.given().map(|given| given.key)),
                (
                    "slow_client",
                    args.slow_client.given().map(|given| given.key),
                ),
            ];
            for (key, at) in without {
                if let Some(at) = at {
                    let text = format!("`{key}` has no effect without `websocket` or `events`");
                    report.at(at, text);
                }
            }
        }
        return None;
    };
    if let Some(output) = args.output.given() {
        report.at_with_help(
            output.key,
            format!("returned values of {title} go to `{name}` already"),
            "send to the topic through an `Outbox`, with `sends = [TOPIC]`",
        );
    }
    if function.returns_nothing() {
        report.at_with_help(
            path.key,
            format!("{title} returns nothing that could go to `{name}`"),
            "return the value, or `Option` or `citizenk::Result` of it",
        );
    }
    if let Some(returned) = function.returns.as_ref().filter(|ty| is_nameless(ty)) {
        let text = format!("{title} must name the type of what goes to `{name}`");
        report.on(returned, text);
    }
    Some(Stream {
        websocket: args.websocket.value().cloned(),
        events: args.events.value().cloned(),
        filter: args.filter.value().cloned(),
        slow_client: args.slow_client.value().copied(),
    })
}

/// Messages from clients to a topic.
pub(crate) struct WebsocketIn {
    pub(crate) function: Function,
    pub(crate) topic: Path,
    pub(crate) path: LitStr,
}

impl WebsocketIn {
    pub(crate) fn validate(
        args: &WebsocketInArgs,
        function: Function,
        report: &mut Report,
    ) -> Option<Self> {
        let title = function.title();
        let name = function.ident.unraw();
        let help = format!("`#[websocket_in(topic = ORDERS, route = \"/ws/{name}\")]`");
        let lacking = [
            (
                "topic",
                args.topic.was_given(),
                "does not say which topic its records go to",
            ),
            ("route", args.route.was_given(), "has no path"),
        ];
        for (key, was_given, text) in lacking {
            if !was_given && !args.common.meant(key) && !args.common.unknown {
                report.at_with_help(name.span(), format!("{title} {text}"), help.clone());
            }
        }
        if function.arguments.is_empty() {
            report.at_with_help(
                name.span(),
                format!("{title} receives nothing"),
                "the first argument takes the message: `Json<T>`",
            );
        }
        if function.returns_nothing() {
            report.at_with_help(
                name.span(),
                format!("{title} returns no record"),
                "return `(K, V)`, or `Result<(K, V), Problem>`",
            );
        }
        if let Some(returned) = function.returns.as_ref().filter(|ty| is_nameless(ty)) {
            report.on(returned, format!("{title} must name the type it returns"));
        }
        let topic = args.topic.value()?.clone();
        let path = args.route.value()?.clone();
        report.is_clean().then_some(Self {
            function,
            topic,
            path,
        })
    }
}

/// Whether `impl` stands somewhere in a type.
pub(crate) fn is_nameless(ty: &Type) -> bool {
    fn has_impl(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == "impl",
            TokenTree::Group(group) => has_impl(group.stream()),
            _ => false,
        })
    }
    has_impl(ty.to_token_stream())
}

fn items<T: Clone>(list: Option<&List<T>>) -> Vec<T> {
    list.map(|list| list.items.clone()).unwrap_or_default()
}

fn no_duplicates<T: ToTokens>(items: &[T], what: &str, report: &mut Report) {
    let mut seen = HashSet::new();
    for item in items {
        let text = text_of(item);
        if !seen.insert(text.clone()) {
            report.on(item, format!("{what} `{text}` is listed twice"));
        }
    }
}

fn records(function: &Function, report: &mut Report) {
    let title = function.title();
    let Some((_, others)) = function.arguments.split_first() else {
        report.at_with_help(
            function.ident.span(),
            format!("{title} receives nothing"),
            "the first argument takes the records: `Event<T>`, `Batch<T>` or `Batch<Event<T>>`",
        );
        return;
    };
    // Only a better text: through an alias, `Event` fails as an extractor.
    let second = others
        .iter()
        .find(|ty| matches!(last_segment(ty).as_deref(), Some("Event" | "Batch")));
    if let Some(second) = second {
        report.on(
            second,
            format!(
                "{title} has two record arguments; keep one and list both topics or write two agents"
            ),
        );
    }
}

/// When a timer is due.
pub(crate) enum Schedule {
    Every(u64),
    Cron(LitStr, Option<LitStr>),
}

/// A timer.
pub(crate) struct Timer {
    pub(crate) function: Function,
    pub(crate) schedule: Schedule,
    pub(crate) wait_first: Option<bool>,
    pub(crate) max_repetitions: Option<Number>,
    pub(crate) on_error: Option<OnError>,
    pub(crate) on: Option<Placement>,
    pub(crate) sends: Vec<Path>,
    pub(crate) wrap: Vec<Path>,
}

impl Timer {
    /// `#[repeat_every]`.
    pub(crate) fn validate_every(
        args: EveryArgs,
        function: Function,
        attribute: Span,
        report: &mut Report,
    ) -> Option<Self> {
        if !args.interval.was_given() && !args.timer.common.unknown {
            report.at_with_help(
                attribute,
                "`#[repeat_every]` needs an interval",
                r#"`#[repeat_every("30s")]`"#,
            );
        }
        let schedule = Schedule::Every(args.interval.value().map_or(0, |interval| interval.value));
        Self::validate(schedule, &args.timer, function, report)
    }

    /// `#[repeat_at]`.
    pub(crate) fn validate_at(
        args: AtArgs,
        function: Function,
        attribute: Span,
        report: &mut Report,
    ) -> Option<Self> {
        match args.cron.value() {
            Some(cron) => {
                let schedule = Schedule::Cron(cron.clone(), args.tz.value().cloned());
                Self::validate(schedule, &args.timer, function, report)
            }
            None => {
                if !args.cron.was_given() && !args.timer.common.unknown {
                    report.at_with_help(
                        attribute,
                        "`#[repeat_at]` needs a cron expression",
                        r#"`#[repeat_at("0 6 * * *")]`"#,
                    );
                }
                None
            }
        }
    }

    fn validate(
        schedule: Schedule,
        args: &TimerArgs,
        function: Function,
        report: &mut Report,
    ) -> Option<Self> {
        if let Some(sends) = args.sends.value() {
            no_duplicates(&sends.items, "topic", report);
        }
        report.is_clean().then(|| Self {
            schedule,
            wait_first: args.wait_first.value().copied(),
            max_repetitions: args.max_repetitions.value().cloned(),
            on_error: args.on_error.value().copied(),
            on: args.on.value().cloned(),
            sends: items(args.sends.value()),
            wrap: items(args.wrap.value()),
            function,
        })
    }
}

/// A hook.
pub(crate) struct Hook {
    pub(crate) function: Function,
    pub(crate) event: Event,
    pub(crate) sends: Vec<Path>,
    pub(crate) wrap: Vec<Path>,
}

impl Hook {
    pub(crate) fn validate(
        args: &HookArgs,
        function: Function,
        attribute: Span,
        report: &mut Report,
    ) -> Option<Self> {
        if !args.event.was_given() && !args.common.unknown {
            report.at(attribute, format!("`#[on_event]` needs {}", hook::EVENTS));
        }
        if let Some(sends) = args.sends.value() {
            no_duplicates(&sends.items, "topic", report);
        }
        let event = *args.event.value()?;
        report.is_clean().then(|| Self {
            function,
            event,
            sends: items(args.sends.value()),
            wrap: items(args.wrap.value()),
        })
    }
}

/// An HTTP endpoint.
pub(crate) struct Route {
    pub(crate) function: Function,
    pub(crate) method: Method,
    pub(crate) path: LitStr,
    pub(crate) tag: Option<LitStr>,
}

impl Route {
    pub(crate) fn validate(
        args: &RouteArgs,
        function: Function,
        report: &mut Report,
    ) -> Option<Self> {
        let title = function.title();
        let name = function.ident.unraw();
        if !args.has_method() && !args.common.unknown && args.common.misspelled.is_empty() {
            report.at_with_help(
                name.span(),
                format!("{title} has no path"),
                format!("`#[{}(get = \"/{name}\")]`", function.kind.attribute),
            );
        }
        let methods = args.methods();
        for (_, method, given) in methods.iter().skip(1) {
            report.at_with_help(
                given.key,
                format!("{title} has two methods, `{}` and `{method}`", methods[0].1),
                "write one function per method",
            );
        }
        let (method, _, path) = methods.first()?;
        report.is_clean().then(|| Self {
            function,
            method: *method,
            path: path.value.clone(),
            tag: args.tag.value().cloned(),
        })
    }
}
