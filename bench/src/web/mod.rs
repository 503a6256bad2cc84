//! The web side under load: slow clients, many clients, stalled clients, routed requests, a flood of requests.
//!
//! In: which rows, and how much of each. Out: a line per row with its goal beside it, and one for scripts. The
//! service, its clients and whoever loads it are processes of their own ([`process`]); this one has the broker,
//! writes at a pace and looks at the service's memory and CPU time from outside.

use std::error::Error;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::bed::Bed;
use crate::stats::Spread;
use crate::usage;

mod bed;
mod clients;
mod fanout;
mod load;
mod process;
mod requests;
mod service;
mod socket;
mod wire;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// For an answer, or for a value that was written. What fails or does not come counts as if it took so long.
const PATIENCE: Duration = Duration::from_secs(30);

const SUBCOMMAND: &str = "web-child";
/// Files that a process opens beside its clients' connections.
const OTHER_FILES: u64 = 512;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// On the Kafka of KAFKA_BOOTSTRAP_SERVERS instead of librdkafka's mock broker
    #[arg(long)]
    real: bool,
    /// Only these; repeatable or with commas
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a measurement lasts
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections that send their heads byte by byte
    #[arg(long, default_value_t = 1000)]
    slow: u32,
    /// Websocket clients that get ten values a second, and none before
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// Websocket clients that get a hundred values a second
    #[arg(long, default_value_t = 1000)]
    few_clients: usize,
    /// Websocket clients beside a stalled one
    #[arg(long, default_value_t = 100)]
    neighbours: usize,
    /// Requests of each kind, direct and routed
    #[arg(long, default_value_t = 3000)]
    requests: u64,
    /// Connections of the flood
    #[arg(long, default_value_t = 64)]
    flood: usize,
    /// That the consumer reads beside the flood
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Row {
    /// Connections that send their heads byte by byte, beside healthy ones
    Slowloris,
    /// Many websocket clients, idle at first, then ten values a second
    Many,
    /// Fewer websocket clients, a hundred values a second
    Few,
    /// The same with one that takes nothing
    Stalled,
    /// A request that another worker answers
    Route,
    /// A consumer beside as many requests as come
    Flood,
}

impl Row {
    const ALL: [Self; 6] = [
        Self::Slowloris,
        Self::Many,
        Self::Few,
        Self::Stalled,
        Self::Route,
        Self::Flood,
    ];
}

/// One process of a measurement; for this program's own use.
#[derive(Debug, Args)]
pub(crate) struct Child {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    Service(service::ServiceRun),
    Clients(clients::ClientsRun),
    Probe(load::ProbeRun),
    Compare(load::CompareRun),
    Flood(load::FloodRun),
    Slow(load::SlowRun),
    Null(load::NullRun),
}

pub(crate) fn child(child: &Child) -> Result<()> {
    match &child.part {
        Part::Service(run) => service::run(run),
        Part::Clients(run) => clients::run(run),
        Part::Probe(run) => load::probe(run),
        Part::Compare(run) => load::compare(run),
        Part::Flood(run) => load::flood(run),
        Part::Slow(run) => load::slow(run),
        Part::Null(run) => load::null(run),
    }
}

impl Options {
    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows: &[Row] = if options.rows.is_empty() {
        &Row::ALL
    } else {
        &options.rows
    };
    let broker = if options.real {
        "Kafka"
    } else {
        "librdkafka's mock broker"
    };
    println!(
        "web on {broker}: {} rounds of {} s; median (least–most)\n",
        options.rounds, options.seconds
    );
    let mut bed = Bed::new(options.real)?;
    let mut table = Table::begin();
    for row in rows {
        match row {
            Row::Slowloris => requests::slowloris(options, &mut bed, &mut table)?,
            Row::Many => fanout::many(options, &mut bed, &mut table)?,
            Row::Few => fanout::few(options, &mut bed, &mut table)?,
            Row::Stalled => fanout::stalled(options, &mut bed, &mut table)?,
            Row::Route => requests::route(options, &mut bed, &mut table)?,
            Row::Flood => requests::flood(options, &mut bed, &mut table)?,
        }
    }
    println!("\n{}", table.last_line);
    Ok(())
}

