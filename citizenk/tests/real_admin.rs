//! Every request of administration against a real Kafka; left out where `cargo xtask real` has not started
//! one.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use citizenk::admin::{
    AdminErrorKind, ConfigChange, ConfigSource, GroupProtocol, GroupState, NewTopic, PartitionId,
    ResetTo,
};
use citizenk::prelude::*;
use citizenk::{Exit, Flags, RunError, Settings};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Job {
    id: u32,
}

const JOBS: Topic<Job, u32> = Topic::json("jobs").partitions(3).replication(1).configs(&[
    ("retention.ms", "7200000"),
    ("cleanup.policy", "compact,delete"),
]);
/// The same topic, otherwise declared.
const OTHER_JOBS: Topic<Job, u32> = Topic::json("jobs")
    .partitions(5)
    .replication(2)
    .configs(&[("retention.ms", "1"), ("cleanup.policy", "delete,compact")]);

/// Gives the test what handlers are given.
#[derive(Clone)]
struct Hand(mpsc::Sender<(Admin, Producer)>);

#[citizenk::on_event(startup)]
async fn hand_out(
    admin: Admin,
    producer: Producer,
    State(hand): State<Hand>,
) -> citizenk::Result<()> {
    Ok(hand.0.send((admin, producer)).await?)
}

#[derive(Clone)]
struct Seen(mpsc::Sender<u32>);

#[citizenk::agent(topics = [JOBS])]
async fn work(job: Event<Job>, State(seen): State<Seen>) -> citizenk::Result<()> {
    Ok(seen.0.send(job.value.id).await?)
}

#[citizenk::agent(topics = [OTHER_JOBS], group = none)]
async fn look(_job: Event<Job>) {}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

/// The broker's address, and a number no earlier run has used.
fn place() -> Option<(String, u128)> {
    std::env::var_os("CITIZENK_REAL_KAFKA")?;
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("xtask sets the address");
    let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Some((servers, run.expect("after 1970").as_nanos()))
}

struct Running {
    stop: Arc<Notify>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    fn start(app: App, flags: Flags) -> Self {
        let flags = Flags {
            http: Some("127.0.0.1:0".to_owned()),
            ..flags
        };
        let settings = Settings::resolve(flags, &BTreeMap::new(), None).expect("right settings");
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let service = app.build_with(settings).await?;
            service
                .run_until(async move { stopped.notified().await })
                .await
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.notify_one();
        within(self.task)
            .await
            .expect("no panic")
            .expect("a clean stop");
    }
}

fn flags(servers: &str, run: u128) -> Flags {
    Flags {
        bootstrap_servers: Some(servers.to_owned()),
        group: Some(format!("workers-{run}")),
        topic: vec![format!("jobs=jobs-{run}")],
        ..Flags::default()
    }
}

/// A service that only hands out its clients.
async fn tools(servers: &str, run: u128) -> (Running, Admin, Producer) {
    let (hand, mut given) = mpsc::channel(1);
    let app = App::new("tools")
        .topic(&JOBS)
        .state(Hand(hand))
        .register::<hand_out>();
    let running = Running::start(app, flags(servers, run));
    let (admin, producer) = within(given.recv()).await.expect("the hook runs");
    // The first group of a new cluster waits until the topic of all groups' offsets is made.
    let admin = admin.timeout(PATIENCE);
    (running, admin, producer)
}

