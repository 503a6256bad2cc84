//! Positions from HTTP to topic to map, without and with sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use citizenk::prelude::*;
use citizenk::testing::{EmbeddedCluster, TestApp};
use citizenk::{Flags, Settings};
use futures_util::{SinkExt as _, StreamExt as _};
use geo_stream::{Fleet, GEOSTREAM, Position};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Nothing here takes longer, however busy the machine.
const LIMIT: Duration = Duration::from_secs(30);

fn still() -> App {
    geo_stream::app().override_state(Fleet::new(0))
}

fn ann(lat: f64) -> Value {
    json!({ "name": "ann", "message_id": "1", "timestamp": 5, "lat": lat, "lon": 12.5 })
}

#[tokio::test]
async fn ships_move_on_the_topic_and_at_the_map() -> citizenk::Result<()> {
    let fleet = || geo_stream::app().override_state(Fleet::new(3));
    let app = TestApp::new(fleet).start().await?;
    let mut map = app.ws("/consumer/geostream").await;
    assert_eq!(map.json::<Value>().await["message"], "connected");
    app.advance("500ms").await;
    let mut names = Vec::new();
    for _ in 0..3 {
        let record = map.json::<Value>().await;
        let position: Position = serde_json::from_value(record["value"].clone()).unwrap();
        assert_eq!(record["key"], json!(position.name));
        names.push(position.name);
    }
    names.sort();
    assert_eq!(names, ["ship-1", "ship-2", "ship-3"]);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_position_is_checked_and_sent_by_its_key() -> citizenk::Result<()> {
    let app = TestApp::new(still).start().await?;
    let posted = app.post("/producer/geostream?key=ann", &ann(41.9)).await;
    assert_eq!(posted.status, 200, "{}", posted.body);
    let sent = app.topic(&GEOSTREAM).sent();
    assert_eq!(sent[0].key.as_deref(), Some("ann"));
    assert_eq!(sent[0].value.as_ref().unwrap().lat, 41.9);
    let wrong = app
        .post("/producer/geostream?key=ann", &json!({ "name": "ann" }))
        .await;
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    assert_eq!(app.post("/producer/other", &ann(0.0)).await.status, 404);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn the_page_lets_nothing_in_but_itself() -> citizenk::Result<()> {
    let app = TestApp::new(still).start().await?;
    let page = app.get("/").await;
    let header = |name: &str| {
        let found = page.headers.iter().find(|(header, _)| *header == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    for file in ["main.js", "map.js", "coast.js", "stream.js", "style.css"] {
        let file = app.get(&format!("/{file}")).await;
        assert_eq!(file.status, 200);
        // Namespaces apart, nothing names another place.
        assert!(
            !file.body.contains("//cdn") && !file.body.contains("https://"),
            "{}",
            file.body
        );
    }
    Ok(app.stop().await?)
}

#[citizenk::on_event(startup)]
async fn started(app: AppInfo, State(tell): State<mpsc::Sender<String>>) -> citizenk::Result<()> {
    tell.send(app.base_url().unwrap_or_default().to_owned())
        .await?;
    Ok(())
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        let message = timeout(LIMIT, socket.next())
            .await
            .expect("a message comes");
        if let Message::Text(text) = message.expect("it is open").unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn ask(address: &str, text: String) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(LIMIT, stream.read_to_string(&mut answer)).await;
    read.expect("it answers").unwrap();
    answer
}

async fn post(address: &str, position: &Value) -> String {
    let body = position.to_string();
    let head = format!(
        "POST /producer/geostream?key=ann HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    ask(address, head + &body).await
}

async fn clients(address: &str) -> u64 {
    let get = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let metrics = ask(address, get.to_owned()).await;
    let lines = metrics.lines();
    let lines = lines.filter(|line| line.starts_with("citizenk_stream_clients{"));
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_come_over_sockets_from_where_a_client_was_and_nothing_stays_of_it() {
    let (tell, mut told) = mpsc::channel(1);
    let app = still().state(tell).register::<started>();
    let flags = Flags {
        embedded: true,
        http: Some("127.0.0.1:0".into()),
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &std::collections::BTreeMap::new(), None).unwrap();
    let service = app.build_with(settings).await.unwrap();
    let cluster = EmbeddedCluster::start().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service =
        tokio::spawn(async move { cluster.run(service, async { drop(stopped.await) }).await });
    let url: Option<String> = timeout(LIMIT, told.recv()).await.expect("it starts");
    let address = url.unwrap().trim_start_matches("http://").to_owned();

    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut live, _) = client_async(format!("ws://{address}/consumer/geostream"), stream)
        .await
        .unwrap();
    let greeting = next(&mut live).await;
    assert_eq!(greeting["message"], "connected");
    let begin = greeting["at"].as_str().unwrap().to_owned();
    let mut partition = Value::Null;
    for lat in 0..5 {
        let answer = post(&address, &ann(f64::from(lat))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let record = next(&mut live).await;
        assert_eq!(
            (&record["value"]["lat"], &record["offset"]),
            (&json!(f64::from(lat)), &json!(lat))
        );
        partition = record["partition"].clone();
    }
    // The ids of its events: the other partitions stay where they are.
    let id = |next: u32| begin.replace(&format!("p{partition}:0"), &format!("p{partition}:{next}"));
    live.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut live).await, json!({ "message": "hello" }));

    // An event stream of a client that was cut off after the second position.
    let mut events = TcpStream::connect(&address).await.unwrap();
    let get = format!(
        "GET /consumer/geostream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {}\r\n\r\n",
        id(2)
    );
    events.write_all(get.as_bytes()).await.unwrap();
    let mut text = String::new();
    let all = async {
        let mut buffer = vec![0; 4096];
        while !text.contains(&format!("id: {}\n", id(5))) {
            let read = events.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream ended: {text}");
            text += &String::from_utf8_lossy(&buffer[..read]);
        }
    };
    timeout(LIMIT, all).await.expect("it goes on");
    let connected = format!("event: connected\nid: {}\n", id(2));
    assert!(text.contains(&connected), "{text}");
    for next in [3, 4] {
        let once = text.matches(&format!("id: {}\n", id(next))).count();
        assert_eq!(once, 1, "{text}");
    }
    assert!(
        text.contains(r#""lat":2.0"#) && !text.contains(r#""lat":1.0"#),
        "{text}"
    );

    assert_eq!(clients(&address).await, 2);
    drop((live, events));
    let gone = timeout(LIMIT, async {
        while clients(&address).await > 0 {
            tokio::task::yield_now().await;
        }
    });
    gone.await.expect("who leaves is noticed");
    stop.send(()).unwrap();
    let stopped = timeout(LIMIT, service).await.expect("it stops");
    stopped.unwrap().unwrap();
}
