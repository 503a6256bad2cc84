//! Group membership and record sizes against a real Kafka; left out where `cargo xtask real` has not
//! started one.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use citizenk::prelude::*;
use citizenk::{Exit, Flags, RunError, Settings};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

mod ends;

const PATIENCE: Duration = Duration::from_secs(60);

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Job {
    id: u32,
    text: String,
}

const JOBS: Topic<Job, u32> = Topic::json("jobs");
const COPIES: Topic<Job, u32> = Topic::json("copies");
const REFUSED: Topic<RawBytes> = Topic::raw("refused");

#[derive(Clone)]
struct Seen(mpsc::Sender<u32>);

/// What rebalances did to one worker.
#[derive(Clone)]
struct Moves {
    revoked: Arc<AtomicUsize>,
    /// Partitions it has.
    owned: Arc<watch::Sender<usize>>,
}

impl Default for Moves {
    fn default() -> Self {
        Self {
            revoked: Arc::default(),
            owned: Arc::new(watch::channel(0).0),
        }
    }
}

impl Moves {
    async fn until_owns(&self, wanted: impl Fn(usize) -> bool) {
        let mut owned = self.owned.subscribe();
        within(owned.wait_for(|owned| wanted(*owned)))
            .await
            .unwrap();
    }
}

#[citizenk::on_event(assigned)]
async fn given(partitions: Partitions, State(moves): State<Moves>) {
    moves
        .owned
        .send_modify(|owned| *owned += partitions.iter().count());
}

#[citizenk::on_event(revoked)]
async fn taken(partitions: Partitions, State(moves): State<Moves>) {
    moves.revoked.fetch_add(1, Ordering::SeqCst);
    moves
        .owned
        .send_modify(|owned| *owned -= partitions.iter().count());
}

#[citizenk::agent(topics = [JOBS])]
async fn work(job: Event<Job>, State(seen): State<Seen>) -> citizenk::Result<()> {
    seen.0.send(job.value.id).await?;
    Ok(())
}

#[citizenk::agent(topics = [JOBS], group = none)]
async fn ignore(_job: Event<Job>) {}

#[citizenk::agent(topics = [JOBS], output = COPIES, on_produce_error = dead_letter(REFUSED))]
async fn copy(job: Event<Job>) -> Job {
    let text = job.value.text.repeat(3);
    Job { text, ..job.value }
}

/// The jobs a start-up hook writes.
#[derive(Clone)]
struct Fill(std::ops::Range<u32>, usize);

#[citizenk::on_event(startup)]
async fn fill(State(fill): State<Fill>, producer: Producer) -> citizenk::Result<()> {
    let text = "x".repeat(fill.1);
    let sends: Vec<_> = fill
        .0
        .map(|id| {
            let text = text.clone();
            producer.send(&JOBS, &id, Job { id, text })
        })
        .collect();
    for sent in sends {
        sent.await?;
    }
    Ok(())
}

/// The address of the broker, and names no earlier run has used.
struct Place {
    servers: String,
    run: u128,
    topics: &'static [&'static str],
}

