//! How long a record takes: written, handled, its answer read.
//!
//! In: a rate. A contestant in a process of its own answers each record with one that says when it was
//! handled; this process writes at the rate, whether answers come or not, reads them and keeps the times
//! ([`drive`]). Out: percentiles of both contestants from the same run. All on one machine and one clock.

use std::error::Error;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use citizenk::prelude::*;
use clap::{Args, ValueEnum};

use crate::cluster::{BOOTSTRAP, Cluster};
use crate::contest::ours::run_app;
use crate::counts::Counts;
use crate::report::Report;
use crate::settings::latency_fetch_wait;
use crate::stats::{Spread, percentile, ratio};
use crate::usage::load;
use crate::{child, floor};

mod drive;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const SUBCOMMAND: &str = "echo";
const PARTITIONS: i32 = 4;
/// Until a contestant is a member of its group and has answered once, and for its end.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// On the Kafka of KAFKA_BOOTSTRAP_SERVERS instead of librdkafka's mock broker
    #[arg(long)]
    real: bool,
    /// Records per second
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Records that count, in each turn; a fifth more goes before
    #[arg(long, default_value_t = 10_000)]
    records: u64,
    /// Turns of each contestant
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    /// librdkafka's C interface by hand
    Floor,
    /// An agent with `output`, profile `latency`
    Ours,
    /// The same with the default profile
    Usual,
}

impl Who {
    const ALL: [Self; 3] = [Self::Floor, Self::Ours, Self::Usual];

    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "ours",
            Self::Usual => "usual",
        }
    }
}

/// What a contestant is to do.
#[derive(Debug, Args)]
pub(crate) struct EchoRun {
    #[arg(value_enum)]
    who: Who,
    #[arg(long)]
    pub(crate) servers: String,
    #[arg(long)]
    pub(crate) topic: String,
    #[arg(long)]
    pub(crate) output: String,
    #[arg(long)]
    pub(crate) group: String,
    #[arg(long)]
    records: u64,
    #[arg(long)]
    pub(crate) embedded: bool,
}

/// Times are nanoseconds of the system's clock.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ping {
    sequence: u64,
    written: u64,
    handled: u64,
}

impl Ping {
    fn new(sequence: u64) -> Self {
        Self {
            sequence,
            written: now(),
            handled: 0,
        }
    }

    /// The answer.
    pub(crate) fn handled(self) -> Self {
        Self {
            handled: now(),
            ..self
        }
    }
}

