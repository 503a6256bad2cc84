//! A websocket, or what stands for it in tests without sockets.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts as _;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
#[cfg(any(test, feature = "testing"))]
use std::sync::Mutex;
#[cfg(any(test, feature = "testing"))]
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::web::Problem;
use crate::web::server::Place;

/// How often a client is asked for a sign of life.
pub(in crate::web) const PING: Duration = Duration::from_secs(20);
/// How long it may be silent. That is looked at with each ping, so that nobody stays for more than a minute after
/// the last sign of life.
const SILENCE: Duration = Duration::from_secs(55);
/// How long a client may take to answer a close frame.
const FAREWELL: Duration = Duration::from_secs(1);
/// What a socket reads and writes at a time: most clients of a stream say next to nothing.
const READ_BUFFER: usize = 4 * 1024;
/// Two of the largest values would not be written at once anyway.
const WRITE_BUFFER: usize = 64 * 1024 * 1024;

/// The subprotocol whose messages tell ids and gaps.
pub(in crate::web) const ENVELOPE: &str = "citizenk.v1";

pub(in crate::web) enum Socket {
    Real(Box<WebSocket>),
    #[cfg(any(test, feature = "testing"))]
    Test(TestPipe),
}

/// The other end of a [`Socket`] without a connection.
#[cfg(any(test, feature = "testing"))]
pub(crate) struct TestPipe {
    pub(crate) incoming: mpsc::Receiver<Message>,
    pub(crate) outgoing: mpsc::Sender<Message>,
}

/// In a request's extensions it takes the place of an upgrade.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone)]
pub(crate) struct TestUpgrade(Arc<Mutex<Option<TestPipe>>>);

#[cfg(any(test, feature = "testing"))]
impl TestUpgrade {
    pub(crate) fn new(pipe: TestPipe) -> Self {
        Self(Arc::new(Mutex::new(Some(pipe))))
    }

    fn take(&self) -> Option<TestPipe> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

/// The client is gone.
#[derive(Debug)]
pub(in crate::web) struct Gone;

impl Socket {
    /// The next message; `None`: the client is gone, or was told why it has to go.
    pub(in crate::web) async fn recv(&mut self) -> Option<Message> {
        match self {
            Self::Real(socket) => match socket.recv().await {
                Some(Ok(Message::Close(_))) | None => None,
                Some(Ok(message)) => Some(message),
                Some(Err(error)) => {
                    tracing::debug!(%error, "websocket");
                    if let Some((code, reason)) = fault(&error) {
                        self.turn_away(code, reason).await;
                    }
                    None
                }
            },
            #[cfg(any(test, feature = "testing"))]
            Self::Test(pipe) => pipe
                .incoming
                .recv()
                .await
                .filter(|message| !matches!(message, Message::Close(_))),
        }
    }

    /// Sends a message; waits until the client takes it.
    pub(in crate::web) async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match self {
            Self::Real(socket) => socket.send(message).await.map_err(|error| {
                tracing::debug!(%error, "websocket");
                Gone
            }),
            #[cfg(any(test, feature = "testing"))]
            Self::Test(pipe) => pipe.outgoing.send(message).await.map_err(|_| Gone),
        }
    }

    /// Asks for a sign of life.
    pub(in crate::web) async fn ping(&mut self) -> Result<(), Gone> {
        match self {
            Self::Real(_) => self.send(Message::Ping(bytes::Bytes::new())).await,
            // It is in this process.
            #[cfg(any(test, feature = "testing"))]
            Self::Test(_) => Ok(()),
        }
    }

    /// Whether silence means anything.
    fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }

    /// Says goodbye to a client whose frames cannot be read any more.
    async fn turn_away(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let told = timeout(FAREWELL, self.send(Message::Close(Some(frame)))).await;
        if matches!(told, Ok(Ok(()))) {
            // To close while there is something to read would take back what was just sent.
            tokio::time::sleep(FAREWELL).await;
        }
    }

    /// Says goodbye and waits a moment for the answer.
    pub(in crate::web) async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let farewell = async {
            if self.send(Message::Close(Some(frame))).await.is_ok() {
                while self.recv().await.is_some() {}
            }
        };
        // A client that does not answer is cut off.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// What a client is told of frames that are none (RFC 6455 §7.4.1); `None`: the connection broke. axum gives the
/// error of the protocol's library as text alone.
fn fault(error: &axum::Error) -> Option<(u16, &'static str)> {
    let text = error.to_string();
    if text.starts_with("Space limit exceeded") {
        Some((1009, "the message is too large"))
    } else if text.starts_with("UTF-8 encoding error") {
        Some((1007, "the message is not UTF-8"))
    } else if text.starts_with("WebSocket protocol error") {
        Some((1002, "the frame is not one of a websocket"))
    } else {
        None
    }
}

