//! Records to the clients of an event stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream::unfold;

use super::cursor::{Cursor, Step};
use super::wire::{Item, greeting};
use crate::extract::Shutdown;
use crate::telemetry::{ClientKind, LeaveReason, StreamClient};
use crate::web::stream::event_stream;

/// So often something is sent, so that nobody between thinks the connection dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct Client {
    cursor: Cursor,
    shutdown: Shutdown,
    greeted: bool,
    ended: bool,
    _counted: StreamClient,
}

pub(super) fn answer(cursor: Cursor, shutdown: Shutdown) -> Response {
    let _counted = cursor.metrics().client(ClientKind::Events);
    event_stream(unfold(
        Client {
            cursor,
            shutdown,
            greeted: false,
            ended: false,
            _counted,
        },
        next,
    ))
}

async fn next(mut client: Client) -> Option<(Result<Bytes, Infallible>, Client)> {
    if client.ended {
        return None;
    }
    if !client.greeted {
        client.greeted = true;
        let at = client.cursor.at();
        let greeting = greeting(client.cursor.topic(), at);
        // With an id: who is cut off before the first record goes on here.
        let hello = format!("retry: 2000\n\nevent: connected\nid: {at}\ndata: {greeting}\n\n");
        return Some((Ok(hello.into()), client));
    }
    let shutdown = client.shutdown.clone();
    let step = tokio::select! {
        biased;
        () = shutdown.wait() => {
            client.cursor.metrics().disconnected(LeaveReason::Stopping);
            return None;
        }
        step = client.cursor.step() => step,
        () = tokio::time::sleep(KEEP_ALIVE) => {
            return Some((Ok(Bytes::from_static(b":\n\n")), client));
        }
    };
    let bytes = match step {
        Step::Items(mut items) if items.len() == 1 => items.pop().map(|item| item.event())?,
        Step::Items(items) => {
            let events: Vec<Bytes> = items.iter().map(Item::event).collect();
            events.concat().into()
        }
        // The reason is in the log; it may name what is no client's business.
        Step::Ended => {
            client.ended = true;
            let reason = serde_json::json!({ "message": "the topic is read no more; come again" });
            format!("event: ended\ndata: {reason}\n\n").into()
        }
    };
    Some((Ok(bytes), client))
}
