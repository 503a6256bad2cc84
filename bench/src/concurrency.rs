//! Handlers that wait, many at once.
//!
//! In: how long a handler waits, and how many keys there are. Out: what the runtime makes of it beside the
//! ideal: all the time that the handlers took in this very run, shared by as many as may run at once. An
//! ideal runtime starts a call the moment another ends; what is missing to it is waiting for records, keys
//! and lanes.

use std::error::Error;
use std::fmt::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use citizenk::prelude::*;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cluster::{BOOTSTRAP, Cluster};
use crate::contest::ours::run_app;
use crate::counts::Counts;
use crate::stats::{Spread, ratio};
use crate::usage::load;
use crate::{child, floor, settings};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const SUBCOMMAND: &str = "wait";
/// Of the agent, in one lane: there is one partition.
const CONCURRENCY: u64 = 64;
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// On the Kafka of KAFKA_BOOTSTRAP_SERVERS instead of librdkafka's mock broker
    #[arg(long)]
    real: bool,
    /// How long a handler waits, in ms; repeatable or with commas
    #[arg(long, value_delimiter = ',', default_value = "1,10")]
    wait: Vec<u64>,
    /// How many keys there are; repeatable or with commas
    #[arg(long, value_delimiter = ',', default_value = "10,100")]
    keys: Vec<u64>,
    /// About how long a run would take with no runtime at all, in ms
    #[arg(long, default_value_t = 3000)]
    length: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What the child is to do.
#[derive(Debug, Args)]
pub(crate) struct WaitRun {
    #[arg(long)]
    topic: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    records: u64,
    /// In ms
    #[arg(long)]
    wait: u64,
}

/// What the handlers have to do, and how long they took together.
#[derive(Clone, Debug)]
struct Calls {
    wait: Duration,
    nanos: Arc<AtomicU64>,
}

const JOBS: Topic<u64, u64> = Topic::json("jobs");

#[citizenk::agent(topics = [JOBS], concurrency = 64)]
async fn handle(_job: Event<u64>, State(calls): State<Calls>, State(counts): State<Counts>) {
    let start = Instant::now();
    tokio::time::sleep(calls.wait).await;
    let taken = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    calls.nanos.fetch_add(taken, Ordering::Relaxed);
    counts.count();
}

/// What the child prints.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Outcome {
    seen: u64,
    /// Seconds from the end of the first call to the end of the last.
    wall: f64,
    /// Seconds of all calls together.
    calls: f64,
}

/// Handles all jobs.
pub(crate) fn wait(run: &WaitRun) -> Result<()> {
    let counts = Counts::new(run.records);
    let calls = Calls {
        wait: Duration::from_millis(run.wait),
        nanos: Arc::default(),
    };
    let app = App::new(&run.group).state(counts.clone());
    run_app(app.state(calls.clone()).register::<handle>(), &counts)?;
    let milestones = counts.milestones()?;
    let outcome = Outcome {
        seen: milestones.seen,
        wall: milestones.last.wall_since(&milestones.first),
        calls: calls.nanos.load(Ordering::Relaxed) as f64 / 1e9,
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn command(run: &WaitRun, servers: &str, embedded: bool) -> Result<Command> {
    let mut command = child::program(&std::env::current_exe()?, &[]);
    command.args([SUBCOMMAND, "--topic", &run.topic, "--group", &run.group]);
    command.args(["--records", &run.records.to_string()]);
    command.args(["--wait", &run.wait.to_string()]);
    child::without_surroundings(&mut command);
    command.env(BOOTSTRAP, servers);
    command.env("CITIZENK_HTTP", "127.0.0.1:0");
    command.env("CITIZENK_TOPICS", format!("jobs={}", run.topic));
    command.envs(settings::variables(embedded));
    Ok(command)
}

/// So many calls may run at once.
fn at_once(keys: u64) -> u64 {
    keys.clamp(1, CONCURRENCY)
}

/// Records for about so many milliseconds; keys have the same number each.
fn records(options: &Options, wait: u64, keys: u64) -> u64 {
    let rounds = options.length * at_once(keys) / wait.max(1) / keys.max(1);
    rounds.max(10) * keys.max(1)
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut cluster = if options.real {
        Cluster::real()?
    } else {
        Cluster::mock()?
    };
    let broker = if options.real {
        "Kafka"
    } else {
        "librdkafka's mock broker"
    };
    println!(
        "concurrency on {broker}: {CONCURRENCY} calls at once, {} rounds; median (least–most)\n",
        options.rounds
    );
    println!(
        "| keys | handlers wait ms | records/s | share of the ideal | load |\n|---|---|---|---|---|"
    );
    let mut last = "bench concurrency".to_owned();
    for keys in options.keys.iter().copied() {
        for wait in options.wait.iter().copied() {
            let (mut shares, mut rates, mut loads) = (Vec::new(), Vec::new(), Vec::new());
            let records = records(options, wait, keys);
            for round in 0..options.rounds.max(1) {
                loads.extend(load());
                let name = format!(
                    "bench-concurrency-{}-{keys}-{wait}-{round}",
                    std::process::id()
                );
                let outcome = hold(&mut cluster, name, records, wait, keys)?;
                shares.push(ratio(outcome.calls / at_once(keys) as f64, outcome.wall));
                rates.push(records as f64 / outcome.wall);
            }
            let spread = |values: Vec<f64>| Spread::of(values).ok_or("no round was held");
            let share = spread(shares)?;
            println!(
                "| {keys} | {wait} | {:.0} | {:.3} ({:.3}–{:.3}) | {:.1} |",
                spread(rates)?.median,
                share.median,
                share.least,
                share.most,
                Spread::of(loads).map_or(f64::NAN, |load| load.median),
            );
            // Writing to a string cannot fail.
            let _ = write!(last, " keys{keys}_wait{wait}={:.3}", share.median);
        }
    }
    println!("\n{last}");
    Ok(())
}

fn hold(
    cluster: &mut Cluster,
    name: String,
    records: u64,
    wait: u64,
    keys: u64,
) -> Result<Outcome> {
    cluster.create(&name, 1)?;
    floor::fill(cluster.servers(), &name, records, |number, key, value| {
        use std::io::Write;
        write!(key, "{}", number % keys.max(1))?;
        write!(value, "{number}")?;
        Ok(0)
    })?;
    let run = WaitRun {
        topic: name.clone(),
        group: name.clone(),
        records,
        wait,
    };
    let command = command(&run, cluster.servers(), cluster.is_mock())?;
    let output = child::output(command, LIMIT)?;
    let line = output.lines().last().unwrap_or_default();
    let outcome: Outcome = serde_json::from_str(line)?;
    if outcome.seen != records {
        return Err(format!("{} calls for {records} records", outcome.seen).into());
    }
    let committed = cluster.committed(&name, &name)?;
    if u64::try_from(committed) != Ok(records) {
        return Err(format!("committed {committed} of {records} records").into());
    }
    cluster.delete(&name)?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_about_its_length_and_whole_turns_of_all_keys() {
        let options = Options {
            real: false,
            wait: vec![],
            keys: vec![],
            length: 3000,
            rounds: 1,
        };
        assert_eq!(records(&options, 1, 10), 30_000);
        assert_eq!(records(&options, 10, 10), 3000);
        // No more than 64 at once.
        assert_eq!(records(&options, 10, 100), 19_200);
        assert_eq!(records(&options, 1, 700) % 700, 0);
    }
}
