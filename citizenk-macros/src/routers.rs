//! Validated routers.
//!
//! In: an attribute's arguments and its checked function. Out: what the expansion needs; see [`crate::model`].

use syn::ext::IdentExt;
use syn::{LitStr, Path, Type};

use crate::attr::router::{BroadcastRouterArgs, MergeBy, RouterKey, TopicRouterArgs};
use crate::attr::suggest;
use crate::check::Function;
use crate::model::{Route, is_nameless};
use crate::report::Report;

/// Requests for the worker that has a key's partition.
pub(crate) struct TopicRouter {
    pub(crate) route: Route,
    pub(crate) topic: Path,
    pub(crate) key: RouterKey,
    pub(crate) agent: Option<Path>,
    pub(crate) headers: Vec<LitStr>,
}

impl TopicRouter {
    pub(crate) fn validate(
        args: &TopicRouterArgs,
        function: Function,
        report: &mut Report,
    ) -> Option<Self> {
        let title = function.title();
        let name = function.ident.unraw();
        let common = &args.route.common;
        if !args.topic.was_given() && !common.meant("topic") && !common.unknown {
            report.at_with_help(
                name.span(),
                format!("{title} follows no topic"),
                "add `topic = ORDERS`",
            );
        }
        if !args.key.was_given() && !common.meant("key") && !common.unknown {
            report.at_with_help(
                name.span(),
                format!("{title} does not say where the key is"),
                "add `key = \"id\"` (a path or query parameter) or `key = body.field`",
            );
        }
        if let (Some(RouterKey::Parameter(key)), [(_, _, path)]) =
            (args.key.value(), &args.route.methods()[..])
        {
            let route = path.value.value();
            let parameters: Vec<String> = parameters(&route);
            let key_name = key.value();
            // What is almost a parameter of the path is a slip; anything else is one of the query.
            let near = suggest::nearest(&key_name, parameters.iter().map(String::as_str));
            if !parameters.contains(&key_name)
                && let Some(near) = near
            {
                report.at_with_help(
                    key.span(),
                    format!("route `{route}` has no parameter `{key_name}`"),
                    format!("did you mean `{near}`?"),
                );
            }
        }
        let (topic, key) = (args.topic.value().cloned(), args.key.value().cloned());
        let route = Route::validate(&args.route, function, report)?;
        Some(Self {
            route,
            topic: topic?,
            key: key?,
            agent: args.agent.value().cloned(),
            headers: args.forward_headers.value().cloned().unwrap_or_default(),
        })
    }
}

fn parameters(route: &str) -> Vec<String> {
    let names = route.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.trim_start_matches('*').to_owned())
    });
    names.collect()
}

/// Requests for every worker.
pub(crate) struct BroadcastRouter {
    pub(crate) route: Route,
    /// The returned type, where it says how answers are merged.
    pub(crate) merged: Option<Type>,
    pub(crate) agent: Option<Path>,
    pub(crate) headers: Vec<LitStr>,
}

impl BroadcastRouter {
    pub(crate) fn validate(
        args: &BroadcastRouterArgs,
        function: Function,
        report: &mut Report,
    ) -> Option<Self> {
        let title = function.title();
        let by_type = args.merge.value() != Some(&MergeBy::List);
        let help = "return `Json<T>` or `Result<Json<T>, Problem>`";
        match &function.returns {
            _ if function.returns_nothing() => {
                let name = function.ident.unraw();
                report.at_with_help(name.span(), format!("{title} returns nothing"), help);
            }
            Some(returned) if by_type && is_nameless(returned) => {
                let text = format!("{title} must name the type that is merged; {help}");
                report.on(returned, text);
            }
            _ => {}
        }
        let merged = function.returns.clone().filter(|_| by_type);
        let route = Route::validate(&args.route, function, report)?;
        Some(Self {
            route,
            merged,
            agent: args.agent.value().cloned(),
            headers: args.forward_headers.value().cloned().unwrap_or_default(),
        })
    }
}
