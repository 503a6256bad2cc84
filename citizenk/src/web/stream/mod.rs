//! Streams to live clients, and messages from them.
//!
//! In: what agents say of their clients ([`StreamSpec`]), functions with `#[citizenk::websocket_in]`, and
//! requests for both. Out: endpoints ([`RouteDef`]) like any other, so that prefixes, layers and path checks
//! are the same. A client belongs to its connection, whose place it keeps; values belong to the agent's
//! [`Stream`](crate::fanout::Stream).

mod events;
mod inbound;
mod outbound;
mod socket;

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;

pub(super) use events::response as event_stream;
pub use inbound::{IncomingMessage, IntoPair, websocket_in};
pub(super) use socket::{PING, Pulse, Socket, accept, wants_websocket};
#[cfg(any(test, feature = "testing"))]
pub(crate) use socket::{TestPipe, TestUpgrade};

use super::asyncapi::{LiveDoc, LiveMessages};
use super::guard::Access;
use super::route::{RouteDef, described};
use super::{Operation, Problem, Query};
use crate::agent::{AgentSpec, StreamFilter, StreamSpec, Wants};
use crate::extract::{Env, Shutdown};
use crate::fanout::{FrameId, Gap, Step, Subscriber};
use crate::telemetry::{ClientKind, LeaveReason, StreamClient, StreamMetrics};

/// The endpoints of an agent's streams.
pub(crate) fn routes(agent: &AgentSpec) -> Vec<RouteDef> {
    let paths = [
        (ClientKind::Websocket, &agent.stream.websocket),
        (ClientKind::Events, &agent.stream.events),
    ];
    let served = paths
        .into_iter()
        .filter_map(|(kind, path)| Some((kind, path.as_deref()?)));
    served
        .map(|(kind, path)| {
            let (name, spec) = (agent.name.clone(), Arc::new(agent.stream.clone()));
            let documented = spec.clone();
            let live = spec.schema.map(|schema| LiveDoc {
                websocket: matches!(kind, ClientKind::Websocket),
                events: matches!(kind, ClientKind::Events),
                messages: LiveMessages::Values(schema),
            });
            let route = described(
                &agent.name,
                agent.origin.clone(),
                Method::GET,
                path,
                move |request| {
                    let (name, spec) = (name.clone(), spec.clone());
                    async move {
                        let answered = match kind {
                            ClientKind::Websocket => outbound::answer(request, &name, &spec).await,
                            ClientKind::Events => events::answer(request, &name, &spec),
                        };
                        answered.unwrap_or_else(IntoResponse::into_response)
                    }
                },
                move |operation| document(operation, kind, &documented),
            );
            RouteDef { live, ..route }
        })
        .collect()
}

fn document(operation: &mut Operation, kind: ClientKind, spec: &StreamSpec) {
    // Known to the document, so that clients are generated for it.
    if let Some(schema) = spec.schema {
        schema(&mut operation.generator);
    }
    let text = || serde_json::json!({ "type": "string" });
    operation.parameter("query", "last_event_id", false, text());
    match kind {
        ClientKind::Websocket => {
            let text = "A websocket. Each message is one value as JSON; with the subprotocol `citizenk.v1` an object with its `id`, or with a `gap`";
            operation.response("101", text, None);
            operation.problem("426", "The request is not one for a websocket");
        }
        ClientKind::Events => {
            operation.parameter("header", "Last-Event-ID", false, text());
            let media = Some(("text/event-stream", text()));
            operation.response(
                "200",
                "Each event is one value as JSON; an event `gap` says how many values are missing",
                media,
            );
        }
    }
    operation.problem("400", "The query is wrong");
    operation.problem("403", "The page belongs to another site");
    operation.problem("503", "The service is stopping");
}

/// A filter made from a function and the client's query string.
pub fn stream_filter<V, Q, F>(filter: F) -> StreamFilter
where
    V: Send + Sync + 'static,
    Q: DeserializeOwned + Send + Sync + 'static,
    F: Fn(&V, &Q) -> bool + Clone + Send + Sync + 'static,
{
    StreamFilter::new::<V>(move |query| {
        let Query(wanted) = Query::<Q>::of_text(query)?;
        let filter = filter.clone();
        Ok(Box::new(move |kept| {
            kept.downcast_ref::<V>()
                .is_some_and(|value| filter(value, &wanted))
        }))
    })
}

