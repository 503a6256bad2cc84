//! What a page asks of the Replicator.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use citizenk::testing::{TestApp, TestEvent, TestResponse};
use common::*;
use serde_json::{Value, json};

async fn version(app: &TestApp) -> String {
    let service: Value = app.get("/api/service").await.json();
    format!("\"{}\"", service["version"].as_str().unwrap_or_default())
}

async fn send(app: &TestApp, method: &str, path: &str, tag: &str, body: &Value) -> TestResponse {
    let headers = [("if-match", tag.to_owned())];
    app.request_with_headers(method, path, &headers, Some(body.to_string()))
        .await
}

async fn service(more: &[(&str, &str)]) -> (Folder, TestApp) {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let app = start(&folder, more).await;
    create(&app, "source", &["A", "X"], 2).await;
    create(&app, "target", &["B", "Y"], 2).await;
    running(&app, "a").await;
    (folder, app)
}

#[tokio::test]
async fn mappings_are_added_changed_switched_and_deleted() -> citizenk::Result<()> {
    let (folder, app) = service(&[]).await;
    let tag = version(&app).await;
    let new = json!({ "mapping": with(mapping("new", "X", "Y"), json!({ "note": "kept" })), "comment": "more" });
    let refused = app.post("/api/mappings", &new).await;
    assert_eq!(refused.status, 428, "{}", refused.body);
    let without = json!({ "mapping": mapping("new", "X", "Y") });
    assert_eq!(
        send(&app, "POST", "/api/mappings", &tag, &without)
            .await
            .json::<Value>()["field"],
        "comment"
    );
    let made = send(&app, "POST", "/api/mappings", &tag, &new).await;
    assert_eq!(made.status, 200, "{}", made.body);
    running(&app, "new").await;
    let file: Value = serde_json::from_str(&folder.read("mappings.json")).expect("strict JSON");
    assert_eq!(
        (&file["comment"], &file["mappings"][1]["note"]),
        (&json!("more"), &json!("kept"))
    );

    // Somebody who has not seen that is refused.
    let stale = send(&app, "POST", "/api/mappings", &tag, &new).await;
    assert_eq!(stale.status, 409, "{}", stale.body);
    let wrong = json!({ "mapping": with(mapping("new", "X", "Y"), json!({ "valid_jmespath": "key ==" })), "comment": "x" });
    let answer = send(
        &app,
        "PUT",
        "/api/mappings/new",
        &version(&app).await,
        &wrong,
    )
    .await;
    assert_eq!(
        (answer.status, answer.json::<Value>()["field"].clone()),
        (422, json!("valid_jmespath"))
    );
    let round = json!({ "mapping": with(mapping("new", "X", "Y"), json!({ "valid_jmespath": "key" })), "comment": "filter" });
    assert_eq!(
        send(
            &app,
            "PUT",
            "/api/mappings/new",
            &version(&app).await,
            &round
        )
        .await
        .status,
        200
    );
    let seen: Value = app.get("/api/mappings/new").await.json();
    assert_eq!(
        (&seen["mapping"]["valid_jmespath"], &seen["origin"]["kind"]),
        (&json!("key"), &json!("file"))
    );

    for (verb, state) in [("disable", "disabled"), ("enable", "idle")] {
        let path = format!("/api/mappings/new/{verb}");
        let answer = send(
            &app,
            "POST",
            &path,
            &version(&app).await,
            &json!({ "comment": verb }),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        until(&app, state, async || {
            row(&app, "new").await["state"] == state
        })
        .await;
    }
    let path = "/api/mappings/new?comment=gone";
    let gone = app
        .request_with_headers("DELETE", path, &[("if-match", version(&app).await)], None)
        .await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert_eq!(app.get("/api/mappings/new").await.status, 404);

    // Everything before can be had back.
    let versions: Vec<Value> = app.get("/api/versions").await.json();
    let comments: Vec<&str> = versions
        .iter()
        .filter_map(|version| version["comment"].as_str())
        .collect();
    assert_eq!(comments, ["gone", "enable", "disable", "filter", "more"]);
    let back = format!("/api/versions/{}/restore", versions[0]["id"]);
    assert_eq!(
        send(
            &app,
            "POST",
            &back,
            &version(&app).await,
            &json!({ "comment": "back" })
        )
        .await
        .status,
        200
    );
    running(&app, "new").await;
    Ok(app.stop().await?)
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_seen() -> citizenk::Result<()> {
    let (folder, app) = service(&[]).await;
    let tag = version(&app).await;
    let edit = |filter: &str| {
        let mapping = with(mapping("a", "A", "B"), json!({ "valid_jmespath": filter }));
        json!({ "mapping": mapping, "comment": filter })
    };
    // At once: one of them is first.
    let (left, right) = (edit("left"), edit("right"));
    let (left, right) = tokio::join!(
        send(&app, "PUT", "/api/mappings/a", &tag, &left),
        send(&app, "PUT", "/api/mappings/a", &tag, &right),
    );
    let mut answers = [left.status, right.status];
    answers.sort_unstable();
    assert_eq!(answers, [200, 409]);

    // By hand, and not read yet.
    let tag = version(&app).await;
    folder.mappings(&json!([
        mapping("a", "A", "B"),
        mapping("by hand", "X", "Y")
    ]));
    let late = send(&app, "PUT", "/api/mappings/a", &tag, &edit("late")).await;
    assert_eq!(late.status, 409, "{}", late.body);
    assert!(folder.read("mappings.json").contains("by hand"));

    // By hand, with a mistake: what counts is the file before, and what is on disk stays.
    let tag = version(&app).await;
    let mistake = "{\"mappings\": [ by hand ";
    folder.write("mappings.json", mistake);
    let edit = edit("mended");
    let refused = send(&app, "PUT", "/api/mappings/a", &tag, &edit).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(
        refused.body.contains("If-Match: *") && refused.body.contains("line 1"),
        "{}",
        refused.body
    );
    assert_eq!(folder.read("mappings.json"), mistake);
    let mended = send(&app, "PUT", "/api/mappings/a", "*", &edit).await;
    assert_eq!(mended.status, 200, "{}", mended.body);
    assert!(folder.read("mappings.json").contains("mended"));
    Ok(app.stop().await?)
}

#[tokio::test]
async fn what_has_not_begun_cannot_be_paused() -> citizenk::Result<()> {
    let (folder, app) = service(&[]).await;
    let pause = async || app.post("/api/mappings/late/pause", &json!({})).await;
    folder.mappings(&json!([
        mapping("a", "A", "B"),
        mapping("late", "X", "none")
    ]));
    until(&app, "it waits", async || {
        row(&app, "late").await["state"] == "waiting"
    })
    .await;
    let waits = pause().await;
    assert_eq!(waits.status, 409, "{}", waits.body);
    assert!(waits.body.contains("disable it instead"), "{}", waits.body);
    create(&app, "target", &["none"], 1).await;
    running(&app, "late").await;
    assert_eq!(pause().await.status, 200);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_circle_nobody_could_see_is_found_when_the_clusters_answer() -> citizenk::Result<()> {
    let (folder, mut app) = service(&[]).await;
    app.stop_worker(0).await?;
    // Both names are of one cluster, which is not known while one of them does not answer.
    folder.mappings(&json!([mapping("a", "A", "B"), mapping("back", "B", "A")]));
    app.cluster_available("target", false);
    app.restart().await?;
    until(&app, "the file is taken", async || {
        rows(&app).await.len() == 2
    })
    .await;
    app.cluster_available("target", true);
    until(&app, "the circle is told", async || {
        let service: Value = app.get("/api/service").await.json();
        let refused = service["refused"].to_string();
        assert!(
            !refused.contains("circle") || refused.contains("cluster id"),
            "why: {refused}"
        );
        refused.contains("circle")
    })
    .await;
    assert_eq!(rows(&app).await, Vec::<Value>::new());
    // Nothing but a change of the files lets it go on.
    app.advance("3s").await;
    assert_eq!(rows(&app).await, Vec::<Value>::new());
    folder.mappings(&json!([mapping("a", "A", "B")]));
    running(&app, "a").await;
    Ok(app.stop().await?)
}

#[tokio::test]
async fn drafts_are_checked_and_templates_and_tables_saved() -> citizenk::Result<()> {
    let (_folder, app) = service(&[]).await;
    let draft = json!({
        "mappings": json!({ "templates": [{ "template": "t", "vars": { "V": "X" } }], "mappings": [] }).to_string(),
        "templates": { "t": r#"[{"name":"of {{V}}","source_topic_name":"{{V}}","target_topic_name":"Y"}]"# },
    });
    let verdict: Value = app.post("/api/validate", &draft).await.json();
    assert_eq!(verdict["valid"], true, "{verdict}");
    let changes: Vec<_> = verdict["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| (c["name"].clone(), c["kind"].clone()))
        .collect();
    assert_eq!(
        changes,
        [
            (json!("of X"), json!("added")),
            (json!("a"), json!("removed"))
        ]
    );
    let wrong: Value = app
        .post(
            "/api/validate",
            &json!({ "mappings": "{\n \"mappings\": [}" }),
        )
        .await
        .json();
    assert_eq!(
        (&wrong["valid"], &wrong["issues"][0]["place"]["line"]),
        (&json!(false), &json!(2))
    );

    let template = json!({ "text": draft["templates"]["t"], "comment": "t" });
    assert_eq!(
        send(
            &app,
            "PUT",
            "/api/templates/t",
            &version(&app).await,
            &template
        )
        .await
        .status,
        200
    );
    let table = json!({ "text": "{\"key:partition\": {\"1\": -5}}", "comment": "t" });
    let refused = send(
        &app,
        "PUT",
        "/api/topic-mappings/A",
        &version(&app).await,
        &table,
    )
    .await;
    assert!(
        refused.status == 422 && refused.body.contains("-5 is no partition"),
        "{}",
        refused.body
    );
    let file = json!({ "text": draft["mappings"], "comment": "use it" });
    let saved = send(&app, "PUT", "/api/file", &version(&app).await, &file).await;
    assert_eq!(saved.status, 200, "{}", saved.body);
    running(&app, "of X").await;
    let edit = json!({ "mapping": mapping("of X", "X", "Y"), "comment": "x" });
    let template = send(
        &app,
        "PUT",
        "/api/mappings/of%20X",
        &version(&app).await,
        &edit,
    )
    .await;
    assert!(
        template.status == 409 && template.body.contains("comes from the template"),
        "{}",
        template.body
    );
    let gone = [("if-match", version(&app).await)];
    let used = app
        .request_with_headers("DELETE", "/api/templates/t?comment=x", &gone, None)
        .await;
    assert_eq!(used.status, 422, "{}", used.body);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn filters_and_tables_are_tried_on_real_records() -> citizenk::Result<()> {
    let (_folder, app) = service(&[]).await;
    for n in 0..6 {
        let value = format!(r#"{{"n": {n}, "id": 9007199254740993}}"#);
        app.topic(&source("X"))
            .push_raw(Some(n.to_string().as_bytes()), value.as_bytes());
    }
    app.topic(&source("X")).push_raw(Some(b"6"), b"no json");
    let test = json!({ "expression": "value.n < `3`", "topic": "X", "limit": 10 });
    let answer = app.post("/api/filter-test", &test).await;
    let result: Value = answer.json();
    let kept = result["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|tried| tried["kept"] == true)
        .count();
    assert_eq!((kept, &result["compiled"]), (3, &json!(true)), "{result}");
    assert!(
        answer.body.contains("\"id\": 9007199254740993}"),
        "as it stands: {}",
        answer.body
    );
    let wrong = app
        .post("/api/filter-test", &json!({ "expression": "value." }))
        .await;
    assert_eq!(
        (wrong.status, wrong.json::<Value>()["column"].clone()),
        (422, json!(7))
    );
    let own =
        json!({ "expression": "key", "samples": ["{\"key\":\"a\",\"value\":1}", "{\"value\":2}"] });
    assert_eq!(
        app.post("/api/filter-test", &own).await.json::<Value>()["pass_percent"],
        50.0
    );

    let table = json!({ "text": r#"{"value.n":{"1":"one"},"key:partition":{"2":-1000,"3":1}}"#, "topic": "X" });
    let preview: Vec<Value> = app.post("/api/value-mapping-preview", &table).await.json();
    let by_key = |key: &str| {
        preview
            .iter()
            .find(|changed| changed["before"]["key"] == key)
            .expect("there")
    };
    assert_eq!(
        by_key("1")["value"],
        r#"{"n": "one", "id": 9007199254740993}"#
    );
    assert_eq!(
        (&by_key("2")["partition"], &by_key("3")["partition"]),
        (&json!("dropped (-1000)"), &json!("1"))
    );
    assert!(
        by_key("6")["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("no JSON"))
    );

    let found: Value = app
        .get("/api/messages?topic=X&from=earliest&filter=value.n%20%3E%20%604%60")
        .await
        .json();
    assert_eq!(
        (
            &found["messages"][0]["value"]["n"],
            &found["scanned"],
            &found["filter_errors"]
        ),
        (&json!(5), &json!(7), &json!(1))
    );
    let some: Value = app
        .get("/api/messages?topic=X&from=-3&limit=2")
        .await
        .json();
    assert_eq!(
        (
            some["messages"].as_array().map(Vec::len),
            &some["truncated"]
        ),
        (Some(2), &json!(true))
    );
    for (query, field) in [
        ("topic=X&from=soon", "from"),
        ("cluster=up&topic=X", "cluster"),
        ("from=-1", "topic"),
        ("topic=X&filter=a%20%3D", "filter"),
    ] {
        let answer = app.get(&format!("/api/messages?{query}")).await;
        assert_eq!(
            (answer.status, answer.json::<Value>()["field"].clone()),
            (422, json!(field)),
            "{query}"
        );
    }
    let topics: Value = app.get("/api/clusters/source/topics").await.json();
    assert_eq!(topics[0], json!({ "name": "A", "partitions": 2 }));
    Ok(app.stop().await?)
}

#[tokio::test]
async fn stats_have_the_documented_shape_and_a_pause_holds() -> citizenk::Result<()> {
    let (_folder, app) = service(&[]).await;
    let documented: Value =
        serde_json::from_str(include_str!("../domain/fixtures/stats.json")).expect("JSON");
    let stats: Value = app.get("/api/stats").await.json();
    let stats = &stats[0];
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    for (name, value) in documented.as_object().expect("an object") {
        assert_eq!(kind(&stats[name]), kind(value), "{name}");
    }
    for (name, value) in documented["mappings"][0].as_object().expect("an object") {
        assert_eq!(kind(&stats["mappings"][0][name]), kind(value), "{name}");
    }
    let time = stats["time"].as_str().expect("text");
    assert!(
        time.len() == 26 && time.starts_with("2025-01-01 00:0"),
        "{time}"
    );
    let flat: Value = app.get("/api/stats/flat").await.json();
    assert_eq!(
        (&flat[0]["name"], flat[0]["time_iso"].is_string()),
        (&json!("a"), true)
    );

    assert_eq!(
        app.post("/api/mappings/a/pause", &json!({})).await.status,
        200
    );
    app.topic(&source("A")).push_raw(None, b"1");
    app.advance("5s").await;
    assert_eq!(row(&app, "a").await["state"], "paused");
    assert!(values(&app, &target("B")).is_empty());
    assert_eq!(
        app.post("/api/mappings/a/resume", &json!({})).await.status,
        200
    );
    until(&app, "it goes on", async || {
        values(&app, &target("B")) == ["1"]
    })
    .await;
    app.advance("3s").await;
    let history: Value = app.get("/api/mappings/a/history?minutes=5").await.json();
    let last = history[0]["samples"]
        .as_array()
        .and_then(|samples| samples.last())
        .cloned()
        .expect("samples");
    assert_eq!(
        (&last["source_count"], &last["target_count"], &last["lag"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let partitions: Value = app.get("/api/mappings/a/partitions").await.json();
    assert_eq!(partitions.as_array().map(Vec::len), Some(2));
    let metrics = app.get("/api/stats/prometheus").await.body;
    assert!(
        metrics.contains(
            "replicator_target_records_total{mapping=\"a\",source=\"A\",target=\"B\"} 1\n"
        ),
        "{metrics}"
    );
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_read_only_service_refuses_every_change_and_the_api_is_documented() -> citizenk::Result<()>
{
    let (_folder, app) = service(&[("READ_ONLY", "1"), ("ENVIRONMENT_NAME", "production")]).await;
    let tag = version(&app).await;
    let why = json!({ "comment": "x", "text": "{}", "mapping": mapping("n", "X", "Y") });
    let document: Value = app.get("/openapi.json").await.json();
    let mut changing = 0;
    for (path, methods) in document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .filter(|(path, _)| path.starts_with("/api/"))
    {
        for method in methods.as_object().expect("methods").keys() {
            let reads = method == "get"
                || [
                    "/api/validate",
                    "/api/filter-test",
                    "/api/value-mapping-preview",
                ]
                .contains(&path.as_str());
            if reads
                || path.ends_with("/replay")
                || path.contains("/mappings/{name}") && (method == "put" || method == "delete")
            {
                continue;
            }
            changing += 1;
            let path = path.replace("{name}", "a").replace("{id}", "1") + "?comment=x";
            let answer = send(&app, &method.to_uppercase(), &path, &tag, &why).await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
        }
    }
    assert!(changing >= 10, "{changing}");
    for (method, path) in [
        ("PUT", "/api/mappings/a"),
        ("DELETE", "/api/mappings/a?comment=x"),
    ] {
        assert_eq!(
            send(&app, method, path, &tag, &why).await.status,
            403,
            "{path}"
        );
    }
    let service: Value = app.get("/api/service").await.json();
    assert_eq!(
        (&service["read_only"], &service["environment"]),
        (&json!(true), &json!("production"))
    );
    Ok(app.stop().await?)
}

fn now(event: Option<TestEvent>) -> Value {
    let event = event.expect("the stream goes on");
    serde_json::from_str(&event.data).expect("JSON")
}

#[tokio::test]
async fn a_page_is_told_of_every_change_and_holds_up_no_end() -> citizenk::Result<()> {
    let (_folder, app) = service(&[]).await;
    let mut events = app.events("/api/events", None).await;
    let first = now(events.next().await);
    let tag = version(&app).await;
    assert_eq!(
        format!(
            "\"{}\"",
            first["service"]["version"].as_str().unwrap_or_default()
        ),
        tag
    );
    assert_eq!(first["stats"][0]["mappings"][0]["name"], "a");
    let why = json!({ "comment": "off" });
    send(&app, "POST", "/api/mappings/a/disable", &tag, &why).await;
    loop {
        let event = now(events.next().await);
        if event["service"]["comment"] == "off" {
            assert_eq!(event["stats"][0]["mappings"][0]["state"], "disabled");
            break;
        }
    }
    let group: Value = app.get("/api/mappings/a/service-group").await.json();
    assert_eq!(group, Value::Null);
    Ok(app.stop().await?)
}
