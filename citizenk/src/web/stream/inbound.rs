//! Messages from clients to a topic: what `#[citizenk::websocket_in]` expands to.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::ws::Message;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, timeout};

use super::admitted;
use super::socket::{PING, Pulse, Socket, accept};
use crate::agent::Origin;
use crate::extract::{Producer, Shutdown};
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;
use crate::web::asyncapi::{LiveDoc, LiveMessages};
use crate::web::extract::parse_json;
use crate::web::route::{RouteDef, described};
use crate::web::{Json, Operation, Problem};

/// The largest message of a client, in bytes.
const LARGEST: usize = 256 * 1024;
/// So many pings and pongs within ten seconds are welcome: they cost a client nothing, and wait for no answer.
const WELCOME: u32 = 50;
/// How long the broker may take to acknowledge a record.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may take for an answer.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(60);

/// First arguments of functions with `#[citizenk::websocket_in]`: `Json<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a message of a websocket",
    label = "not a message",
    note = "the first argument is `Json<T>`, with `T` from `#[citizenk::message]`"
)]
pub trait IncomingMessage: Sized {
    #[doc(hidden)]
    fn read(bytes: &[u8]) -> Result<Self, Problem>;
    #[doc(hidden)]
    fn document(operation: &mut Operation);
    #[doc(hidden)]
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

impl<T: DeserializeOwned + JsonSchema> IncomingMessage for Json<T> {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        parse_json(bytes).map(Self)
    }

    fn document(operation: &mut Operation) {
        operation.schema::<T>();
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// Return types of functions with `#[citizenk::websocket_in]`: `(K, V)`, `Option` of it for messages that
/// become no record, or `Result` of either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record for a topic of `{V}` with key `{K}`",
    label = "not a record",
    note = "return `({K}, {V})`, `Option<({K}, {V})>`, or `Result` of these with `Problem`"
)]
pub trait IntoPair<K, V> {
    #[doc(hidden)]
    fn pair(self) -> Result<Option<(K, V)>, Problem>;
}

impl<K, V> IntoPair<K, V> for (K, V) {
    fn pair(self) -> Result<Option<(K, V)>, Problem> {
        Ok(Some(self))
    }
}

impl<K, V> IntoPair<K, V> for Option<(K, V)> {
    fn pair(self) -> Result<Self, Problem> {
        Ok(self)
    }
}

impl<K, V, T: IntoPair<K, V>, E: Into<Problem>> IntoPair<K, V> for Result<T, E> {
    fn pair(self) -> Result<Option<(K, V)>, Problem> {
        self.map_err(Into::into)?.pair()
    }
}

/// Makes the endpoint; the attribute's code calls this.
pub fn websocket_in<In, V, K, R, H, F>(
    name: &str,
    origin: Origin,
    path: &str,
    topic: &Topic<V, K>,
    handler: H,
    describe: fn(&mut Operation),
) -> RouteDef
where
    In: IncomingMessage + Send + 'static,
    V: Send + Sync + 'static,
    K: Send + Sync + 'static,
    R: IntoPair<K, V> + Send + 'static,
    H: Fn(In, Parts) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R, Response>> + Send + 'static,
{
    let (handler, topic) = (Arc::new(handler), *topic);
    let mut route = described(
        name,
        origin,
        Method::GET,
        path,
        move |request: Request| {
            let handler = handler.clone();
            async move {
                let (mut parts, _) = request.into_parts();
                let (producer, shutdown) = match admitted(&parts) {
                    Ok(env) => (env.producer.clone(), env.shutdown.clone()),
                    Err(problem) => return problem.into_response(),
                };
                let head = parts.clone();
                let answered = accept(&mut parts, LARGEST, move |socket, _| {
                    serve(socket, shutdown, move |bytes: Vec<u8>| {
                        let (handler, producer) = (handler.clone(), producer.clone());
                        let head = head.clone();
                        async move { taken(&bytes, head, &*handler, &producer, &topic).await }
                    })
                });
                answered.await.unwrap_or_else(IntoResponse::into_response)
            }
        },
        move |operation| {
            In::document(operation);
            describe(operation);
            let text = "A websocket. Each message of the client is answered, in order, with `{\"accepted\":true}` and the record's place, or with a problem";
            operation.response("101", text, None);
            operation.problem("403", "The page belongs to another site");
            operation.problem("426", "The request is not one for a websocket");
        },
    );
    route.sends.push(TopicInfo::of(&topic));
    route.live = Some(LiveDoc {
        websocket: true,
        events: false,
        messages: LiveMessages::Answered(In::schema),
    });
    route
}