async fn write(producer: &Producer, ids: std::ops::Range<u32>) {
    let sent: Vec<_> = ids
        .map(|id| producer.send(&JOBS, &id, Job { id }))
        .collect();
    for sent in sent {
        within(sent).await.expect("written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_described_changed_and_deleted() {
    let Some((servers, run)) = place() else {
        return;
    };
    let (running, admin, _) = tools(&servers, run).await;
    let cluster = admin.cluster().await.unwrap();
    assert!(!cluster.id.is_empty());
    assert_eq!(cluster.brokers.len(), 1, "{cluster:?}");
    assert_eq!(admin.cluster().await.unwrap().id, cluster.id);

    let name = format!("made-{run}");
    let topic = NewTopic::new(&name)
        .partitions(2)
        .replication(1)
        .config("retention.ms", "3600000");
    admin.check_new_topic(topic.clone()).await.unwrap();
    let missing = admin.describe_topic(&name).await.unwrap_err();
    assert_eq!(missing.kind, AdminErrorKind::NotFound, "{missing}");
    admin.create_topic(topic.clone()).await.unwrap();
    let twice = admin.create_topic(topic).await.unwrap_err();
    assert_eq!(twice.kind, AdminErrorKind::AlreadyExists, "{twice}");
    for part in [
        "cluster `default`",
        "creating",
        &name,
        "TOPIC_ALREADY_EXISTS",
    ] {
        assert!(twice.to_string().contains(part), "{twice}");
    }
    let crowded = NewTopic::new(format!("crowded-{run}")).replication(7);
    let crowded = admin.create_topic(crowded).await.unwrap_err();
    assert_eq!(crowded.kind, AdminErrorKind::Invalid, "{crowded}");
    let odd = NewTopic::new(format!("odd-{run}")).config("retention.sm", "1");
    let odd = admin.create_topic(odd).await.unwrap_err();
    assert_eq!(odd.kind, AdminErrorKind::Invalid, "{odd}");
    assert!(odd.to_string().contains("retention.sm"), "{odd}");

    let described = admin.describe_topic(&name).await.unwrap();
    assert!(
        described.id.is_some() && !described.internal,
        "{described:?}"
    );
    assert_eq!(
        (described.partitions.len(), described.replication()),
        (2, 1)
    );
    assert!(described.under_replicated().is_empty());
    let broker = cluster.brokers[0].id;
    for partition in &described.partitions {
        assert_eq!(partition.leader, Some(broker));
        assert_eq!(
            (&partition.replicas, &partition.in_sync),
            (&vec![broker], &vec![broker])
        );
    }
    let listed = admin.topics().await.unwrap();
    assert!(
        listed
            .iter()
            .any(|topic| topic.name == name && topic.partitions == 2)
    );

    let of = |configs: &[citizenk::admin::ConfigEntry], name: &str| {
        let entry = configs.iter().find(|entry| entry.name == name).unwrap();
        (entry.value.clone().unwrap(), entry.source)
    };
    let configs = admin.topic_configs(&name).await.unwrap();
    assert_eq!(
        of(&configs, "retention.ms"),
        ("3600000".to_owned(), ConfigSource::Topic)
    );
    assert_eq!(
        of(&configs, "cleanup.policy"),
        ("delete".to_owned(), ConfigSource::Default)
    );
    let changes = [
        ConfigChange::reset("retention.ms"),
        ConfigChange::set("cleanup.policy", "compact"),
    ];
    admin.alter_configs(&name, &changes).await.unwrap();
    let wrong = [ConfigChange::set("retention.ms", "soon")];
    let wrong = admin.alter_configs(&name, &wrong).await.unwrap_err();
    assert_eq!(wrong.kind, AdminErrorKind::Invalid, "{wrong}");
    within(async {
        // A broker may show a change a moment after the controller has taken it.
        loop {
            let configs = admin.topic_configs(&name).await.unwrap();
            if of(&configs, "cleanup.policy").0 == "compact" {
                assert_ne!(of(&configs, "retention.ms").1, ConfigSource::Topic);
                return;
            }
        }
    })
    .await;

    admin.add_partitions(&name, 5).await.unwrap();
    assert_eq!(
        admin.describe_topic(&name).await.unwrap().partitions.len(),
        5
    );
    let fewer = admin.add_partitions(&name, 3).await.unwrap_err();
    assert_eq!(fewer.kind, AdminErrorKind::Invalid, "{fewer}");
    admin.delete_topic(&name).await.unwrap();
    let gone = admin.delete_topic(&name).await.unwrap_err();
    assert_eq!(gone.kind, AdminErrorKind::NotFound, "{gone}");
    let gone = admin.watermarks(&name).await.unwrap_err();
    assert_eq!(gone.kind, AdminErrorKind::NotFound, "{gone}");
    running.stop().await;
}

async fn a_group_of(protocol: &str, expected: GroupProtocol) {
    let Some((servers, run)) = place() else {
        return;
    };
    let (running, admin, producer) = tools(&servers, run).await;
    let topic = admin.name_of(&JOBS);
    assert_eq!(topic, format!("jobs-{run}"));
    admin
        .create_topic(NewTopic::new(&topic).partitions(3))
        .await
        .unwrap();
    let before = Utc::now();
    write(&producer, 0..30).await;
    let group = format!("workers-{run}");
    let nobody = admin.describe_group(&group).await.unwrap_err();
    assert_eq!(nobody.kind, AdminErrorKind::NotFound, "{nobody}");

    let (seen, mut jobs) = mpsc::channel(1000);
    let mut flags = flags(&servers, run);
    flags.consumer = vec![format!("group.protocol={protocol}")];
    let app = App::new("workers").state(Seen(seen)).register::<work>();
    let workers = Running::start(app, flags);
    for _ in 0..30 {
        within(jobs.recv()).await.expect("a job");
    }
    let described = admin.describe_group(&group).await.unwrap();
    assert_eq!(
        (described.state, described.protocol),
        (GroupState::Stable, expected)
    );
    assert!(!described.assignor.is_empty() && described.coordinator.is_some());
    let [member] = described.members.as_slice() else {
        panic!("{described:?}")
    };
    assert!(
        member.client_id.starts_with("http://127.0.0.1:"),
        "{member:?}"
    );
    assert!(!member.member_id.is_empty() && !member.host.is_empty());
    let all: Vec<_> = (0..3)
        .map(|number| PartitionId::new(&topic, number))
        .collect();
    assert_eq!(member.partitions, all);
    let listed = admin.groups().await.unwrap();
    let listed = listed
        .iter()
        .find(|one| one.group == group)
        .expect("in the list");
    assert_eq!(listed.protocol, expected);

    let none: [&str; 0] = [];
    let plan = admin
        .plan_reset(&group, &[&topic], ResetTo::Earliest)
        .await
        .unwrap();
    assert_eq!((plan.members, plan.changes.len()), (1, 3));
    let busy = admin.apply(&plan).await.unwrap_err();
    assert_eq!(busy.kind, AdminErrorKind::NotEmpty, "{busy}");
    let busy = admin.delete_group(&group).await.unwrap_err();
    assert_eq!(busy.kind, AdminErrorKind::NotEmpty, "{busy}");
    workers.stop().await;

    let offsets = admin.group_offsets(&group).await.unwrap();
    assert_eq!(
        offsets.iter().map(|offset| offset.committed).sum::<i64>(),
        30
    );
    assert_eq!(offsets.iter().map(|offset| offset.lag()).sum::<i64>(), 0);
    let after = Utc::now();
    write(&producer, 30..40).await;
    let lag = admin.group_offsets(&group).await.unwrap();
    assert_eq!(lag.iter().map(|offset| offset.lag()).sum::<i64>(), 10);
    let ends = admin.watermarks(&topic).await.unwrap();
    assert_eq!(ends.iter().map(|end| end.high - end.low).sum::<i64>(), 40);
    let by_time = admin.offsets_at(&topic, after).await.unwrap();
    for offset in &offsets {
        let found = by_time[&offset.partition.partition];
        assert!(
            found.is_none_or(|found| found == offset.high),
            "{by_time:?}"
        );
    }

    // Each way to say where, previewed and applied; what is committed then is what the plan showed.
    let ways = [
        (ResetTo::Earliest, 0),
        (ResetTo::Latest, 40),
        (ResetTo::Shift(-2), 34),
        (ResetTo::Timestamp(before), 0),
        (ResetTo::Timestamp(after), 30),
        (ResetTo::Offset(1), 3),
        (ResetTo::Offset(i64::MAX), 40),
    ];
    for (to, sum) in ways {
        let plan = admin.plan_reset(&group, &none, to).await.unwrap();
        let planned: i64 = plan.changes.iter().map(|change| change.after).sum();
        assert_eq!(planned, sum, "{to:?}\n{plan}");
        assert_eq!(admin.apply(&plan).await.unwrap(), plan.moves().count());
        let offsets = admin.group_offsets(&group).await.unwrap();
        let committed: i64 = offsets.iter().map(|offset| offset.committed).sum();
        assert_eq!(committed, sum, "{to:?}");
    }
    let one = [(PartitionId::new(&topic, 1), 4)];
    let plan = admin.plan_offsets(&group, &one).await.unwrap();
    assert_eq!(admin.apply(&plan).await.unwrap(), 1);
    let late = admin.apply(&plan).await.unwrap_err();
    assert_eq!(late.kind, AdminErrorKind::Changed, "{late}");

    // A worker goes on where the group was moved to.
    let fresh = format!("fresh-{run}");
    let plan = admin
        .plan_reset(&fresh, &[&topic], ResetTo::Latest)
        .await
        .unwrap();
    assert!(plan.changes.iter().all(|change| change.before.is_none()));
    admin.apply(&plan).await.unwrap();
    write(&producer, 40..41).await;
    let (seen, mut jobs) = mpsc::channel(1000);
    let mut flags = self::flags(&servers, run);
    flags.consumer = vec![format!("group.protocol={protocol}")];
    flags.group = Some(fresh.clone());
    let app = App::new("workers").state(Seen(seen)).register::<work>();
    let workers = Running::start(app, flags);
    assert_eq!(within(jobs.recv()).await, Some(40));
    workers.stop().await;

    admin.delete_group(&fresh).await.unwrap();
    admin.delete_group(&group).await.unwrap();
    let gone = admin.delete_group(&group).await.unwrap_err();
    assert_eq!(gone.kind, AdminErrorKind::NotFound, "{gone}");
    assert!(admin.group_offsets(&group).await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classic_group_is_described_moved_and_deleted() {
    a_group_of("classic", GroupProtocol::Classic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_the_newer_protocol_is_described_moved_and_deleted() {
    a_group_of("consumer", GroupProtocol::Consumer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_created_as_declared_and_every_difference_ends_a_strict_start() {
    let Some((servers, run)) = place() else {
        return;
    };
    let (tools, admin, _) = tools(&servers, run).await;
    let (seen, _jobs) = mpsc::channel(1000);
    let app = || {
        App::new("workers")
            .state(Seen(seen.clone()))
            .register::<work>()
    };
    let strict = |create_topics| Flags {
        create_topics,
        check_topics: Some("error".to_owned()),
        ..flags(&servers, run)
    };
    let name = admin.name_of(&JOBS);
    let refused = within(Running::start(app(), strict(false)).task)
        .await
        .unwrap();
    let refused = refused.expect_err("there is no such topic");
    assert_eq!(Exit::from(&refused), Exit::FAILED);
    assert!(
        refused
            .to_string()
            .contains(&format!("`{name}` does not exist")),
        "{refused}"
    );

    let running = Running::start(app(), strict(true));
    within(async { while admin.describe_topic(&name).await.is_err() {} }).await;
    running.stop().await;
    let described = admin.describe_topic(&name).await.unwrap();
    assert_eq!(
        (described.partitions.len(), described.replication()),
        (3, 1)
    );
    // Nothing differs now, whatever the order of a list.
    let (hand, mut given) = mpsc::channel(1);
    let again = app().state(Hand(hand)).register::<hand_out>();
    let running = Running::start(again, strict(false));
    within(given.recv()).await.expect("it starts");
    running.stop().await;

    let other = App::new("other").register::<look>();
    let refused = within(Running::start(other, strict(true)).task)
        .await
        .unwrap();
    let text = refused.expect_err("it is declared otherwise").to_string();
    for part in [
        "3 differences",
        "has 3 partitions, declared are 5",
        "has 1 replicas, declared are 2",
        "`retention.ms` is `7200000`, declared is `1`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    tools.stop().await;
}
