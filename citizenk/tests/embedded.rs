//! A whole service on the embedded broker: the real client, the real server, real threads.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use citizenk::prelude::*;
use citizenk::{Flags, RunError, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

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

/// A service on a port of its own, until `stop` is told.
struct Running {
    port: u16,
    stop: Arc<Notify>,
    service: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn start(app: App) -> Self {
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
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let service = tokio::spawn(async move {
            app.build_with(settings)
                .await?
                .run_until(async move { stopped.notified().await })
                .await
        });
        until(port, "GET /health/ready", |answer| {
            answer.starts_with("HTTP/1.1 200")
        })
        .await;
        Self {
            port,
            stop,
            service,
        }
    }

    async fn send_job(&self, id: u32) {
        let body = format!("{{\"id\":{id}}}");
        let sent = http(self.port, "POST /topics/jobs?partition=0", &body).await;
        assert!(sent.starts_with("HTTP/1.1 200"), "{sent}");
    }

    async fn stop(self) {
        self.stop.notify_one();
        self.service.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_stops_neither_polling_nor_health_nor_tasks() {
    let (seen, mut jobs) = mpsc::channel(10);
    let held = Hold::default();
    let app = App::new("held")
        .state(held.clone())
        .state(Seen(seen))
        .register::<hold>();
    let scene = async {
        let running = Running::start(app).await;
        let port = running.port;
        running.send_job(1).await;
        assert_eq!(jobs.recv().await, Some(1));
        // The lane's thread is held from here on.
        for health in ["GET /health/live", "GET /health/ready"] {
            let answer = http(port, health, "").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        running.send_job(2).await;
        // The polling thread takes the second record and cannot hand it on.
        until(port, "GET /stats", |answer| {
            answer.contains(r#""queued":1"#)
        })
        .await;
        held.release();
        assert_eq!(jobs.recv().await, Some(2));
        running.stop().await;
    };
    tokio::time::timeout(PATIENCE, scene).await.unwrap();
}

type Question = (String, oneshot::Sender<String>);

/// A pool as drivers make them: callers ask a task, which owns the connection.
#[derive(Clone)]
struct Pool {
    server: SocketAddr,
    questions: Arc<OnceLock<mpsc::Sender<Question>>>,
}

impl Pool {
    /// The pool of a server that answers what it was asked.
    async fn of_echoes() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        Self {
            server,
            questions: Arc::default(),
        }
    }

    /// Connects at the first use, on the thread of whoever asks first.
    async fn ask(&self, question: &str) -> citizenk::Result<String> {
        if self.questions.get().is_none() {
            let mut stream = TcpStream::connect(self.server).await?;
            let (send, mut questions) = mpsc::channel::<Question>(10);
            tokio::spawn(async move {
                while let Some((question, answer)) = questions.recv().await {
                    stream.write_all(question.as_bytes()).await.unwrap();
                    let mut echo = vec![0; question.len()];
                    stream.read_exact(&mut echo).await.unwrap();
                    // The asker may have gone.
                    let _ = answer.send(String::from_utf8(echo).unwrap());
                }
            });
            assert!(self.questions.set(send).is_ok(), "one asks first");
        }
        let (answer, echo) = oneshot::channel();
        let questions = self.questions.get().unwrap();
        questions.send((question.to_owned(), answer)).await?;
        Ok(echo.await?)
    }
}

#[citizenk::agent(topics = [JOBS])]
async fn ask_and_hold(
    job: Event<Job>,
    State(pool): State<Pool>,
    State(hold): State<Hold>,
    State(seen): State<Seen>,
) -> citizenk::Result<()> {
    pool.ask("first").await?;
    seen.0.send(job.value.id).await?;
    hold.wait();
    Ok(())
}

#[citizenk::route(get = "/ask")]
async fn ask(State(pool): State<Pool>) -> Result<Json<String>, Problem> {
    Ok(Json(pool.ask("through the web").await?))
}

#[citizenk::repeat_every("10ms")]
async fn ask_again(State(pool): State<Pool>, State(ticks): State<Ticks>) -> citizenk::Result<()> {
    // Before the agent has connected there is nothing to show.
    if pool.questions.get().is_some() {
        pool.ask("by the clock").await?;
        // Nobody may be listening any more.
        let _ = ticks.0.try_send(());
    }
    Ok(())
}

#[derive(Clone)]
struct Ticks(mpsc::Sender<()>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_goes_on_while_the_thread_that_connected_it_is_blocked() {
    let (seen, mut jobs) = mpsc::channel(10);
    let (tick, mut ticks) = mpsc::channel(10);
    let held = Hold::default();
    let app = App::new("pool")
        .state(Pool::of_echoes().await)
        .state(held.clone())
        .state(Seen(seen))
        .state(Ticks(tick))
        .register::<ask_and_hold>()
        .register::<ask>()
        .register::<ask_again>();
    let scene = async {
        let running = Running::start(app).await;
        running.send_job(1).await;
        assert_eq!(jobs.recv().await, Some(1));
        // The lane's thread is held, and the connection was made on it.
        let answer = http(running.port, "GET /ask", "").await;
        assert!(answer.ends_with("\"through the web\""), "{answer}");
        while ticks.try_recv().is_ok() {}
        ticks.recv().await.unwrap();
        held.release();
        running.stop().await;
    };
    tokio::time::timeout(PATIENCE, scene).await.unwrap();
}

#[citizenk::agent(topics = [JOBS], blocking = true)]
async fn hold_apart(
    job: Event<Job>,
    State(pool): State<Pool>,
    State(hold): State<Hold>,
    State(seen): State<Seen>,
) -> citizenk::Result<()> {
    pool.ask("first").await?;
    seen.0.send(job.value.id).await?;
    hold.wait();
    Ok(())
}

#[citizenk::agent(topics = [JOBS], group = "pool-others")]
async fn ask_beside(
    job: Event<Job>,
    State(pool): State<Pool>,
    State(ticks): State<Ticks>,
) -> citizenk::Result<()> {
    if job.value.id > 1 {
        assert_eq!(pool.ask("beside").await?, "beside");
        ticks.0.send(()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_uses_a_pool_while_another_one_that_said_so_blocks() {
    let (seen, mut jobs) = mpsc::channel(10);
    let (answered, mut answers) = mpsc::channel(10);
    let held = Hold::default();
    let app = App::new("pool")
        .state(Pool::of_echoes().await)
        .state(held.clone())
        .state(Seen(seen))
        .state(Ticks(answered))
        .register::<hold_apart>()
        .register::<ask_beside>();
    let scene = async {
        let running = Running::start(app).await;
        running.send_job(1).await;
        assert_eq!(jobs.recv().await, Some(1));
        running.send_job(2).await;
        running.send_job(3).await;
        answers.recv().await.unwrap();
        answers.recv().await.unwrap();
        held.release();
        running.stop().await;
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

const LATER: Topic<Job> = Topic::json("later");

#[citizenk::agent(topics = [JOBS])]
async fn first(job: Event<Job>, State(seen): State<Seen>) -> citizenk::Result<()> {
    Ok(seen.0.send(job.value.id).await?)
}

/// Starts an agent of the same group for another topic, which has a record.
#[citizenk::route(post = "/start")]
async fn start_later(
    agents: citizenk::Agents,
    State(seen): State<Seen>,
    producer: Producer,
) -> Result<(), Problem> {
    let later = citizenk::Agent::builder::<Event<Job>>("later")
        .topics(&LATER, ["later"])
        .start_earliest()
        .handle(move |job: Event<Job>, _| {
            let seen = seen.clone();
            async move { Ok::<(), AgentError>(seen.0.send(job.value.id).await?) }
        });
    let failed = |error: String| Problem::internal(error);
    let sent = producer.send(&LATER, &"k".to_owned(), Job { id: 2 }).await;
    sent.map_err(|error| failed(error.to_string()))?;
    let started = agents.start(later).await;
    started.map_err(|error| failed(error.to_string()))?;
    Ok(())
}

/// The embedded broker deals partitions a second before a session is over, however soon all have joined.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_reads_one_more_topic_has_it_within_seconds() {
    let (seen, mut jobs) = mpsc::channel(10);
    let app = App::new("grows")
        .state(Seen(seen))
        .topic(&LATER)
        .register::<first>()
        .register::<start_later>();
    let scene = async {
        let running = Running::start(app).await;
        running.send_job(1).await;
        assert_eq!(jobs.recv().await, Some(1));
        let answer = http(running.port, "POST /start", "{}").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(jobs.recv().await, Some(2));
        running.stop().await;
    };
    tokio::time::timeout(PATIENCE, scene).await.unwrap();
}
