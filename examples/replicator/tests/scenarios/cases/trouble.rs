//! What is wrong is said, and holds up nothing else.

use serde_json::json;

use crate::common::with;
use crate::world::{Place, Push, World};

/// A43, A48, A50: what cannot be used is said, what runs goes on.
pub(crate) async fn a_bad_file_is_said_and_the_last_good_one_goes_on(place: Place) {
    let mut world = World::open(place, 1, &["A"], &["B"]).await;
    let both = [
        world.mapping("a", "A", "B"),
        world.mapping("missing", "A", "none"),
    ];
    world.mappings(&both);
    world.start().await;
    world.running("a").await;
    let waiting = world.row("missing").await;
    assert_eq!(waiting["state"], "waiting");
    let detail = format!(
        "target topic missing: `{}`; topics are never created",
        world.t("none")
    );
    assert_eq!(waiting["detail"], detail);
    let broken = "{\n  \"mappings\": [\n    {\"name\" 1}\n  ]\n}";
    world.folder.write("mappings.json", broken);
    world
        .until("the mistake is said", async || {
            let service = world.get("/api/service").await;
            service["refused"][0]["place"] == json!({ "line": 3, "column": 13 })
        })
        .await;
    world.push("A", Push::new("k", "1")).await;
    world.arrive("B", &["1"]).await;
    world.create("target", "none", 1).await;
    world.mappings(&both);
    world.running("missing").await;
    world
        .until("nothing is refused", async || {
            world.get("/api/service").await["refused"] == json!([])
        })
        .await;
    let topics = world.admin("target").topics().await.unwrap();
    let run = world.t("");
    let mut ours: Vec<&str> = topics
        .iter()
        .filter_map(|topic| topic.name.strip_suffix(&run))
        .collect();
    ours.sort_unstable();
    assert_eq!(ours, ["B", "none"], "nothing else was created");
    world.close().await;
}

/// A17, A18: a partition the target lacks holds the mapping and says where; a changed table lets it go on.
pub(crate) async fn a_partition_that_is_not_there_holds_one_mapping(place: Place) {
    let mut world = World::open(place, 1, &["A"], &["B", "C"]).await;
    let with_table = |world: &World, partition: i32| {
        let table = json!({ "value_mappings": { "key:partition": { "k": partition } } });
        let held = with(world.mapping("held", "A", "B"), table);
        world.mappings(&[held, world.mapping("other", "A", "C")]);
    };
    with_table(&world, 7);
    world.start().await;
    world.running("held").await;
    world.running("other").await;
    world.push("A", Push::new("k", "1")).await;
    world
        .until("it is said", async || {
            world.row("held").await["state"] == "error"
        })
        .await;
    let detail = format!(
        "{}/0@0: `key:partition` says 7, but `{}` has partitions 0 to 0",
        world.t("A"),
        world.t("B")
    );
    assert_eq!(world.row("held").await["detail"], detail);
    world.arrive("C", &["1"]).await;
    with_table(&world, 0);
    world.arrive("B", &["1"]).await;
    assert_eq!(world.count("held", "partition_error_count").await, 1);
    world.close().await;
}

/// Retention that was quicker than the mapping is seen, and counted record by record.
pub(crate) async fn what_retention_took_is_counted(place: Place) {
    let mut world = World::open(place, 1, &["A"], &["B"]).await;
    world.mappings(&[world.mapping("a", "A", "B")]);
    world.start().await;
    world.running("a").await;
    world.push("A", Push::new("k", "0")).await;
    world.arrive("B", &["0"]).await;
    world.post("/api/mappings/a/pause", &json!({})).await;
    for n in 1..10 {
        world.push("A", Push::new("k", n.to_string())).await;
    }
    world.truncate("A", 0, 7).await;
    world.post("/api/mappings/a/resume", &json!({})).await;
    world.arrive("B", &["0", "7", "8", "9"]).await;
    world
        .until("six are counted as lost", async || {
            world.count("a", "lost_count").await == 6
        })
        .await;
    world.push("A", Push::new("k", "10")).await;
    world.arrive("B", &["0", "7", "8", "9", "10"]).await;
    assert_eq!(world.count("a", "lost_count").await, 6, "only once");
    assert_eq!(world.count("a", "gap_count").await, 6);
    if world.grouped {
        // The same while the service is away.
        world.stop().await;
        for n in 11..15 {
            world.push("A", Push::new("k", n.to_string())).await;
        }
        world.truncate("A", 0, 13).await;
        world.start().await;
        world
            .arrive("B", &["0", "7", "8", "9", "10", "13", "14"])
            .await;
        world
            .until("two are counted as lost", async || {
                world.count("a", "lost_count").await == 2
            })
            .await;
    }
    world.close().await;
}
