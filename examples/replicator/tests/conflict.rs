//! Who saves what is no longer the newest is told what has changed since.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use citizenk::testing::{TestApp, TestResponse};
use common::*;
use serde_json::{Value, json};

async fn version(app: &TestApp) -> String {
    let service: Value = app.get("/api/service").await.json();
    service["version"].as_str().expect("a version").to_owned()
}

async fn send(app: &TestApp, method: &str, path: &str, tag: &str, body: &Value) -> TestResponse {
    let headers = [("if-match", format!("\"{tag}\""))];
    app.request_with_headers(method, path, &headers, Some(body.to_string()))
        .await
}

/// A filter for the mapping `a`.
fn edit(filter: &str) -> Value {
    let mapping = with(mapping("a", "A", "B"), json!({ "valid_jmespath": filter }));
    json!({ "mapping": mapping, "comment": filter })
}

async fn edited(app: &TestApp, filter: &str) {
    let tag = version(app).await;
    let saved = send(app, "PUT", "/api/mappings/a", &tag, &edit(filter)).await;
    assert_eq!(saved.status, 200, "{}", saved.body);
}

/// Saves on top of `tag`, which is refused.
async fn refused(app: &TestApp, tag: &str) -> Value {
    let late = send(app, "PUT", "/api/mappings/a", tag, &edit("late")).await;
    assert_eq!(late.status, 409, "{}", late.body);
    let problem: Value = late.json();
    assert_eq!(problem["yours"], tag, "{problem}");
    problem
}

#[tokio::test]
async fn a_save_that_comes_too_late_is_told_what_has_changed() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let mut app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B"], 1).await;
    running(&app, "a").await;

    let first = version(&app).await;
    edited(&app, "theirs").await;
    let table = json!({ "text": "{\"key\": {\"1\": 2}}\n", "comment": "a table" });
    let second = version(&app).await;
    let saved = send(&app, "PUT", "/api/topic-mappings/A", &second, &table).await;
    assert_eq!(saved.status, 200, "{}", saved.body);

    let problem = refused(&app, &first).await;
    assert_eq!(problem["version"], version(&app).await.as_str());
    let diff = problem["diff"].as_str().expect("a difference");
    for part in [
        "--- mappings.json\n+++ mappings.json\n@@ -1 +1,",
        "\n+      \"valid_jmespath\": \"theirs\"",
        "--- /dev/null\n+++ topic_mappings/A.json\n@@ -0,0 +1 @@\n+{\"key\": {\"1\": 2}}\n",
    ] {
        assert!(diff.contains(part), "{part} is not in {diff}");
    }
    let changes = problem["changes"].as_array().expect("a list");
    assert_eq!(changes.len(), 1, "{problem}");
    assert_eq!(
        (
            &changes[0]["name"],
            &changes[0]["kind"],
            &changes[0]["fields"]
        ),
        (&json!("a"), &json!("changed"), &json!(["valid_jmespath"]))
    );
    // Of what was seen later only the rest.
    let rest = refused(&app, &second).await;
    let diff = rest["diff"].as_str().expect("a difference");
    assert!(
        diff.starts_with("--- /dev/null\n+++ topic_mappings/A.json"),
        "{diff}"
    );
    assert_eq!(rest["changes"], json!([]));

    // By hand, read and gone over again: it is in no history.
    let by_hand = version(&app).await;
    folder.mappings(&json!([
        mapping("a", "A", "B"),
        mapping("by hand", "A", "C")
    ]));
    until(&app, "it is read", async || rows(&app).await.len() == 2).await;
    let problem = refused(&app, &by_hand).await;
    assert_eq!(problem["changes"][1]["name"], "by hand", "{problem}");

    // A worker that was started anew knows it by the history.
    let before = version(&app).await;
    edited(&app, "after").await;
    app.stop_worker(0).await?;
    app.restart().await?;
    running(&app, "a").await;
    let problem = refused(&app, &before).await;
    assert_eq!(problem["changes"][0]["after"]["valid_jmespath"], "after");
    // What nobody knows is said to be unknown.
    let problem = refused(&app, "0000000000000000").await;
    assert_eq!(problem.get("diff"), Some(&Value::Null), "{problem}");

    // What is on disk and cannot be used is shown, too.
    let seen = version(&app).await;
    folder.write("mappings.json", "{\"mappings\": [ by hand ");
    let late = send(&app, "PUT", "/api/mappings/a", &seen, &edit("late")).await;
    assert_eq!(late.status, 409, "{}", late.body);
    let diff = late.json::<Value>()["diff"].to_string();
    assert!(diff.contains("+{\\\"mappings\\\": [ by hand "), "{diff}");
    Ok(app.stop().await?)
}
