//! Live clients on real sockets, real threads and the embedded broker.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::{Duration, Instant};

use citizenk::prelude::*;
use citizenk::testing::EmbeddedCluster;
use citizenk::{Flags, Settings};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

const NOTES: Topic<Value> = Topic::json("notes");
/// Nothing here takes longer, however busy the machine.
const LIMIT: Duration = Duration::from_secs(30);
/// What nobody may be told.
const CANARY: &str = "canary-5a2f8e9d1c7b";

#[citizenk::agent(topics = [NOTES], websocket = "/ws", events = "/events")]
async fn live(note: Event<Value>) -> Value {
    note.value
}

#[citizenk::agent(topics = [NOTES], websocket = "/strict", slow_client = disconnect)]
async fn strict(note: Event<Value>) -> Value {
    note.value
}

#[citizenk::websocket_in(topic = NOTES, route = "/in")]
async fn incoming(Json(note): Json<Value>) -> (String, Value) {
    ("k".to_owned(), note)
}

#[citizenk::on_event(startup)]
async fn started(app: AppInfo, State(tell): State<mpsc::Sender<String>>) -> citizenk::Result<()> {
    tell.send(app.base_url().unwrap_or_default().to_owned())
        .await?;
    Ok(())
}

type Socket = WebSocketStream<TcpStream>;

struct Running {
    address: String,
    stop: oneshot::Sender<()>,
    service: tokio::task::JoinHandle<Result<(), citizenk::RunError>>,
}

