//! Twenty thousand connections to a service that may open few files: it turns them away and goes on consuming.
//!
//! The limit of open files is a process's, so the service is a child process: this program again, which runs
//! [`the_service_behind_the_flood`].

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use citizenk::prelude::*;
use citizenk::{Flags, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Set for the child.
const FLOODED: &str = "CITIZENK_TEST_FLOODED";
const FILES: usize = 400;
/// What is left of the files beside a quarter for others.
const PLACES: usize = 300;
const CONNECTS: usize = 20_000;
/// Connections at the same time, and how often it is looked meanwhile.
const AT_ONCE: usize = 100;
const LOOKS: usize = 10;
/// Nothing here takes longer, however busy the machine.
const LIMIT: Duration = Duration::from_secs(50);

const PING: Topic<u64> = Topic::json("ping");
const PONG: Topic<u64> = Topic::json("pong");
static CONSUMED: AtomicU64 = AtomicU64::new(0);

#[citizenk::agent(topics = [PING], output = PONG)]
async fn ping(n: Event<u64>) -> u64 {
    CONSUMED.fetch_add(1, Ordering::Relaxed);
    n.value
}

/// What comes is sent on, for ever.
#[citizenk::agent(topics = [PONG], output = PING)]
async fn pong(n: Event<u64>) -> u64 {
    n.value
}

#[citizenk::on_event(startup)]
async fn begin(app: AppInfo, producer: Producer) -> citizenk::Result<()> {
    say(app.base_url().unwrap_or_default());
    for n in 0..4 {
        producer.send(&PING, &n.to_string(), n).await?;
    }
    Ok(())
}

/// A line for the parent, told from those of the test harness.
fn say(text: &str) {
    println!("\n> {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_behind_the_flood() {
    if std::env::var_os(FLOODED).is_none() {
        return;
    }
    let app = App::new("flooded")
        .register::<ping>()
        .register::<pong>()
        .register::<begin>();
    let flags = Flags {
        embedded: true,
        http: Some("127.0.0.1:0".into()),
        // More than there are files.
        http_connections: Some("100000".into()),
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &BTreeMap::new(), None).unwrap();
    let (left, leaving) = tokio::sync::oneshot::channel::<()>();
    // Each line is a question; the parent's end is the last word.
    let answers = std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {
            let files = std::fs::read_dir("/proc/self/fd").map_or(FILES, Iterator::count);
            say(&format!("{} {files}", CONSUMED.load(Ordering::Relaxed)));
        }
        drop(left);
    });
    let service = app.build_with(settings).await.unwrap();
    let stop = async { drop(leaving.await) };
    service.run_until(stop).await.unwrap();
    answers.join().unwrap();
}

struct Flooded {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Flooded {
    fn start() -> Self {
        let mut child = Command::new("sh")
            .args([
                "-c",
                "ulimit -n \"$1\" && exec \"$0\" --exact \"$2\" --nocapture",
            ])
            .arg(std::env::current_exe().unwrap())
            .args([FILES.to_string().as_str(), "the_service_behind_the_flood"])
            .env(FLOODED, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn said(&mut self) -> String {
        let mut said = self.lines.by_ref().map(Result::unwrap);
        let said = said.find_map(|line| line.strip_prefix("> ").map(str::to_owned));
        said.expect("it lives")
    }

    /// How much it has consumed, and how many files it has open.
    fn look(&mut self) -> (u64, usize) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(b"?\n").unwrap();
        let said = self.said();
        let (consumed, files) = said.split_once(' ').unwrap();
        (consumed.parse().unwrap(), files.parse().unwrap())
    }

    /// Waits until it has consumed more.
    fn until_it_consumes(&mut self, than: u64) -> u64 {
        let begun = Instant::now();
        loop {
            let (consumed, files) = self.look();
            assert!(files < FILES, "{files} files: none is left");
            if consumed > than {
                return consumed;
            }
            assert!(begun.elapsed() < LIMIT, "it consumes nothing");
            std::thread::yield_now();
        }
    }
}

impl Drop for Flooded {
    fn drop(&mut self) {
        // It is gone already where the test has come to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What a client gets that asks from an address of its own; nothing, where it is cut off.
async fn ask(from: u8, to: SocketAddr) -> (Option<TcpStream>, String) {
    let socket = TcpSocket::new_v4().unwrap();
    let from = Ipv4Addr::new(127, 0, 1, from);
    socket.bind((from, 0).into()).unwrap();
    // The queue of connections may be full.
    let connected = timeout(LIMIT, socket.connect(to)).await;
    let Ok(mut stream) = connected.expect("it accepts") else {
        return (None, String::new());
    };
    let _ = stream.write_all(LIVE).await;
    let mut head = vec![0; 512];
    let read = timeout(LIMIT, stream.read(&mut head)).await;
    let read = read.expect("it answers").unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    (Some(stream), head)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_connections_leave_the_consumer_its_files() {
    let mut flooded = Flooded::start();
    let url = flooded.said();
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let mut consumed = flooded.until_it_consumes(0);
    // As many as there is room for stay.
    let mut held = Vec::new();
    for place in 0..PLACES {
        let (stream, head) = ask(1, address).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{place}: {head}");
        held.push(stream);
    }
    let (mut refused, mut cut) = (0, 0);
    for look in 0..LOOKS {
        let floods = (0..AT_ONCE).map(|client| async move {
            let mut answers = Vec::new();
            for n in 0..CONNECTS / LOOKS / AT_ONCE {
                let from = u8::try_from((look * 7 + client + n) % 200 + 2).unwrap();
                answers.push(ask(from, address).await.1);
            }
            answers
        });
        for head in futures_util::future::join_all(floods).await.concat() {
            if head.is_empty() {
                cut += 1;
            } else {
                assert!(head.starts_with("HTTP/1.1 503"), "{head}");
                assert!(head.contains("retry-after: 1"), "{head}");
                refused += 1;
            }
        }
        consumed = flooded.until_it_consumes(consumed);
    }
    assert_eq!(refused + cut, CONNECTS);
    // A refusal is written before it has read the request, so a reset may overtake it.
    assert!(refused > 0, "{cut} were cut off");
    drop(held);
    let begun = Instant::now();
    while !ask(1, address).await.1.starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < LIMIT, "no place comes free");
    }
    flooded.until_it_consumes(consumed);
    drop(flooded.child.stdin.take());
    let ended = flooded.child.wait().unwrap();
    assert!(ended.success(), "{ended}");
}
