//! Routers between workers that find each other through a real Kafka; left out where `cargo xtask real` has not
//! started one.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use citizenk::prelude::*;
use citizenk::{Flags, RunError, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
/// Of both topics.
const PARTITIONS: usize = 16;
const HALF: usize = PARTITIONS / 2;
const CAMERAS: u32 = 24;

#[citizenk::message]
struct Video {
    camera_id: u32,
}

const VIDEOS: Topic<Video, u32> = Topic::json("videos").partitions(8);
const BOOKED: Topic<Video, u32> = Topic::json("booked").partitions(8);
const BILLS: Topic<Video, u32> = Topic::json("bills").partitions(1);

/// One worker, as its own functions see it.
#[derive(Clone)]
struct Me {
    name: &'static str,
    counts: Arc<Mutex<BTreeMap<u32, u64>>>,
    owned: Arc<watch::Sender<usize>>,
    seen: mpsc::Sender<u32>,
    url: mpsc::Sender<String>,
}

#[citizenk::agent(topics = [VIDEOS])]
async fn count(video: Event<Video>, State(me): State<Me>) -> citizenk::Result<()> {
    let camera = video.value.camera_id;
    *me.counts.lock().unwrap().entry(camera).or_default() += 1;
    me.seen.send(camera).await?;
    Ok(())
}

/// Another guarantee is another consumer: each worker is two members of the group.
#[citizenk::agent(topics = [BOOKED], output = BILLS, guarantee = exactly_once)]
async fn bill(video: Event<Video>) -> (u32, Video) {
    (video.value.camera_id, video.value)
}

#[citizenk::on_event(assigned)]
async fn given(partitions: Partitions, State(me): State<Me>) {
    me.owned
        .send_modify(|owned| *owned += partitions.iter().count());
}

#[citizenk::on_event(revoked)]
async fn taken(partitions: Partitions, State(me): State<Me>) {
    me.owned
        .send_modify(|owned| *owned -= partitions.iter().count());
}

#[citizenk::on_event(startup)]
async fn started(app: AppInfo, State(me): State<Me>) -> citizenk::Result<()> {
    me.url
        .send(app.base_url().unwrap_or_default().to_owned())
        .await?;
    Ok(())
}

#[citizenk::topic_router(topic = VIDEOS, key = "id", get = "/cameras/{id}")]
async fn camera(Path(id): Path<u32>, State(me): State<Me>) -> Json<Value> {
    let count = me.counts.lock().unwrap().get(&id).copied();
    Json(json!({ "worker": me.name, "count": count }))
}

#[citizenk::topic_router(topic = BOOKED, key = "id", get = "/booked/{id}")]
async fn booked(Path(_): Path<u32>, State(me): State<Me>) -> Json<Value> {
    Json(json!({ "worker": me.name }))
}

#[citizenk::broadcast_router(get = "/cameras")]
async fn cameras(State(me): State<Me>) -> Json<BTreeMap<u32, u64>> {
    Json(me.counts.lock().unwrap().clone())
}

struct Worker {
    name: &'static str,
    address: String,
    owned: watch::Receiver<usize>,
    stop: oneshot::Sender<()>,
    service: JoinHandle<Result<(), RunError>>,
}

async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(PATIENCE, event).await;
    happened.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

impl Worker {
    async fn start(name: &'static str, run: u128, seen: &mpsc::Sender<u32>) -> Self {
        let (url, mut urls) = mpsc::channel(1);
        let (owned, owns) = watch::channel(0);
        let me = Me {
            name,
            counts: Arc::default(),
            owned: Arc::new(owned),
            seen: seen.clone(),
            url,
        };
        let app = App::new("cameras")
            .state(me)
            .register::<count>()
            .register::<bill>()
            .register::<given>()
            .register::<taken>()
            .register::<started>()
            .register::<camera>()
            .register::<booked>()
            .register::<cameras>();
        let flags = Flags {
            group: Some(format!("cameras-{run}")),
            topic_prefix: Some(format!("routers-{run}.")),
            create_topics: true,
            http: Some("127.0.0.1:0".to_owned()),
            ..Flags::default()
        };
        let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("xtask sets the address");
        let vars = [
            ("KAFKA_BOOTSTRAP_SERVERS", servers.as_str()),
            ("CITIZENK_CLUSTER_SECRET", "a-secret-of-all-the-workers"),
            // A rebalance that waits for a member's next heartbeat is short.
            ("KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS", "500"),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::resolve(flags, &vars.into(), None).unwrap();
        let service = app.build_with(settings).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = tokio::spawn(service.run_until(async { drop(stopped.await) }));
        let url = within("the start", urls.recv()).await.expect("it starts");
        Self {
            name,
            address: url.trim_start_matches("http://").to_owned(),
            owned: owns,
            stop,
            service,
        }
    }

    async fn until_owns(&mut self, what: &str, wanted: impl Fn(usize) -> bool) {
        let owned = self.owned.wait_for(|owned| wanted(*owned));
        within(what, owned).await.unwrap();
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let asked = async {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            let text = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = within(path, asked).await;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// Who answers for a camera; while partitions move that may take a moment.
    async fn camera(&self, id: u32) -> Value {
        self.found(format!("/cameras/{id}")).await
    }

    async fn booked(&self, id: u32) -> Value {
        self.found(format!("/booked/{id}")).await
    }

    async fn found(&self, path: String) -> Value {
        let found = async {
            loop {
                match self.ask("GET", &path, "").await {
                    (200, answer) => return answer,
                    // As clients are told to.
                    (503, _) => tokio::task::yield_now().await,
                    (status, body) => panic!("{path} by {}: {status} {body}", self.name),
                }
            }
        };
        within(&path, found).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        let stopped = within("the stop", self.service).await;
        stopped.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_find_each_other_while_they_come_and_go() {
    if std::env::var_os("CITIZENK_REAL_KAFKA").is_none() {
        return;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let run = now.unwrap().as_millis();
    let (seen, mut all) = mpsc::channel(1000);
    let mut first = Worker::start("first", run, &seen).await;
    let mut second = Worker::start("second", run, &seen).await;
    // Not before both have theirs: what moves later is counted by another worker than the one that has it then.
    for worker in [&mut first, &mut second] {
        worker.until_owns("half", |owned| owned == HALF).await;
    }
    for id in 1..=CAMERAS {
        let body = json!({ "camera_id": id }).to_string();
        let path = format!("/topics/videos?key={id}");
        let (status, body) = first.ask("POST", &path, &body).await;
        assert_eq!(status, 200, "{body}");
    }
    let mut handled = BTreeSet::new();
    while handled.len() < CAMERAS as usize {
        handled.insert(within("all records", all.recv()).await.unwrap());
    }

    let mut answered = BTreeSet::new();
    for id in 1..=CAMERAS {
        let answers = [first.camera(id).await, second.camera(id).await];
        assert_eq!(answers[0], answers[1], "whoever is asked");
        assert_eq!(answers[0]["count"], 1, "by the worker that counted it");
        answered.insert(answers[0]["worker"].to_string());
    }
    assert_eq!(answered.len(), 2, "each has a part: {answered:?}");
    let mut answered = BTreeSet::new();
    for id in 1..=CAMERAS {
        let answers = [first.booked(id).await, second.booked(id).await];
        assert_eq!(answers[0], answers[1], "whoever is asked");
        answered.insert(answers[0]["worker"].to_string());
    }
    assert_eq!(answered.len(), 2, "each has a part of both: {answered:?}");
    for worker in [&first, &second] {
        let (status, all) = worker.ask("GET", "/cameras", "").await;
        assert_eq!(status, 200, "{all}");
        assert_eq!(all.as_object().unwrap().len(), CAMERAS as usize, "{all}");
    }

    second.stop().await;
    first
        .until_owns("all partitions", |owned| owned == PARTITIONS)
        .await;
    for id in 1..=CAMERAS {
        assert_eq!(first.camera(id).await["worker"], "first");
        assert_eq!(first.booked(id).await["worker"], "first");
    }

    let mut third = Worker::start("third", run, &seen).await;
    for worker in [&mut first, &mut third] {
        worker.until_owns("half", |owned| owned == HALF).await;
    }
    let mut answered = BTreeSet::new();
    for id in 1..=CAMERAS {
        let answers = [first.camera(id).await, third.camera(id).await];
        assert_eq!(answers[0], answers[1], "whoever is asked");
        answered.insert(answers[0]["worker"].to_string());
    }
    assert_eq!(answered.len(), 2, "{answered:?}");
    third.stop().await;
    first.stop().await;
}
