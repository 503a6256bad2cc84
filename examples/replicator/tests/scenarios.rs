//! What the Replicator is for, on two clusters in memory.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use citizenk::prelude::*;
use common::*;
use serde_json::{Value, json};

const GROUP: (&str, &str) = ("KAFKA_SOURCE_GROUP_NAME", "replicator");

/// S1, S9, S11: topics are copied with key, headers, timestamp and partition, with and without a group.
#[tokio::test]
async fn topics_are_copied_as_they_are() -> citizenk::Result<()> {
    for more in [&[][..], &[GROUP]] {
        let folder = Folder::new();
        folder.mappings(&json!([
            mapping("a", "A", "B"),
            { "name": "many", "topics": [{ "source": "C", "target": "C2" }, { "source": "D", "target": "D2" }] },
        ]));
        let app = start(&folder, more).await;
        create(&app, "source", &["A", "C", "D"], 4).await;
        create(&app, "target", &["B", "C2", "D2"], 4).await;
        app.topic(&source("A")).push_raw(Some(b"old"), b"before");
        running(&app, "a").await;
        running(&app, "many").await;
        let mut headers = Headers::new();
        headers.push("h", Some("1"));
        headers.push("h", None::<&[u8]>);
        app.topic(&source("A"))
            .push_to(3, Some(b"\xff"), b"\x00bytes", headers.clone());
        app.topic(&source("A"))
            .record()
            .partition(1)
            .timestamp(1_700_000_000_000)
            .push_raw(None);
        app.topic(&source("C")).push_raw(Some(b"k"), b"c");
        app.topic(&source("D")).push_raw(Some(b"k"), b"d");
        until(&app, "all arrive", async || {
            let count = |name: &str| app.topic(&target(name)).sent().len();
            (count("B"), count("C2"), count("D2")) == (2, 1, 1)
        })
        .await;
        let mut sent = app.topic(&target("B")).sent();
        sent.sort_by_key(|record| record.partition);
        assert_eq!((sent[0].partition, sent[0].value.as_ref()), (1, None));
        assert_eq!(sent[0].timestamp.millis(), Some(1_700_000_000_000));
        assert_eq!((sent[1].partition, &sent[1].headers), (3, &headers));
        assert_eq!(
            sent[1].key.as_ref().map(|key| key.0.as_slice()),
            Some(&b"\xff"[..])
        );
        let row = row(&app, "a").await;
        assert_eq!(
            (row["source_count"].as_i64(), row["target_count"].as_i64()),
            (Some(2), Some(2)),
            "{row}"
        );
        assert_eq!(row["assignments"], json!([0, 1, 2, 3]));
        app.stop().await?;
    }
    Ok(())
}

/// S2, S3, S5: switched off while the target is written by others, switched on again at the latest record,
/// without touching another mapping.
#[tokio::test]
async fn a_switch_hands_over_at_the_latest_record_and_leaves_others_alone() -> citizenk::Result<()>
{
    for more in [&[][..], &[GROUP]] {
        let folder = Folder::new();
        let both = |on: bool| {
            json!([
                with(mapping("a", "A", "B"), json!({ "enabled": on })),
                mapping("other", "A", "O")
            ])
        };
        folder.mappings(&both(true));
        let app = start(&folder, more).await;
        create(&app, "source", &["A"], 2).await;
        create(&app, "target", &["B", "O"], 2).await;
        running(&app, "a").await;
        running(&app, "other").await;
        app.topic(&source("A")).push_raw(Some(b"k"), b"1");
        until(&app, "1 arrives", async || {
            values(&app, &target("B")) == ["1"]
        })
        .await;
        folder.mappings(&both(false));
        until(&app, "it is off", async || {
            row(&app, "a").await["state"] == "disabled"
        })
        .await;
        app.topic(&source("A")).push_raw(Some(b"k"), b"2");
        until(&app, "the other has 2", async || {
            values(&app, &target("O")) == ["1", "2"]
        })
        .await;
        assert_eq!(values(&app, &target("B")), ["1"]);
        folder.mappings(&both(true));
        running(&app, "a").await;
        app.topic(&source("A")).push_raw(Some(b"k"), b"3");
        until(&app, "3 arrives", async || {
            values(&app, &target("B")) == ["1", "3"]
        })
        .await;
        until(&app, "3 arrives there too", async || {
            values(&app, &target("O")) == ["1", "2", "3"]
        })
        .await;
        app.stop().await?;
    }
    Ok(())
}

