//! The work of the `consume` and `transform` benchmarks as a RustStream service, written as its documents
//! show: a `#[subscriber]` over `KafkaTopic` with `Commit::Tracked`, mounted on a `KafkaBroker`.
//!
//! In: what to read, from the process that holds the contest. Out: the same report as that of every other
//! contestant, counted, timed and printed by the same code.

#[allow(dead_code, unreachable_pub, reason = "shared with the bench crate")]
#[path = "../../src/allocations.rs"]
mod allocations;
#[allow(dead_code, reason = "shared with the bench crate")]
#[path = "../../src/counts.rs"]
mod counts;
#[allow(dead_code, reason = "shared with the bench crate")]
#[path = "../../src/report.rs"]
mod report;
#[allow(dead_code, reason = "shared with the bench crate")]
#[path = "../../src/usage.rs"]
mod usage;

use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{Parser, ValueEnum};
use futures_util::future::join_all;
use ruststream_rdkafka::prelude::*;
use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::report::Report;

/// The bench crate's reading: the same fields.
#[derive(Debug, Deserialize)]
struct Reading {
    sensor: u32,
    sequence: u64,
    site: String,
    #[allow(dead_code, reason = "decoded as in every contestant")]
    state: String,
    celsius: f64,
    bar: f64,
    taken_at: i64,
    #[allow(dead_code, reason = "decoded as in every contestant")]
    note: String,
}

/// A reply type names its topic; the contest counts what is written there.
#[derive(Debug, Serialize, Outgoing)]
#[outgoing(name = "bench-rival-converted")]
struct Converted {
    sensor: u32,
    sequence: u64,
    site: String,
    fahrenheit: f64,
    pascal: f64,
    alarm: bool,
    taken_at: i64,
}

impl From<&Reading> for Converted {
    fn from(reading: &Reading) -> Self {
        Self {
            sensor: reading.sensor,
            sequence: reading.sequence,
            // A body borrows what it reads.
            site: reading.site.clone(),
            fahrenheit: reading.celsius * 1.8 + 32.0,
            pascal: reading.bar * 100_000.0,
            alarm: reading.celsius > 65.0,
            taken_at: reading.taken_at,
        }
    }
}

/// Ways to write the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Idiom {
    /// `consume`: a body over one record
    CountSingle,
    /// `consume`: a body over a slice
    CountBatch,
    /// `transform`: a body over one record that returns its reply
    ReplySingle,
    /// `transform`: a body over a slice that returns its replies
    ReplyBatch,
    /// `transform`: a body over a slice that publishes all at once and awaits them together
    JoinBatch,
}

#[derive(Debug, Parser)]
struct Plan {
    #[arg(value_enum)]
    idiom: Idiom,
    #[arg(long)]
    servers: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    records: u64,
    /// Of bodies over a slice
    #[arg(long, default_value = "1000")]
    batch: NonZeroUsize,
    #[arg(long, default_value = "1")]
    workers: NonZeroUsize,
    /// KEY=VALUE for the consumer
    #[arg(long)]
    consumer: Vec<String>,
    /// KEY=VALUE for the producer
    #[arg(long)]
    producer: Vec<String>,
    #[arg(long)]
    allocations: bool,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// The command line. A global, because `#[subscriber]` takes an expression without arguments.
fn plan() -> &'static Plan {
    PLAN.get_or_init(Plan::parse)
}

fn pair(setting: &str) -> (&str, &str) {
    setting.split_once('=').unwrap_or((setting, ""))
}

#[derive(Clone, FromRef)]
struct Shared {
    counts: Counts,
}

#[subscriber(
    KafkaTopic::new(plan().topic.as_str())
        .group(plan().group.as_str())
        .start(StartOffset::Earliest)
        .commit(Commit::Tracked)
)]
async fn count_single(reading: &Reading, State(counts): State<Counts>) -> HandlerOutcome {
    black_box(reading);
    counts.count();
    HandlerOutcome::ack()
}

