//! Topics that clients choose by name: what they are given, from where on, and what it costs.

#![expect(clippy::unwrap_used, reason = "tests")]

use citizenk::http::Bridge;
use citizenk::prelude::*;
use citizenk::testing::{TestApp, TestEvents, TestSocket, block_on};
use serde_json::{Value, json};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Position {
    name: String,
    lat: f64,
}

const POSITIONS: Topic<Position> = Topic::json("positions");
const NOTES: Topic<Value> = Topic::json("notes");
const SECRETS: Topic<Value> = Topic::json("secrets");

fn app() -> App {
    let bridge = Bridge::new().topic(&POSITIONS).topic(&NOTES);
    App::new("fleet").topic(&SECRETS).bridge(bridge)
}

fn push(app: &TestApp, numbers: std::ops::Range<u32>) {
    for n in numbers {
        app.topic(&NOTES).push(&format!("k{n}"), json!(n));
    }
}

/// The numbers of the next records, sorted, as those of several partitions come in any order.
async fn numbers(socket: &mut TestSocket, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(socket.json::<Value>().await["value"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    numbers
}

async fn greeting(socket: &mut TestSocket) -> String {
    let greeting = socket.json::<Value>().await;
    assert_eq!(greeting["message"], "connected");
    greeting["at"].as_str().unwrap().to_owned()
}

/// Number and id of the next record.
async fn event(events: &mut TestEvents) -> (u64, String) {
    let event = events.next().await.unwrap();
    assert_eq!(event.event, "message", "{event:?}");
    let record: Value = serde_json::from_str(&event.data).unwrap();
    (record["value"].as_u64().unwrap(), event.id)
}

#[test]
fn a_posted_record_reaches_the_clients_of_its_topic() {
    block_on(async {
        let app = TestApp::new(app).partitions(&POSITIONS, 1).start().await?;
        let mut socket = app.ws("/consumer/positions").await;
        let mut events = app.events("/consumer/positions", None).await;
        let mut others = app.ws("/consumer/notes").await;
        assert_eq!(
            socket.json::<Value>().await,
            json!({ "message": "connected", "topic": "positions", "at": "p0:0" })
        );
        greeting(&mut others).await;
        let hello = events.next().await.unwrap();
        assert_eq!((&*hello.event, &*hello.id), ("connected", "p0:0"));

        let ann = json!({ "name": "ann", "lat": 1.5 });
        let posted = app.post("/producer/positions?key=ann", &ann).await;
        assert_eq!(posted.status, 200, "{}", posted.body);
        let posted = posted.json::<Value>();
        assert_eq!(
            posted,
            json!({ "topic": "positions", "partition": 0, "offset": 0 })
        );
        let record = socket.json::<Value>().await;
        assert_eq!((&record["key"], &record["value"]), (&json!("ann"), &ann));
        assert_eq!(
            (&record["partition"], &record["offset"]),
            (&json!(0), &json!(0))
        );
        assert!(record["timestamp"].is_i64());
        let event = events.next().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&event.data).unwrap(), record);
        assert_eq!(event.id, "p0:1", "where to go on");

        socket.send("are you there?").await;
        assert_eq!(
            socket.json::<Value>().await,
            json!({ "message": "are you there?" })
        );
        assert_eq!(others.try_recv(), None);
        // Nothing of this is a group's.
        assert!(app.committed(&POSITIONS).is_empty());
        app.stop().await?;
        assert_eq!(socket.recv().await, None);
        assert_eq!(socket.close_code(), Some(1001));
        assert_eq!(events.next().await, None);
        Ok::<_, citizenk::RunError>(())
    })
    .unwrap();
}

#[test]
fn only_listed_topics_can_be_reached() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        for name in [
            "secrets",
            "__consumer_offsets",
            "..%2Fpositions",
            "posi%0D%0Ations",
            "%24(reboot)",
        ] {
            let read = app.get(&format!("/consumer/{name}")).await;
            assert_eq!(read.status, 404, "{}", read.body);
            let written = app.post(&format!("/producer/{name}"), &json!({})).await;
            assert_eq!(written.status, 404, "{}", written.body);
            assert_eq!(
                written.json::<Value>()["topics"],
                json!(["positions", "notes"])
            );
        }
        assert!(app.topic(&SECRETS).sent().is_empty());
        app.stop().await
    })
    .unwrap();
}

