//! Values to the clients of a websocket.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::ws::{Message, Utf8Bytes};
use axum::response::Response;
use tokio::time::{Instant, interval_at, timeout};

use super::socket::{PING, Pulse, Socket, accept};
use super::{Client, FrameId, Gap, LeaveReason, Problem, Step, StreamSpec};
use crate::fanout::{Frame, Shape, SlowClient};
use crate::telemetry::ClientKind;

/// A client has nothing to say here but that it lives.
const LARGEST: usize = 4 * 1024;
/// Pongs, and what some libraries send by themselves.
const WELCOME: u32 = 50;
/// How long a client may take for one value.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same, where it is disconnected when it is slow.
const LITTLE_PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn answer(
    request: Request,
    name: &str,
    spec: &StreamSpec,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let client = Client::admit(&parts, name, spec, ClientKind::Websocket)?;
    accept(&mut parts, LARGEST, move |socket, envelope| {
        serve(socket, client, envelope)
    })
    .await
}

async fn serve(mut socket: Socket, mut client: Client, envelope: bool) {
    let shutdown = client.shutdown.clone();
    let stopping = shutdown.wait();
    tokio::pin!(stopping);
    let mut pulse = Pulse::new(&socket, WELCOME);
    let mut pings = interval_at(Instant::now() + PING, PING);
    let (reason, code, text) = loop {
        tokio::select! {
            biased;
            () = &mut stopping => break (LeaveReason::Stopping, 1001, "the service is stopping"),
            message = socket.recv() => match message {
                None => return,
                Some(_) if pulse.heard() => {}
                Some(_) => break (LeaveReason::Flood, 1008, "too many messages"),
            },
            _ = pings.tick() => {
                if pulse.is_silent() {
                    break (LeaveReason::Silent, 1001, "no sign of life");
                }
                if socket.ping().await.is_err() {
                    return;
                }
            }
            step = client.subscriber.step() => match step {
                Step::TooSlow => break (LeaveReason::Slow, 1013, "too slow"),
                Step::Next { gap, frames } => {
                    let messages = messages(&client, gap, frames, envelope);
                    let begun = Instant::now();
                    match give(&mut socket, &client, messages).await {
                        Given::All => pulse.unheard(begun),
                        Given::Gone => return,
                        Given::TooLate => {
                            // Its buffers are full, so it could not be told either.
                            client.leave(LeaveReason::Slow);
                            return;
                        }
                    }
                }
            },
        }
    };
    client.leave(reason);
    socket.close(code, text).await;
}

fn messages(
    client: &Client,
    gap: Option<Gap>,
    frames: Vec<(FrameId, std::sync::Arc<Frame>)>,
    envelope: bool,
) -> Vec<Bytes> {
    // Without envelopes a message is a value and nothing else.
    let gap = gap.filter(|_| envelope);
    let gap = gap.map(|gap| Bytes::from(format!(r#"{{"gap":{}}}"#, gap.json())));
    let values = client.wanted(frames).map(|(id, frame)| {
        if envelope {
            frame.shaped(Shape::Envelope, |json| {
                [format!(r#"{{"id":"{id}","value":"#).as_bytes(), json, b"}"]
                    .concat()
                    .into()
            })
        } else {
            frame.json.clone()
        }
    });
    gap.into_iter().chain(values).collect()
}

enum Given {
    All,
    Gone,
    TooLate,
}

async fn give(socket: &mut Socket, client: &Client, messages: Vec<Bytes>) -> Given {
    let patience = match client.subscriber.slow() {
        SlowClient::Disconnect => LITTLE_PATIENCE,
        _ => PATIENCE,
    };
    for bytes in messages {
        let Ok(text) = Utf8Bytes::try_from(bytes) else {
            // serde_json writes UTF-8 only.
            continue;
        };
        match timeout(patience, socket.send(Message::Text(text))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Given::Gone,
            Err(_) => return Given::TooLate,
        }
    }
    Given::All
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::time::sleep;
    use tokio_tungstenite::tungstenite::Message as Frame;

    use super::*;
    use crate::extract::Shutdown;
    use crate::fanout::{SlowClient, Streams};
    use crate::telemetry::Metrics;
    use crate::web::stream::socket::served;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_its_time_for_a_value_is_not_silent() {
        let (shutdown, _running) = Shutdown::pair();
        let stream = Streams::new(Metrics::new()).stream("live");
        let values = stream.clone();
        let mut client = served(move |socket, envelope| {
            let client = Client {
                subscriber: values.subscribe(SlowClient::DropOldest(8), None),
                wants: None,
                shutdown: shutdown.clone(),
                metrics: values.metrics().clone(),
                _counted: values.metrics().client(ClientKind::Websocket),
            };
            serve(socket, client, envelope)
        })
        .await;
        sleep(Duration::from_millis(1)).await;
        let large = format!("\"{}\"", "x".repeat(200_000));
        for round in 0..3 {
            stream.publish(None, large.clone().into(), None);
            // More than the pipe holds: the write waits until the client reads, in time for one value.
            sleep(Duration::from_secs(59)).await;
            loop {
                match client.next().await.unwrap().unwrap() {
                    Frame::Text(text) => break assert_eq!(text.len(), large.len()),
                    Frame::Ping(_) => {}
                    other => panic!("round {round}: {other:?}"),
                }
            }
        }
        // Now it takes nothing, and says nothing.
        stream.publish(None, large.into(), None);
        sleep(Duration::from_secs(61)).await;
        while let Some(Ok(frame)) = client.next().await {
            assert!(!matches!(frame, Frame::Text(_)), "it was let go on");
        }
    }
}