/// Lines that are printed as they are measured: all of them take minutes.
struct Table {
    last_line: String,
    /// Since the last line.
    loads: Vec<f64>,
}

/// What a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    AtMost(f64, &'static str),
    AtLeast(f64, &'static str),
    /// It is reported, and that is all.
    Reported,
}

impl Goal {
    fn text(self, median: f64) -> String {
        let (sign, goal, unit, reached) = match self {
            Self::AtMost(goal, unit) => ("≤", goal, unit, median <= goal),
            Self::AtLeast(goal, unit) => ("≥", goal, unit, median >= goal),
            Self::Reported => return "–".to_owned(),
        };
        let reached = if reached { "reached" } else { "not reached" };
        format!("{sign} {goal}{unit}: {reached}")
    }
}

impl Table {
    fn begin() -> Self {
        println!("| | measured | goal | load |\n|---|---|---|---|");
        Self {
            last_line: "bench web".to_owned(),
            loads: Vec::new(),
        }
    }

    /// At the begin of each round.
    fn note_load(&mut self) {
        self.loads.extend(usage::load());
    }

    /// `what` with its unit, and how scripts call it; `beside` is what else there is to say.
    fn line(
        &mut self,
        what: &str,
        name: &str,
        goal: Goal,
        values: &[f64],
        beside: &str,
    ) -> Result<()> {
        let spread = Spread::of(values.iter().copied()).ok_or("no round was held")?;
        let load = Spread::of(self.loads.iter().copied()).map_or(f64::NAN, |load| load.median);
        println!(
            "| {what} | {} ({}–{}){beside} | {} | {load:.1} |",
            shown(spread.median),
            shown(spread.least),
            shown(spread.most),
            goal.text(spread.median),
        );
        self.last_line += &format!(" {name}={:.3}", spread.median);
        Ok(())
    }

    fn next_row(&mut self) {
        self.loads.clear();
    }
}

/// With as many digits as mean anything.
fn shown(value: f64) -> String {
    let digits = if value.abs() < 100.0 { 2 } else { 0 };
    format!("{value:.digits$}")
}

/// The median of some figures, for what stands beside another.
fn median(values: &[f64]) -> f64 {
    Spread::of(values.iter().copied()).map_or(f64::NAN, |spread| spread.median)
}

/// How many of so many clients the limit of open files allows, which is raised as far as it may be: a
/// connection is a file of the service, and one of the clients.
fn allowed(clients: usize) -> Result<usize> {
    let wanted = clients as u64 + OTHER_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < wanted {
        // For this process, and those that it starts.
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)?;
    }
    let fewer = usize::try_from(hard.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    if fewer < clients {
        eprintln!(
            "a process may open {hard} files at most: {fewer} clients instead of {clients}; for more raise the \
             hard limit: `ulimit -Hn {wanted}` as root, `LimitNOFILE={wanted}` of a systemd unit, `--ulimit \
             nofile={wanted}` of a container"
        );
    }
    Ok(clients.min(fewer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_says_whether_it_was_reached() {
        assert_eq!(Goal::AtMost(2.0, " ×").text(2.0), "≤ 2 ×: reached");
        assert_eq!(Goal::AtMost(2.0, " ×").text(2.1), "≤ 2 ×: not reached");
        assert_eq!(Goal::AtLeast(0.8, "").text(0.79), "≥ 0.8: not reached");
        assert_eq!(Goal::AtLeast(0.8, "").text(0.8), "≥ 0.8: reached");
        assert_eq!(Goal::Reported.text(1.0), "–");
    }

    #[test]
    fn no_more_clients_than_there_may_be_files() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(allowed(1).unwrap(), 1);
        let room = usize::try_from(hard.saturating_sub(OTHER_FILES)).unwrap();
        assert_eq!(allowed(usize::MAX / 2).unwrap(), room.min(usize::MAX / 2));
    }
}
