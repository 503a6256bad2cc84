//! Services that come and go in one process leave nothing behind: no thread, no file, no memory.
//!
//! 20 of them; `CITIZENK_LEAK_ROUNDS=500` makes it as many, and `cargo xtask faults --row W16` does so. The only
//! test of this program: others would come and go meanwhile.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use citizenk::prelude::*;
use citizenk::{Flags, Settings};
use tokio::sync::mpsc;

const ROUNDS: usize = 20;
/// Rounds until allocators, thread pools and lazy statics have what they keep.
const WARM_UP: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30);
/// For the end of a service, once it is told to stop.
const LIMIT: Duration = Duration::from_secs(1);
/// What the allocator may keep more of after hundreds of rounds; one client of librdkafka holds as much.
const SLACK: u64 = 8 << 20;

#[citizenk::message]
struct Job {
    id: u32,
}

const JOBS: Topic<Job> = Topic::json("jobs");
const DONE: Topic<Job> = Topic::json("done");

#[derive(Clone)]
struct Seen(mpsc::Sender<u32>);

#[citizenk::on_event(startup)]
async fn send(producer: Producer) -> citizenk::Result<()> {
    producer.send(&JOBS, &"k".to_owned(), Job { id: 7 }).await?;
    Ok(())
}

#[citizenk::agent(topics = [JOBS], output = DONE)]
async fn work(job: Event<Job>) -> Job {
    job.value
}

#[citizenk::agent(topics = [DONE], group = none)]
async fn watch(job: Event<Job>, State(seen): State<Seen>) -> citizenk::Result<()> {
    seen.0.send(job.value.id).await?;
    Ok(())
}

/// What the process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    threads: usize,
    files: usize,
    bytes: u64,
}

impl Held {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        Self {
            threads: number("Threads:") as usize,
            files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            bytes: number("VmRSS:") * 1024,
        }
    }

    /// Threads that are told to end end soon, not at once.
    async fn once_down_to(threads: usize, files: usize) -> Self {
        let begun = Instant::now();
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        loop {
            pace.tick().await;
            let now = Self::now();
            if (now.threads <= threads && now.files <= files) || begun.elapsed() > PATIENCE {
                return now;
            }
        }
    }
}

/// A worker that does its work; answers how long its end took. Every other one is not told to stop: what
/// runs it is dropped.
async fn one(round: usize) -> Duration {
    let flags = Flags {
        embedded: true,
        http: Some("127.0.0.1:0".to_owned()),
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &BTreeMap::new(), None).unwrap();
    let (seen, mut jobs) = mpsc::channel(10);
    let app = App::new("leak")
        .state(Seen(seen))
        .register::<send>()
        .register::<work>()
        .register::<watch>();
    let service = app.build_with(settings).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(service.run_until(async move {
        let _ = stopped.await;
    }));
    let job = tokio::time::timeout(PATIENCE, jobs.recv()).await;
    assert_eq!(job.unwrap(), Some(7));
    let begun = Instant::now();
    if round.is_multiple_of(2) {
        stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    } else {
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_come_and_go_leave_nothing_behind() {
    let rounds = match std::env::var("CITIZENK_LEAK_ROUNDS") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => ROUNDS,
    };
    let bare = Held::now();
    let mut longest = Duration::ZERO;
    for round in 0..WARM_UP {
        one(round).await;
    }
    // A thread for all that blocks, and what a service makes once.
    let before = Held::once_down_to(bare.threads + 1, usize::MAX).await;
    println!("bare: {bare:?}, warm: {before:?}");
    for round in 0..rounds {
        longest = longest.max(one(round).await);
    }
    let after = Held::once_down_to(before.threads, before.files).await;
    println!("after {rounds} rounds: {after:?}, the longest end took {longest:?}");
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    assert!(after.files <= before.files, "{before:?} {after:?}");
    assert!(after.bytes <= before.bytes + SLACK, "{before:?} {after:?}");
    assert!(longest <= LIMIT, "{longest:?}");
}
