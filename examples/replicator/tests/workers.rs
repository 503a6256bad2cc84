//! Several workers of one service, which share files and topics.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use serde_json::{Value, json};

#[tokio::test]
async fn edits_of_two_workers_do_not_overwrite_each_other() -> citizenk::Result<()> {
    let folder = Folder::new();
    let names: Vec<String> = (0..6).map(|number| format!("m{number}")).collect();
    let all: Vec<Value> = names
        .iter()
        .map(|name| mapping(name, "A", &format!("to-{name}")))
        .collect();
    folder.mappings(&json!(all));
    // What one of them saves the other one reads long after.
    let seldom = [("READ_MAPPINGS_EVERY_SECONDS", "86400")];
    let app = start_workers(&folder, &seldom, 2).await;
    create(&app, "source", &["A"], 2).await;
    let any = [("if-match", "*".to_owned())];
    let why = || Some(json!({ "comment": "off" }).to_string());
    let paths: Vec<String> = names
        .iter()
        .map(|name| format!("/api/mappings/{name}/disable"))
        .collect();
    for both in paths.chunks(2) {
        let (left, right) = tokio::join!(
            app.request_to(0, "POST", &both[0], &any, why()),
            app.request_to(1, "POST", &both[1], &any, why()),
        );
        assert_eq!((left.status, right.status), (200, 200), "{}", left.body);
        // Neither tag is that of a text with a change its reader has not seen.
        assert_ne!(
            left.json::<Value>()["version"],
            right.json::<Value>()["version"]
        );
    }
    let file: Value = serde_json::from_str(&folder.read("mappings.json")).expect("JSON");
    let mappings = file["mappings"].as_array().expect("mappings");
    let on: Vec<&Value> = mappings
        .iter()
        .filter(|mapping| mapping["enabled"] != false)
        .collect();
    assert!(on.is_empty(), "{on:?}");
    Ok(app.stop().await?)
}
