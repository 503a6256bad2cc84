//! Clients of HTTP: at a pace, as fast as they can, or as slowly as they may.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{interval, sleep, sleep_until, timeout};

use super::socket::{Connection, End, on_one_thread, receive, send, serve_nothing};
use super::{PATIENCE, Result, wire};
use crate::stats::percentile_of;

/// Answers after which a flood has begun.
const BEGUN: u64 = 1000;
/// Between two bytes of a slow head.
const CRAWL: Duration = Duration::from_secs(1);

/// Requests at a pace, on connections that stay.
#[derive(Debug, Args)]
pub(crate) struct ProbeRun {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    path: String,
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Requests a second, of all of them
    #[arg(long, default_value_t = 400)]
    rate: u32,
    #[arg(long)]
    seconds: u64,
}

/// Times in microseconds; a request that fails has taken as long as anybody waits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) most: u64,
}

impl Times {
    fn of(mut times: Vec<u64>, failed: u64) -> Self {
        times.sort_unstable();
        let (answered, never) = (times.len() as u64, length(PATIENCE));
        let percentile = |percent| percentile_of(&times, answered + failed, percent, never);
        Self {
            answered,
            failed,
            p50: percentile(50.0),
            p99: percentile(99.0),
            most: percentile(100.0),
        }
    }
}

fn length(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn micros(since: Instant) -> u64 {
    length(since.elapsed())
}

/// One request that must be answered with 200.
async fn asked(connection: &mut Connection, request: &[u8]) -> Result<()> {
    match timeout(PATIENCE, connection.ask(request)).await?? {
        200 => Ok(()),
        status => Err(format!("{status} instead of an answer").into()),
    }
}

impl ProbeRun {
    /// One connection's requests, from `begin` on.
    async fn ask_from(
        &self,
        begin: Instant,
        pace: Duration,
        times: &RefCell<Vec<u64>>,
        failed: &Cell<u64>,
    ) {
        let request = wire::get(&self.path);
        let mut connection = None;
        let (mut due, end) = (begin, begin + Duration::from_secs(self.seconds));
        while due < end {
            // Late because the last answer was late: that is part of this one's time.
            let start = if Instant::now() < due {
                sleep_until(due.into()).await;
                Instant::now()
            } else {
                due
            };
            let answered = async {
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => Connection::open(self.port).await?,
                };
                asked(&mut open, &request).await?;
                Ok::<_, Box<dyn Error>>(open)
            };
            match answered.await {
                Ok(open) => {
                    times.borrow_mut().push(micros(start));
                    connection = Some(open);
                }
                // The next one goes on a connection of its own.
                Err(_) => failed.set(failed.get() + 1),
            }
            due += pace;
        }
    }
}

pub(super) fn probe(run: &ProbeRun) -> Result<()> {
    let connections = run.connections.max(1);
    let pace = Duration::from_secs(1) * connections / run.rate.max(1);
    let times = on_one_thread(async {
        let (times, failed) = (RefCell::default(), Cell::default());
        let begin = Instant::now();
        let clients = (0..connections).map(|number| {
            let begin = begin + pace * number / connections;
            run.ask_from(begin, pace, &times, &failed)
        });
        join_all(clients).await;
        Ok(Times::of(times.into_inner(), failed.get()))
    })?;
    println!("{}", serde_json::to_string(&times)?);
    Ok(())
}

/// The same request to two ports in turns, on one connection each.
#[derive(Debug, Args)]
pub(crate) struct CompareRun {
    #[arg(long)]
    first: u16,
    #[arg(long)]
    second: u16,
    #[arg(long)]
    path: String,
    #[arg(long)]
    requests: u64,
}

pub(super) fn compare(run: &CompareRun) -> Result<()> {
    let request = wire::get(&run.path);
    let times = on_one_thread(async {
        let mut connections = [
            Connection::open(run.first).await?,
            Connection::open(run.second).await?,
        ];
        let mut times = [Vec::new(), Vec::new()];
        // The first tenth goes before.
        let skipped = run.requests / 10;
        for number in 0..run.requests + skipped {
            for (connection, times) in connections.iter_mut().zip(&mut times) {
                let start = Instant::now();
                asked(connection, &request).await?;
                if number >= skipped {
                    times.push(micros(start));
                }
            }
        }
        Ok(times.map(|times| Times::of(times, 0)))
    })?;
    println!("{}", serde_json::to_string(&times)?);
    Ok(())
}

/// Requests without a pause until told to end, each connection waiting for its answer.
#[derive(Debug, Args)]
pub(crate) struct FloodRun {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    path: String,
    #[arg(long)]
    connections: usize,
}

/// What it prints when it has begun, and in the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Flooded {
    pub(super) answered: u64,
    /// Seconds since its first request.
    pub(super) wall: f64,
}

impl FloodRun {
    async fn ask_on(&self, answered: &Cell<u64>, begun: &Notify) -> Result<()> {
        let request = wire::get(&self.path);
        let mut connection = Connection::open(self.port).await?;
        loop {
            asked(&mut connection, &request).await?;
            answered.set(answered.get() + 1);
            if answered.get() == BEGUN {
                begun.notify_one();
            }
        }
    }
}