/// A32: a restart goes on where the group is; without a group it begins at the latest record.
#[tokio::test]
async fn a_restart_goes_on_where_the_group_is() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let mut app = start(&folder, &[GROUP]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B"], 1).await;
    running(&app, "a").await;
    app.topic(&source("A")).push_raw(None, b"1");
    until(&app, "1 arrives", async || {
        values(&app, &target("B")) == ["1"]
    })
    .await;
    app.stop_worker(0).await?;
    app.topic(&source("A")).push_raw(None, b"2");
    app.restart().await?;
    until(&app, "what was written meanwhile arrives", async || {
        values(&app, &target("B")) == ["1", "2"]
    })
    .await;
    Ok(app.stop().await?)
}

/// S4, S8: a share by key, and filters.
#[tokio::test]
async fn a_share_and_a_filter_reduce_the_load() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([
        with(mapping("share", "A", "S"), json!({ "sample_percent": 90 })),
        with(
            mapping("rest", "A", "R"),
            json!({ "valid_jmespath": "bucket(key) >= `90`" })
        ),
        with(
            mapping("filter", "A", "F"),
            json!({ "valid_jmespath": "key == 'k7' && value.msg == 'world'" })
        ),
    ]));
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 3).await;
    create(&app, "target", &["S", "R", "F"], 3).await;
    for name in ["share", "rest", "filter"] {
        running(&app, name).await;
    }
    for key in 0..200 {
        app.topic(&source("A"))
            .push_raw(Some(format!("k{key}").as_bytes()), br#"{"msg":"world"}"#);
    }
    app.topic(&source("A")).push_raw(Some(b"k7"), b"no json");
    let count = |name: &str| app.topic(&target(name)).sent().len();
    until(&app, "the share and the rest are all", async || {
        count("S") + count("R") == 201
    })
    .await;
    assert!((160..195).contains(&count("S")), "{}", count("S"));
    assert_eq!(values(&app, &target("F")), [r#"{"msg":"world"}"#]);
    let row = row(&app, "filter").await;
    let get = |field: &str| row[field].as_i64().unwrap_or(-1);
    assert_eq!(
        (
            get("source_count"),
            get("target_count"),
            get("filtered_count"),
            get("decode_error_count")
        ),
        (201, 1, 199, 1)
    );
    Ok(app.stop().await?)
}

/// S7: keys, values and partitions are mapped on the way.
#[tokio::test]
async fn values_keys_and_partitions_are_mapped() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let documented = include_str!("../domain/fixtures/topic_mapping.json");
    folder.write("topic_mappings/A.json", documented);
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 2).await;
    create(&app, "target", &["B"], 2).await;
    running(&app, "a").await;
    let value = r#"{"payload": {"product_id":1001, "user_name":"B"}, "n": 9007199254740993}"#;
    for key in ["1", "3", "4"] {
        app.topic(&source("A"))
            .push_to(1, Some(key.as_bytes()), value.as_bytes(), Headers::new());
    }
    until(&app, "two arrive", async || {
        app.topic(&target("B")).sent().len() == 2
    })
    .await;
    let sent = app.topic(&target("B")).sent();
    let by_key = |key: &str| {
        sent.iter()
            .find(|record| record.key.as_ref().is_some_and(|is| is.0 == key.as_bytes()))
    };
    let (ten, four) = (by_key("10").expect("mapped"), by_key("4").expect("kept"));
    assert_eq!((ten.partition, four.partition), (0, 1));
    let expected = r#"{"payload": {"product_id":1, "user_name":"B name"}, "n": 9007199254740993}"#;
    assert_eq!(
        ten.value.as_ref().map(|value| value.0.as_slice()),
        Some(expected.as_bytes())
    );
    assert_eq!(row(&app, "a").await["dropped_count"], 1);
    Ok(app.stop().await?)
}

/// S6: the service's group is deleted while it has no members.
#[tokio::test]
async fn the_group_of_the_service_is_deleted_while_nobody_is_in_it() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([with(
        mapping("a", "A", "B"),
        json!({ "target_service_consumer_group": "service" })
    )]));
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B"], 1).await;
    running(&app, "a").await;
    let admin = app.admin().on("target").expect("there");
    let service = citizenk::Agent::builder::<Event<RawBytes>>("service")
        .topics(&target("B"), ["target/B"])
        .group("service")
        .handle(async |_: Event<RawBytes>, _| {});
    let service = app.agents().start(service).await?;
    until(&app, "the service is seen", async || {
        row(&app, "a").await["consumer_group_up"] == true
    })
    .await;
    app.topic(&source("A")).push_raw(None, b"1");
    until(&app, "it reads", async || {
        !admin
            .group_offsets("service")
            .await
            .unwrap_or_default()
            .is_empty()
    })
    .await;
    service.stop().await?;
    until(&app, "its group is gone", async || {
        let groups = admin.groups().await.unwrap_or_default();
        groups.iter().all(|group| group.group != "service")
    })
    .await;
    assert_eq!(row(&app, "a").await["consumer_group_up"], false);
    Ok(app.stop().await?)
}

