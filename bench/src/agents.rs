//! Agents that come and go at run time, and what many cost that have nothing to do.
//!
//! In: how many agents, on how many topics, in a group or without. Out: the share of a processor that they
//! take while no record comes, and how long one more takes to start (until it has its partitions) and to stop.

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use citizenk::prelude::*;
use citizenk::{Agent, AgentDef, AgentHandle, Agents};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::cluster::{BOOTSTRAP, Cluster};
use crate::stats::Spread;
use crate::usage::{Mark, load, peak_kib};
use crate::{child, settings};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const SUBCOMMAND: &str = "idle";
const LIMIT: Duration = Duration::from_secs(600);
/// Until all agents have their partitions.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at an agent's partitions.
const PACE: Duration = Duration::from_millis(1);
/// After the last start, before anything is measured.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// On the Kafka of KAFKA_BOOTSTRAP_SERVERS instead of librdkafka's mock broker
    #[arg(long)]
    real: bool,
    #[arg(long, default_value_t = 1000)]
    agents: usize,
    /// That they share, each with one partition
    #[arg(long, default_value_t = 100)]
    topics: usize,
    /// How long they have nothing to do, in seconds
    #[arg(long, default_value_t = 30)]
    idle: u64,
    /// Starts and stops of one more
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Membership {
    Group,
    None,
}

impl Membership {
    fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::None => "none",
        }
    }
}

/// What the child is to do.
#[derive(Debug, Args)]
pub(crate) struct IdleRun {
    /// Topics are this, a dash and a number; there are as many more as rounds. Also the group.
    #[arg(long)]
    base: String,
    #[arg(long, value_enum)]
    membership: Membership,
    #[arg(long)]
    agents: usize,
    #[arg(long)]
    topics: usize,
    /// In seconds
    #[arg(long)]
    idle: u64,
    #[arg(long)]
    rounds: usize,
}

/// What the child prints; times in milliseconds, one of each round.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    /// Seconds until all had their partitions.
    all: f64,
    /// Of one processor, in percent.
    idle: f64,
    peak_kib: u64,
    /// Of one more on a topic that others read.
    start: Vec<f64>,
    stop: Vec<f64>,
    /// Of one more on a topic that nobody reads.
    start_new: Vec<f64>,
    stop_new: Vec<f64>,
}

const RAW: Topic<RawBytes> = Topic::raw("any");

/// Where a start-up hook leaves what agents are started with.
#[derive(Clone)]
struct Hands(Arc<watch::Sender<Option<Agents>>>);

#[citizenk::on_event(startup)]
async fn hand_out(agents: Agents, State(hands): State<Hands>) {
    hands.0.send_replace(Some(agents));
}

impl IdleRun {
    fn topic(&self, number: usize) -> String {
        format!("{}-{number}", self.base)
    }

    fn agent(&self, name: &str, topic: &str) -> AgentDef {
        let agent = Agent::builder::<Event<RawBytes>>(name).topics(&RAW, [topic]);
        let agent = match self.membership {
            Membership::Group => agent,
            Membership::None => agent.groupless(),
        };
        agent.handle(async |_event: Event<RawBytes>, _| {})
    }

    async fn measure(&self, agents: &Agents) -> Result<Outcome> {
        let begin = Instant::now();
        let starts = (0..self.agents).map(|number| {
            let topic = self.topic(number % self.topics.max(1));
            agents.start(self.agent(&format!("idle-{number}"), &topic))
        });
        for handle in futures_util::future::join_all(starts).await {
            assigned(&handle?).await?;
        }
        let all = begin.elapsed().as_secs_f64();
        tokio::time::sleep(REST).await;
        let before = Mark::now();
        tokio::time::sleep(Duration::from_secs(self.idle)).await;
        let after = Mark::now();
        let (mut start, mut stop) = (Vec::new(), Vec::new());
        let (mut start_new, mut stop_new) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let known = self.topic(round % self.topics.max(1));
            self.come_and_go(agents, &known, &mut start, &mut stop)
                .await?;
            let new = self.topic(self.topics + round);
            self.come_and_go(agents, &new, &mut start_new, &mut stop_new)
                .await?;
        }
        Ok(Outcome {
            all,
            idle: 100.0 * after.cpu_since(&before) / after.wall_since(&before),
            peak_kib: peak_kib(),
            start,
            stop,
            start_new,
            stop_new,
        })
    }

    async fn come_and_go(
        &self,
        agents: &Agents,
        topic: &str,
        start: &mut Vec<f64>,
        stop: &mut Vec<f64>,
    ) -> Result<()> {
        let begin = Instant::now();
        let handle = agents.start(self.agent("one-more", topic)).await?;
        assigned(&handle).await?;
        start.push(begin.elapsed().as_secs_f64() * 1e3);
        let begin = Instant::now();
        handle.stop().await?;
        stop.push(begin.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }
}

