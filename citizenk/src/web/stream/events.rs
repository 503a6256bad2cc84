//! Values to the clients of an event stream (server-sent events).

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

use super::{Client, Gap, LeaveReason, Problem, Step, StreamSpec};
use crate::fanout::Shape;
use crate::telemetry::ClientKind;

/// So often something is sent, so that nobody between thinks the connection dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a browser waits before it connects again, in milliseconds; the first thing it is told, which also
/// tells it that the stream has begun.
const HELLO: &[u8] = b"retry: 2000\n\n";

pub(super) fn answer(request: Request, name: &str, spec: &StreamSpec) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let client = Client::admit(&parts, name, spec, ClientKind::Events)?;
    Ok(response(unfold(Next::Hello(client), next)))
}

/// The head of an event stream around its events.
pub(in crate::web) fn response<S>(events: S) -> Response
where
    S: futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static,
{
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    // Proxies of this kind hold answers back otherwise.
    let unbuffered = [("x-accel-buffering", "no")];
    (headers, unbuffered, Body::from_stream(events)).into_response()
}

enum Next {
    Hello(Client),
    Step(Client),
    End,
}

async fn next(next: Next) -> Option<(Result<Bytes, std::convert::Infallible>, Next)> {
    let mut client = match next {
        Next::Hello(client) => return Some((Ok(Bytes::from_static(HELLO)), Next::Step(client))),
        Next::Step(client) => client,
        Next::End => return None,
    };
    let shutdown = client.shutdown.clone();
    loop {
        let step = tokio::select! {
            biased;
            () = shutdown.wait() => {
                client.leave(LeaveReason::Stopping);
                return None;
            }
            step = client.subscriber.step() => step,
            () = tokio::time::sleep(KEEP_ALIVE) => {
                return Some((Ok(Bytes::from_static(b":\n\n")), Next::Step(client)));
            }
        };
        let Step::Next { gap, frames } = step else {
            client.leave(LeaveReason::Slow);
            let end = Gap { missed: None };
            return Some((Ok(gap_event(end)), Next::End));
        };
        let values = client.wanted(frames).map(|(id, frame)| {
            frame.shaped(Shape::Event, |json| {
                [format!("id: {id}\ndata: ").as_bytes(), json, b"\n\n"]
                    .concat()
                    .into()
            })
        });
        let mut events: Vec<Bytes> = gap.map(gap_event).into_iter().chain(values).collect();
        match events.len() {
            // Nothing of it is wanted.
            0 => {}
            1 => return events.pop().map(|event| (Ok(event), Next::Step(client))),
            _ => return Some((Ok(events.concat().into()), Next::Step(client))),
        }
    }
}

fn gap_event(gap: Gap) -> Bytes {
    format!("event: gap\ndata: {}\n\n", gap.json()).into()
}
