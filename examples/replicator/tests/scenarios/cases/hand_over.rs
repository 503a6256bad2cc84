//! Switches, restarts, pauses, and the groups of the services that are written to.

use citizenk::prelude::*;
use serde_json::json;

use crate::common::{self, with};
use crate::world::{Place, Push, World};

/// S2, S3, S5: switched off while the target is written by others, switched on again at the latest record,
/// without touching another mapping.
pub(crate) async fn a_switch_hands_over_at_the_latest_record_and_leaves_others_alone(place: Place) {
    let mut world = World::open(place, 2, &["A"], &["B", "O"]).await;
    let switch = |world: &World, on: bool| {
        let a = with(world.mapping("a", "A", "B"), json!({ "enabled": on }));
        world.mappings(&[a, world.mapping("other", "A", "O")]);
    };
    switch(&world, true);
    world.start().await;
    world.running("a").await;
    world.running("other").await;
    world.push("A", Push::new("k", "1")).await;
    world.arrive("B", &["1"]).await;
    switch(&world, false);
    world
        .until("it is off", async || {
            world.row("a").await["state"] == "disabled"
        })
        .await;
    world.push("A", Push::new("k", "2")).await;
    world
        .push_to("target", "B", Push::new("k", "of the service"))
        .await;
    world.arrive("O", &["1", "2"]).await;
    world.arrive("B", &["1", "of the service"]).await;
    switch(&world, true);
    world.running("a").await;
    world.push("A", Push::new("k", "3")).await;
    world.arrive("B", &["1", "of the service", "3"]).await;
    world.arrive("O", &["1", "2", "3"]).await;
    world.close().await;
}

/// A31, A32: a restart goes on where the group is; without a group it begins at the latest record.
pub(crate) async fn a_restart_goes_on_where_the_group_is(place: Place) {
    let mut world = World::open(place, 1, &["A"], &["B", "C"]).await;
    world.mappings(&[world.mapping("a", "A", "B")]);
    world.start().await;
    world.running("a").await;
    world.push("A", Push::new("k", "1")).await;
    world.arrive("B", &["1"]).await;
    world.stop().await;
    world.push("A", Push::new("k", "2")).await;
    // One that was not there before begins now.
    world.mappings(&[world.mapping("a", "A", "B"), world.mapping("c", "A", "C")]);
    world.start().await;
    world.running("a").await;
    world.running("c").await;
    world.push("A", Push::new("k", "3")).await;
    let expected: &[&str] = if world.grouped {
        &["1", "2", "3"]
    } else {
        &["1", "3"]
    };
    world.arrive("B", expected).await;
    world.arrive("C", &["3"]).await;
    world.close().await;
}

