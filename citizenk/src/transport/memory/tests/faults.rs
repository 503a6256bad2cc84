use super::*;

#[tokio::test(start_paused = true)]
async fn retention_behind_a_reader_is_reported() {
    let world = World::new(1);
    world.push(0, &["0", "1", "2", "3"]);
    let client = world.client("a");
    world.settle().await;
    client.order(|control| control.pause(&[tp(0)]));
    world.settle().await;
    assert_eq!(world.cluster.truncate("t", 0, 3), Some(3));
    assert_eq!(world.cluster.records("t").len(), 1);
    client.order(|control| control.resume(&[(tp(0), 1)]));
    assert_eq!(world.settle().await, ["a skipped t/0 1..3", "a t/0@3 3"]);
    client.order(|control| {
        let watermarks = control.watermarks(&tp(0), DRAIN).unwrap();
        assert_eq!((watermarks.low, watermarks.high), (3, 4));
    });
    assert_eq!(world.cluster.lag("g", &["t"]), 1);
    assert!(world.settle().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_member_hears_it_late_and_cannot_commit() {
    let world = World::new(2);
    let (first, _second) = (world.client("a"), world.client("b"));
    world.push(0, &["x"]);
    world.settle().await;
    let call = lock(&first.desk).drain.add();
    assert!(world.cluster.lose_member("g", "a"));
    assert!(!world.cluster.lose_member("g", "unknown"));
    let heard = world.settle().await;
    drop(call);
    assert_eq!(
        heard,
        [
            "a lost [t/0]",
            "a assigned []",
            "b revoking [t/1]",
            "b revoked [t/1]",
            "b assigned [t/0]",
            "b t/0@0 x",
            "a assigned [t/1]",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_lost_while_it_drains_is_refused_its_last_commit() {
    let world = World::new(1);
    let first = world.client("a");
    world.push(0, &["x"]);
    world.settle().await;
    let call = lock(&first.desk).drain.add();
    first.close();
    turns().await;
    assert!(world.journal.contains("a revoking [t/0]"));
    assert!(world.cluster.lose_member("g", "a"));
    drop(call);
    assert_eq!(
        world.settle().await,
        [
            "a revoking [t/0]",
            "a revoked [t/0] ILLEGAL_GENERATION",
            "a closed"
        ]
    );
    assert!(world.cluster.committed("g", "t").is_empty());
}

#[tokio::test(start_paused = true)]
async fn ordered_commit_failures_are_reported() {
    let world = World::new(1);
    let client = world.client("a");
    world.push(0, &["x"]);
    world.settle().await;
    let error = failure("REQUEST_TIMED_OUT", false);
    world.cluster.fail_commits(1, &error);
    client.commit(&[(tp(0), 1)]);
    client.commit(&[(tp(0), 1)]);
    assert_eq!(
        world.settle().await,
        ["a commit t/0=1 REQUEST_TIMED_OUT", "a commit t/0=1 ok"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_absent_broker_gives_one_error_and_nothing_else() {
    let world = World::new(2);
    let client = world.client("a");
    world.settle().await;
    let transport = world.cluster.transport();
    world.cluster.set_available(false);
    world.push(0, &["x"]);
    client.commit(&[(tp(0), 0)]);
    let _second = world.client("b");
    assert_eq!(
        world.settle().await,
        [
            "a error _ALL_BROKERS_DOWN",
            "b error _ALL_BROKERS_DOWN",
            "a commit t/0=0 _TRANSPORT",
        ]
    );
    tokio::time::advance(Duration::from_secs(70)).await;
    assert_eq!(transport.last_contact(), Some(Duration::from_secs(70)));
    assert!(transport.topics(None, DRAIN).is_err());
    client.order(|control| assert!(control.watermarks(&tp(0), DRAIN).is_err()));
    assert!(world.settle().await.is_empty());

    world.cluster.set_available(true);
    assert_eq!(transport.last_contact(), Some(Duration::ZERO));
    assert_eq!(
        world.settle().await,
        [
            "a revoking [t/1]",
            "a revoked [t/1]",
            "a t/0@0 x",
            "b assigned [t/1]",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_can_leave_an_absent_broker() {
    let world = World::new(1);
    let client = world.client("a");
    world.push(0, &["x"]);
    world.settle().await;
    world.cluster.set_available(false);
    world.settle().await;
    client.close();
    assert_eq!(
        world.settle().await,
        ["a revoking [t/0]", "a revoked [t/0] _TRANSPORT", "a closed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_ends_the_consumer_and_frees_its_partitions() {
    let world = World::new(2);
    let (_first, _second) = (world.client("a"), world.client("b"));
    world.settle().await;
    let fatal = failure("FENCED_INSTANCE_ID", true);
    assert!(world.cluster.consumer_error("a", &fatal));
    assert!(!world.cluster.consumer_error("unknown", &fatal));
    assert_eq!(
        world.settle().await,
        [
            "a error FENCED_INSTANCE_ID",
            "a lost [t/0]",
            "a closed",
            "b assigned [t/0]",
        ]
    );
    assert!(!world.cluster.consumer_error("a", &fatal));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_whose_callback_panics_loses_its_partitions() {
    let world = World::new(2);
    let (first, _second) = (world.client("a"), world.client("b"));
    world.settle().await;
    first.order(|_| panic!("ordered by the test"));
    assert_eq!(world.settle().await, ["b assigned [t/0]"]);
    assert_eq!(world.cluster.members("g").len(), 1);
    first.handle.wake();
    first.close();
    assert!(world.settle().await.is_empty());
}
