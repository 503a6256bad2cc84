//! A whole service on the embedded broker: the real client, the real server, real threads.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use citizenk::prelude::*;
use citizenk::{Flags, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

const PATIENCE: Duration = Duration::from_secs(30);

#[citizenk::message]
struct Job {
    id: u32,
}

const JOBS: Topic<Job> = Topic::json("jobs");

/// Holds threads, not tasks.
#[derive(Clone, Default)]
struct Hold(Arc<(Mutex<bool>, Condvar)>);

impl Hold {
    fn wait(&self) {
        let (released, changed) = &*self.0;
        let guard = changed
            .wait_while(released.lock().unwrap(), |released| !*released)
            .unwrap();
        drop(guard);
    }

    fn release(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

#[derive(Clone)]
struct Seen(mpsc::Sender<u32>);

#[citizenk::agent(topics = [JOBS])]
async fn hold(
    job: Event<Job>,
    State(hold): State<Hold>,
    State(seen): State<Seen>,
) -> citizenk::Result<()> {
    seen.0.send(job.value.id).await?;
    hold.wait();
    Ok(())
}

async fn http(port: u16, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Asks until the answer is as wanted.
async fn until(port: u16, request: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            continue;
        }
        let answer = http(port, request, "").await;
        if wanted(&answer) {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_stops_neither_polling_nor_health_nor_tasks() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let flags = Flags {
        embedded: true,
        http: Some(format!("127.0.0.1:{port}")),
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &BTreeMap::new(), None).unwrap();
    let (seen, mut jobs) = mpsc::channel(10);
    let held = Hold::default();
    let app = App::new("held")
        .state(held.clone())
        .state(Seen(seen))
        .register::<hold>();
    let stop = Arc::new(Notify::new());
    let stopped = stop.clone();
    let service = tokio::spawn(async move {
        app.build_with(settings)
            .await?
            .run_until(async move { stopped.notified().await })
            .await
    });
    let scene = async {
        until(port, "GET /health/ready", |answer| {
            answer.starts_with("HTTP/1.1 200")
        })
        .await;
        let sent = http(port, "POST /topics/jobs?partition=0", r#"{"id":1}"#).await;
        assert!(sent.starts_with("HTTP/1.1 200"), "{sent}");
        assert_eq!(jobs.recv().await, Some(1));
        // The lane's thread is held from here on.
        assert!(
            http(port, "GET /health/live", "")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(
            http(port, "GET /health/ready", "")
                .await
                .starts_with("HTTP/1.1 200")
        );
        http(port, "POST /topics/jobs?partition=0", r#"{"id":2}"#).await;
        // The polling thread takes the second record and cannot hand it on.
        until(port, "GET /stats", |answer| {
            answer.contains(r#""queued":1"#)
        })
        .await;
        held.release();
        assert_eq!(jobs.recv().await, Some(2));
        stop.notify_one();
        service.await.unwrap().unwrap();
    };
    tokio::time::timeout(PATIENCE, scene).await.unwrap();
}

/// How many of the records sent at the start have arrived.
#[derive(Clone)]
struct Arrived(mpsc::Sender<bool>);

const SENT: usize = 200;

#[citizenk::on_event(startup)]
async fn send_and_wait_for_ever(
    State(arrived): State<Arrived>,
    State(sending): State<Arc<Notify>>,
    producer: Producer,
) {
    for id in 0..SENT {
        let sent = producer.send(&JOBS, &id.to_string(), Job { id: id as u32 });
        let arrived = arrived.0.clone();
        tokio::spawn(async move { arrived.send(sent.await.is_ok()).await });
    }
    sending.notify_one();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_during_the_start_still_delivers_what_hooks_have_sent() {
    let flags = Flags {
        embedded: true,
        http: Some("127.0.0.1:0".to_owned()),
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &BTreeMap::new(), None).unwrap();
    let (arrived, mut answers) = mpsc::channel(SENT);
    let sending = Arc::new(Notify::new());
    let app = App::new("stopped-at-start")
        .state(Arrived(arrived))
        .state(sending.clone())
        .topic(&JOBS)
        .register::<send_and_wait_for_ever>();
    let service = app.build_with(settings).await.unwrap();
    let stopped = service.run_until(async move { sending.notified().await });
    tokio::time::timeout(PATIENCE, stopped)
        .await
        .unwrap()
        .unwrap();
    for _ in 0..SENT {
        let answer = tokio::time::timeout(PATIENCE, answers.recv()).await;
        assert_eq!(answer.unwrap(), Some(true), "lost at the end");
    }
}