fn now() -> u64 {
    // Only a clock before 1970 has none, and 64 bits last until 2554.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

const PINGS: Topic<Ping, u64> = Topic::json("pings");
const PONGS: Topic<Ping, u64> = Topic::json("pongs");

#[citizenk::agent(topics = [PINGS], output = PONGS)]
async fn answer(ping: Event<Ping>, State(counts): State<Counts>) -> Ping {
    let pong = ping.value.handled();
    counts.count();
    pong
}

/// Answers all records and reports.
pub(crate) fn echo(run: &EchoRun) -> Result<()> {
    let counts = Counts::new(run.records);
    match run.who {
        Who::Floor => floor::echo(run, &counts)?,
        Who::Ours | Who::Usual => {
            let app = App::new(&run.group).state(counts.clone());
            run_app(app.register::<answer>(), &counts)?;
        }
    }
    Report::new(&counts.milestones()?).print()?;
    Ok(())
}

fn command(run: &EchoRun) -> Result<Command> {
    let mut command = child::program(&std::env::current_exe()?, &[]);
    let records = run.records.to_string();
    command.args([SUBCOMMAND, run.who.name()]);
    for (flag, value) in [
        ("--servers", &run.servers),
        ("--topic", &run.topic),
        ("--output", &run.output),
        ("--group", &run.group),
        ("--records", &records),
    ] {
        command.args([flag, value]);
    }
    if run.embedded {
        command.arg("--embedded");
    }
    child::without_surroundings(&mut command);
    command.env(BOOTSTRAP, &run.servers);
    command.env("CITIZENK_HTTP", "127.0.0.1:0");
    let names = format!("pings={},pongs={}", run.topic, run.output);
    command.env("CITIZENK_TOPICS", names);
    if run.who == Who::Ours {
        command.env("CITIZENK_PROFILE", "latency");
        if run.embedded {
            let wait = latency_fetch_wait(true);
            command.env("KAFKA_CONSUMER_FETCH_WAIT_MAX_MS", wait);
        }
    }
    Ok(command)
}

/// A turn's figures in milliseconds.
struct Turn {
    /// Half and 99 of 100 records were handled this long after they were written.
    handled: [f64; 2],
    /// And their answers read.
    answered: [f64; 2],
    /// CPU seconds per million records.
    cpu: f64,
}

impl Turn {
    fn new(times: drive::Times, report: &Report) -> Self {
        let both = |times: Vec<u64>| {
            let times = &mut times.clone();
            times.sort_unstable();
            [50.0, 99.0].map(|percent| percentile(times, percent) as f64 / 1e6)
        };
        Self {
            handled: both(times.handled),
            answered: both(times.answered),
            cpu: report.cpu * 1e6 / report.records as f64,
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut cluster = if options.real {
        Cluster::real()?
    } else {
        Cluster::mock()?
    };
    let mut turns: [Vec<Turn>; 3] = Default::default();
    let mut loads = Vec::new();
    let count = Who::ALL.len();
    for round in 0..options.rounds.max(1) {
        for turn in 0..count {
            // Each round another begins.
            let at = (round + turn) % count;
            let who = Who::ALL[at];
            loads.extend(load());
            let turn = hold(options, &mut cluster, who, round)?;
            eprintln!(
                "round {} {}: handled {:.3} {:.3}, answered {:.3} {:.3} ms (p50, p99); load {:.1}",
                round + 1,
                who.name(),
                turn.handled[0],
                turn.handled[1],
                turn.answered[0],
                turn.answered[1],
                loads.last().copied().unwrap_or(f64::NAN),
            );
            turns[at].push(turn);
        }
    }
    let broker = if options.real {
        "Kafka"
    } else {
        "librdkafka's mock broker"
    };
    print(options, broker, &turns, &loads)
}

/// A contestant's turn, on topics of its own.
fn hold(options: &Options, cluster: &mut Cluster, who: Who, round: usize) -> Result<Turn> {
    let group = format!(
        "bench-latency-{}-{}-{round}",
        std::process::id(),
        who.name()
    );
    let warm = options.records / 5;
    let run = EchoRun {
        who,
        servers: cluster.servers().to_owned(),
        topic: format!("{group}-in"),
        output: format!("{group}-out"),
        group,
        records: 1 + warm + options.records,
        embedded: cluster.is_mock(),
    };
    for topic in [&run.topic, &run.output] {
        cluster.create(topic, PARTITIONS)?;
    }
    let length = Duration::from_secs(run.records / u64::from(options.rate.max(1)));
    let command = command(&run)?;
    let (done, reported) = mpsc::sync_channel(1);
    let child = thread::spawn(move || {
        let report =
            child::report(command, length + 2 * PATIENCE).map_err(|error| error.to_string());
        // Nobody listens any more when the drive failed.
        let _ = done.send(report);
    });
    let plan = drive::Plan {
        run: &run,
        partitions: PARTITIONS,
        rate: options.rate.max(1),
        records: run.records,
        skipped: 1 + warm,
        patience: PATIENCE,
    };
    let times = drive::drive(&plan);
    let report = reported.recv_timeout(length + 3 * PATIENCE);
    // It has sent its report, and ends.
    let _ = child.join();
    let (times, report) = (times?, report??);
    for topic in [&run.topic, &run.output] {
        cluster.delete(topic)?;
    }
    Ok(Turn::new(times, &report))
}

fn print(options: &Options, broker: &str, turns: &[Vec<Turn>; 3], loads: &[f64]) -> Result<()> {
    let of = |who: Who, pick: fn(&Turn) -> f64| {
        let turns = &turns[who as usize];
        Spread::of(turns.iter().map(pick)).ok_or("no round was held")
    };
    println!(
        "latency on {broker}: {} records at {} a second, {} rounds; ms, median (least–most)\n",
        options.records, options.rate, options.rounds
    );
    println!(
        "| contestant | handled p50 | handled p99 | answered p50 | answered p99 | CPU s per million |\n|---|---|---|---|---|---|"
    );
    let picks: [fn(&Turn) -> f64; 5] = [
        |turn| turn.handled[0],
        |turn| turn.handled[1],
        |turn| turn.answered[0],
        |turn| turn.answered[1],
        |turn| turn.cpu,
    ];
    for who in Who::ALL {
        print!("| {} |", who.name());
        for pick in picks {
            let spread = of(who, pick)?;
            print!(
                " {:.3} ({:.3}–{:.3}) |",
                spread.median, spread.least, spread.most
            );
        }
        println!();
    }
    if let Some(load) = Spread::of(loads.iter().copied()) {
        println!(
            "\nload {:.1} ({:.1}–{:.1})",
            load.median, load.least, load.most
        );
    }
    let median = |who, at: usize| Ok::<_, Box<dyn Error>>(of(who, picks[at])?.median);
    println!(
        "bench latency ratio={:.3} p50={:.3} p99={:.3} floor_p50={:.3} floor_p99={:.3} handled_p50={:.3} handled_p99={:.3}",
        ratio(median(Who::Floor, 2)?, median(Who::Ours, 2)?),
        median(Who::Ours, 2)?,
        median(Who::Ours, 3)?,
        median(Who::Floor, 2)?,
        median(Who::Floor, 3)?,
        median(Who::Ours, 0)?,
        median(Who::Ours, 1)?,
    );
    Ok(())
}
