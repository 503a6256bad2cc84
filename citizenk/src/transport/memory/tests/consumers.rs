use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn two_members_split_and_the_other_takes_over_from_the_committed_offset() {
    let world = World::new(2);
    let first = world.client("a");
    assert_eq!(world.settle().await, ["a assigned [t/0 t/1]"]);
    world.push(0, &["x0", "x1"]);
    world.push(1, &["y0"]);
    assert_eq!(world.settle().await, ["a t/0@0 x0,x1", "a t/1@0 y0"]);

    let _second = world.client("b");
    assert_eq!(
        world.settle().await,
        ["a revoking [t/1]", "a revoked [t/1]", "b assigned [t/1]",]
    );
    assert_eq!(world.cluster.committed("g", "t"), [(1, 1)]);
    assert_eq!(world.cluster.lag("g", &["t"]), 2);
    world.push(1, &["y1"]);
    assert_eq!(world.settle().await, ["b t/1@1 y1"]);

    first.close();
    assert_eq!(
        world.settle().await,
        [
            "a revoking [t/0]",
            "a revoked [t/0]",
            "a closed",
            "b assigned [t/0]",
        ]
    );
    assert_eq!(world.cluster.committed("g", "t"), [(0, 2), (1, 1)]);
    world.push(0, &["x2"]);
    assert_eq!(world.settle().await, ["b t/0@2 x2"]);
    let members = world.cluster.members("g");
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].client_id, "b");
    assert_eq!(members[0].partitions, [tp(0), tp(1)]);
}

