//! Administration under `TestApp`: handlers take an `Admin`, the cluster in memory answers it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use chrono::TimeDelta;
use citizenk::admin::{
    AdminErrorKind, ConfigChange, ConfigSource, GroupState, NewTopic, PartitionId, ResetTo,
};
use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Job {
    id: u32,
}

const JOBS: Topic<Job, u32> = Topic::json("jobs").partitions(2);

#[citizenk::agent(topics = [JOBS])]
async fn work(_job: Event<Job>) {}

#[citizenk::on_event(startup)]
async fn prepare(admin: Admin) -> citizenk::Result<()> {
    let archive = NewTopic::new("archive").partitions(3);
    Ok(admin.create_topic(archive).await?)
}

#[citizenk::repeat_every("1m")]
async fn grow(admin: Admin) -> citizenk::Result<()> {
    let archive = admin.describe_topic("archive").await?;
    let total = u32::try_from(archive.partitions.len())? + 1;
    Ok(admin.add_partitions("archive", total).await?)
}

/// How far the group is behind.
#[citizenk::route(get = "/lag")]
async fn lag(admin: Admin) -> Result<Json<i64>, Problem> {
    let offsets = admin.group_offsets("jobs-app").await;
    let offsets = offsets.map_err(Problem::internal)?;
    Ok(Json(offsets.iter().map(|offset| offset.lag()).sum()))
}

fn app() -> App {
    App::new("jobs-app")
        .register::<work>()
        .register::<prepare>()
        .register::<grow>()
        .register::<lag>()
}

#[test]
fn handlers_hooks_timers_and_routes_administer() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let admin = app.admin();
        for id in 0..10 {
            app.topic(&JOBS).push(&id, Job { id });
        }
        app.settle().await;
        app.advance("61s").await;
        let archive = admin.describe_topic("archive").await.unwrap();
        assert!(archive.partitions.len() > 3, "the timer added partitions");
        assert_eq!(
            admin.describe_topic("jobs").await.unwrap().partitions.len(),
            2
        );
        let lag: i64 = app.get("/lag").await.json();
        assert_eq!(lag, 0);
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_group_is_moved_by_a_plan_once_its_members_are_gone() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let admin = app.admin();
        for id in 0..20 {
            app.topic(&JOBS).push(&id, Job { id });
        }
        app.settle().await;
        let group = admin.describe_group("jobs-app").await.unwrap();
        assert_eq!(group.state, GroupState::Stable);
        assert_eq!(group.members.len(), 1);
        assert_eq!(group.members[0].client_id, TestApp::url_of(0));
        assert_eq!(group.members[0].partitions.len(), 2);

        let none: [&str; 0] = [];
        let plan = admin.plan_reset("jobs-app", &none, ResetTo::Earliest).await.unwrap();
        assert_eq!(plan.members, 1);
        let again: i64 = plan.changes.iter().map(|change| change.again()).sum();
        assert_eq!(again, 20);
        let busy = admin.apply(&plan).await.unwrap_err();
        assert_eq!(busy.kind, AdminErrorKind::NotEmpty);
        assert_eq!(
            busy.to_string(),
            "cluster `default`: moving group `jobs-app`: the group has 1 members; stop the group's members first; a transaction they left open ends by itself within its timeout"
        );
        let busy = admin.delete_group("jobs-app").await.unwrap_err();
        assert_eq!(busy.code, "NON_EMPTY_GROUP");
        app.stop().await?;

        assert_eq!(admin.apply(&plan).await.unwrap(), 2);
        let offsets = admin.group_offsets("jobs-app").await.unwrap();
        assert_eq!(offsets.iter().map(|offset| offset.lag()).sum::<i64>(), 20);
        // The group has moved since: what the plan knew is no longer so.
        let late = admin.apply(&plan).await.unwrap_err();
        assert_eq!(late.kind, AdminErrorKind::Changed);

        let shift = admin.plan_reset("jobs-app", &["jobs"], ResetTo::Shift(3)).await.unwrap();
        assert!(shift.changes.iter().all(|change| change.skipped() == 3));
        admin.apply(&shift).await.unwrap();
        let same = admin.plan_reset("jobs-app", &["jobs"], ResetTo::Offset(3)).await.unwrap();
        assert!(same.is_empty());
        assert_eq!(admin.apply(&same).await.unwrap(), 0);

        let one = [(PartitionId::new("jobs", 1), 5)];
        let plan = admin.plan_offsets("copy", &one).await.unwrap();
        assert_eq!((plan.changes[0].before, plan.changes[0].after), (None, 5));
        admin.apply(&plan).await.unwrap();
        let groups: Vec<String> = admin.groups().await.unwrap().into_iter().map(|g| g.group).collect();
        assert_eq!(groups, ["copy", "jobs-app"]);
        admin.delete_group("copy").await.unwrap();
        let gone = admin.describe_group("copy").await.unwrap_err();
        assert_eq!(gone.kind, AdminErrorKind::NotFound);
        let nowhere = [(PartitionId::new("jobs", 9), 0)];
        let missing = admin.plan_offsets("copy", &nowhere).await.unwrap_err();
        assert_eq!(missing.kind, AdminErrorKind::NotFound);
        Ok::<_, citizenk::RunError>(())
    })
    .unwrap();
}