/// Waits until it has partitions.
async fn assigned(handle: &AgentHandle) -> Result<()> {
    let begin = Instant::now();
    while handle.status().partitions.is_empty() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("agent `{}` was given no partition", handle.name()).into());
        }
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

/// One service, from its start to its end.
pub(crate) fn idle(run: &IdleRun) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let (hands, mut handed) = watch::channel(None);
        let app = App::new(&run.base)
            .state(Hands(Arc::new(hands)))
            .register::<hand_out>();
        let service = app.build().await?;
        let measured = Notify::new();
        let service = service.run_until(measured.notified());
        let measuring = async {
            let agents = handed.wait_for(Option::is_some).await?.clone();
            let agents = agents.ok_or("no agents were handed out")?;
            let outcome = run.measure(&agents).await;
            measured.notify_one();
            outcome
        };
        let (ended, outcome) = tokio::join!(service, measuring);
        ended?;
        outcome
    })?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn command(run: &IdleRun, servers: &str, embedded: bool) -> Result<Command> {
    let mut command = child::program(&std::env::current_exe()?, &[]);
    command.args([SUBCOMMAND, "--base", &run.base]);
    command.args(["--membership", run.membership.name()]);
    for (name, value) in [
        ("--agents", run.agents as u64),
        ("--topics", run.topics as u64),
        ("--idle", run.idle),
        ("--rounds", run.rounds as u64),
    ] {
        command.args([name, &value.to_string()]);
    }
    child::without_surroundings(&mut command);
    command.env(BOOTSTRAP, servers);
    command.env("CITIZENK_HTTP", "127.0.0.1:0");
    command.envs(settings::variables(embedded));
    Ok(command)
}

fn times(values: &[f64]) -> String {
    Spread::of(values.to_vec()).map_or_else(
        || "–".to_owned(),
        |times| format!("{:.0} ({:.0}–{:.0})", times.median, times.least, times.most),
    )
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut cluster = if options.real {
        Cluster::real()?
    } else {
        Cluster::mock()?
    };
    println!(
        "{} agents on {} topics, nothing to do for {} s; then one more starts and stops, {} times; \
         ms, median (least–most)\n",
        options.agents, options.topics, options.idle, options.rounds
    );
    println!(
        "| group | all started s | idle % of a processor | peak MiB | start | stop | start, new topic \
         | stop, new topic | load |\n|---|---|---|---|---|---|---|---|---|"
    );
    let mut last = "bench agents".to_owned();
    for membership in [Membership::Group, Membership::None] {
        let run = IdleRun {
            base: format!("bench-agents-{}-{}", std::process::id(), membership.name()),
            membership,
            agents: options.agents,
            topics: options.topics,
            idle: options.idle,
            rounds: options.rounds,
        };
        let topics: Vec<_> = (0..run.topics + run.rounds)
            .map(|number| run.topic(number))
            .collect();
        for topic in &topics {
            cluster.create(topic, 1)?;
        }
        let begun = load().unwrap_or(f64::NAN);
        let command = command(&run, cluster.servers(), cluster.is_mock())?;
        let output = child::output(command, LIMIT)?;
        let line = output.lines().last().unwrap_or_default();
        let outcome: Outcome = serde_json::from_str(line)?;
        println!(
            "| {} | {:.1} | {:.2} | {} | {} | {} | {} | {} | {begun:.1} |",
            membership.name(),
            outcome.all,
            outcome.idle,
            outcome.peak_kib / 1024,
            times(&outcome.start),
            times(&outcome.stop),
            times(&outcome.start_new),
            times(&outcome.stop_new),
        );
        last += &format!(" {}_idle={:.2}", membership.name(), outcome.idle);
        for topic in &topics {
            cluster.delete(topic)?;
        }
    }
    println!("\n{last}");
    Ok(())
}
