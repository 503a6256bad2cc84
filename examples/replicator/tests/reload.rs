//! A change of the files counts at once, and for what it changes alone.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use serde_json::{Value, json};

/// They are never read in their turn.
const SELDOM: [(&str, &str); 1] = [("READ_MAPPINGS_EVERY_SECONDS", "86400")];

#[tokio::test]
async fn a_changed_file_counts_within_200_ms() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let app = start(&folder, &SELDOM).await;
    create(&app, "source", &["A"], 1).await;
    let names = async || -> Vec<Value> {
        let rows = rows(&app).await;
        rows.into_iter().map(|row| row["name"].clone()).collect()
    };
    until(&app, "the file is read", async || names().await == ["a"]).await;

    folder.mappings(&json!([
        mapping("a", "A", "B"),
        mapping("second", "A", "C")
    ]));
    app.advance("200ms").await;
    app.settle().await;
    assert_eq!(names().await, ["a", "second"]);

    // A file that is only just being written anew stops nothing.
    let text = folder.read("mappings.json");
    std::fs::remove_file(folder.path().join("mappings.json")).expect("removed");
    app.advance("50ms").await;
    app.settle().await;
    assert_eq!(names().await, ["a", "second"]);
    folder.write("mappings.json", &text.replace("second", "other"));
    app.advance("200ms").await;
    app.settle().await;
    assert_eq!(names().await, ["a", "other"]);

    // Templates are files of the configuration, too; one that cannot be used leaves the last good one.
    let uses = json!({ "templates": [{ "template": "t", "vars": {} }], "mappings": [] });
    folder.write(
        "templates/t.json",
        &json!([mapping("of t", "A", "B")]).to_string(),
    );
    folder.write("mappings.json", &uses.to_string());
    app.advance("200ms").await;
    app.settle().await;
    assert_eq!(names().await, ["of t"]);
    folder.write("templates/t.json", "[{");
    app.advance("200ms").await;
    app.settle().await;
    let service: Value = app.get("/api/service").await.json();
    assert!(
        service["refused"].to_string().contains("templates/t.json"),
        "{service}"
    );
    assert_eq!(names().await, ["of t"]);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_file_that_is_missing_for_a_while_stands_as_it_was() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let table = r#"{"value.id": {"1": 2}}"#;
    folder.write("topic_mappings/A.json", table);
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B"], 1).await;
    running(&app, "a").await;
    let copied = async |value: &str| -> String {
        app.topic(&source("A")).push_raw(None, value.as_bytes());
        app.settle().await;
        values(&app, &target("B")).pop().unwrap_or_default()
    };
    let refused = async || -> String {
        let service: Value = app.get("/api/service").await.json();
        service["refused"].to_string()
    };
    let text = folder.read("mappings.json");
    std::fs::remove_file(folder.path().join("mappings.json")).expect("removed");
    std::fs::remove_file(folder.path().join("topic_mappings/A.json")).expect("removed");
    app.advance("3s").await;
    app.settle().await;
    assert_eq!(copied(r#"{"id":1}"#).await, r#"{"id":2}"#);
    let said = refused().await;
    assert!(
        said.contains("mappings.json") && said.contains("topic_mappings/A.json"),
        "{said}"
    );
    // A table that stays away is gone; the mapping file is never taken for an empty one.
    app.advance("10s").await;
    app.settle().await;
    assert_eq!(copied(r#"{"id":1}"#).await, r#"{"id":1}"#);
    let said = refused().await;
    assert!(
        said.contains("mappings.json") && !said.contains("topic_mappings"),
        "{said}"
    );
    // A change meanwhile is made of what is known, and puts the file back.
    let why = Some(json!({ "comment": "off" }).to_string());
    let any = [("if-match", "*".to_owned())];
    let path = "/api/mappings/a/disable";
    let answer = app.request_with_headers("POST", path, &any, why).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(folder.read("mappings.json").contains("\"name\": \"a\""));
    assert_eq!(refused().await, "[]");
    folder.write("mappings.json", &text);
    running(&app, "a").await;
    Ok(app.stop().await?)
}

#[tokio::test]
async fn switching_one_loses_doubles_and_pauses_nothing_of_others() -> citizenk::Result<()> {
    for group in ["", "g"] {
        let folder = Folder::new();
        // One reads the topic of the one that is switched, the other one of its own.
        folder.mappings(&json!([
            mapping("same", "A", "Same"),
            mapping("own", "O", "Own"),
            mapping("switched", "A", "Switched"),
        ]));
        let app = start(&folder, &[("KAFKA_SOURCE_GROUP_NAME", group)]).await;
        create(&app, "source", &["A", "O"], 1).await;
        create(&app, "target", &["Same", "Own", "Switched"], 1).await;
        for name in ["same", "own", "switched"] {
            running(&app, name).await;
        }
        let mut sent = Vec::new();
        for round in 0..6 {
            let verb = if round % 2 == 0 { "disable" } else { "enable" };
            for half in ["before", "after"] {
                let value = format!("{round} {half}");
                for topic in ["A", "O"] {
                    app.topic(&source(topic)).push_raw(None, value.as_bytes());
                }
                sent.push(value);
                if half == "before" {
                    let path = format!("/api/mappings/switched/{verb}");
                    let why = Some(json!({ "comment": verb }).to_string());
                    let any = [("if-match", "*".to_owned())];
                    let answer = app.request_with_headers("POST", &path, &any, why).await;
                    assert_eq!(answer.status, 200);
                }
            }
            // No time passes: nobody waits for a turn, a back-off or a group.
            app.settle().await;
            for (name, topic) in [("same", "Same"), ("own", "Own")] {
                assert_eq!(
                    values(&app, &target(topic)),
                    sent,
                    "{name} in round {round}"
                );
                let state = row(&app, name).await["state"].clone();
                assert!(state == "running" || state == "idle", "{name} is {state}");
            }
        }
        app.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_change_while_a_cluster_is_away_counts_for_what_runs_and_else_when_it_is_back()
-> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B"), mapping("off", "A", "C")]));
    let app = start(&folder, &SELDOM).await;
    create(&app, "source", &["A", "X"], 1).await;
    create(&app, "target", &["B", "C", "Y"], 1).await;
    for name in ["a", "off"] {
        running(&app, name).await;
    }
    let push =
        |topic: &str, value: &str| app.topic(&source(topic)).push_raw(None, value.as_bytes());

    // The target is away: what is read meanwhile is copied by the rules there are now.
    app.cluster_available("target", false);
    let filtered = with(
        mapping("a", "A", "B"),
        json!({ "valid_jmespath": "value.n > `1`" }),
    );
    folder.mappings(&json!([filtered, mapping("new", "X", "Y")]));
    app.advance("200ms").await;
    app.settle().await;
    for value in [r#"{"n":1}"#, r#"{"n":2}"#] {
        push("A", value);
    }
    app.settle().await;
    app.cluster_available("target", true);
    running(&app, "a").await;
    app.settle().await;
    assert_eq!(values(&app, &target("B")), [r#"{"n":2}"#]);
    assert!(values(&app, &target("C")).is_empty(), "it was switched off");
    // What had to wait for it begins within seconds, however seldom the files are read.
    app.advance("6s").await;
    app.settle().await;
    push("X", "1");
    app.settle().await;
    assert_eq!(values(&app, &target("Y")), ["1"]);

    // So it is with the source.
    app.cluster_available("source", false);
    folder.mappings(&json!([mapping("a", "A", "B"), mapping("late", "A", "C")]));
    app.advance("200ms").await;
    app.settle().await;
    app.cluster_available("source", true);
    app.advance("6s").await;
    app.settle().await;
    push("A", r#"{"n":0}"#);
    app.settle().await;
    assert_eq!(values(&app, &target("B")), [r#"{"n":2}"#, r#"{"n":0}"#]);
    assert_eq!(values(&app, &target("C")), [r#"{"n":0}"#]);
    assert_eq!(values(&app, &target("Y")), ["1"]);
    Ok(app.stop().await?)
}