#[tokio::test(start_paused = true)]
async fn the_new_owner_waits_for_the_drain() {
    let world = World::new(2);
    let first = world.client("a");
    world.settle().await;
    let started = Instant::now();
    let call = lock(&first.desk).drain.add();
    let _second = world.client("b");
    turns().await;
    assert_eq!(world.journal.take(), ["a revoking [t/1]", "b assigned []"]);
    assert!(!world.cluster.idle());
    drop(call);
    assert_eq!(
        world.settle().await,
        ["a revoked [t/1]", "b assigned [t/1]"]
    );
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline() {
    let world = World::new(1);
    let client = world.client("a");
    world.settle().await;
    let started = Instant::now();
    let _call = lock(&client.desk).drain.add();
    client.close();
    assert_eq!(
        world.settle().await,
        ["a revoking [t/0]", "a revoked [t/0]", "a closed"]
    );
    assert_eq!(started.elapsed().as_secs(), DRAIN.as_secs());
    assert!(world.cluster.members("g").is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_commits_and_answers_come_later() {
    let world = World::new(2);
    let (first, second) = (world.client("a"), world.client("b"));
    world.push(0, &["x"]);
    world.settle().await;
    first.commit(&[(tp(0), 1)]);
    second.commit(&[(tp(0), 1)]);
    let heard = world.settle().await;
    assert_eq!(
        heard,
        ["a commit t/0=1 ok", "b commit t/0=1 ILLEGAL_GENERATION"]
    );
    assert_eq!(world.cluster.committed("g", "t"), [(0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn pause_keeps_records_back_and_resume_goes_on_where_it_says() {
    let world = World::new(2);
    let client = world.client("a");
    world.settle().await;
    client.order(|control| control.pause(&[tp(0)]));
    world.settle().await;
    world.push(0, &["x0", "x1", "x2", "x3"]);
    world.push(1, &["y0"]);
    assert_eq!(world.settle().await, ["a t/1@0 y0"]);
    assert!(world.cluster.idle());
    client.order(|control| control.resume(&[(tp(0), 1)]));
    assert_eq!(world.settle().await, ["a t/0@1 x1,x2,x3"]);
    client.order(|control| {
        assert_eq!(control.cached_high_watermark(&tp(0)), Some(4));
        assert_eq!(control.cached_high_watermark(&tp(7)), None);
        assert_eq!(control.partition_count("t", DRAIN), Ok(2));
        assert!(control.partition_count("unknown", DRAIN).is_err());
        control.seek(&[(tp(0), 3), (tp(7), 0)]);
    });
    assert_eq!(world.settle().await, ["a t/0@3 x3"]);
    client.order(|control| control.seek(&[(tp(0), 99)]));
    assert_eq!(
        world.settle().await,
        ["a anew t/0 99..0", "a t/0@0 x0,x1,x2", "a t/0@3 x3"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_takes_nothing_still_rebalances() {
    let world = World::new(2);
    let client = world.client("a");
    client.hold(true);
    world.settle().await;
    world.push(0, &["x"]);
    assert!(world.settle().await.is_empty());
    assert!(world.cluster.idle());
    let _second = world.client("b");
    assert_eq!(
        world.settle().await,
        ["a revoking [t/1]", "a revoked [t/1]", "b assigned [t/1]"]
    );
    client.hold(false);
    assert_eq!(world.settle().await, ["a t/0@0 x"]);
}

#[tokio::test(start_paused = true)]
async fn chunks_are_capped_and_partitions_take_turns() {
    let world = World::new(2);
    world.push(0, &["0", "1", "2", "3", "4"]);
    world.push(1, &["a", "b", "c", "d"]);
    let _client = world.client("a");
    assert_eq!(
        world.settle().await,
        [
            "a assigned [t/0 t/1]",
            "a t/0@0 0,1,2",
            "a t/1@0 a,b,c",
            "a t/0@3 3,4",
            "a t/1@3 d",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_group_everyone_reads_everything_and_commits_nothing() {
    let world = World::new(1);
    let (first, _second) = (world.client_of("a", None), world.client_of("b", None));
    world.push(0, &["x"]);
    assert_eq!(
        world.settle().await,
        [
            "a assigned [t/0]",
            "a t/0@0 x",
            "b assigned [t/0]",
            "b t/0@0 x",
        ]
    );
    world.cluster.create_topic("t", 2);
    world.push(1, &["y"]);
    let heard = world.settle().await;
    assert_eq!(
        heard,
        [
            "a assigned [t/1]",
            "a t/1@0 y",
            "b assigned [t/1]",
            "b t/1@0 y",
        ]
    );
    first.commit(&[(tp(0), 1)]);
    first.order(|control| assert!(control.committed(&[tp(0)], DRAIN).is_err()));
    assert_eq!(world.settle().await, ["a commit t/0=1 _UNKNOWN_GROUP"]);
    first.close();
    let heard = world.settle().await;
    assert_eq!(
        heard,
        ["a revoking [t/0 t/1]", "a revoked [t/0 t/1]", "a closed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_appears_is_assigned() {
    let world = World {
        cluster: MemoryCluster::new(),
        journal: Journal::default(),
    };
    let _client = world.client("a");
    assert_eq!(world.settle().await, ["a assigned []"]);
    world.cluster.set_default_partitions(2);
    world.push(1, &["x"]);
    assert_eq!(world.settle().await, ["a assigned [t/0 t/1]", "a t/1@0 x"]);
    assert_eq!(world.cluster.end_offsets("t"), [0, 1]);
    let topics = world.cluster.transport().topics(Some("t"), DRAIN).unwrap();
    assert_eq!(topics[0].partitions, 2);
}

#[tokio::test(start_paused = true)]
async fn a_forced_rebalance_moves_everything() {
    let world = World::new(2);
    let (_first, _second) = (world.client("a"), world.client("b"));
    world.settle().await;
    let generation = world.cluster.generation("g");
    assert!(world.cluster.force_rebalance("g"));
    assert!(!world.cluster.force_rebalance("unknown"));
    let heard = world.settle().await;
    assert_eq!(
        heard,
        [
            "a revoking [t/0]",
            "a revoked [t/0]",
            "b revoking [t/1]",
            "b revoked [t/1]",
            "b assigned [t/0]",
            "a assigned [t/1]",
        ]
    );
    assert!(world.cluster.generation("g") > generation);
}

#[tokio::test(start_paused = true)]
async fn everything_counts_as_activity_and_sleep_does_not() {
    let world = World::new(1);
    let client = world.client("a");
    world.settle().await;
    let before = world.cluster.activity();
    tokio::time::advance(Duration::from_hours(30)).await;
    assert!(!world.cluster.idle(), "a tick is due");
    world.settle().await;
    assert_eq!(world.cluster.activity(), before);
    world.push(0, &["x"]);
    assert!(!world.cluster.idle());
    let pushed = world.cluster.activity();
    assert!(pushed > before);
    world.settle().await;
    assert!(world.cluster.activity() > pushed);
    client.handle.wake();
    assert!(!world.cluster.idle());
    world.settle().await;
}

/// A busy script: its journal must not depend on anything but the script.
async fn story() -> Vec<String> {
    let world = World::new(5);
    let mut heard = Vec::new();
    let first = world.client("a");
    for round in 0..6 {
        for partition in 0..5 {
            world.push(partition, &[&format!("{round}{partition}")]);
        }
        match round {
            1 => drop(world.client("b")),
            2 => drop(world.client("c")),
            3 => assert!(world.cluster.lose_member("g", "b")),
            4 => first.close(),
            _ => {}
        }
        if round % 2 == 1 {
            heard.extend(world.settle().await);
        }
    }
    heard.extend(world.settle().await);
    heard
}

#[tokio::test(start_paused = true)]
async fn the_same_script_gives_the_same_events() {
    let first = story().await;
    assert!(first.len() > 30, "{first:?}");
    assert_eq!(story().await, first);
}

#[test]
fn without_a_runtime_nothing_starts() {
    let transport = MemoryCluster::new().transport();
    let spec = crate::transport::ProducerSpec {
        name: "p".to_owned(),
        client_id: "p".to_owned(),
        settings: BTreeMap::new(),
    };
    assert!(transport.start_producer(spec).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_wake_inside_a_tick_asks_for_another_tick() {
    let world = World::new(1);
    let client = world.client("a");
    world.settle().await;
    let (desk, handle, journal) = (
        client.desk.clone(),
        client.handle.clone(),
        world.journal.clone(),
    );
    client.order(move |_| {
        let second: Order = Box::new(move |_| journal.write("second".to_owned()));
        lock(&desk).orders.push_back(second);
        handle.wake();
    });
    assert_eq!(world.settle().await, ["second"]);
}
