//! What arrives, and how.

use citizenk::prelude::*;
use serde_json::json;

use crate::common::with;
use crate::world::{Place, Push, World};

/// S1, S9, S11: topics are copied with key, headers, timestamp and partition.
pub(crate) async fn topics_are_copied_as_they_are(place: Place) {
    let mut world = World::open(place, 4, &["A", "C", "D"], &["B", "C2", "D2"]).await;
    let pair = |from: &str, to: &str| json!({ "source": world.t(from), "target": world.t(to) });
    let many = json!({ "name": "many", "topics": [pair("C", "C2"), pair("D", "D2")] });
    world.mappings(&[world.mapping("a", "A", "B"), many]);
    world.push("A", Push::new("old", "before")).await;
    world.start().await;
    world.running("a").await;
    world.running("many").await;
    let mut headers = Headers::new();
    headers.push("h", Some("1"));
    headers.push("h", None::<&[u8]>);
    let binary = Push {
        headers: headers.clone(),
        ..Push::new(b"\xff", b"\x00bytes").at(3)
    };
    world.push("A", binary).await;
    let written = world.now() - 3_600_000;
    let tombstone = Push {
        partition: 1,
        timestamp: Some(written),
        ..Push::default()
    };
    world.push("A", tombstone).await;
    world.push("C", Push::new("k", "c")).await;
    world.push("D", Push::new("k", "d")).await;
    world.arrive("C2", &["c"]).await;
    world.arrive("D2", &["d"]).await;
    world
        .until("both arrive", async || world.sent("B").await.len() == 2)
        .await;
    let sent = world.sent("B").await;
    assert_eq!(
        (sent[0].partition, &sent[0].key, &sent[0].value),
        (1, &None, &None)
    );
    assert_eq!(sent[0].timestamp, Some(written));
    assert_eq!((sent[1].partition, &sent[1].headers), (3, &headers));
    assert_eq!(
        (sent[1].key.as_deref(), sent[1].value.as_deref()),
        (Some(&b"\xff"[..]), Some(&b"\x00bytes"[..]))
    );
    world
        .until("both are counted", async || {
            world.count("a", "target_count").await == 2
        })
        .await;
    let row = world.row("a").await;
    assert_eq!(
        (&row["source_count"], &row["assignments"]),
        (&json!(2), &json!([0, 1, 2, 3])),
        "{row}"
    );
    world.close().await;
}

/// S4, S8: a share by key, and filters.
pub(crate) async fn a_share_and_a_filter_reduce_the_load(place: Place) {
    let mut world = World::open(place, 3, &["A"], &["S", "R", "F"]).await;
    let rest = json!({ "valid_jmespath": "bucket(key) >= `90`" });
    let filter = json!({ "valid_jmespath": "key == 'k7' && value.msg == 'world'" });
    world.mappings(&[
        with(
            world.mapping("share", "A", "S"),
            json!({ "sample_percent": 90 }),
        ),
        with(world.mapping("rest", "A", "R"), rest),
        with(world.mapping("filter", "A", "F"), filter),
    ]);
    world.start().await;
    for name in ["share", "rest", "filter"] {
        world.running(name).await;
    }
    for key in 0..200 {
        let push = Push::new(format!("k{key}"), r#"{"msg":"world"}"#);
        world.push("A", push.at(key % 3)).await;
    }
    world.push("A", Push::new("k7", "no json")).await;
    // A service of staging writes its own tenth to the same topic.
    world
        .push_to("target", "S", Push::new("own", "from staging"))
        .await;
    world
        .until("the share and the rest are all", async || {
            world.sent("S").await.len() + world.sent("R").await.len() == 202
        })
        .await;
    let (share, rest) = (world.sent("S").await, world.sent("R").await);
    assert!((160..195).contains(&share.len()), "{}", share.len());
    assert!(
        rest.iter()
            .all(|one| !share.iter().any(|other| other.key == one.key))
    );
    world.arrive("F", &[r#"{"msg":"world"}"#]).await;
    world
        .until("all are counted", async || {
            let row = world.row("filter").await;
            let counts = ["source", "target", "filtered", "decode_error"]
                .map(|name| row[format!("{name}_count")].clone());
            counts == [json!(201), json!(1), json!(199), json!(1)]
        })
        .await;
    world.close().await;
}

/// S7: keys, values and partitions are mapped on the way.
pub(crate) async fn values_keys_and_partitions_are_mapped(place: Place) {
    let mut world = World::open(place, 2, &["A"], &["B"]).await;
    world.mappings(&[world.mapping("a", "A", "B")]);
    let documented = include_str!("../../../domain/fixtures/topic_mapping.json");
    let table = format!("topic_mappings/{}.json", world.t("A"));
    world.folder.write(&table, documented);
    world.start().await;
    world.running("a").await;
    let value = r#"{"payload": {"product_id":1001, "user_name":"B"}, "n": 9007199254740993}"#;
    for key in ["1", "3", "4"] {
        world.push("A", Push::new(key, value).at(1)).await;
    }
    world
        .until("two arrive", async || world.sent("B").await.len() == 2)
        .await;
    let sent = world.sent("B").await;
    let by_key = |key: &str| sent.iter().find(|record| record.key_is(key));
    let (ten, four) = (by_key("10").expect("mapped"), by_key("4").expect("kept"));
    assert_eq!((ten.partition, four.partition), (0, 1));
    let expected = r#"{"payload": {"product_id":1, "user_name":"B name"}, "n": 9007199254740993}"#;
    assert_eq!(ten.text(), expected);
    assert_eq!(world.count("a", "dropped_count").await, 1);
    world.close().await;
}

/// Across clusters a copy is known by its header and not copied back.
pub(crate) async fn copies_are_not_copied_back(place: Place) {
    let mut world = World::open(place, 1, &["A"], &["B"]).await;
    let provenance = json!({ "provenance": true });
    world.mappings(&[with(world.mapping("a", "A", "B"), provenance)]);
    world.start().await;
    world.running("a").await;
    let mut headers = Headers::new();
    let from = format!("target/{}", world.t("B"));
    headers.push("citizenk-provenance", Some(from));
    let back = Push {
        headers,
        ..Push::new("k", "back")
    };
    world.push("A", back).await;
    world.push("A", Push::new("k", "new")).await;
    world.arrive("B", &["new"]).await;
    let from = format!("source/{}", world.t("A"));
    assert_eq!(
        world.sent("B").await[0].headers.text("citizenk-provenance"),
        Some(from.as_str())
    );
    assert_eq!(world.count("a", "dropped_count").await, 1);
    world.close().await;
}

/// A55: what is in a partition that did not exist when the mapping began is new, all of it.
pub(crate) async fn new_partitions_of_a_source_are_read_from_their_beginning(place: Place) {
    let mut world = World::open(place, 1, &["A"], &["B"]).await;
    world.mappings(&[world.mapping("a", "A", "B")]);
    world.push("A", Push::new("old", "before")).await;
    world.start().await;
    world.running("a").await;
    world.push("A", Push::new("k", "0")).await;
    world.arrive("B", &["0"]).await;
    let source = world.admin("source");
    source.add_partitions(&world.t("A"), 2).await.unwrap();
    world.push("A", Push::new("k", "1").at(1)).await;
    world
        .until("the new partition is copied", async || {
            let mut values = world.values("B").await;
            values.sort();
            values == ["0", "1"]
        })
        .await;
    world.close().await;
}