#[test]
fn what_is_posted_is_checked_as_the_topics_own_type() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let wrong = app
            .post("/producer/positions", &json!({ "name": "ann" }))
            .await;
        assert_eq!(wrong.status, 422, "{}", wrong.body);
        assert!(wrong.body.contains("lat"), "{}", wrong.body);
        let form = [("content-type", "text/plain".to_owned())];
        let form = app
            .request_with_headers("POST", "/producer/notes", &form, None)
            .await;
        assert_eq!(form.status, 415, "{}", form.body);
        let foreign = [
            ("content-type", "application/json".to_owned()),
            ("sec-fetch-site", "cross-site".to_owned()),
        ];
        for (method, path) in [("POST", "/producer/notes"), ("GET", "/consumer/notes")] {
            let foreign = app.request_with_headers(method, path, &foreign, None).await;
            assert_eq!(foreign.status, 403, "{}", foreign.body);
        }
        for query in [
            "from=yesterday",
            "form=latest",
            "last_event_id=17",
            "from=-1",
        ] {
            let refused = app.get(&format!("/consumer/notes?{query}")).await;
            assert_eq!(refused.status, 400, "{query}: {}", refused.body);
        }
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_client_begins_where_it_wants() {
    block_on(async {
        let app = TestApp::new(app).partitions(&NOTES, 3).start().await?;
        push(&app, 0..20);
        let mut latest = app.ws("/consumer/notes").await;
        let mut earliest = app.ws("/consumer/notes?from=earliest").await;
        let all = greeting(&mut latest).await;
        assert_eq!(greeting(&mut earliest).await, "p0:0,p1:0,p2:0");
        assert_eq!(
            numbers(&mut earliest, 20).await,
            (0..20).collect::<Vec<_>>()
        );
        let mut resumed = app
            .ws(&format!("/consumer/notes?last_event_id={all}"))
            .await;
        assert_eq!(greeting(&mut resumed).await, all);
        push(&app, 20..30);
        for socket in [&mut latest, &mut earliest, &mut resumed] {
            assert_eq!(numbers(socket, 10).await, (20..30).collect::<Vec<_>>());
            assert_eq!(socket.try_recv(), None, "nothing twice");
        }
        let mut late = app.ws("/consumer/notes?from=1000").await;
        push(&app, 30..31);
        greeting(&mut late).await;
        assert_eq!(
            numbers(&mut late, 1).await,
            [30],
            "the end is the last place there is"
        );
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_client_that_comes_back_gets_every_record_once() {
    block_on(async {
        let app = TestApp::new(app).partitions(&NOTES, 4).start().await?;
        push(&app, 0..10);
        let (mut got, mut id) = (Vec::new(), None::<String>);
        // Each time it takes a few and is cut off, while more is written.
        for round in 0..10 {
            let mut events = app
                .events("/consumer/notes?from=earliest", id.as_deref())
                .await;
            let hello = events.next().await.unwrap();
            assert_eq!(hello.event, "connected");
            assert_eq!(Some(&hello.id), id.as_ref().or(Some(&hello.id)));
            push(&app, 10 + round * 10..20 + round * 10);
            for _ in 0..7 {
                let (number, behind) = event(&mut events).await;
                got.push(number);
                id = Some(behind);
            }
        }
        let mut events = app.events("/consumer/notes", id.as_deref()).await;
        events.next().await.unwrap();
        while got.len() < 110 {
            got.push(event(&mut events).await.0);
        }
        got.sort_unstable();
        assert_eq!(got, (0..110).collect::<Vec<u64>>());
        app.stop().await
    })
    .unwrap();
}

#[test]
fn an_id_of_another_topic_begins_with_a_gap() {
    block_on(async {
        let app = TestApp::new(app).partitions(&NOTES, 2).start().await?;
        for unknown in ["p0:17,p1:0", "p0:0,p1:0,p2:0"] {
            let mut socket = app
                .ws(&format!("/consumer/notes?last_event_id={unknown}"))
                .await;
            assert_eq!(greeting(&mut socket).await, "p0:0,p1:0");
            assert_eq!(
                socket.json::<Value>().await,
                json!({ "gap": { "missed": null } })
            );
        }
        app.stop().await
    })
    .unwrap();
}

#[test]
fn live_clients_share_one_consumer_that_ends_with_them() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let values = async |app: &TestApp| {
            let metrics = app.get("/metrics").await.body;
            let line = metrics.lines().find(|line| {
                line.starts_with(r#"citizenk_stream_values_total{stream="bridge:notes"}"#)
            });
            line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        };
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = app.ws("/consumer/notes").await;
            greeting(&mut client).await;
            clients.push(client);
        }
        push(&app, 0..5);
        for client in &mut clients {
            assert_eq!(numbers(client, 5).await, [0, 1, 2, 3, 4]);
        }
        assert_eq!(values(&app).await, Some(5), "each record is read once");
        let metrics = app.get("/metrics").await.body;
        let line = r#"citizenk_stream_clients{stream="bridge:notes",kind="websocket"} 3"#;
        assert!(metrics.contains(line), "{metrics}");
        drop(clients);
        app.settle().await;
        push(&app, 5..10);
        app.settle().await;
        assert_eq!(values(&app).await, Some(5), "nobody reads for nobody");
        let mut again = app.ws("/consumer/notes").await;
        greeting(&mut again).await;
        push(&app, 10..11);
        assert_eq!(numbers(&mut again, 1).await, [10]);
        app.stop().await
    })
    .unwrap();
}

