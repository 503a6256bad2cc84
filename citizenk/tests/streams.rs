//! Values of agents at live clients, and messages of clients in topics.

#![expect(clippy::unwrap_used, reason = "tests")]

use citizenk::prelude::*;
use citizenk::testing::{TestApp, TestEvent, block_on};
use citizenk::{Agent, Direction, SlowClient};
use serde_json::{Value, json};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Position {
    name: String,
    lat: f64,
}

const POSITIONS: Topic<Position> = Topic::json("positions");

#[derive(serde::Deserialize)]
struct OfName {
    name: Option<String>,
    north_of: Option<f64>,
}

fn of_name(position: &Position, wanted: &OfName) -> bool {
    wanted
        .name
        .as_ref()
        .is_none_or(|name| *name == position.name)
        && wanted.north_of.is_none_or(|lat| position.lat > lat)
}

#[citizenk::agent(topics = [POSITIONS], websocket = "/ws", events = "/events", filter = of_name)]
/// Positions north of the equator.
async fn live(position: Event<Position>) -> citizenk::Result<Option<Position>> {
    if position.value.lat.is_nan() {
        return Err(AgentError::skip("no latitude"));
    }
    Ok((position.value.lat >= 0.0).then_some(position.value))
}

#[citizenk::websocket_in(topic = POSITIONS, route = "/ws/in/{fleet}")]
async fn incoming(
    Json(position): Json<Position>,
    Path(fleet): Path<String>,
) -> Result<Option<(String, Position)>, Problem> {
    if position.name.is_empty() {
        return Err(Problem::unprocessable("a position needs a name").field("name"));
    }
    if position.name == "panic" {
        panic!("a bug");
    }
    Ok((position.lat != 0.0).then(|| (format!("{fleet}/{}", position.name), position)))
}

fn app() -> App {
    App::new("fleet").register::<live>().register::<incoming>()
}

fn at(name: &str, lat: f64) -> Position {
    Position {
        name: name.to_owned(),
        lat,
    }
}

fn push(app: &TestApp, positions: &[(&str, f64)]) {
    for (name, lat) in positions {
        app.topic(&POSITIONS)
            .push(&(*name).to_owned(), at(name, *lat));
    }
}

#[test]
fn every_client_of_every_worker_gets_every_value() {
    block_on(async {
        let app = TestApp::new(app)
            .workers(2)
            .partitions(&POSITIONS, 8)
            .start()
            .await?;
        push(&app, &[("before", 1.0)]);
        app.settle().await;
        let mut sockets = [app.ws("/ws").await, app.ws("/ws").await];
        let mut events = app.events("/events", None).await;
        let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
        let positions: Vec<(&str, f64)> = names.iter().map(|name| (&**name, 1.0)).collect();
        push(&app, &positions);
        push(&app, &[("south", -1.0)]);
        app.settle().await;
        for socket in &mut sockets {
            let mut got = Vec::new();
            for _ in 0..20 {
                got.push(socket.json::<Position>().await.name);
            }
            got.sort();
            let mut expected = names.clone();
            expected.sort();
            assert_eq!(got, expected, "values from before it came are not its");
            assert_eq!(socket.try_recv(), None);
        }
        for _ in 0..20 {
            let event = events.next().await.unwrap();
            assert_eq!(event.event, "message");
            assert!(serde_json::from_str::<Position>(&event.data).is_ok());
        }
        let metrics = app.get("/metrics").await.body;
        for line in [
            r#"citizenk_stream_values_total{stream="live"} 21"#,
            r#"citizenk_stream_clients{stream="live",kind="websocket"} 2"#,
            r#"citizenk_stream_clients{stream="live",kind="events"} 1"#,
        ] {
            assert!(metrics.contains(line), "{line}\n{metrics}");
        }
        // Nothing of this is a group's.
        assert!(app.committed(&POSITIONS).is_empty());
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_client_gets_what_its_query_asks_for() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let mut all = app.ws("/ws").await;
        let mut ann = app.ws("/ws?name=ann").await;
        let mut north = app.events("/events?north_of=50", None).await;
        push(&app, &[("ann", 10.0), ("bob", 60.0)]);
        app.settle().await;
        let mut names = [
            all.json::<Position>().await.name,
            all.json::<Position>().await.name,
        ];
        names.sort();
        assert_eq!(names, ["ann", "bob"]);
        assert_eq!(ann.json::<Position>().await, at("ann", 10.0));
        assert_eq!(ann.try_recv(), None);
        assert!(north.next().await.unwrap().data.contains("bob"));
        for path in ["/ws?north_of=high", "/events?north_of=high"] {
            let refused = app.get(path).await;
            assert_eq!(refused.status, 400, "{}", refused.body);
            assert!(refused.body.contains("north_of"), "{}", refused.body);
        }
        assert_eq!(app.get("/ws").await.status, 426);
        app.stop().await
    })
    .unwrap();
}