/// S10: a file is replayed with its gaps; to a topic and to a file.
#[tokio::test]
async fn files_are_replayed_with_their_gaps() -> citizenk::Result<()> {
    let folder = Folder::new();
    let line = |at: i64, n: i32| {
        format!(
            "{}\n",
            json!({ "timestamp": 1_600_000_000_000_i64 + at, "key": "k", "value": { "n": n } })
        )
    };
    folder.write(
        "A.json",
        &(line(0, 1) + &line(1_000, 2) + "nope\n" + &line(500, 3) + &line(10_000, 4)),
    );
    folder.write("L.json", &line(2_000, 9));
    folder.mappings(&json!([
        with(mapping("topic", "A", "B"), json!({ "source_is_file": true, "replay": { "original_timestamp": true } })),
        with(mapping("later", "L", "B2"), json!({ "source_is_file": true })),
        with(mapping("file", "A", "E"), json!({ "source_is_file": true, "target_is_file": true, "valid_jmespath": "value.n != `2`", "replay": { "speed": 0 } })),
    ]));
    let app = start(&folder, &[("READ_MAPPINGS_EVERY_SECONDS", "0.1")]).await;
    let begun = app.now();
    create(&app, "target", &["B", "B2"], 2).await;
    until(&app, "all are over", async || {
        let rows = rows(&app).await;
        rows.iter().all(|row| row["state"] == "completed") && rows.len() == 3
    })
    .await;
    let sent = app.topic(&target("B")).sent();
    let order: Vec<String> = values(&app, &target("B"));
    assert_eq!(order, [1, 2, 3, 4].map(|n| format!("{{\"n\":{n}}}")));
    let times: Vec<i64> = sent
        .iter()
        .filter_map(|record| record.timestamp.millis())
        .collect();
    let gaps: Vec<i64> = times.iter().map(|at| at - times[0]).collect();
    assert_eq!(gaps, [0, 1_000, 1_000, 10_000]);
    assert!(times[0] >= begun.timestamp_millis());
    assert_eq!(
        sent[0].headers.text("citizenk-original-timestamp"),
        Some("1600000000000")
    );
    let row = row(&app, "topic").await;
    assert_eq!(
        (
            &row["source_count"],
            &row["target_count"],
            &row["decode_error_count"],
            &row["lag"]
        ),
        (&json!(5), &json!(4), &json!(1), &json!(0))
    );
    // Files that start together keep the gap between them.
    let later = app.topic(&target("B2")).sent()[0].timestamp.millis();
    assert_eq!(later, Some(times[0] + 2_000));
    let written = folder.read("E.json");
    let numbers: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["value"]["n"].clone())
        .collect();
    assert_eq!(numbers, [1, 3, 4]);
    Ok(app.stop().await?)
}

