//! Files as sources and as targets.

use serde_json::{Value, json};

use crate::common::with;
use crate::world::{Place, Push, World};

const RECORDED: i64 = 1_600_000_000_000;

fn line(at: i64, n: i32) -> String {
    let record = json!({ "timestamp": RECORDED + at, "key": "k", "value": { "n": n } });
    format!("{record}\n")
}

/// A mapping whose source is the file `A`.
fn of_file(world: &World, name: &str, file: &str, target: &str, more: Value) -> Value {
    let base = json!({
        "name": name, "group": "test", "source_is_file": true,
        "source_topic_name": file, "target_topic_name": world.t(target),
    });
    with(base, more)
}

/// S10: a file is replayed with its gaps; to a topic and to a file.
pub(crate) async fn files_are_replayed_with_their_gaps(place: Place) {
    let mut world = World::open(place, 2, &[], &["B", "B2"]).await;
    let lines = line(0, 1) + &line(400, 2) + "nope\n" + &line(200, 3) + &line(2_000, 4);
    world.folder.write("A.json", &lines);
    world.folder.write("L.json", &line(800, 9));
    let original = json!({ "replay": { "original_timestamp": true } });
    let to_file = json!({
        "target_topic_name": "E", "target_is_file": true,
        "valid_jmespath": "value.n != `2`", "replay": { "speed": 0 },
    });
    world.mappings(&[
        of_file(&world, "topic", "A", "B", original),
        of_file(&world, "later", "L", "B2", json!({})),
        of_file(&world, "file", "A", "E", to_file),
    ]);
    let begun = world.now();
    world.start().await;
    world
        .until("all are over", async || {
            let rows = world.rows().await;
            rows.len() == 3 && rows.iter().all(|row| row["state"] == "completed")
        })
        .await;
    let sent = world.sent("B").await;
    let order: Vec<String> = sent.iter().map(crate::world::Got::text).collect();
    assert_eq!(order, [1, 2, 3, 4].map(|n| format!("{{\"n\":{n}}}")));
    let times: Vec<i64> = sent.iter().filter_map(|record| record.timestamp).collect();
    let gaps: Vec<i64> = times.iter().map(|at| at - times[0]).collect();
    assert_eq!(gaps, [0, 400, 400, 2_000]);
    assert!(times[0] >= begun);
    assert!(world.now() >= times[3], "nothing is sent before its time");
    assert_eq!(
        sent[0].headers.text("citizenk-original-timestamp"),
        Some("1600000000000")
    );
    let row = world.row("topic").await;
    let counts = ["source_count", "target_count", "decode_error_count", "lag"];
    assert_eq!(
        counts.map(|name| row[name].as_i64()),
        [5, 4, 1, 0].map(Some)
    );
    // Files that start together keep the gap between them.
    let later = world.sent("B2").await[0].timestamp;
    assert_eq!(later, Some(times[0] + 800));
    let written = world.folder.read("E.json");
    let numbers: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["value"]["n"].clone())
        .collect();
    assert_eq!(numbers, [1, 3, 4]);
    world.close().await;
}

/// A25: a replay is held, moved, and let go on as fast as it can.
pub(crate) async fn a_replay_is_paused_and_moved(place: Place) {
    let mut world = World::open(place, 1, &[], &["B"]).await;
    // The second one is due in an hour.
    let lines = line(0, 1) + &line(3_600_000, 2) + &line(7_200_000, 3) + &line(7_200_100, 4);
    world.folder.write("A.json", &lines);
    world.mappings(&[of_file(&world, "a", "A", "B", json!({}))]);
    world.start().await;
    world.arrive("B", &["{\"n\":1}"]).await;
    world.post("/api/mappings/a/pause", &json!({})).await;
    world
        .until("it is paused", async || {
            world.row("a").await["state"] == "paused"
        })
        .await;
    let seek = json!({ "seek": RECORDED + 7_200_000, "speed": 0 });
    let told = world.post("/api/mappings/a/replay", &seek).await;
    assert_eq!(told[0]["paused"], true, "{told}");
    assert_eq!(world.values("B").await, ["{\"n\":1}"]);
    world.post("/api/mappings/a/resume", &json!({})).await;
    world
        .arrive("B", &["{\"n\":1}", "{\"n\":3}", "{\"n\":4}"])
        .await;
    world
        .until("it is over", async || {
            world.row("a").await["state"] == "completed"
        })
        .await;
    world.close().await;
}

/// A topic to a file, in the form that a replay reads; and that file to another topic.
pub(crate) async fn a_topic_is_written_to_a_file_and_replayed(place: Place) {
    let mut world = World::open(place, 1, &["D"], &["R"]).await;
    let to_file = json!({ "target_topic_name": "E", "target_is_file": true });
    let write = with(world.mapping("a", "D", "E"), to_file);
    world.mappings(std::slice::from_ref(&write));
    world.start().await;
    world.running("a").await;
    world.push("D", Push::new("k", r#"{"a": 1}"#)).await;
    let bytes = Push {
        value: Some(b"\xff".to_vec()),
        ..Push::default()
    };
    world.push("D", bytes).await;
    world
        .until("both are there", async || {
            world.folder.read("E.json").lines().count() == 2
        })
        .await;
    let text = world.folder.read("E.json");
    assert!(
        text.contains(r#""key":"k","value":{"a": 1}"#) && text.contains(r#""value_b64":"/w==""#),
        "{text}"
    );
    world
        .until("both are counted", async || {
            world.count("a", "target_count").await == 2
        })
        .await;
    let replay = of_file(&world, "r", "E", "R", json!({ "replay": { "speed": 0 } }));
    world.mappings(&[with(write, json!({ "enabled": false })), replay]);
    world
        .until("both are back", async || world.sent("R").await.len() == 2)
        .await;
    let sent = world.sent("R").await;
    assert_eq!(sent[0].text(), r#"{"a": 1}"#);
    assert_eq!(
        (sent[1].key.as_deref(), sent[1].value.as_deref()),
        (None, Some(&b"\xff"[..]))
    );
    world.close().await;
}