#[test]
fn few_clients_catch_up_at_a_time() {
    block_on(async {
        let bridge = || App::new("fleet").bridge(Bridge::new().topic(&NOTES).catch_up(1));
        let app = TestApp::new(bridge).partitions(&NOTES, 1).start().await?;
        push(&app, 0..200);
        // It takes none, so it is behind as long as it is there.
        let mut first = app.ws("/consumer/notes?from=earliest").await;
        let second = app.get("/consumer/notes?from=earliest").await;
        assert_eq!(second.status, 503, "{}", second.body);
        assert!(second.headers.iter().any(|(name, _)| name == "retry-after"));
        let mut live = app.ws("/consumer/notes").await;
        assert_eq!(greeting(&mut live).await, "p0:200");
        greeting(&mut first).await;
        assert_eq!(numbers(&mut first, 200).await.len(), 200);
        // It is where the others are now, and needs no consumer of its own.
        push(&app, 200..201);
        assert_eq!(numbers(&mut first, 1).await, [200]);
        let mut second = app.ws("/consumer/notes?from=0").await;
        greeting(&mut second).await;
        drop(second);
        app.settle().await;
        let mut third = app.ws("/consumer/notes?from=0").await;
        greeting(&mut third).await;
        assert_eq!(numbers(&mut third, 201).await.len(), 201);
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_client_that_catches_up_is_live_however_much_comes_meanwhile() {
    block_on(async {
        let bridge = || App::new("fleet").bridge(Bridge::new().topic(&NOTES).catch_up(1));
        let app = TestApp::new(bridge).partitions(&NOTES, 1).start().await?;
        push(&app, 0..200);
        let mut slow = app.ws("/consumer/notes?from=earliest").await;
        let mut live = app.ws("/consumer/notes").await;
        greeting(&mut live).await;
        push(&app, 200..500);
        assert_eq!(numbers(&mut live, 300).await.len(), 300);
        greeting(&mut slow).await;
        let mut seen = numbers(&mut slow, 250).await;
        // What it has not taken yet is kept for all: its consumer is free for the next one.
        let mut other = app.ws("/consumer/notes?from=0").await;
        greeting(&mut other).await;
        seen.extend(numbers(&mut slow, 250).await);
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_client_that_falls_behind_is_told_what_it_misses() {
    block_on(async {
        let app = TestApp::new(app).partitions(&NOTES, 1).start().await?;
        let mut slow = app.ws("/consumer/notes").await;
        greeting(&mut slow).await;
        push(&app, 0..3000);
        app.settle().await;
        let (mut got, mut missed) = (0, 0);
        while got + missed < 3000 {
            let item = slow.json::<Value>().await;
            match item["gap"]["missed"].as_u64() {
                Some(gap) => missed += gap,
                None => {
                    assert_eq!(item["offset"], json!(got + missed), "in order");
                    got += 1;
                }
            }
        }
        assert!(missed > 0 && got >= 1024, "{missed} missed, {got} got");
        app.stop().await
    })
    .unwrap();
}

#[test]
fn tombstones_and_unreadable_records_are_shown_as_what_they_are() {
    block_on(async {
        let app = TestApp::new(app).partitions(&POSITIONS, 1).start().await?;
        let mut live = app.ws("/consumer/positions").await;
        greeting(&mut live).await;
        app.topic(&POSITIONS).push_raw(Some(b"ann"), b"{\"name\":");
        let gone = app
            .request(
                "POST",
                "/producer/positions?key=ann&tombstone=true",
                Some(String::new()),
            )
            .await;
        assert_eq!(gone.status, 200, "{}", gone.body);
        let mut past = app.ws("/consumer/positions?from=earliest").await;
        greeting(&mut past).await;
        for socket in [&mut live, &mut past] {
            let unreadable = socket.json::<Value>().await;
            assert_eq!(unreadable["offset"], 0);
            assert!(
                unreadable["error"]
                    .as_str()
                    .unwrap()
                    .contains("positions/0@0")
            );
            let tombstone = socket.json::<Value>().await;
            assert_eq!(
                (&tombstone["key"], &tombstone["value"]),
                (&json!("ann"), &Value::Null)
            );
        }
        app.stop().await
    })
    .unwrap();
}

#[test]
fn the_document_names_the_topics() {
    let app = App::new("fleet").bridge(Bridge::new().topic(&POSITIONS).prefix("/live"));
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let document = app.get("/openapi.json").await.json::<Value>();
        let paths = &document["paths"];
        let consumer = &paths["/live/consumer/{topic}"]["get"];
        assert_eq!(
            consumer["parameters"][0]["schema"]["enum"],
            json!(["positions"])
        );
        for status in ["101", "200", "400", "403", "404", "503"] {
            assert!(consumer["responses"][status].is_object(), "{status}");
        }
        let body = &paths["/live/producer/{topic}"]["post"]["requestBody"]["content"];
        let schema = &body["application/json"]["schema"]["anyOf"];
        assert_eq!(
            schema,
            &json!([{ "$ref": "#/components/schemas/Position" }])
        );
        app.stop().await
    })
    .unwrap();
}

#[test]
fn the_document_says_that_sending_needs_the_token() {
    for token in [None, Some("a-token-of-this-service")] {
        let app = || App::new("fleet").bridge(Bridge::new().topic(&POSITIONS));
        block_on(async {
            let mut builder = TestApp::new(app);
            if let Some(token) = token {
                builder = builder.env("CITIZENK_HTTP_TOKEN", token);
            }
            let app = builder.start().await?;
            let document = app.get("/openapi.json").await.json::<Value>();
            let producer = &document["paths"]["/producer/{topic}"]["post"];
            let needed = json!([{ "bearer": [] }]);
            assert_eq!(producer["security"] == needed, token.is_some());
            let consumer = &document["paths"]["/consumer/{topic}"]["get"];
            assert!(consumer["security"].is_null());
            let ann = json!({ "name": "ann", "lat": 1.0, "lon": 2.0 });
            let answer = app.post("/producer/positions", &ann).await;
            assert_eq!(answer.status == 401, token.is_some(), "{}", answer.body);
            app.stop().await
        })
        .unwrap();
    }
}