/// A client that may have what it asked for.
struct Client {
    subscriber: Subscriber,
    wants: Option<Wants>,
    shutdown: Shutdown,
    metrics: StreamMetrics,
    _counted: StreamClient,
}

impl Client {
    /// Checks a request before anything is promised to it.
    fn admit(
        parts: &Parts,
        name: &str,
        spec: &StreamSpec,
        kind: ClientKind,
    ) -> Result<Self, Problem> {
        let env = admitted(parts)?;
        let (last, query) = asked(&parts.headers, &parts.uri);
        let wants =
            match &spec.filter {
                None => None,
                Some(filter) => Some((filter.of_query)(&query).map_err(|error| {
                    match error.downcast::<Problem>() {
                        Ok(problem) => *problem,
                        Err(error) => Problem::bad_request(error.to_string()),
                    }
                })?),
            };
        let stream = env.streams.stream(name);
        Ok(Self {
            subscriber: stream.subscribe(spec.slow, last.as_deref()),
            wants,
            shutdown: env.shutdown.clone(),
            metrics: stream.metrics().clone(),
            _counted: stream.metrics().client(kind),
        })
    }

    fn leave(&self, reason: LeaveReason) {
        self.metrics.disconnected(reason);
    }

    /// What the client wants of a step, in order.
    fn wanted(
        &self,
        frames: Vec<(FrameId, Arc<crate::fanout::Frame>)>,
    ) -> impl Iterator<Item = (FrameId, Arc<crate::fanout::Frame>)> {
        frames
            .into_iter()
            .filter(|(_, frame)| match (&self.wants, &frame.value) {
                (Some(wants), Some(value)) => wants(value),
                _ => true,
            })
    }
}

/// The app's environment, for a request of a page of this site while the service runs.
pub(super) fn admitted(parts: &Parts) -> Result<&Env, Problem> {
    if let Some(access) = parts.extensions.get::<Access>() {
        access.own_page(&parts.headers)?;
    }
    let env = parts
        .extensions
        .get::<Env>()
        .ok_or_else(|| Problem::internal("the router is not served by a citizenk app"))?;
    if env.shutdown.is_stopping() {
        return Err(stopping());
    }
    Ok(env)
}

fn stopping() -> Problem {
    Problem::unavailable("the service is stopping", std::time::Duration::from_secs(1))
}

/// The id a client had last, and the rest of its query string.
pub(super) fn asked(headers: &HeaderMap, uri: &Uri) -> (Option<String>, String) {
    const NAME: &str = "last_event_id";
    let mut last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let pairs = uri.query().unwrap_or_default().split('&');
    let rest = pairs.filter(|pair| match pair.split_once('=') {
        Some((NAME, id)) => {
            // A browser that connects again by itself knows better than the address it began with.
            last.get_or_insert_with(|| id.to_owned());
            false
        }
        _ => true,
    });
    let rest = rest.collect::<Vec<_>>().join("&");
    (last.filter(|id| !id.is_empty()), rest)
}

/// Mistakes in what an agent says of its clients.
pub(crate) fn check(agent: &AgentSpec) -> Vec<String> {
    use crate::fanout::SlowClient;
    let spec = &agent.stream;
    let mut issues = Vec::new();
    if let SlowClient::DropOldest(most) = spec.slow
        && !(1..=SlowClient::MOST).contains(&most)
    {
        issues.push(format!(
            "`slow_client` keeps 1 to {} values, not {most}",
            SlowClient::MOST
        ));
    }
    if spec.is_served() && spec.schema.is_none() {
        issues.push(
            "has a path for live clients and a handler that gives them nothing; end it with `.stream(..)`"
                .to_owned(),
        );
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_id_is_no_part_of_the_query() {
        let none = HeaderMap::new();
        let mut header = HeaderMap::new();
        header.insert("last-event-id", "b-2".parse().unwrap());
        for (headers, uri, last, rest) in [
            (&none, "/ws", None, ""),
            (
                &none,
                "/ws?a=1&last_event_id=a-1&b=2",
                Some("a-1"),
                "a=1&b=2",
            ),
            (&none, "/ws?last_event_id=", None, ""),
            (&header, "/ws?last_event_id=a-1&a=1", Some("b-2"), "a=1"),
        ] {
            let (found, query) = asked(headers, &uri.parse().unwrap());
            assert_eq!((found.as_deref(), query.as_str()), (last, rest), "{uri}");
        }
    }
}