/// A31: a restart with a file that cannot be used, and then with a target that is not there, goes on where the group
/// is once it can; what was switched off meanwhile does not.
pub(crate) async fn a_restart_into_trouble_forgets_nothing(place: Place) {
    let mut world = World::open(place, 1, &["A", "A2"], &["B", "C"]).await;
    let both = |world: &World, on: bool| {
        let c = with(world.mapping("c", "A2", "C"), json!({ "enabled": on }));
        world.mappings(&[world.mapping("a", "A", "B"), c]);
    };
    both(&world, true);
    world.start().await;
    world.running("a").await;
    world.running("c").await;
    world.push("A", Push::new("k", "1")).await;
    world.push("A2", Push::new("k", "1")).await;
    world.arrive("B", &["1"]).await;
    world.arrive("C", &["1"]).await;
    world.stop().await;
    world.push("A", Push::new("k", "2")).await;
    world.push("A2", Push::new("k", "2")).await;
    world.folder.write("mappings.json", "no JSON");
    world.start().await;
    world
        .until("the file is refused", async || {
            let service = world.get("/api/service").await;
            service["refused"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        })
        .await;
    let target = world.admin("target");
    let name = world.t("B");
    target.delete_topic(&name).await.unwrap();
    let is_there = async || {
        let topics = target.topics().await.unwrap();
        topics.iter().any(|topic| topic.name == name)
    };
    world
        .until("the target is gone", async || !is_there().await)
        .await;
    world.stop().await;
    both(&world, false);
    world.start().await;
    world
        .until("it waits for its target", async || {
            world.row("a").await["state"] == "waiting"
        })
        .await;
    world.stop().await;
    world.start().await;
    both(&world, true);
    world.running("c").await;
    world.create("target", "B", 1).await;
    world.running("a").await;
    world.push("A", Push::new("k", "3")).await;
    world.push("A2", Push::new("k", "3")).await;
    let expected: &[&str] = if world.grouped { &["2", "3"] } else { &["3"] };
    world.arrive("B", expected).await;
    world.arrive("C", &["1", "3"]).await;
    world.close().await;
}

/// Records in a target, and a service that reads them.
async fn with_a_service(place: Place, action: &str) -> (World, String, citizenk::AgentHandle) {
    let mut world = World::open(place, 1, &["A"], &["B"]).await;
    let group = world.t("service");
    let settings = json!({
        "target_service_consumer_group": group,
        "target_service_group_action": action,
    });
    world.mappings(&[with(world.mapping("a", "A", "B"), settings)]);
    world.start().await;
    world.running("a").await;
    let topic = common::target(&world.t("B"));
    let name = format!("target/{}", world.t("B"));
    let service = citizenk::Agent::builder::<Event<RawBytes>>(&group)
        .topics(&topic, [name])
        .group(&group)
        .handle(async |_: Event<RawBytes>, _| {});
    let service = world.agents().start(service).await.unwrap();
    world
        .until("the service is seen", async || {
            world.row("a").await["consumer_group_up"] == true
        })
        .await;
    world.push("A", Push::new("k", "1")).await;
    let admin = world.admin("target");
    world
        .until("it reads", async || {
            let offsets = admin.group_offsets(&group).await.unwrap_or_default();
            offsets.iter().any(|at| at.committed == 1)
        })
        .await;
    (world, group, service)
}

/// S6: the service's group is deleted while it has no members.
pub(crate) async fn the_group_of_the_service_is_deleted_while_nobody_is_in_it(place: Place) {
    let (world, group, service) = with_a_service(place, "delete").await;
    let admin = world.admin("target");
    let there = async || {
        let groups = admin.groups().await.unwrap();
        groups.iter().any(|one| one.group == group)
    };
    assert!(there().await, "while it has a member it stays");
    service.stop().await.unwrap();
    world
        .until("its group is gone", async || !there().await)
        .await;
    world
        .until("that is said", async || {
            world.row("a").await["consumer_group_up"] == false
        })
        .await;
    world.close().await;
}

/// S6, A36: a service that would begin at the first record is moved behind the last one instead.
pub(crate) async fn the_group_of_the_service_is_moved_to_the_end_instead(place: Place) {
    let (world, group, service) = with_a_service(place, "reset_to_latest").await;
    service.stop().await.unwrap();
    for value in ["2", "3"] {
        world.push("A", Push::new("k", value)).await;
    }
    world.arrive("B", &["1", "2", "3"]).await;
    let admin = world.admin("target");
    world
        .until("it has no lag", async || {
            let offsets = admin.group_offsets(&group).await.unwrap_or_default();
            offsets.iter().any(|at| at.committed == 3)
        })
        .await;
    world.close().await;
}

/// A34: a pause holds one mapping, and nothing is missing after it.
pub(crate) async fn a_paused_mapping_goes_on_where_it_was(place: Place) {
    let mut world = World::open(place, 1, &["A", "A2"], &["B", "O"]).await;
    world.mappings(&[
        world.mapping("a", "A", "B"),
        world.mapping("other", "A2", "O"),
    ]);
    world.start().await;
    world.running("a").await;
    world.running("other").await;
    world.push("A", Push::new("k", "1")).await;
    world.arrive("B", &["1"]).await;
    world.post("/api/mappings/a/pause", &json!({})).await;
    world
        .until("it says so", async || {
            world.row("a").await["state"] == "paused"
        })
        .await;
    world.push("A", Push::new("k", "2")).await;
    world.push("A2", Push::new("k", "2")).await;
    world.arrive("O", &["2"]).await;
    assert_eq!(world.values("B").await, ["1"]);
    world.post("/api/mappings/a/resume", &json!({})).await;
    world.push("A", Push::new("k", "3")).await;
    world.arrive("B", &["1", "2", "3"]).await;
    world.close().await;
}