/// What a client says is watched: neither too little nor too much.
pub(in crate::web) struct Pulse {
    heard: Instant,
    window: Instant,
    in_window: u32,
    most: u32,
    watched: bool,
}

impl Pulse {
    /// `most` messages within ten seconds are welcome.
    pub(in crate::web) fn new(socket: &Socket, most: u32) -> Self {
        let now = Instant::now();
        Self {
            heard: now,
            window: now,
            in_window: 0,
            most,
            watched: socket.is_real(),
        }
    }

    /// It lives.
    pub(in crate::web) fn alive(&mut self) {
        self.heard = Instant::now();
    }

    /// Nobody has asked or listened since then: what a client takes its time for is no silence, and a write that waited
    /// for it and went through shows that it took something. One that went through at once shows nothing.
    pub(in crate::web) fn unheard(&mut self, since: Instant) {
        self.heard = Instant::now().min(self.heard + since.elapsed());
    }

    /// A message came; whether that may go on.
    pub(in crate::web) fn heard(&mut self) -> bool {
        self.alive();
        if self.heard - self.window > Duration::from_secs(10) {
            self.window = self.heard;
            self.in_window = 0;
        }
        self.in_window += 1;
        self.in_window <= self.most
    }

    pub(in crate::web) fn is_silent(&self) -> bool {
        self.watched && self.heard.elapsed() > SILENCE
    }
}

/// Answers a request for a websocket; `serve` runs with it once the client has the answer. Messages of a
/// client have at most `largest` bytes.
pub(in crate::web) async fn accept<F>(
    parts: &mut Parts,
    largest: usize,
    serve: impl FnOnce(Socket, bool) -> F + Send + 'static,
) -> Result<Response, Problem>
where
    F: Future<Output = ()> + Send + 'static,
{
    #[cfg(any(test, feature = "testing"))]
    if let Some(pipe) = parts
        .extensions
        .get::<TestUpgrade>()
        .and_then(TestUpgrade::take)
    {
        let asked = parts.headers.get("sec-websocket-protocol");
        let envelope = asked.is_some_and(|asked| asked.as_bytes() == ENVELOPE.as_bytes());
        tokio::spawn(serve(Socket::Test(pipe), envelope));
        return Ok(StatusCode::SWITCHING_PROTOCOLS.into_response());
    }
    // Kept until the client leaves: it counts as a connection, and the server waits for it.
    let place = parts.extensions.get::<Place>().cloned();
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await;
    let upgrade = upgrade
        .map_err(refused)?
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(largest)
        .max_frame_size(largest)
        .protocols([ENVELOPE]);
    let envelope = upgrade.selected_protocol().is_some();
    Ok(upgrade.on_upgrade(move |socket| async move {
        serve(Socket::Real(Box::new(socket)), envelope).await;
        drop(place);
    }))
}

/// A client of `serve`, over a pipe that holds 64 KiB.
#[cfg(test)]
pub(super) async fn served<F>(
    serve: impl Fn(Socket, bool) -> F + Clone + Send + Sync + 'static,
) -> tokio_tungstenite::WebSocketStream<tokio::io::DuplexStream>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (here, there) = tokio::io::duplex(64 * 1024);
    let service = hyper::service::service_fn(move |request| {
        let serve = serve.clone();
        async move {
            let (mut parts, _) = hyper::Request::<hyper::body::Incoming>::into_parts(request);
            let answer = accept(&mut parts, 256 * 1024, serve).await;
            let answer = answer.unwrap_or_else(IntoResponse::into_response);
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let here = hyper_util::rt::TokioIo::new(here);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(here, service);
    tokio::spawn(connection.with_upgrades());
    let (client, _) = tokio_tungstenite::client_async("ws://localhost/", there)
        .await
        .expect("a websocket");
    client
}

/// Whether a request asks for a websocket.
pub(in crate::web) fn wants_websocket(parts: &Parts) -> bool {
    #[cfg(any(test, feature = "testing"))]
    if parts.extensions.get::<TestUpgrade>().is_some() {
        return true;
    }
    let upgrade = parts.headers.get(axum::http::header::UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn refused(rejection: WebSocketUpgradeRejection) -> Problem {
    Problem::new(
        StatusCode::UPGRADE_REQUIRED,
        format!("this endpoint speaks websocket only: {rejection}"),
    )
}
