//! Live clients of a [`TestApp`] without a socket.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::ws::Message;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::TestApp;
use crate::web::{TestPipe, TestUpgrade};

/// Messages that may wait in each direction: a client that takes none is slow soon.
const WAITING: usize = 16;
/// Of the test's clock.
const PATIENCE: Duration = Duration::from_secs(60);

/// A websocket of a test.
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::testing::TestApp;
///
/// const ORDERS: Topic<String> = Topic::json("orders");
///
/// #[citizenk::agent(topics = [ORDERS], websocket = "/live")]
/// async fn live(order: Event<String>) -> String { order.value }
///
/// # citizenk::testing::block_on(async {
/// let app = TestApp::new(App::new("shop").register::<live>()).start().await?;
/// let mut client = app.ws("/live").await;
/// app.topic(&ORDERS).push(&"k".to_owned(), "tea".to_owned());
/// app.settle().await;
/// assert_eq!(client.recv().await.as_deref(), Some("\"tea\""));
/// # app.stop().await }).unwrap();
/// ```
pub struct TestSocket {
    to_app: mpsc::Sender<Message>,
    from_app: mpsc::Receiver<Message>,
    closed: Option<u16>,
}

impl fmt::Debug for TestSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestSocket")
    }
}

impl TestSocket {
    /// The next message; `None` when the service has closed the websocket.
    ///
    /// # Panics
    /// When nothing comes within a minute of the test's clock.
    pub async fn recv(&mut self) -> Option<String> {
        match timeout(PATIENCE, self.from_app.recv()).await {
            Ok(message) => self.text(message),
            Err(_) => panic!("no message came within a minute"),
        }
    }

    /// A message that has come already.
    pub fn try_recv(&mut self) -> Option<String> {
        let message = self.from_app.try_recv().ok()?;
        self.text(Some(message))
    }

    /// The next message as a JSON value of type `T`.
    ///
    /// # Panics
    /// When it is something else, or as [`TestSocket::recv`].
    pub async fn json<T: DeserializeOwned>(&mut self) -> T {
        let Some(text) = self.recv().await else {
            panic!("the websocket is closed ({:?})", self.closed)
        };
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => panic!("the message is not the expected JSON: {error}: {text}"),
        }
    }

    /// Sends a message; waits while too many are on their way.
    ///
    /// # Panics
    /// When the service has closed the websocket.
    pub async fn send(&self, text: &str) {
        let sent = self.to_app.send(Message::Text(text.into())).await;
        assert!(sent.is_ok(), "the websocket is closed");
    }

    /// With which code the service closed the websocket, once [`TestSocket::recv`] gave `None`.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        self.closed
    }

    fn text(&mut self, message: Option<Message>) -> Option<String> {
        match message? {
            Message::Close(frame) => {
                self.closed = frame.map(|frame| frame.code);
                None
            }
            Message::Text(text) => Some(text.to_string()),
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => {
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }
}

/// An event stream of a test.
pub struct TestEvents {
    body: BodyDataStream,
    read: String,
}

impl fmt::Debug for TestEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestEvents")
    }
}

/// One event, as a browser sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestEvent {
    /// `message` where the service gives it no name.
    pub event: String,
    /// Empty where the event has none.
    pub id: String,
    /// Its lines, joined.
    pub data: String,
}

impl TestEvents {
    /// The next event; `None` when the service has ended the stream.
    ///
    /// # Panics
    /// When nothing comes within a minute of the test's clock.
    pub async fn next(&mut self) -> Option<TestEvent> {
        let next = async {
            loop {
                while let Some((block, rest)) = self.read.split_once("\n\n") {
                    let event = event(block);
                    self.read = rest.to_owned();
                    if event.is_some() {
                        return event;
                    }
                }
                match self.body.next().await {
                    Some(Ok(bytes)) => self.read += &String::from_utf8_lossy(&bytes),
                    Some(Err(_)) | None => return None,
                }
            }
        };
        match timeout(PATIENCE, next).await {
            Ok(event) => event,
            Err(_) => panic!("no event came within a minute"),
        }
    }
}

/// What a block of lines says; a comment or a setting is no event.
fn event(block: &str) -> Option<TestEvent> {
    let mut event = TestEvent {
        event: "message".to_owned(),
        ..TestEvent::default()
    };
    let mut data = Vec::new();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("data", text)) => data.push(text),
            Some(("id", id)) => id.clone_into(&mut event.id),
            Some(("event", name)) => name.clone_into(&mut event.event),
            _ => {}
        }
    }
    event.data = data.join("\n");
    (!data.is_empty()).then_some(event)
}

impl TestApp {
    /// Opens a websocket to the first worker.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn ws(&self, path: &str) -> TestSocket {
        self.ws_with_headers(path, &[]).await
    }

    /// As [`TestApp::ws`], with headers, e.g. `("sec-websocket-protocol", "citizenk.v1")`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn ws_with_headers(&self, path: &str, headers: &[(&str, &str)]) -> TestSocket {
        let (to_app, incoming) = mpsc::channel(WAITING);
        let (outgoing, from_app) = mpsc::channel(WAITING);
        let upgrade = TestUpgrade::new(TestPipe { incoming, outgoing });
        let response = self.open(path, headers, Some(upgrade)).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
            panic!("{path} is no websocket for this client: {status} {body:?}");
        }
        TestSocket {
            to_app,
            from_app,
            closed: None,
        }
    }

    /// Opens an event stream of the first worker; `last` is the id of the last event the client had.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn events(&self, path: &str, last: Option<&str>) -> TestEvents {
        let headers: Vec<(&str, &str)> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        let response = self.open(path, &headers, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path} is refused");
        TestEvents {
            body: response.into_body().into_data_stream(),
            read: String::new(),
        }
    }

    async fn open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        upgrade: Option<TestUpgrade>,
    ) -> axum::response::Response {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = match request.body(Body::empty()) {
            Ok(request) => request,
            Err(error) => panic!("{path} is not a valid request: {error}"),
        };
        if let Some(upgrade) = upgrade {
            request.extensions_mut().insert(upgrade);
        }
        match self.first_router().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
