//! A service on the cluster without a name and on `eu`, and how to ask it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use citizenk::prelude::*;
use citizenk::{Flags, RunError, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) const TICKS: Topic<u64> = Topic::json("ticks");
pub(crate) const TICKS_EU: Topic<u64> = TICKS.cluster("eu");
pub(crate) const COPIES: Topic<u64> = Topic::json("copies");

/// What agents have handled.
#[derive(Clone, Default)]
pub(crate) struct Counts(Arc<Counters>);

#[derive(Default)]
struct Counters {
    here: AtomicUsize,
    eu: AtomicUsize,
    both: AtomicUsize,
    news: Notify,
}

impl Counts {
    fn count(&self, which: &AtomicUsize) {
        which.fetch_add(1, SeqCst);
        self.0.news.notify_waiters();
    }

    pub(crate) fn here(&self) -> usize {
        self.0.here.load(SeqCst)
    }

    pub(crate) fn eu(&self) -> usize {
        self.0.eu.load(SeqCst)
    }

    pub(crate) fn both(&self) -> usize {
        self.0.both.load(SeqCst)
    }

    /// Waits until so many came from each cluster, and were copied from `eu`.
    pub(crate) async fn until(&self, here: usize, eu: usize) {
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if self.here() >= here && self.eu() >= eu && self.both() >= eu {
                return;
            }
            news.await;
        }
    }
}

#[citizenk::agent(topics = [TICKS])]
async fn here(_tick: Event<u64>, State(counts): State<Counts>) {
    counts.count(&counts.0.here);
}

#[citizenk::agent(topics = [TICKS_EU], output = COPIES)]
async fn from_eu(tick: Event<u64>, State(counts): State<Counts>) -> u64 {
    counts.count(&counts.0.eu);
    tick.value
}

/// Also by a pattern, which has to be looked for.
#[citizenk::agent(topics = [ANY_EU], group = none)]
async fn any(_tick: Event<u64>) {}

const ANY_EU: Topic<u64> = Topic::json("^ticks.*").cluster("eu");

#[citizenk::agent(topics = [COPIES])]
async fn copies(_copy: Event<u64>, State(counts): State<Counts>) {
    counts.count(&counts.0.both);
}

#[citizenk::repeat_every("50ms")]
async fn tick(producer: Producer) -> citizenk::Result<()> {
    // What does not leave for `eu` is reported, in time; nobody waits for it.
    drop(producer.send(&TICKS_EU, &"k".to_owned(), 1));
    producer.send(&TICKS, &"k".to_owned(), 1).await?;
    Ok(())
}

pub(crate) fn app(counts: &Counts, run: u128) -> App {
    // A group of its own for each run, on clusters that live longer.
    let name = if run == 0 {
        "two".to_owned()
    } else {
        format!("two-{run}")
    };
    App::new(&name)
        .cluster("eu")
        .state(counts.clone())
        .drain(Duration::from_secs(5))
        .register::<here>()
        .register::<from_eu>()
        .register::<any>()
        .register::<copies>()
        .register::<tick>()
}

/// A service on a port of its own.
pub(crate) struct Running {
    port: u16,
    stop: Arc<Notify>,
    service: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub(crate) async fn start(app: App, flags: Flags, env: &BTreeMap<String, String>) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let flags = Flags {
            http: Some(format!("127.0.0.1:{port}")),
            ..flags
        };
        let settings = Settings::resolve(flags, env, None).unwrap();
        let service = app.build_with(settings).await.unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let service = tokio::spawn(service.run_until(async move { stopped.notified().await }));
        Self {
            port,
            stop,
            service,
        }
    }

    /// The answer, head and body; `None`: nobody listens yet.
    async fn ask(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        self.ask(path).await.unwrap()
    }

    /// Asks whether it is ready until the answer is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            assert!(!self.service.is_finished(), "the service has ended");
            if let Some(answer) = self.ask("/health/ready").await
                && wanted(&answer)
            {
                return answer;
            }
        }
    }

    pub(crate) async fn stop(self) -> Result<(), RunError> {
        self.stop.notify_one();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.service).await;
        ended.unwrap().unwrap()
    }

    /// What was sent to a cluster that is not there is lost with the end, and that is said.
    pub(crate) async fn stop_soon(self) {
        match self.stop().await {
            Ok(()) | Err(RunError::Drain { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Whether the answer about readiness blames it.
pub(crate) fn broker_of_eu_is_gone(ready: &str) -> bool {
    let Some(body) = ready.split("\r\n\r\n").nth(1) else {
        return false;
    };
    let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else {
        return false;
    };
    let mut conditions = body["conditions"].as_array().into_iter().flatten();
    conditions.any(|one| one["name"] == "broker: eu" && one["ok"] == false)
}
