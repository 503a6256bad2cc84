//! What was replaced is kept, so much of it, and read in pages.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use citizenk::testing::TestApp;
use common::*;
use serde_json::{Value, json};

async fn listed(app: &TestApp, query: &str) -> Vec<(i64, String)> {
    let versions: Vec<Value> = app.get(&format!("/api/versions{query}")).await.json();
    let pair = |version: &Value| {
        let id = version["id"].as_i64().expect("a number");
        (id, version["comment"].as_str().unwrap_or("").to_owned())
    };
    versions.iter().map(pair).collect()
}

async fn send(app: &TestApp, method: &str, path: &str, body: &Value) -> u16 {
    let headers = [("if-match", "*".to_owned())];
    let body = Some(body.to_string());
    let answer = app.request_with_headers(method, path, &headers, body).await;
    answer.status
}

#[tokio::test]
async fn the_newest_versions_are_kept_and_read_in_pages() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([]));
    let app = start(&folder, &[("KEEP_VERSIONS", "4")]).await;
    assert!(listed(&app, "").await.is_empty());
    for number in 0..6 {
        let text = json!({ "mappings": [], "comment": number.to_string() }).to_string();
        let new = json!({ "text": text, "comment": format!("change {number}") });
        assert_eq!(send(&app, "PUT", "/api/file", &new).await, 200);
    }
    let comments = |found: &[(i64, String)]| -> Vec<String> {
        found.iter().map(|(_, comment)| comment.clone()).collect()
    };
    let all = listed(&app, "").await;
    assert_eq!(
        comments(&all),
        ["change 5", "change 4", "change 3", "change 2"]
    );
    let first = listed(&app, "?limit=3").await;
    assert_eq!(first, all[..3]);
    let second = listed(&app, &format!("?limit=3&before={}", first[2].0)).await;
    assert_eq!(second, all[3..]);
    // No page is without end or empty for a number that makes no sense.
    assert_eq!(listed(&app, "?limit=0").await, all[..1]);
    assert_eq!(listed(&app, "?limit=99999").await, all);
    assert_eq!(app.get("/api/versions?limit=many").await.status, 400);

    // The oldest kept can be had back, and makes room for what that replaces.
    let back = format!("/api/versions/{}/restore", all[3].0);
    assert_eq!(
        send(&app, "POST", &back, &json!({ "comment": "back" })).await,
        200
    );
    let file: Value = serde_json::from_str(&folder.read("mappings.json")).expect("JSON");
    assert_eq!(file["comment"], "1");
    let now = listed(&app, "").await;
    assert_eq!(comments(&now), ["back", "change 5", "change 4", "change 3"]);
    assert_eq!(
        send(&app, "POST", &back, &json!({ "comment": "again" })).await,
        404
    );
    Ok(app.stop().await?)
}