/// A topic to a file, in the form that a replay reads.
#[tokio::test]
async fn a_topic_is_written_to_a_file() -> citizenk::Result<()> {
    for more in [&[][..], &[GROUP]] {
        let folder = Folder::new();
        folder.mappings(&json!([with(
            mapping("a", "D", "E"),
            json!({ "target_is_file": true })
        )]));
        let app = start(&folder, more).await;
        create(&app, "source", &["D"], 1).await;
        running(&app, "a").await;
        app.topic(&source("D")).push_raw(Some(b"k"), br#"{"a": 1}"#);
        app.topic(&source("D")).push_raw(None, b"\xff");
        until(&app, "both are there", async || {
            folder.read("E.json").lines().count() == 2
        })
        .await;
        let text = folder.read("E.json");
        assert!(
            text.contains(r#""key":"k","value":{"a": 1}"#)
                && text.contains(r#""value_b64":"/w==""#),
            "{text}"
        );
        assert_eq!(row(&app, "a").await["target_count"], 2);
        app.stop().await?;
    }
    Ok(())
}

/// A43, A48, A50: what cannot be used is said, what runs goes on.
#[tokio::test]
async fn a_bad_file_is_said_and_the_last_good_one_goes_on() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([
        mapping("a", "A", "B"),
        mapping("missing", "A", "none")
    ]));
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B"], 1).await;
    running(&app, "a").await;
    let waiting = row(&app, "missing").await;
    assert_eq!(waiting["state"], "waiting");
    assert_eq!(
        waiting["detail"],
        "target topic missing: `none`; topics are never created"
    );
    folder.write(
        "mappings.json",
        "{\n  \"mappings\": [\n    {\"name\" 1}\n  ]\n}",
    );
    let service = async || app.get("/api/service").await.json::<Value>();
    until(&app, "the mistake is said", async || {
        service().await["refused"][0]["place"] == json!({ "line": 3, "column": 13 })
    })
    .await;
    app.topic(&source("A")).push_raw(None, b"1");
    until(&app, "the mapping goes on", async || {
        values(&app, &target("B")) == ["1"]
    })
    .await;
    create(&app, "target", &["none"], 1).await;
    folder.mappings(&json!([
        mapping("a", "A", "B"),
        mapping("missing", "A", "none")
    ]));
    running(&app, "missing").await;
    assert_eq!(service().await["refused"], json!([]));
    let topics = app
        .admin()
        .on("target")
        .expect("there")
        .topics()
        .await
        .expect("asked");
    assert_eq!(
        topics
            .iter()
            .map(|topic| topic.name.as_str())
            .collect::<Vec<_>>(),
        ["B", "none"]
    );
    Ok(app.stop().await?)
}

/// A17, A18: a partition the target lacks holds the mapping and says where; a changed table lets it go on.
#[tokio::test]
async fn a_partition_that_is_not_there_holds_one_mapping() -> citizenk::Result<()> {
    let folder = Folder::new();
    let wrong = with(
        mapping("wrong", "A", "B"),
        json!({ "value_mappings": { "key:partition": { "k": 7 } } }),
    );
    folder.mappings(&json!([wrong, mapping("right", "A", "C")]));
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B", "C"], 2).await;
    running(&app, "wrong").await;
    running(&app, "right").await;
    app.topic(&source("A")).push_raw(Some(b"k"), b"1");
    until(&app, "it is said", async || {
        row(&app, "wrong").await["state"] == "error"
    })
    .await;
    let said = row(&app, "wrong").await;
    assert_eq!(
        said["detail"],
        "A/0@0: `key:partition` says 7, but `B` has partitions 0 to 1"
    );
    assert_eq!(values(&app, &target("C")), ["1"]);
    let right = with(
        mapping("wrong", "A", "B"),
        json!({ "value_mappings": { "key:partition": { "k": 1 } } }),
    );
    folder.mappings(&json!([right, mapping("right", "A", "C")]));
    until(&app, "it goes on", async || {
        values(&app, &target("B")) == ["1"]
    })
    .await;
    assert_eq!(row(&app, "wrong").await["partition_error_count"], 1);
    Ok(app.stop().await?)
}

/// A target that is away loses nothing.
#[tokio::test]
async fn a_target_that_is_away_is_waited_for() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([mapping("a", "A", "B")]));
    let app = start(&folder, &[GROUP]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B"], 1).await;
    running(&app, "a").await;
    app.cluster_available("target", false);
    for n in 0..5 {
        app.topic(&source("A"))
            .push_raw(None, n.to_string().as_bytes());
    }
    app.advance("60s").await;
    assert!(values(&app, &target("B")).is_empty());
    app.cluster_available("target", true);
    until(&app, "all arrive", async || {
        values(&app, &target("B")) == ["0", "1", "2", "3", "4"]
    })
    .await;
    Ok(app.stop().await?)
}

/// Across clusters a copy is known by its header and not copied back.
#[tokio::test]
async fn copies_are_not_copied_back() -> citizenk::Result<()> {
    let folder = Folder::new();
    folder.mappings(&json!([with(
        mapping("a", "A", "B"),
        json!({ "provenance": true })
    )]));
    let app = start(&folder, &[]).await;
    create(&app, "source", &["A"], 1).await;
    create(&app, "target", &["B"], 1).await;
    running(&app, "a").await;
    let mut back = Headers::new();
    back.push("citizenk-provenance", Some("target/B"));
    app.topic(&source("A")).push_to(0, None, b"back", back);
    app.topic(&source("A")).push_raw(None, b"new");
    until(&app, "the new one arrives", async || {
        values(&app, &target("B")) == ["new"]
    })
    .await;
    assert_eq!(
        app.topic(&target("B")).sent()[0]
            .headers
            .text("citizenk-provenance"),
        Some("source/A")
    );
    assert_eq!(row(&app, "a").await["dropped_count"], 1);
    Ok(app.stop().await?)
}
