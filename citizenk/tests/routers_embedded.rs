//! Routers on the embedded broker, which can tell nobody who is in its groups: real sockets, real threads.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use citizenk::prelude::*;
use citizenk::testing::EmbeddedCluster;
use citizenk::{Flags, Settings};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

#[citizenk::message]
struct Job {
    id: u32,
}

const JOBS: Topic<Job, u32> = Topic::json("jobs").partitions(8);
/// Nothing here takes longer, however busy the machine.
const LIMIT: Duration = Duration::from_secs(60);

#[citizenk::agent(topics = [JOBS])]
async fn work(job: Event<Job>) {
    drop(job);
}

#[citizenk::topic_router(topic = JOBS, key = "id", get = "/where/{id}")]
async fn place(Path(_): Path<u32>, app: AppInfo) -> Json<String> {
    citizenk::http::Json(app.base_url().unwrap_or_default().to_owned())
}

#[citizenk::broadcast_router(get = "/workers")]
async fn workers(app: AppInfo) -> Json<Vec<String>> {
    citizenk::http::Json(vec![app.base_url().unwrap_or_default().to_owned()])
}

#[citizenk::on_event(startup)]
async fn started(app: AppInfo, State(tell): State<mpsc::Sender<String>>) -> citizenk::Result<()> {
    tell.send(app.base_url().unwrap_or_default().to_owned())
        .await?;
    Ok(())
}

struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    service: JoinHandle<Result<(), citizenk::RunError>>,
}

impl Running {
    /// On a broker of its own, or on this one.
    async fn start(cluster: Option<EmbeddedCluster>) -> Self {
        let (tell, mut told) = mpsc::channel(1);
        let app = App::new("jobs")
            .state(tell)
            .register::<work>()
            .register::<place>()
            .register::<workers>()
            .register::<started>();
        let flags = Flags {
            embedded: true,
            http: Some("127.0.0.1:0".into()),
            ..Flags::default()
        };
        let settings = Settings::resolve(flags, &BTreeMap::new(), None).unwrap();
        let service = app.build_with(settings).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            match cluster {
                Some(cluster) => cluster.run(service, stopped).await,
                None => service.run_until(stopped).await,
            }
        });
        let url = timeout(LIMIT, told.recv()).await.expect("it starts");
        Self {
            url: url.unwrap(),
            stop,
            service,
        }
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = timeout(LIMIT, stream.read_to_string(&mut answer)).await;
        read.expect("it answers").unwrap();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        match answer.starts_with("HTTP/1.1 200") {
            true => Ok(serde_json::from_str(body.unwrap()).unwrap()),
            false => Err(answer),
        }
    }

    /// Where each job is, once that is known.
    async fn places(&self) -> BTreeMap<u32, String> {
        let mut places = BTreeMap::new();
        for id in 0..32 {
            if let Ok(Value::String(url)) = self.get(&format!("/where/{id}")).await {
                places.insert(id, url);
            }
        }
        places
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        let stopped = timeout(LIMIT, self.service).await.expect("it stops");
        stopped.unwrap().unwrap();
    }
}

/// Asks until all agree on workers and places, each of which has some.
async fn until_settled(all: &[&Running]) {
    let urls: BTreeSet<String> = all.iter().map(|running| running.url.clone()).collect();
    let begun = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        assert!(begun.elapsed() < LIMIT, "they do not come to terms");
        let mut seen = Vec::new();
        for running in all {
            let workers = running.get("/workers").await;
            let workers: BTreeSet<String> = match workers {
                Ok(workers) => serde_json::from_value(workers).unwrap(),
                Err(_) => BTreeSet::new(),
            };
            seen.push((workers, running.places().await));
        }
        let settled = seen.iter().all(|(workers, places)| {
            let owners: BTreeSet<String> = places.values().cloned().collect();
            *workers == urls && places.len() == 32 && owners == urls && *places == seen[0].1
        });
        if settled {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routers_on_the_embedded_broker_ask_every_worker_of_the_process() {
    // Beside it there is one with a broker of its own, which is nobody's business.
    let alone = Running::start(None).await;
    until_settled(&[&alone]).await;
    let cluster = EmbeddedCluster::start().unwrap();
    let first = Running::start(Some(cluster.clone())).await;
    let second = Running::start(Some(cluster)).await;
    until_settled(&[&first, &second]).await;
    until_settled(&[&alone]).await;
    // Who has left is not asked.
    second.stop().await;
    until_settled(&[&first]).await;
    first.stop().await;
    alone.stop().await;
}
