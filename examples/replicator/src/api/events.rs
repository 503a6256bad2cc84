//! What a page shows, as it changes: one stream instead of a question every second.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use citizenk::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::look::ServiceInfo;
use crate::engine::Engine;
use crate::stats::Stats;

/// What every event of the stream holds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Now {
    /// As of `/api/service`.
    service: ServiceInfo,
    /// As of `/api/stats?all=1`.
    stats: Vec<Stats>,
}

/// The service and its stats as server-sent events: at once, then after every tick of the stats and every change
/// of the configuration, as one JSON object with `service` and `stats`.
#[citizenk::route(get = "/events")]
pub(crate) async fn events(State(engine): State<Engine>, shutdown: Shutdown) -> Response {
    let mut ticks = engine.ticked.subscribe();
    ticks.mark_changed();
    let next = async |(engine, mut ticks, shutdown): (Engine, Ticks, Shutdown)| {
        tokio::select! {
            // A page that listens holds up no shutdown.
            () = shutdown.wait() => return None,
            changed = ticks.changed() => changed.ok()?,
        }
        let now = Now {
            service: ServiceInfo::of(&engine),
            stats: vec![engine.stats(true)],
        };
        // Texts and numbers always become JSON.
        let event = Event::default().json_data(now).unwrap_or_default();
        Some((Ok::<_, Infallible>(event), (engine, ticks, shutdown)))
    };
    let events = futures_util::stream::unfold((engine, ticks, shutdown), next);
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

type Ticks = tokio::sync::watch::Receiver<u64>;
