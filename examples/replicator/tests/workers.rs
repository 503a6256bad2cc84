//! Several workers of one service, which share files and topics.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use citizenk::testing::TestApp;
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

#[tokio::test]
async fn each_worker_answers_for_all_and_a_pause_reaches_them() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let mut app = start_workers(&folder, &[("KAFKA_SOURCE_GROUP_NAME", "g")], 2).await;
    // Nobody has joined the group yet: who is asked answers alone.
    let workers = async |app: &TestApp, worker: usize| -> Vec<Value> {
        let answer = app.request_to(worker, "GET", "/api/stats", &[], None);
        answer.await.json()
    };
    assert_eq!(workers(&app, 0).await.len(), 1);
    create(&app, "source", &["A"], 4).await;
    create(&app, "target", &["B"], 4).await;
    // Known for ten seconds.
    app.advance("11s").await;
    until(&app, "both have partitions", async || {
        let both = workers(&app, 1).await;
        let shares = both.iter().map(|one| &one["mappings"][0]["assignments"]);
        shares.filter(|share| **share != json!([])).count() == 2
    })
    .await;
    for n in 0..40 {
        let value = n.to_string();
        app.topic(&source("A"))
            .push_raw(Some(value.as_bytes()), value.as_bytes());
    }
    app.settle().await;
    for worker in [0, 1] {
        app.forwarded();
        let both = workers(&app, worker).await;
        // It asks the other one and not itself.
        let asked = app.forwarded().into_iter().map(|(url, _)| url);
        let other = TestApp::url_of(1 - worker);
        assert_eq!(asked.collect::<Vec<_>>(), [other]);
        let counts = both.iter().map(|one| &one["mappings"][0]["source_count"]);
        let counts: Vec<u64> = counts.filter_map(Value::as_u64).collect();
        assert!(counts.len() == 2 && !counts.contains(&0), "{counts:?}");
        assert_eq!(counts.iter().sum::<u64>(), 40);
        let flat = app.request_to(worker, "GET", "/api/stats/flat", &[], None);
        let flat: Vec<Value> = flat.await.json();
        assert_eq!(flat.len(), 2);
        for row in &flat {
            assert_eq!(row["worker_name"], format!("worker {}", row["worker"]));
        }
        let own = app.request_to(worker, "GET", "/api/stats/self", &[], None);
        assert_eq!(
            own.await.json::<Value>()["mappings"]
                .as_array()
                .map(Vec::len),
            Some(1)
        );
    }
    for (verb, paused) in [("pause", true), ("resume", false)] {
        let path = format!("/api/mappings/a/{verb}");
        let body = Some("{}".to_owned());
        let told = app.request_to(1, "POST", &path, &[], body).await;
        assert_eq!(
            (told.status, told.json::<Value>()),
            (200, json!({ "runs": 2 }))
        );
        for one in workers(&app, 0).await {
            let state = &one["mappings"][0]["state"];
            assert_eq!(state == "paused", paused, "{verb}: {state}");
        }
    }
    // One that is gone is asked no more; while the source does not say who is there, the others are those of before.
    app.stop_worker(0).await?;
    app.cluster_available("source", false);
    app.advance("11s").await;
    assert!(!workers(&app, 1).await.is_empty());
    app.cluster_available("source", true);
    app.advance("11s").await;
    assert_eq!(workers(&app, 1).await.len(), 1);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn without_a_group_a_worker_asks_the_peers_and_not_itself() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let urls = [0, 1].map(TestApp::url_of);
    let (options, _) = options(&folder, &[("WORKER_COUNT", "2")]);
    let app = TestApp::new(move || replicator::app(options.clone()))
        .workers(2)
        // As it may be written by hand.
        .env("CITIZENK_PEERS", &format!(" {}/, {} ", urls[0], urls[1]))
        .start()
        .await?;
    for worker in [0, 1] {
        app.forwarded();
        let stats = app.request_to(worker, "GET", "/api/stats", &[], None).await;
        assert_eq!(stats.json::<Vec<Value>>().len(), 2);
        let asked = app.forwarded().into_iter().map(|(url, _)| url);
        assert_eq!(asked.collect::<Vec<_>>(), [urls[1 - worker].clone()]);
    }
    Ok(app.stop().await?)
}

#[tokio::test]
async fn without_a_group_workers_share_the_partitions() -> citizenk::Result<()> {
    let mut all = Vec::new();
    for (index, own) in [("0", [0, 2]), ("1", [1, 3])] {
        let folder = Folder::new();
        folder.mappings(&json!([mapping("a", "A", "B")]));
        let shares = [("WORKER_INDEX", index), ("WORKER_COUNT", "2")];
        let app = start(&folder, &shares).await;
        create(&app, "source", &["A"], 4).await;
        create(&app, "target", &["B"], 4).await;
        running(&app, "a").await;
        for n in 0..40 {
            let (partition, value) = (n % 4, n.to_string());
            let topic = app.topic(&source("A"));
            topic.push_to(partition, None, value.as_bytes(), citizenk::Headers::new());
        }
        app.settle().await;
        let mut copied = values(&app, &target("B"));
        assert_eq!(copied.len(), 20, "worker {index}: {copied:?}");
        all.append(&mut copied);
        app.advance("2s").await;
        let row = row(&app, "a").await;
        assert_eq!(
            (&row["assignments"], &row["source_count"], &row["lag"]),
            (&json!(own), &json!(20), &json!(0)),
            "{row}"
        );
        let partitions: Vec<Value> = app.get("/api/mappings/a/partitions").await.json();
        let told = partitions.iter().map(|one| &one["partition"]);
        assert_eq!(
            told.collect::<Vec<_>>(),
            own.map(|own| json!(own)).each_ref()
        );
        app.stop().await?;
    }
    // Each record by one of them.
    all.sort_by_key(|value| value.parse::<u32>().expect("a number"));
    assert!((0..40).map(|n| n.to_string()).eq(all));
    Ok(())
}
