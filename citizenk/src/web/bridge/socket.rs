//! Records to the clients of a websocket.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes};
use axum::http::request::Parts;
use axum::response::Response;
use tokio::time::{Instant, interval_at, timeout};

use super::cursor::{Cursor, Step};
use super::wire::{Item, echo, greeting};
use crate::extract::Shutdown;
use crate::telemetry::{ClientKind, LeaveReason, StreamMetrics};
use crate::web::Problem;
use crate::web::stream::{PING, Pulse, Socket, accept};

/// The largest message of a client, in bytes.
const LARGEST: usize = 4 * 1024;
/// So many messages of a client within ten seconds are answered.
const WELCOME: u32 = 50;
/// How long a client may take for one record.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn answer(
    mut parts: Parts,
    cursor: Cursor,
    shutdown: Shutdown,
) -> Result<Response, Problem> {
    accept(&mut parts, LARGEST, move |socket, _| {
        serve(socket, cursor, shutdown)
    })
    .await
}

/// The client took nothing, or is gone.
struct Gone;

async fn give(socket: &mut Socket, metrics: &StreamMetrics, text: Utf8Bytes) -> Result<(), Gone> {
    match timeout(PATIENCE, socket.send(Message::Text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Gone),
        Err(_) => {
            // Its buffers are full, so it could not be told either.
            metrics.disconnected(LeaveReason::Slow);
            Err(Gone)
        }
    }
}

async fn give_all(
    socket: &mut Socket,
    metrics: &StreamMetrics,
    items: Vec<Item>,
) -> Result<(), Gone> {
    for item in items {
        // serde_json writes UTF-8 only.
        if let Ok(text) = Utf8Bytes::try_from(item.message()) {
            give(socket, metrics, text).await?;
        }
    }
    Ok(())
}

async fn serve(mut socket: Socket, mut cursor: Cursor, shutdown: Shutdown) {
    let metrics = cursor.metrics().clone();
    let _counted = metrics.client(ClientKind::Websocket);
    let stopping = shutdown.wait();
    tokio::pin!(stopping);
    let mut pulse = Pulse::new(&socket, WELCOME);
    let mut pings = interval_at(Instant::now() + PING, PING);
    let hello = greeting(cursor.topic(), cursor.at()).to_string();
    let begun = Instant::now();
    if give(&mut socket, &metrics, hello.into()).await.is_err() {
        return;
    }
    pulse.unheard(begun);
    let (left, code, text) = loop {
        tokio::select! {
            biased;
            () = &mut stopping => {
                break (Some(LeaveReason::Stopping), 1001, "the service is stopping");
            }
            message = socket.recv() => {
                let Some(message) = message else { return };
                if !pulse.heard() {
                    break (Some(LeaveReason::Flood), 1008, "too many messages");
                }
                if let Message::Text(text) = message {
                    let echo = echo(&text).to_string();
                    let begun = Instant::now();
                    if give(&mut socket, &metrics, echo.into()).await.is_err() {
                        return;
                    }
                    pulse.unheard(begun);
                }
            }
            _ = pings.tick() => {
                if pulse.is_silent() {
                    break (Some(LeaveReason::Silent), 1001, "no sign of life");
                }
                if socket.ping().await.is_err() {
                    return;
                }
            }
            step = cursor.step() => match step {
                Step::Items(items) => {
                    let begun = Instant::now();
                    if give_all(&mut socket, &metrics, items).await.is_err() {
                        return;
                    }
                    pulse.unheard(begun);
                }
                // The reason is in the log; it may name what is no client's business.
                Step::Ended => break (None, 1012, "the topic is read no more; come again"),
            },
        }
    };
    if let Some(reason) = left {
        metrics.disconnected(reason);
    }
    socket.close(code, text).await;
}