/// What became of a message: its record's place, or the answer that says why not.
async fn taken<In, V, K, R, H, F>(
    bytes: &[u8],
    head: Parts,
    handler: &H,
    producer: &Producer,
    topic: &Topic<V, K>,
) -> Result<Value, Response>
where
    In: IncomingMessage,
    R: IntoPair<K, V>,
    H: Fn(In, Parts) -> F,
    F: Future<Output = Result<R, Response>>,
{
    let message = In::read(bytes).map_err(IntoResponse::into_response)?;
    let pair = handler(message, head).await?.pair();
    let Some((key, value)) = pair.map_err(IntoResponse::into_response)? else {
        return Ok(json!({ "accepted": true }));
    };
    let sent = timeout(PATIENCE, producer.send(topic, &key, value)).await;
    match sent {
        Ok(Ok(sent)) => Ok(json!({
            "accepted": true,
            "partition": sent.partition,
            "offset": sent.offset,
        })),
        Ok(Err(error)) => Err(Problem::from(error).into_response()),
        Err(_) => {
            let text = "the broker has not acknowledged the record in time; it may still arrive";
            Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, text).into_response())
        }
    }
}

async fn serve<F>(mut socket: Socket, shutdown: Shutdown, take: impl Fn(Vec<u8>) -> F)
where
    F: Future<Output = Result<Value, Response>>,
{
    let stopping = shutdown.wait();
    tokio::pin!(stopping);
    let mut pulse = Pulse::new(&socket, WELCOME);
    let mut pings = interval_at(Instant::now() + PING, PING);
    let (code, text) = loop {
        let message = tokio::select! {
            biased;
            () = &mut stopping => break (1001, "the service is stopping"),
            message = socket.recv() => message,
            _ = pings.tick() => {
                if pulse.is_silent() {
                    break (1001, "no sign of life");
                }
                if socket.ping().await.is_err() {
                    return;
                }
                continue;
            }
        };
        let bytes = match message {
            None => return,
            Some(Message::Text(text)) => text.as_bytes().to_vec(),
            Some(Message::Binary(bytes)) => bytes.to_vec(),
            Some(_) if pulse.heard() => continue,
            Some(_) => break (1008, "too many control frames"),
        };
        // What it sends is what it is here for, and each message waits for the answer of the one before.
        pulse.alive();
        let begun = Instant::now();
        let answer = match AssertUnwindSafe(take(bytes)).catch_unwind().await {
            Ok(Ok(accepted)) => accepted.to_string(),
            Ok(Err(refused)) => problem_text(refused).await,
            Err(_) => problem_text(Problem::internal("a handler panicked").into_response()).await,
        };
        match timeout(CLIENTS_PATIENCE, socket.send(Message::Text(answer.into()))).await {
            Ok(Ok(())) => pulse.unheard(begun),
            Ok(Err(_)) | Err(_) => return,
        }
    };
    socket.close(code, text).await;
}

/// An answer made for HTTP, as a message.
async fn problem_text(answer: Response) -> String {
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), LARGEST).await;
    let known = body
        .ok()
        .and_then(|body| serde_json::from_slice::<Value>(&body).ok())
        .filter(Value::is_object);
    known
        .unwrap_or_else(|| json!({ "status": status }))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::stream::socket::served;
    use axum::body::Bytes;
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::io::DuplexStream;
    use tokio::time::{advance, sleep};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message as Frame;

    /// A client of an endpoint that takes everything, after a while.
    async fn client(shutdown: Shutdown, after: Duration) -> WebSocketStream<DuplexStream> {
        let take = move |_| async move {
            sleep(after).await;
            Ok(json!("taken"))
        };
        served(move |socket, _| serve(socket, shutdown.clone(), take)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_without_a_sign_of_life_has_to_go_within_a_minute() {
        let (shutdown, _running) = Shutdown::pair();
        let mut silent = client(shutdown.clone(), Duration::ZERO).await;
        let mut lively = client(shutdown, Duration::ZERO).await;
        // It reads, and so answers pings.
        let lives = tokio::spawn(async move {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(300) {
                match lively.next().await.unwrap().unwrap() {
                    Frame::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            lively.send(Frame::Text("still here".into())).await.unwrap();
            loop {
                if let Frame::Text(text) = lively.next().await.unwrap().unwrap() {
                    return text.to_string();
                }
            }
        });
        // It reads nothing meanwhile.
        for _ in 0..62 {
            advance(Duration::from_secs(1)).await;
        }
        let mut pings = 0;
        loop {
            match silent.next().await.unwrap().unwrap() {
                Frame::Ping(bytes) => {
                    assert_eq!(bytes, Bytes::new());
                    pings += 1;
                }
                Frame::Close(Some(frame)) => {
                    assert_eq!(u16::from(frame.code), 1001);
                    assert_eq!(frame.reason, "no sign of life");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pings, 2);
        assert_eq!(lives.await.unwrap(), "\"taken\"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_for_its_answer_is_not_silent() {
        let (shutdown, _running) = Shutdown::pair();
        let mut client = client(shutdown, Duration::from_secs(90)).await;
        for _ in 0..3 {
            client.send(Frame::Text("slow".into())).await.unwrap();
            loop {
                match client.next().await.unwrap().unwrap() {
                    Frame::Text(text) => break assert_eq!(text.as_str(), "\"taken\""),
                    Frame::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            // It is asked for a sign of life, and gives one.
            assert!(matches!(client.next().await, Some(Ok(Frame::Ping(_)))));
        }
    }
}