impl Running {
    async fn start() -> Self {
        let (tell, mut told) = mpsc::channel(1);
        let app = App::new("notes")
            .state(tell)
            .register::<live>()
            .register::<strict>()
            .register::<incoming>()
            .register::<started>();
        let flags = Flags {
            embedded: true,
            http: Some("127.0.0.1:0".into()),
            ..Flags::default()
        };
        let secrets = ["CITIZENK_HTTP_TOKEN", "CITIZENK_CLUSTER_SECRET"];
        let secrets = secrets.map(|name| (name.to_owned(), CANARY.to_owned()));
        let settings = Settings::resolve(flags, &secrets.into(), None).unwrap();
        let service = app.build_with(settings).await.unwrap();
        let cluster = EmbeddedCluster::start().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            cluster.run(service, stopped).await
        });
        let url: Option<String> = timeout(LIMIT, told.recv()).await.expect("it starts");
        let address = url.unwrap().trim_start_matches("http://").to_owned();
        let running = Self {
            address,
            stop,
            service,
        };
        running.until_ready().await;
        running
    }

    /// Agents without a group begin at the end they find.
    async fn until_ready(&self) {
        let begun = Instant::now();
        loop {
            let answer = self
                .ask("GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let answer = timeout(LIMIT, answer).await.expect("it answers");
            if answer.starts_with("HTTP/1.1 200") {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{answer}");
            tokio::task::yield_now().await;
        }
    }

    async fn ask(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    async fn socket(&self, path: &str) -> Socket {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .unwrap();
        let (socket, answer) = client_async(request, stream).await.unwrap();
        assert_eq!(answer.status(), 101);
        socket
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        let stopped = timeout(LIMIT, self.service).await.expect("it stops");
        stopped.unwrap().unwrap();
    }
}

async fn next(socket: &mut Socket) -> Message {
    loop {
        let message = timeout(LIMIT, socket.next())
            .await
            .expect("a message comes");
        match message.expect("the websocket is open").unwrap() {
            // On a busy machine a test outlasts the time after which clients are asked for a sign of life.
            Message::Ping(_) => {}
            message => return message,
        }
    }
}

async fn send(socket: &mut Socket, note: &Value) -> Value {
    let sent = socket.send(Message::text(note.to_string())).await;
    sent.unwrap();
    serde_json::from_str(next(socket).await.to_text().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_goes_from_client_to_topic_to_clients_and_the_stop_says_goodbye() {
    let running = Running::start().await;
    let mut sender = running.socket("/in").await;
    let mut receiver = running.socket("/ws").await;
    let mut events = TcpStream::connect(&running.address).await.unwrap();
    events
        .write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut head = vec![0; 4096];
    let read = timeout(LIMIT, events.read(&mut head))
        .await
        .unwrap()
        .unwrap();
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    assert!(head.contains("content-type: text/event-stream"), "{head}");

    for n in 0..3 {
        let note = serde_json::json!({ "n": n });
        let answer = send(&mut sender, &note).await;
        assert_eq!(answer["accepted"], true, "{answer}");
        let got = next(&mut receiver).await;
        assert_eq!(
            serde_json::from_str::<Value>(got.to_text().unwrap()).unwrap(),
            note
        );
    }
    let mut text = head;
    let mut buffer = vec![0; 4096];
    while !text.contains(r#"data: {"n":2}"#) {
        let read = timeout(LIMIT, events.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert!(read > 0, "the stream ended: {text}");
        text += &String::from_utf8_lossy(&buffer[..read]);
    }

    let address = running.address.clone();
    let clients = tokio::spawn(async move {
        let mut codes = Vec::new();
        for mut socket in [sender, receiver] {
            match next(&mut socket).await {
                Message::Close(Some(frame)) => codes.push(u16::from(frame.code)),
                other => panic!("{other:?}"),
            }
            // The answer to the close frame goes out with the next read.
            assert!(timeout(LIMIT, socket.next()).await.unwrap().is_none());
        }
        let mut rest = Vec::new();
        let _ = timeout(LIMIT, events.read_to_end(&mut rest)).await.unwrap();
        codes
    });
    running.stop().await;
    assert_eq!(clients.await.unwrap(), [1001, 1001]);
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_take_nothing_hold_up_nobody() {
    let running = Running::start().await;
    let mut sender = running.socket("/in").await;
    // They read nothing from now on.
    let stalled = [running.socket("/ws").await, running.socket("/strict").await];
    let mut quick = running.socket("/ws").await;
    let mut disconnected = running.socket("/strict").await;
    let large = "x".repeat(100_000);
    // More than what sockets buffer.
    for n in 0..150 {
        let note = serde_json::json!({ "n": n, "text": large });
        send(&mut sender, &note).await;
        for client in [&mut quick, &mut disconnected] {
            let got: Value = serde_json::from_str(next(client).await.to_text().unwrap()).unwrap();
            assert_eq!(got["n"], n, "in order, whoever else is slow");
        }
    }
    drop(stalled);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_websocket_may_not_be_sent_closes_it() {
    let running = Running::start().await;
    let mut socket = running.socket("/ws").await;
    socket
        .send(Message::text("x".repeat(100_000)))
        .await
        .unwrap();
    // Too large: the connection ends, with a close frame or without.
    let ended = timeout(LIMIT, async {
        while let Some(Ok(message)) = socket.next().await {
            assert!(matches!(message, Message::Close(_)), "{message:?}");
        }
    });
    ended.await.expect("it is closed");
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    stream
        .write_all(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        .await
        .unwrap();
    let mut head = [0; 12];
    timeout(LIMIT, stream.read_exact(&mut head))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 403");
    running.stop().await;
}

/// The code that a close frame has, behind what came before it.
async fn closed_with(socket: &mut Socket) -> Option<u16> {
    let end = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| u16::from(frame.code));
            }
        }
        None
    };
    timeout(LIMIT, end).await.expect("it is closed")
}

/// What goes out one way while it comes in the other, as long as it does.
async fn flood(socket: &mut Socket, frames: impl Iterator<Item = Message>) {
    for frame in frames {
        if socket.feed(frame).await.is_err() {
            return;
        }
    }
    let _ = socket.flush().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_floods_its_way_in_is_told_why_it_has_to_go() {
    let running = Running::start().await;
    let mut pings = running.socket("/in").await;
    let ping = || Message::Ping(Vec::new().into());
    flood(&mut pings, std::iter::repeat_with(ping).take(200)).await;
    assert_eq!(closed_with(&mut pings).await, Some(1008), "pings");
    let mut pongs = running.socket("/in").await;
    let pong = || Message::Pong(Vec::new().into());
    flood(&mut pongs, std::iter::repeat_with(pong).take(200)).await;
    assert_eq!(closed_with(&mut pongs).await, Some(1008), "pongs");
    for (path, size) in [("/in", 257 * 1024), ("/ws", 5 * 1024)] {
        let mut large = running.socket(path).await;
        flood(&mut large, std::iter::once(Message::text("x".repeat(size)))).await;
        assert_eq!(closed_with(&mut large).await, Some(1009), "{path}");
    }
    // Messages have answers, which is what holds a client up: as many as it likes are welcome.
    let mut busy = running.socket("/in").await;
    for n in 0..200 {
        let answer = send(&mut busy, &serde_json::json!({ "n": n })).await;
        assert_eq!(answer["accepted"], true, "{answer}");
    }
    running.stop().await;
}

/// The code of the close frame among what a server sent: the rest of its head, then frames without masks.
fn code_of(sent: &[u8]) -> Option<u16> {
    let head = sent.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let mut frames = sent.get(head + 4..)?;
    while let [kind, length @ 0..=125, rest @ ..] = frames {
        let (payload, next) = rest.split_at_checked(usize::from(*length))?;
        if *kind == 0x88 {
            return Some(u16::from_be_bytes(payload.get(..2)?.try_into().ok()?));
        }
        frames = next;
    }
    None
}

/// A client's frame: head, mask of zeros, payload.
fn frame(head: &[u8], payload: &[u8]) -> Vec<u8> {
    [head, &[0; 4], payload].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_mean_no_good_end_the_connection_and_no_other() {
    let running = Running::start().await;
    let mut other = running.socket("/ws").await;
    let mut fragments = frame(&[0x01, 0x81], b"x");
    for _ in 0..10_000 {
        fragments.extend(frame(&[0x00, 0x81], b"x"));
    }
    let huge = frame(&[0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0], b"x");
    let pings: Vec<u8> = std::iter::repeat_n(frame(&[0x89, 0x80], b""), 200)
        .flatten()
        .collect();
    for (what, code, bytes) in [
        ("a gigabyte declared", 1009, huge),
        ("many fragments", 1009, fragments),
        ("no UTF-8", 1007, frame(&[0x81, 0x82], b"\xff\xfe")),
        ("pings without end", 1008, pings),
        ("a frame without mask", 1002, vec![0x81, 0x01, b'x']),
        ("a reserved bit", 1002, frame(&[0xc1, 0x81], b"x")),
        ("an unknown kind", 1002, frame(&[0x83, 0x81], b"x")),
        ("a fragmented ping", 1002, frame(&[0x09, 0x80], b"")),
    ] {
        let mut stream = TcpStream::connect(&running.address).await.unwrap();
        stream
            .write_all(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            .await
            .unwrap();
        let mut head = [0; 12];
        let read = timeout(LIMIT, stream.read_exact(&mut head)).await;
        read.expect("it answers").unwrap();
        assert_eq!(&head, b"HTTP/1.1 101", "{what}");
        // It may be cut off before it has sent all.
        let _ = stream.write_all(&bytes).await;
        let mut rest = Vec::new();
        let ended = timeout(LIMIT, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{what} is let go on");
        assert_eq!(code_of(&rest), Some(code), "{what}: {rest:?}");
    }
    let mut sender = running.socket("/in").await;
    let note = serde_json::json!({ "n": 1 });
    send(&mut sender, &note).await;
    assert_eq!(next(&mut other).await.to_text().unwrap(), note.to_string());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_has_a_secret_in_it() {
    let running = Running::start().await;
    for (line, status) in [
        ("GET /info", "200"),
        ("GET /stats", "200"),
        ("GET /metrics", "200"),
        ("GET /topics", "200"),
        ("GET /agents", "200"),
        ("GET /openapi.json", "200"),
        ("GET /asyncapi.json", "200"),
        ("GET /health/ready", "200"),
        ("GET /nothing", "404"),
        ("POST /topics/notes", "401"),
        ("POST /agents/live/notes", "401"),
        ("GET /cluster/owned/default/notes", "4"),
    ] {
        let wrong = "Authorization: Bearer wrong-canary-token\r\nContent-Type: application/json\r\nContent-Length: 2";
        let text = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{wrong}\r\n\r\n{{}}"
        );
        let answer = timeout(LIMIT, running.ask(&text))
            .await
            .expect("it answers");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {answer}"
        );
        assert!(!answer.contains(CANARY), "{line}: {answer}");
        assert!(!answer.contains("wrong-canary-token"), "{line}: {answer}");
    }
    running.stop().await;
}