fn place() -> Option<Place> {
    std::env::var_os("CITIZENK_REAL_KAFKA")?;
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("xtask sets the address");
    let run = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    Some(Place {
        servers,
        run,
        topics: &["jobs"],
    })
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

impl Place {
    fn settings(&self, group: &str, consumer: &[&str], producer: &[&str]) -> Settings {
        self.settings_with(group, consumer, producer, |flags| flags)
    }

    fn settings_with(
        &self,
        group: &str,
        consumer: &[&str],
        producer: &[&str],
        change: impl FnOnce(Flags) -> Flags,
    ) -> Settings {
        let run = self.run;
        let flags = Flags {
            bootstrap_servers: Some(self.servers.clone()),
            http: Some("127.0.0.1:0".to_owned()),
            group: Some(format!("{group}-{run}")),
            topic: self
                .topics
                .iter()
                .map(|name| format!("{name}={name}-{run}"))
                .collect(),
            consumer: texts(consumer),
            producer: texts(producer),
            ..Flags::default()
        };
        let flags = change(flags);
        Settings::resolve(flags, &BTreeMap::new(), None).expect("the settings are right")
    }

    /// Writes jobs and is gone.
    async fn write(&self, jobs: std::ops::Range<u32>) {
        let moves = Moves::default();
        let writer = App::new("writer")
            .state(Fill(jobs, 10))
            .state(moves.clone())
            .register::<fill>()
            .register::<given>()
            .register::<ignore>();
        // In a group of its own, lest it commits what the group under test should read.
        let writer = self.run_with(writer, self.settings("writers", &[], &[]));
        // A stop during the start would leave jobs unwritten.
        moves.until_owns(|owned| owned > 0).await;
        writer.stop().await;
    }

    /// Runs the app until the returned switch is used.
    fn run(&self, app: App, consumer: &[&str], producer: &[&str]) -> Running {
        self.run_with(app, self.settings("group", consumer, producer))
    }

    fn run_with(&self, app: App, settings: Settings) -> Running {
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let ended = match app.build_with(settings).await {
                Ok(service) => {
                    service
                        .run_until(async move { stopped.notified().await })
                        .await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = &ended {
                // Whoever waits for something else would only tell of its patience.
                eprintln!("a service ended: {error}");
            }
            ended
        });
        Running { stop, task }
    }
}

struct Running {
    stop: Arc<Notify>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn stop(self) {
        self.stop.notify_one();
        self.ended().await.expect("the service stops cleanly");
    }

    async fn ended(self) -> Result<(), RunError> {
        within(self.task).await.expect("the service does not panic")
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

fn app(seen: &mpsc::Sender<u32>, moves: &Moves, jobs: std::ops::Range<u32>) -> App {
    App::new("real")
        .state(Seen(seen.clone()))
        .state(moves.clone())
        .state(Fill(jobs, 10))
        .register::<fill>()
        .register::<given>()
        .register::<taken>()
        .register::<work>()
}

/// So many different jobs, and how many calls it took.
async fn collect(seen: &mut mpsc::Receiver<u32>, wanted: std::ops::Range<u32>) -> usize {
    let mut missing: BTreeSet<u32> = wanted.collect();
    let mut calls = 0;
    while !missing.is_empty() {
        let Ok(job) = tokio::time::timeout(PATIENCE, seen.recv()).await else {
            panic!("not in time: {missing:?}");
        };
        missing.remove(&job.expect("the services run"));
        calls += 1;
    }
    calls
}

/// Two share, one leaves cleanly, the other takes over: nothing is lost or repeated.
async fn takes_over(consumer: &[&str]) {
    let Some(place) = place() else { return };
    let (seen, mut jobs) = mpsc::channel(10_000);
    let (one, two) = (Moves::default(), Moves::default());
    let first = place.run(app(&seen, &one, 0..500), consumer, &[]);
    one.until_owns(|owned| owned == 4).await;
    let second = place.run(app(&seen, &two, 0..0), consumer, &[]);
    two.until_owns(|owned| owned == 2).await;
    one.until_owns(|owned| owned == 2).await;
    let mut calls = collect(&mut jobs, 0..500).await;
    first.stop().await;
    two.until_owns(|owned| owned == 4).await;
    let third = place.run(app(&seen, &Moves::default(), 500..1000), consumer, &[]);
    calls += collect(&mut jobs, 500..1000).await;
    second.stop().await;
    third.stop().await;
    assert_eq!(calls, 1000, "a clean hand-over repeats nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn range_members_take_over() {
    takes_over(&["partition.assignment.strategy=range"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn round_robin_members_take_over() {
    takes_over(&["partition.assignment.strategy=roundrobin"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cooperative_members_take_over() {
    takes_over(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_the_newer_protocol_take_over() {
    takes_over(&["group.protocol=consumer"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_that_comes_back_moves_nothing() {
    let Some(place) = place() else { return };
    let (seen, mut jobs) = mpsc::channel(10_000);
    let (one, two) = (Moves::default(), Moves::default());
    let named = |name: &str| format!("group.instance.id={name}");
    let first = place.run(app(&seen, &one, 0..100), &[&named("one")], &[]);
    one.until_owns(|owned| owned == 4).await;
    let second = place.run(app(&seen, &two, 0..0), &[&named("two")], &[]);
    two.until_owns(|owned| owned == 2).await;
    one.until_owns(|owned| owned == 2).await;
    let mut calls = collect(&mut jobs, 0..100).await;
    let before = two.revoked.load(Ordering::SeqCst);
    first.stop().await;
    let back = Moves::default();
    let third = place.run(app(&seen, &back, 100..200), &[&named("one")], &[]);
    back.until_owns(|owned| owned == 2).await;
    calls += collect(&mut jobs, 100..200).await;
    assert_eq!(two.revoked.load(Ordering::SeqCst), before, "nothing moved");
    assert_eq!(*two.owned.borrow(), 2);
    assert_eq!(calls, 200, "nothing is repeated");
    second.stop().await;
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_static_members_with_one_name_one_ends_and_says_why() {
    let Some(place) = place() else { return };
    let (seen, mut jobs) = mpsc::channel(10_000);
    let name = ["group.instance.id=same", "session.timeout.ms=6000"];
    let one = Moves::default();
    let first = place.run(app(&seen, &one, 0..10), &name, &[]);
    one.until_owns(|owned| owned == 4).await;
    let two = Moves::default();
    let second = place.run(app(&seen, &two, 10..20), &name, &[]);
    let (mut first, mut second) = (first, second);
    let (loser, winner) = tokio::select! {
        ended = &mut first.task => (ended, second),
        ended = &mut second.task => (ended, first),
        () = tokio::time::sleep(PATIENCE) => panic!("both go on"),
    };
    let error = loser
        .expect("no panic")
        .expect_err("it did not stop by itself");
    assert_eq!(Exit::from(&error), Exit::FAILED);
    let text = error.to_string();
    assert!(text.contains("group.instance.id"), "{text}");
    collect(&mut jobs, 10..20).await;
    winner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_larger_than_the_fetch_limits_pass() {
    let Some(place) = place() else { return };
    let (seen, mut jobs) = mpsc::channel(100);
    let app = app(&seen, &Moves::default(), 0..0).override_state(Fill(0..20, 600_000));
    let limits = ["max.partition.fetch.bytes=10000"];
    let service = place.run(app, &limits, &[]);
    assert_eq!(collect(&mut jobs, 0..20).await, 20);
    service.stop().await;
}

/// One output is too large for the client's limit, and one for the topic's. A letter with it is too large
/// as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_that_are_too_large_end_the_service_with_the_reason() {
    for (producer, limit) in [
        (&[][..], "`message.max.bytes`"),
        (&["message.max.bytes=5000000"], "`max.message.bytes`"),
    ] {
        let Some(mut place) = place() else { return };
        place.topics = &["jobs", "copies", "refused"];
        let app = App::new("real")
            .state(Fill(0..1, 500_000))
            .register::<fill>()
            .register::<copy>();
        let error = place
            .run(app, &[], producer)
            .ended()
            .await
            .expect_err("the output cannot be delivered");
        assert_eq!(Exit::from(&error), Exit::STOPPED);
        let text = error.to_string();
        for part in ["refused-", "15000", limit] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

/// A member that is none of ours; prints one line per assignment and per record.
const MEMBER: &str = r#"
import sys
from confluent_kafka import Consumer
servers, group, topic = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest",
                     "partition.assignment.strategy": "range", "enable.auto.commit": False,
                     "topic.metadata.refresh.interval.ms": 1000})
def assigned(_, partitions):
    print("assigned", len(partitions), flush=True)
consumer.subscribe([topic], on_assign=assigned)
import select
while not select.select([sys.stdin], [], [], 0)[0]:
    message = consumer.poll(0.1)
    if message is not None and not message.error():
        print("record", int(message.key()), flush=True)
        consumer.commit(message, asynchronous=False)
consumer.close()
"#;

/// Ends with the test.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Run by `cargo xtask python-member`, which brings Python with confluent-kafka.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_moves_from_python_to_ours_and_loses_nothing() {
    let (Some(place), Some(python)) = (place(), std::env::var_os("CITIZENK_PYTHON")) else {
        return;
    };
    let consumer = ["partition.assignment.strategy=range"];
    let (seen, mut jobs) = mpsc::channel(10_000);
    // The topic and its first records.
    place.write(0..200).await;

    let mut member = Command::new(python)
        .args(["-c", MEMBER, &place.servers])
        .arg(format!("group-{}", place.run))
        .arg(format!("jobs-{}", place.run))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Member)
        .expect("Python starts");
    let (say, mut lines) = mpsc::channel(10_000);
    let output = BufReader::new(member.0.stdout.take().unwrap());
    std::thread::spawn(move || {
        output
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| say.blocking_send(line))
    });
    let mut missing: BTreeSet<u32> = (0..600).collect();
    let mut theirs = 0;
    // It has everything first.
    while missing.len() > 400 {
        let line = within(lines.recv()).await.expect("it runs");
        if let Some(id) = line.strip_prefix("record ") {
            assert!(missing.remove(&id.parse().unwrap()));
            theirs += 1;
        }
    }
    assert_eq!(theirs, 200);
    // Then both share.
    let moves = Moves::default();
    let ours = place.run(app(&seen, &moves, 0..0), &consumer, &[]);
    moves.until_owns(|owned| owned == 2).await;
    place.write(200..400).await;
    let mut shared = [0, 0];
    while missing.len() > 200 {
        let (who, id) = tokio::select! {
            line = lines.recv() => match line.expect("it runs").strip_prefix("record ") {
                Some(id) => (0, id.parse().unwrap()),
                None => continue,
            },
            id = jobs.recv() => (1, id.expect("it runs")),
            () = tokio::time::sleep(PATIENCE) => panic!("{} records are missing", missing.len()),
        };
        missing.remove(&id);
        shared[who] += 1;
    }
    assert!(shared.iter().all(|count| *count > 0), "{shared:?}");
    // Then the other leaves, and ours has everything.
    drop(member.0.stdin.take());
    moves.until_owns(|owned| owned == 4).await;
    while within(lines.recv()).await.is_some() {}
    let status = member.0.wait().expect("it ends");
    assert!(status.success(), "{status}");
    let second = Moves::default();
    let more = place.run(app(&seen, &second, 400..600), &consumer, &[]);
    while !missing.is_empty() {
        missing.remove(&within(jobs.recv()).await.expect("the services run"));
    }
    more.stop().await;
    ours.stop().await;
}