#[test]
fn pages_of_other_sites_are_refused_before_the_upgrade() {
    block_on(async {
        let app = TestApp::new(|| app().http_origin("https://app.example"))
            .start()
            .await?;
        let ask = async |path: &str, headers: &[(&str, String)]| {
            app.request_with_headers("GET", path, headers, None)
                .await
                .status
        };
        let host = ("host", "localhost:8000".to_owned());
        for path in ["/ws", "/ws/in/a"] {
            let foreign = ("origin", "https://evil.example".to_owned());
            assert_eq!(ask(path, &[host.clone(), foreign]).await, 403);
            let cross = ("sec-fetch-site", "cross-site".to_owned());
            assert_eq!(ask(path, &[host.clone(), cross.clone()]).await, 403);
            // Admitted, but without an upgrade.
            let own = ("origin", "http://localhost:8000".to_owned());
            assert_eq!(ask(path, &[host.clone(), own]).await, 426);
            let listed = ("origin", "https://app.example".to_owned());
            assert_eq!(ask(path, &[host.clone(), cross, listed]).await, 426);
        }
        let foreign = ("origin", "null".to_owned());
        assert_eq!(ask("/events", &[host, foreign]).await, 403);
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_client_that_comes_back_goes_on_or_is_told_of_the_gap() {
    block_on(async {
        let mut app = TestApp::new(app).partitions(&POSITIONS, 1).start().await?;
        let mut events = app.events("/events", None).await;
        push(&app, &[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
        app.settle().await;
        let first = events.next().await.unwrap();
        assert!(first.data.contains("\"a\""));
        drop(events);
        let mut again = app.events("/events", Some(&first.id)).await;
        assert!(again.next().await.unwrap().data.contains("\"b\""));
        assert!(again.next().await.unwrap().data.contains("\"c\""));
        // A websocket that asks for ids gets them, and may say which one it had.
        let path = format!("/ws?last_event_id={}", first.id);
        let v1 = [("sec-websocket-protocol", "citizenk.v1")];
        let mut socket = app.ws_with_headers(&path, &v1).await;
        let message: Value = socket.json().await;
        assert_eq!(message["value"]["name"], "b");
        assert!(message["id"].as_str().unwrap().ends_with("-1"));
        // Another process knows nothing of the ids of this one.
        app.restart().await?;
        assert_eq!(
            socket.recv().await.map(|text| text.contains("\"c\"")),
            Some(true)
        );
        assert_eq!(
            (socket.recv().await, socket.close_code()),
            (None, Some(1001))
        );
        assert_eq!(again.next().await, None, "the stream ends with the service");
        let mut events = app.events("/events", Some(&first.id)).await;
        let gap = TestEvent {
            event: "gap".to_owned(),
            id: String::new(),
            data: r#"{"missed":null}"#.to_owned(),
        };
        assert_eq!(events.next().await, Some(gap));
        let mut socket = app.ws_with_headers(&path, &v1).await;
        assert_eq!(
            socket.json::<Value>().await,
            json!({ "gap": { "missed": null } })
        );
        app.stop().await
    })
    .unwrap();
}

fn slow(slow: SlowClient) -> App {
    let live = Agent::builder::<Event<Position>>("live")
        .topic(&POSITIONS)
        .groupless()
        .start_latest()
        .websocket("/ws")
        .slow_client(slow)
        .stream(async |position: Event<Position>| position.value);
    App::new("fleet").agent(live)
}

/// A client that takes nothing while 1,500 values come, and what it and another one get.
async fn behind(slow_client: SlowClient) -> (Vec<String>, Option<u16>, String) {
    let app = TestApp::new(slow(slow_client))
        .partitions(&POSITIONS, 1)
        .start()
        .await
        .unwrap();
    let (mut slow, mut quick) = (app.ws("/ws").await, app.ws("/ws").await);
    let mut last = String::new();
    for n in 0..1500 {
        let name = format!("{}", n % 4);
        push(&app, &[(&name, f64::from(n))]);
        app.settle().await;
        last = quick.recv().await.unwrap();
    }
    assert!(
        last.contains("1499"),
        "the other one is not held up: {last}"
    );
    assert_eq!(quick.try_recv(), None);
    let mut got = Vec::new();
    while let Some(text) = slow.try_recv() {
        got.push(text);
        app.settle().await;
    }
    let metrics = app.get("/metrics").await.body;
    let code = slow.close_code();
    app.stop().await.unwrap();
    (got, code, metrics)
}

#[test]
fn a_slow_client_misses_the_oldest_values() {
    block_on(async {
        let (got, code, metrics) = behind(SlowClient::DropOldest(100)).await;
        // What was on its way already, then the newest.
        assert!(got.len() < 200 && got.len() >= 100, "{}", got.len());
        assert!(got[0].contains("0.0") && got[got.len() - 1].contains("1499"));
        assert!(
            got[got.len() - 100].contains("1400"),
            "{}",
            got[got.len() - 100]
        );
        assert_eq!(code, None);
        let missed = 1500 - got.len();
        let line = format!(
            r#"citizenk_stream_missed_values_total{{stream="live",reason="slow"}} {missed}"#
        );
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    });
}

#[test]
fn of_a_slow_client_the_newest_value_of_each_key_is_kept() {
    block_on(async {
        let (got, code, metrics) = behind(SlowClient::Coalesce).await;
        let newest: Vec<&String> = got.iter().rev().take(4).collect();
        for n in 1496..1500 {
            let text = format!("{n}.0");
            assert!(
                newest.iter().any(|value| value.contains(&text)),
                "{newest:?}"
            );
        }
        assert!(got.len() < 100, "{}", got.len());
        assert_eq!(code, None);
        assert!(metrics.contains(r#"reason="coalesced"}"#), "{metrics}");
    });
}

#[test]
fn a_slow_client_is_disconnected_where_it_may_miss_nothing() {
    block_on(async {
        let (got, code, metrics) = behind(SlowClient::Disconnect).await;
        assert!(got.len() < 100);
        // It was told so, or left when it took nothing for ten seconds.
        assert!(code.is_none_or(|code| code == 1013));
        let line = r#"citizenk_stream_disconnects_total{stream="live",reason="slow"} 1"#;
        assert!(metrics.contains(line), "{metrics}");
    });
}

#[test]
fn messages_of_a_client_become_records_and_are_answered() {
    block_on(async {
        let app = TestApp::new(app).partitions(&POSITIONS, 1).start().await?;
        let mut socket = app.ws("/ws/in/eu").await;
        socket.send(r#"{"name":"ann","lat":1.5}"#).await;
        app.settle().await;
        let accepted = json!({ "accepted": true, "partition": 0, "offset": 0 });
        assert_eq!(socket.json::<Value>().await, accepted);
        for (text, status, says) in [
            (r#"{"name":"","lat":1.0}"#, 422, "a position needs a name"),
            (r#"{"name":"ann"}"#, 422, "lat"),
            ("nonsense", 400, "not valid JSON"),
            (r#"{"name":"panic","lat":1.0}"#, 500, ""),
        ] {
            socket.send(text).await;
            let problem: Value = socket.json().await;
            assert_eq!(problem["status"], status, "{text}: {problem}");
            assert!(
                problem["detail"].as_str().unwrap().contains(says),
                "{problem}"
            );
        }
        // Accepted, and no record.
        socket.send(r#"{"name":"ann","lat":0.0}"#).await;
        assert_eq!(socket.json::<Value>().await, json!({ "accepted": true }));
        app.settle().await;
        let sent = app.topic(&POSITIONS).sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].key.as_deref(), Some("eu/ann"));
        assert_eq!(sent[0].value, Some(at("ann", 1.5)));
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_client_that_talks_too_much_is_disconnected() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let mut socket = app.ws("/ws").await;
        for _ in 0..60 {
            socket.send("hello").await;
            app.settle().await;
            if socket.try_recv().is_none() && socket.close_code().is_some() {
                break;
            }
        }
        assert_eq!(socket.close_code(), Some(1008));
        app.stop().await
    })
    .unwrap();
}

#[test]
fn streams_are_documented_and_checked() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let document: Value = app.get("/openapi.json").await.json();
        let events = &document["paths"]["/events"]["get"];
        assert_eq!(events["summary"], "Positions north of the equator.");
        assert!(events["responses"]["200"]["content"]["text/event-stream"].is_object());
        assert!(document["paths"]["/ws"]["get"]["responses"]["101"].is_object());
        assert!(document["paths"]["/ws/in/{fleet}"]["get"]["responses"]["101"].is_object());
        app.stop().await
    })
    .unwrap();
    let unserved = Agent::builder::<Event<Position>>("quiet")
        .topic(&POSITIONS)
        .websocket("/ws")
        .slow_client(SlowClient::DropOldest(5000))
        .handle(async |_: Event<Position>, _: Outbox| {});
    let error = App::new("fleet")
        .agent(unserved)
        .check()
        .unwrap_err()
        .to_string();
    assert!(error.contains("end it with `.stream(..)`"), "{error}");
    assert!(error.contains("1 to 1024 values, not 5000"), "{error}");
    const ONLY_READ: Topic<Position> = Topic::json("read").direction(Direction::Input);
    #[citizenk::websocket_in(topic = ONLY_READ, route = "/in")]
    async fn wrong(Json(position): Json<Position>) -> (String, Position) {
        (position.name.clone(), position)
    }
    let error = App::new("fleet")
        .register::<wrong>()
        .check()
        .unwrap_err()
        .to_string();
    assert!(error.contains("declared for input only"), "{error}");
}
