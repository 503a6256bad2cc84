//! Side-by-side benchmarks: citizenk beside a floor written by hand on librdkafka and beside what a
//! program on rdkafka's own clients looks like. `cargo xtask bench NAME` calls this program.
//!
//! `rival` does the same beside the nearest other library, a program of its own (bench/rival).
//!
//! Every contestant runs in a process of its own (`child`), in turns, and reports its CPU time, wall
//! time and memory; the table and its last line are made from the medians. See docs/benchmarks.md.

mod agents;
mod allocations;
mod child;
mod cluster;
mod codecs;
mod concurrency;
mod contest;
mod cost;
mod counts;
mod floor;
mod latency;
mod reading;
mod replicate;
mod report;
mod rival;
mod rounds;
mod settings;
mod stats;
mod table;
mod usage;
mod web;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::contest::{Contestant, Run, Work};
use crate::rounds::Contest;
use crate::table::Table;

#[derive(Parser)]
#[command(name = "citizenk-bench", about = "citizenk beside the floor")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Read JSON records into a counter
    Consume(Options),
    /// Write JSON records
    Produce(Options),
    /// Read JSON records, write others
    Transform(Options),
    /// Copy records from topic to topic, byte for byte
    Copy(Options),
    /// The Replicator beside a copy by hand; `cargo xtask bench replicate` builds it
    Replicate(replicate::Options),
    /// How long a record takes to a handler, and its answer back, at a modest rate
    Latency(latency::Options),
    /// Handlers that wait, many at once, beside the time they would take with no runtime at all
    Concurrency(concurrency::Options),
    /// Agents that start and stop while a service runs, and what a thousand cost that have nothing to do
    Agents(agents::Options),
    /// The web side under load: slow, many and stalled clients, routed requests, a flood beside a consumer
    Web(web::Options),
    /// A RustStream service beside ours; `cargo xtask bench rival` builds it
    Rival(rival::Options),
    /// What citizenk itself adds to a record: instructions, allocations
    Cost(cost::Options),
    /// Formats: our framing and caching beside the bare codec crates
    Codecs(codecs::Options),
    /// One contestant; for this program's own use
    #[command(hide = true)]
    Child(Run),
    #[command(hide = true)]
    Echo(latency::EchoRun),
    #[command(hide = true)]
    Idle(agents::IdleRun),
    #[command(hide = true)]
    Wait(concurrency::WaitRun),
    #[command(hide = true)]
    WebChild(web::Child),
}

#[derive(Args)]
struct Options {
    /// On the Kafka of KAFKA_BOOTSTRAP_SERVERS instead of librdkafka's mock broker
    #[arg(long)]
    real: bool,
    /// [default: 1000000 on a Kafka, 400000 on the mock]
    #[arg(long)]
    records: Option<u64>,
    /// Turns of each contestant
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// About how long a record is
    #[arg(long, default_value_t = 180)]
    bytes: usize,
    /// [default: 4 on a Kafka, as many as the mock needs to keep all records]
    #[arg(long)]
    partitions: Option<i32>,
    /// Only this one beside the floor; repeatable
    #[arg(long, value_enum)]
    only: Vec<Contestant>,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse().bench) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(bench: Bench) -> Result<(), Box<dyn Error>> {
    match bench {
        Bench::Consume(options) => hold(Work::Consume, options),
        Bench::Produce(options) => hold(Work::Produce, options),
        Bench::Transform(options) => hold(Work::Transform, options),
        Bench::Copy(options) => hold(Work::Copy, options),
        Bench::Replicate(options) => replicate::run(&options),
        Bench::Rival(options) => rival::run(&options),
        Bench::Cost(options) => cost::run(&options),
        Bench::Codecs(options) => codecs::run(&options),
        Bench::Latency(options) => latency::run(&options),
        Bench::Concurrency(options) => concurrency::run(&options),
        Bench::Child(run) => contest::run(&run),
        Bench::Echo(run) => latency::echo(&run),
        Bench::Agents(options) => agents::run(&options),
        Bench::Idle(run) => agents::idle(&run),
        Bench::Wait(run) => concurrency::wait(&run),
        Bench::Web(options) => web::run(&options),
        Bench::WebChild(child) => web::child(&child),
    }
}

fn hold(work: Work, options: Options) -> Result<(), Box<dyn Error>> {
    let Options {
        real,
        records,
        rounds,
        bytes,
        partitions,
        only,
        json,
    } = options;
    let table = Contest {
        work,
        real,
        records,
        rounds,
        bytes,
        partitions,
        only,
    }
    .hold()?;
    if let Some(file) = json {
        write_json(&table, &file)?;
    }
    println!("{}", table.markdown());
    println!("{}", table.last_line());
    Ok(())
}

fn write_json(table: &Table, file: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::write(file, serde_json::to_string_pretty(table)?)?;
    Ok(())
}
