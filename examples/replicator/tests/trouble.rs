//! What a running mapping says when something is wrong, and how that ends.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use citizenk::testing::TestApp;
use common::*;
use serde_json::{Value, json};

async fn copying(more: Value) -> (Folder, TestApp) {
    let folder = Folder::new();
    folder.mappings(&json!([with(mapping("a", "A", "B"), more)]));
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 2).await;
    create(&app, "target", &["B"], 2).await;
    running(&app, "a").await;
    (folder, app)
}

async fn says(app: &TestApp, state: &str, detail: &str) {
    until(app, &format!("{state}: {detail}"), async || {
        let row = row(app, "a").await;
        let said = row["detail"].as_str().unwrap_or_default();
        row["state"] == state && said.contains(detail)
    })
    .await;
}

#[tokio::test]
async fn a_cluster_or_a_topic_that_goes_is_said_and_stats_go_on() -> citizenk::Result<()> {
    let (_folder, app) = copying(json!({})).await;
    let samples = async || -> usize {
        let history: Value = app.get("/api/mappings/a/history").await.json();
        history[0]["samples"].as_array().map_or(0, Vec::len)
    };
    for cluster in ["source", "target"] {
        app.cluster_available(cluster, false);
        says(&app, "waiting", "").await;
        let before = samples().await;
        for _ in 0..5 {
            app.advance("1s").await;
            app.settle().await;
        }
        let after = samples().await;
        assert!(after >= before + 4, "{cluster}: {before} {after}");
        app.cluster_available(cluster, true);
        running(&app, "a").await;
    }
    let admin = app.admin().on("source").expect("a cluster");
    admin.delete_topic("A").await.expect("deleted");
    says(&app, "waiting", "source topic missing: `A`").await;
    create(&app, "source", &["A"], 2).await;
    running(&app, "a").await;
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_partition_that_goes_on_does_not_hide_one_that_is_held() -> citizenk::Result<()> {
    let stop = json!({ "valid_jmespath": "value.n", "on_decode_error": "stop" });
    let (folder, app) = copying(stop).await;
    let push = |partition: i32, value: &str| {
        let topic = app.topic(&source("A"));
        topic.push_to(partition, None, value.as_bytes(), citizenk::Headers::new());
    };
    push(0, "no JSON");
    says(&app, "error", "A/0@0").await;
    for n in 1..20 {
        push(1, &format!("{{\"n\":{n}}}"));
        app.settle().await;
        assert_eq!(row(&app, "a").await["state"], "error");
        app.advance("1s").await;
    }
    let held = row(&app, "a").await;
    assert_eq!(
        (&held["source_count"], &held["held_count"]),
        (&json!(19), &json!(1)),
        "tried again and again, and counted once"
    );
    folder.mappings(&json!([with(
        mapping("a", "A", "B"),
        json!({ "valid_jmespath": "value.n" })
    )]));
    running(&app, "a").await;
    assert_eq!(row(&app, "a").await["decode_error_count"], 1);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_an_error_until_it_can() -> citizenk::Result<()> {
    let folder = Folder::new();
    let to_file = |name: &str| {
        let to = json!({ "target_is_file": true, "target_topic_name": name });
        json!([with(mapping("a", "A", "B"), to)])
    };
    folder.mappings(&to_file("E"));
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 1).await;
    running(&app, "a").await;
    // A folder stands where the file is to be.
    std::fs::create_dir(folder.path().join("E.json")).expect("made");
    app.topic(&source("A")).push_raw(None, b"{\"n\":1}");
    says(&app, "error", "E.json").await;
    std::fs::remove_dir(folder.path().join("E.json")).expect("removed");
    running(&app, "a").await;
    assert!(folder.read("E.json").contains("{\"n\":1}"));

    // Nor is a file of the configuration one to write to.
    let draft = json!({ "mappings": json!({ "mappings": to_file("mappings") }).to_string() });
    let verdict: Value = app.post("/api/validate", &draft).await.json();
    let issue = &verdict["issues"][0];
    assert_eq!(
        (&verdict["valid"], &issue["field"]),
        (&json!(false), &json!("target_topic_name")),
        "{verdict}"
    );
    Ok(app.stop().await?)
}

#[tokio::test]
async fn an_answer_with_records_has_an_end() -> citizenk::Result<()> {
    let (_folder, app) = copying(json!({})).await;
    let long = format!("\"{}\"", "x".repeat(1024 * 1024));
    for _ in 0..40 {
        app.topic(&source("A"))
            .push_raw(Some(b"k"), long.as_bytes());
    }
    app.settle().await;
    let path = "/api/messages?topic=A&from=earliest&limit=10000";
    let answer = app.get(path).await;
    assert!(
        answer.body.len() < 34 * 1024 * 1024,
        "{}",
        answer.body.len()
    );
    let found: Value = answer.json();
    let cut = found["cut"].as_str().unwrap_or_default();
    assert!(
        found["truncated"] == true && cut.contains("32 MiB"),
        "{cut}"
    );
    assert_eq!(found["messages"].as_array().map(Vec::len), Some(31));
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_replay_that_is_over_is_led_back() -> citizenk::Result<()> {
    let folder = Folder::new();
    let line = |at: i64| format!("{{\"timestamp\":{at},\"value\":{at}}}\n");
    folder.write("F.json", &[line(1_000), line(-1), line(5_000)].concat());
    let from_file = json!({ "source_is_file": true, "source_topic_name": "F" });
    folder.mappings(&json!([with(mapping("a", "A", "B"), from_file)]));
    let app = start(&folder, &[]).await;
    create(&app, "target", &["B"], 1).await;
    let state = async |state: &str| {
        until(&app, state, async || row(&app, "a").await["state"] == state).await;
    };
    state("completed").await;
    assert_eq!(values(&app, &target("B")), ["1000", "-1", "5000"]);
    let control =
        async |what: Value| -> Value { app.post("/api/mappings/a/replay", &what).await.json() };
    // Behind the last record nothing comes, and time is over.
    let told = control(json!({ "seek": 9_000_000 })).await;
    assert_eq!(
        (&told[0]["records"], &told[0]["position"]),
        (&json!(3), &json!(5_000))
    );
    let paused = app.post("/api/mappings/a/pause", &json!({})).await;
    assert_eq!(
        (paused.status, &row(&app, "a").await["state"]),
        (200, &json!("completed"))
    );
    let told = control(json!({ "seek": 0 })).await;
    assert_eq!(
        (&told[0]["records"], &told[0]["paused"]),
        (&json!(0), &json!(true))
    );
    state("paused").await;
    app.post("/api/mappings/a/resume", &json!({})).await;
    state("completed").await;
    let twice = ["1000", "-1", "5000", "1000", "-1", "5000"];
    assert_eq!(values(&app, &target("B")), twice);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_named_and_is_no_empty_topic() -> citizenk::Result<()> {
    let (_folder, app) = copying(json!({})).await;
    let empty = app.get("/api/messages?topic=A&from=earliest").await;
    assert_eq!(
        (empty.status, &empty.json::<Value>()["messages"]),
        (200, &json!([]))
    );
    for partition in [0, 1] {
        let topic = app.topic(&source("A"));
        topic.push_to(partition, None, b"{}", citizenk::Headers::new());
    }
    app.settle().await;
    let unanswered = async |path: &str| {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        let problem: Value = answer.json();
        let detail = problem["detail"].as_str().unwrap_or_default();
        let says = detail.contains("the source cluster does not answer");
        assert!(says && problem["cluster"] == "source", "{path}: {problem}");
    };
    // It takes requests and answers none.
    let withhold = |partition: i32, held: bool| {
        let until = held.then_some(citizenk::testing::Withheld::ForEver);
        app.withhold(&source("A"), partition, until);
    };
    withhold(0, true);
    let some = app.get("/api/messages?topic=A&from=earliest").await;
    let found: Value = some.json();
    assert_eq!(
        (some.status, &found["scanned"], &found["timed_out"]),
        (200, &json!(1), &json!(true)),
        "what was found is answered: {found}"
    );
    withhold(1, true);
    unanswered("/api/messages?topic=A&from=earliest&timeout_ms=2000").await;
    unanswered("/api/messages?topic=A").await;
    withhold(0, false);
    withhold(1, false);
    // It is gone.
    app.cluster_available("source", false);
    unanswered("/api/messages?topic=A").await;
    let test = json!({ "expression": "key", "topic": "A" });
    let tried = app.post("/api/filter-test", &test).await;
    assert!(
        tried.status == 503 && tried.body.contains("the source cluster does not answer"),
        "{}",
        tried.body
    );
    Ok(app.stop().await?)
}
