//! The service that is measured: a websocket agent, a route, a router by key, and a consumer that starts when
//! it is told to.

use std::error::Error;
use std::future::ready;
use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use citizenk::prelude::*;
use citizenk::{Agent, Agents};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Result;
use super::socket::End;
use crate::counts::Counts;
use crate::reading::Reading;

/// What the child is to do; the rest is in its variables.
#[derive(Debug, Args)]
pub(crate) struct ServiceRun {
    /// The app's name, and the group
    #[arg(long)]
    group: String,
    /// What the consumer is to read, and how much of it
    #[arg(long, default_value = "")]
    readings: String,
    #[arg(long, default_value_t = 0)]
    records: u64,
}

/// A value for all live clients; times are nanoseconds of the system's clock.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// From 1 on; 0 goes before those that count.
    pub(super) sequence: u64,
    pub(super) written: u64,
    pub(super) last: bool,
    pub(super) padding: String,
}

impl Tick {
    pub(super) fn new(sequence: u64, last: bool, padding: usize) -> Self {
        Self {
            sequence,
            written: now(),
            last,
            padding: "x".repeat(padding),
        }
    }
}

pub(super) fn now() -> u64 {
    // Only a clock before 1970 has none, and 64 bits last until 2554.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

/// Whose key it is.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owner {
    pub(super) process: u32,
}

const TICKS: Topic<Tick, u64> = Topic::json("ticks");
const VISITS: Topic<Owner, u32> = Topic::json("visits");
const READINGS: Topic<Reading, u32> = Topic::json("readings");

pub(super) const LIVE: &str = "/live";
pub(super) const HELLO: &str = "/hello";
pub(super) const GO: &str = "/go";

pub(super) fn visit(key: u32) -> String {
    format!("/visits/{key}")
}

/// Every tick, to every client.
#[citizenk::agent(topics = [TICKS], websocket = "/live")]
async fn live(tick: Event<Tick>) -> Tick {
    tick.value
}

/// As little as a route can do.
#[citizenk::route(get = "/hello")]
async fn hello() -> Json<u32> {
    Json(7)
}

/// It is there so that the workers share the topic.
#[citizenk::agent(topics = [VISITS])]
async fn keep(_visit: Event<Owner>) {}

/// As little as a router can do.
#[citizenk::topic_router(topic = VISITS, key = "key", get = "/visits/{key}")]
async fn owner(Path(_key): Path<u32>) -> Json<Owner> {
    Json(Owner {
        process: std::process::id(),
    })
}

/// What the consumer has to read.
#[derive(Clone)]
struct Goal {
    readings: String,
    /// Of its own: librdkafka's mock broker lets a group that exists wait for its members until a second
    /// before their session's end, 44 s, before it takes a new topic.
    group: String,
    counts: Counts,
}

/// Starts the consumer.
#[citizenk::route(post = "/go")]
async fn go(agents: Agents, State(goal): State<Goal>) -> Result<Json<bool>, Problem> {
    let counts = goal.counts.clone();
    let agent = Agent::builder::<Event<Reading>>("count")
        .topics(&READINGS, [goal.readings.as_str()])
        .group(&goal.group)
        .start_earliest()
        .handle(move |reading: Event<Reading>, _| {
            black_box(&reading.value);
            counts.count();
            ready(())
        });
    agents.start(agent).await.map_err(Problem::internal)?;
    Ok(Json(true))
}

/// What it prints when the consumer has read all.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Consumed {
    pub(super) seen: u64,
    /// Seconds from the first record to the last.
    pub(super) wall: f64,
}

/// How long the consumer may take.
pub(super) const CONSUMES: Duration = Duration::from_secs(300);

pub(super) fn run(run: &ServiceRun) -> Result<()> {
    let counts = Counts::new(run.records);
    let goal = Goal {
        readings: run.readings.clone(),
        group: format!("{}-count", run.group),
        counts: counts.clone(),
    };
    let app = App::new(&run.group)
        .state(goal)
        .register::<live>()
        .register::<hello>()
        .register::<keep>()
        .register::<owner>()
        .register::<go>();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let service = app.build().await?;
        let mut end = End::watch();
        let mut given_up = end.clone();
        let served = async {
            service.run_until(end.wait()).await?;
            Ok::<(), Box<dyn Error>>(())
        };
        let report = async {
            tokio::select! {
                () = counts.done() => {}
                () = given_up.wait() => return Ok(()),
            }
            let milestones = counts.milestones()?;
            let consumed = Consumed {
                seen: milestones.seen,
                wall: milestones.last.wall_since(&milestones.first),
            };
            println!("{}", serde_json::to_string(&consumed)?);
            Ok::<(), Box<dyn Error>>(())
        };
        // A service that cannot run is not waited for.
        tokio::try_join!(served, report)?;
        Ok(())
    })
}