#[subscriber(
    KafkaTopic::new(plan().topic.as_str())
        .group(plan().group.as_str())
        .start(StartOffset::Earliest)
        .commit(Commit::Tracked)
)]
async fn count_batch(readings: &[Reading], State(counts): State<Counts>) -> HandlerOutcome {
    for reading in readings {
        black_box(reading);
        counts.count();
    }
    HandlerOutcome::ack()
}

#[subscriber(
    KafkaTopic::new(plan().topic.as_str())
        .group(plan().group.as_str())
        .start(StartOffset::Earliest)
        .commit(Commit::Tracked),
    reply
)]
async fn reply_single(reading: &Reading, State(counts): State<Counts>) -> Converted {
    counts.count();
    Converted::from(reading)
}

#[subscriber(
    KafkaTopic::new(plan().topic.as_str())
        .group(plan().group.as_str())
        .start(StartOffset::Earliest)
        .commit(Commit::Tracked),
    reply
)]
async fn reply_batch(readings: &[Reading], State(counts): State<Counts>) -> Vec<Converted> {
    let convert = |reading| {
        counts.count();
        Converted::from(reading)
    };
    readings.iter().map(convert).collect()
}

/// The framework awaits one reply of a batch after the other; here all are under way together.
#[subscriber(
    KafkaTopic::new(plan().topic.as_str())
        .group(plan().group.as_str())
        .start(StartOffset::Earliest)
        .commit(Commit::Tracked)
)]
async fn join_batch(
    readings: &[Reading],
    State(counts): State<Counts>,
    Out(out): Out<impl Publisher>,
) -> HandlerOutcome {
    let converted: Vec<Converted> = readings.iter().map(Converted::from).collect();
    let sent = join_all(converted.iter().map(|value| out.message(value).publish())).await;
    if sent.iter().any(Result::is_err) {
        return HandlerOutcome::retry();
    }
    for _ in readings {
        counts.count();
    }
    HandlerOutcome::ack()
}

fn broker() -> KafkaBroker {
    let plan = plan();
    let broker = KafkaBroker::new([plan.servers.as_str()]);
    let broker = plan.consumer.iter().fold(broker, |broker, setting| {
        let (key, value) = pair(setting);
        broker.config(key, value)
    });
    plan.producer.iter().fold(broker, |broker, setting| {
        let (key, value) = pair(setting);
        broker.producer_config(key, value)
    })
}

fn app(counts: Counts) -> impl App {
    let (batch, workers) = (plan().batch, plan().workers);
    RustStream::new(AppInfo::new("bench-rival", "0.1.0"))
        .on_startup(async move |()| Ok::<_, Infallible>(Shared { counts }))
        .with_broker(broker(), |b| match plan().idiom {
            Idiom::CountSingle => {
                b.include(count_single);
            }
            Idiom::CountBatch => {
                b.include(count_batch.batch(batch));
            }
            Idiom::ReplySingle if workers.get() > 1 => {
                b.include(reply_single.workers(workers));
            }
            Idiom::ReplySingle => {
                b.include(reply_single);
            }
            Idiom::ReplyBatch => {
                b.include(reply_batch.batch(batch));
            }
            Idiom::JoinBatch if workers.get() > 1 => {
                b.include(join_batch.batch(batch).workers(workers))
                    .out(DefaultSlot, Publish::default())
                    .build();
            }
            Idiom::JoinBatch => {
                b.include(join_batch.batch(batch))
                    .out(DefaultSlot, Publish::default())
                    .build();
            }
        })
}

fn run() -> Result<(), Box<dyn Error>> {
    let plan = plan();
    let counts = Counts::new(plan.records);
    if plan.allocations {
        allocations::start();
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(app(counts.clone()).run_until(counts.done()))?;
    Report::new(&counts.milestones()?).print()?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