#[test]
fn topics_offsets_and_times_are_there_in_tests() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let admin = app.admin();
        let start = admin
            .offsets_at("jobs", DateTime::UNIX_EPOCH)
            .await
            .unwrap();
        assert!(start.values().all(Option::is_none), "nothing is there yet");
        app.topic(&JOBS).push(&1, Job { id: 1 });
        app.advance("1h").await;
        app.topic(&JOBS).push(&1, Job { id: 2 });
        let later = DateTime::parse_from_rfc3339("2025-01-01T00:00:00Z")
            .unwrap()
            .to_utc()
            + TimeDelta::minutes(30);
        let found = admin.offsets_at("jobs", later).await.unwrap();
        assert_eq!(found.values().flatten().collect::<Vec<_>>(), [&1]);
        let ends = admin.watermarks("jobs").await.unwrap();
        assert_eq!(ends.iter().map(|end| end.high - end.low).sum::<i64>(), 2);
        app.settle().await;

        let topic = NewTopic::new("made")
            .partitions(1)
            .config("retention.ms", "5");
        admin.check_new_topic(topic.clone()).await.unwrap();
        assert!(
            admin.describe_topic("made").await.is_err(),
            "it was only checked"
        );
        admin.create_topic(topic.clone()).await.unwrap();
        let twice = admin.create_topic(topic).await.unwrap_err();
        assert_eq!(twice.kind, AdminErrorKind::AlreadyExists);
        let changes = [
            ConfigChange::reset("retention.ms"),
            ConfigChange::set("cleanup.policy", "compact"),
        ];
        admin.alter_configs("made", &changes).await.unwrap();
        let configs = admin.topic_configs("made").await.unwrap();
        let of = |name: &str| configs.iter().find(|entry| entry.name == name).unwrap();
        assert_eq!(of("retention.ms").source, ConfigSource::Default);
        assert_eq!(of("cleanup.policy").value.as_deref(), Some("compact"));
        let fewer = admin.add_partitions("made", 1).await.unwrap_err();
        assert_eq!(fewer.kind, AdminErrorKind::Invalid);
        admin.delete_topic("made").await.unwrap();
        let gone = admin.delete_topic("made").await.unwrap_err();
        assert_eq!(gone.kind, AdminErrorKind::NotFound);
        let slip = admin.create_topic(NewTopic::new("a b")).await.unwrap_err();
        assert_eq!(
            (slip.kind, slip.code.as_str()),
            (AdminErrorKind::Invalid, "")
        );
        let own = admin.delete_topic("__consumer_offsets").await.unwrap_err();
        assert_eq!(own.kind, AdminErrorKind::Invalid);
        app.stop().await
    })
    .unwrap();
}

const MANY: Topic<Job, u32> = Topic::json("^jobs-.*").partitions(2);
const MORE_JOBS: Topic<Job, u32> = Topic::json("jobs").partitions(3);
const NO_JOBS: Topic<Job, u32> = Topic::json("none").partitions(0);

#[citizenk::agent(topics = [MANY, MORE_JOBS, NO_JOBS])]
async fn wrong(_job: Event<Job>) {}

#[test]
fn a_declaration_that_cannot_be_right_is_refused() {
    let app = || app().register::<wrong>();
    let refused = block_on(TestApp::new(app).start());
    let Err(refused) = refused else {
        panic!("it starts");
    };
    let refused = refused.to_string();
    for part in [
        "`^jobs-.*` stands for topics that exist",
        "uses topic `jobs` with other partitions, replication or configs than elsewhere; use one constant",
        "topic `none`: a topic has 1 to 100000 partitions, not 0",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}