pub(super) fn flood(run: &FloodRun) -> Result<()> {
    on_one_thread(async {
        let (mut end, begin) = (End::watch(), Instant::now());
        let (answered, begun) = (Cell::default(), Notify::new());
        let clients = (0..run.connections).map(|_| run.ask_on(&answered, &begun));
        let clients = try_join_all(clients);
        let say = || -> Result<()> {
            let flooded = Flooded {
                answered: answered.get(),
                wall: begin.elapsed().as_secs_f64(),
            };
            println!("{}", serde_json::to_string(&flooded)?);
            Ok(())
        };
        let course = async {
            tokio::select! {
                () = begun.notified() => say()?,
                () = end.wait() => {}
            }
            end.wait().await;
            say()
        };
        tokio::select! {
            failed = clients => failed.map(drop),
            result = course => result,
        }
    })
}

/// Connections that send a head byte by byte, and come again when they are cut off.
#[derive(Debug, Args)]
pub(crate) struct SlowRun {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    connections: u32,
}

/// What it prints when all are open, and in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Crawled {
    pub(super) opened: u64,
    /// Closed by the service.
    pub(super) cut: u64,
    /// Open now; in the end the fewest there were at a look each second.
    pub(super) open: u64,
}

pub(super) fn slow(run: &SlowRun) -> Result<()> {
    on_one_thread(async {
        let mut end = End::watch();
        let crawled = Rc::new(Cell::new(Crawled::default()));
        for number in 0..run.connections {
            let (port, crawled) = (run.port, crawled.clone());
            let wait = CRAWL * number / run.connections.max(1);
            tokio::task::spawn_local(async move {
                sleep(wait).await;
                loop {
                    // Cut off, which is what it is there for; what the service says then is of no interest.
                    let _ = crawl(port, &crawled).await;
                    // Not at once, should nobody accept it.
                    sleep(CRAWL / 100).await;
                }
            });
        }
        let mut looks = interval(CRAWL);
        let mut least = None;
        loop {
            tokio::select! {
                () = end.wait() => break,
                _ = looks.tick() => {}
            }
            let now = crawled.get();
            if let Some(least) = &mut least {
                *least = now.open.min(*least);
            } else if now.opened >= u64::from(run.connections) {
                println!("{}", serde_json::to_string(&now)?);
                least = Some(now.open);
            }
        }
        let last = Crawled {
            open: least.unwrap_or(0),
            ..crawled.get()
        };
        println!("{}", serde_json::to_string(&last)?);
        Ok(())
    })
}

async fn crawl(port: u16, crawled: &Cell<Crawled>) -> Result<()> {
    let change = |change: fn(&mut Crawled)| {
        let mut now = crawled.get();
        change(&mut now);
        crawled.set(now);
    };
    let mut connection = Connection::open(port).await?;
    change(|crawled| {
        crawled.opened += 1;
        crawled.open += 1;
    });
    let sending = async {
        send(
            &connection.stream,
            b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        )
        .await?;
        let mut bytes = interval(CRAWL);
        let stream = &mut connection.stream;
        loop {
            tokio::select! {
                _ = bytes.tick() => send(stream, b"x").await?,
                read = receive(stream, |_| ()) => read?,
            }
        }
    };
    let ended: std::io::Result<()> = sending.await;
    change(|crawled| {
        crawled.cut += 1;
        crawled.open -= 1;
    });
    Ok(ended?)
}

/// A server that does nothing.
#[derive(Debug, Args)]
pub(crate) struct NullRun {
    #[arg(long)]
    port: u16,
}

pub(super) fn null(run: &NullRun) -> Result<()> {
    on_one_thread(async {
        let mut end = End::watch();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, run.port)).await?;
        println!("true");
        tokio::select! {
            served = serve_nothing(listener) => Ok(served?),
            () = end.wait() => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_percentiles_of_all_that_was_asked() {
        let times = Times::of((1..=200).rev().collect(), 1);
        let expected = Times {
            answered: 200,
            failed: 1,
            p50: 101,
            p99: 199,
            most: 30_000_000,
        };
        assert_eq!(times, expected);
        assert_eq!(Times::of((1..=200).collect(), 3).p99, 30_000_000);
    }

    #[test]
    fn requests_that_nobody_answers_have_failed() {
        let run = ProbeRun {
            port: super::super::process::free_port().unwrap(),
            path: "/any".to_owned(),
            connections: 1,
            rate: 1000,
            seconds: 1,
        };
        let (times, failed) = (RefCell::default(), Cell::default());
        let begin = Instant::now() - Duration::from_millis(990);
        on_one_thread(async {
            run.ask_from(begin, Duration::from_millis(1), &times, &failed)
                .await;
            Ok(())
        })
        .unwrap();
        assert_eq!((times.into_inner().len(), failed.get()), (0, 1000));
    }
}
