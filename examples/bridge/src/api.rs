//! What the page asks: clusters and their topics, bridges and how they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use citizenk::prelude::*;
use citizenk::{AgentState, Agents, AgentsError, ReadFrom, UnknownCluster};

use crate::agent::{agent, name_of};
use crate::filter::Filter;
use crate::store::{Bridges, Entry};

/// A cluster and what it has.
#[citizenk::message]
#[derive(Debug, PartialEq, Eq)]
pub struct ClusterTopics {
    /// Its name in this service.
    pub name: String,
    /// Its topics, without Kafka's own.
    pub topics: Vec<String>,
    /// Why they are not known, if they are not.
    pub error: Option<String>,
}

/// Where a new bridge begins; one that ran before goes on where it was.
#[citizenk::message]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the first record there is.
    #[default]
    Earliest,
    /// With what comes from now on.
    Latest,
}

/// Copies the records of a topic to a topic of another cluster, or of the same.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its name; also that of its consumer group, with `bridge-` before it.
    pub name: String,
    /// `CLUSTER/TOPIC`, e.g. `left/orders`.
    pub source: String,
    /// `CLUSTER/TOPIC`, e.g. `right/orders`.
    pub target: String,
    /// Which records are copied, e.g. `country = "IT"` or `amount > 100`; without it all.
    #[serde(default)]
    pub filter: Option<String>,
    /// Where it begins.
    #[serde(default)]
    pub start: Start,
}

/// A bridge as it is now.
#[citizenk::message]
#[derive(Debug, PartialEq, Eq)]
pub struct BridgeStatus {
    /// What it does.
    pub bridge: Bridge,
    /// `running`, `paused`, `draining` or `stopped`.
    pub state: String,
    /// Records read since this process started it.
    pub read: u64,
    /// Those of them that were copied.
    pub copied: u64,
    /// How many partitions this process reads.
    pub partitions: usize,
}

fn status(agents: &Agents, entry: &Entry) -> BridgeStatus {
    let running = agents.get(&name_of(&entry.bridge.name));
    let status = running.map(|agent| agent.status());
    BridgeStatus {
        bridge: entry.bridge.clone(),
        state: match status.as_ref().map(|status| status.state) {
            Some(AgentState::Running) => "running",
            Some(AgentState::Paused) => "paused",
            Some(AgentState::Draining) => "draining",
            _ => "stopped",
        }
        .to_owned(),
        read: entry.counters.read.load(Ordering::Relaxed),
        copied: entry.counters.copied.load(Ordering::Relaxed),
        partitions: status.map_or(0, |status| status.partitions.len()),
    }
}

/// The clusters this service is for.
const CLUSTERS: [&str; 2] = ["left", "right"];

async fn topics(admin: &Admin, cluster: &str) -> Result<Vec<String>, String> {
    let admin = admin.on(cluster).map_err(|error| error.to_string())?;
    let topics = admin.topics().await.map_err(|error| error.to_string())?;
    let names = topics.into_iter().map(|topic| topic.name);
    Ok(names.filter(|name| !name.starts_with("__")).collect())
}

/// The clusters and their topics. One that does not answer has an error instead of topics.
#[citizenk::route(get = "/clusters")]
pub(crate) async fn clusters(admin: Admin) -> Json<Vec<ClusterTopics>> {
    let mut all = Vec::new();
    for name in CLUSTERS {
        let found = topics(&admin, name).await;
        all.push(ClusterTopics {
            name: name.to_owned(),
            error: found.as_ref().err().cloned(),
            topics: found.unwrap_or_default(),
        });
    }
    Json(all)
}

/// All bridges.
#[citizenk::route(get = "/bridges")]
pub(crate) async fn list(
    agents: Agents,
    State(bridges): State<Bridges>,
) -> Json<Vec<BridgeStatus>> {
    let all = bridges.all();
    Json(all.iter().map(|entry| status(&agents, entry)).collect())
}

/// The topic must be on its cluster, which must be one of ours and answer.
async fn check_topic(admin: &Admin, field: &str, topic: &str) -> Result<(), Problem> {
    let Some((cluster, name)) = topic.split_once('/') else {
        let detail = format!("`{topic}` is not CLUSTER/TOPIC, e.g. `left/orders`");
        return Err(Problem::unprocessable(detail).field(field));
    };
    let unknown = |error: UnknownCluster| Problem::unprocessable(error.to_string()).field(field);
    admin.on(cluster).map_err(unknown)?;
    let topics = topics(admin, cluster).await.map_err(|error| {
        Problem::unavailable(error, std::time::Duration::from_secs(5)).field(field)
    })?;
    if topics.iter().any(|known| known == name) {
        return Ok(());
    }
    let detail = format!("cluster `{cluster}` has no topic `{name}`");
    let problem = Problem::unprocessable(detail).field(field);
    Err(problem.with("topics", topics))
}

fn refused(error: &AgentsError) -> Problem {
    match error {
        AgentsError::NameTaken { .. } => Problem::conflict(error.to_string()).field("name"),
        AgentsError::Build(_) => Problem::unprocessable(error.to_string()),
        _ => Problem::internal(error.to_string()),
    }
}

/// Starts a bridge; it runs until it is stopped.
///
/// A topic or cluster that does not exist, a filter that is none, a name that is taken and bridges that
/// would copy records in a circle are refused.
#[citizenk::route(post = "/bridges")]
pub(crate) async fn start(
    agents: Agents,
    admin: Admin,
    State(bridges): State<Bridges>,
    Json(bridge): Json<Bridge>,
) -> Result<Json<BridgeStatus>, Problem> {
    let filter = bridge.filter.as_deref().map(str::trim);
    let filter = filter
        .filter(|text| !text.is_empty())
        .map(str::parse::<Filter>);
    let filter = filter
        .transpose()
        .map_err(|error| Problem::unprocessable(error).field("filter"))?;
    let bridge = Bridge {
        filter: filter.as_ref().map(ToString::to_string),
        ..bridge
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if bridge.name.is_empty() || bridge.name.len() > 60 || !bridge.name.chars().all(allowed) {
        let detail = "a name is 1 to 60 letters, digits and `-`";
        return Err(Problem::unprocessable(detail).field("name"));
    }
    check_topic(&admin, "source", &bridge.source).await?;
    check_topic(&admin, "target", &bridge.target).await?;
    if bridges.closes_a_circle(&bridge.source, &bridge.target) {
        let detail = format!(
            "records of `{}` would come back to it again and again",
            bridge.target
        );
        return Err(Problem::unprocessable(detail).field("target"));
    }
    let entry = Entry {
        counters: Arc::default(),
        bridge,
    };
    let started = agents.start(agent(&entry.bridge, filter, entry.counters.clone()));
    started.await.map_err(|error| refused(&error))?;
    let status = status(&agents, &entry);
    bridges.put(entry).map_err(Problem::internal)?;
    Ok(Json(status))
}

/// The bridge, or a problem that says that there is none.
fn find(bridges: &Bridges, name: &str) -> Result<Entry, Problem> {
    let missing = || Problem::not_found(format!("there is no bridge `{name}`"));
    bridges.get(name).ok_or_else(missing)
}

/// Pauses a bridge: it keeps its place.
#[citizenk::route(post = "/bridges/{name}/pause")]
pub(crate) async fn pause(
    agents: Agents,
    State(bridges): State<Bridges>,
    Path(name): Path<String>,
) -> Result<Json<BridgeStatus>, Problem> {
    let entry = find(&bridges, &name)?;
    if let Some(agent) = agents.get(&name_of(&name)) {
        agent.pause().await.map_err(|error| refused(&error))?;
    }
    Ok(Json(status(&agents, &entry)))
}

/// Goes on with a paused bridge where it was.
#[citizenk::route(post = "/bridges/{name}/resume")]
pub(crate) async fn resume(
    agents: Agents,
    State(bridges): State<Bridges>,
    Path(name): Path<String>,
) -> Result<Json<BridgeStatus>, Problem> {
    let entry = find(&bridges, &name)?;
    if let Some(agent) = agents.get(&name_of(&name)) {
        let resumed = agent.resume(ReadFrom::Committed).await;
        resumed.map_err(|error| refused(&error))?;
    }
    Ok(Json(status(&agents, &entry)))
}

/// Stops a bridge and forgets it. Its group stays: a new one of this name goes on where it was.
#[citizenk::route(delete = "/bridges/{name}")]
pub(crate) async fn stop(
    agents: Agents,
    State(bridges): State<Bridges>,
    Path(name): Path<String>,
) -> Result<Json<BridgeStatus>, Problem> {
    let entry = find(&bridges, &name)?;
    if let Some(agent) = agents.get(&name_of(&name)) {
        agent.stop().await.map_err(|error| refused(&error))?;
    }
    bridges.remove(&name).map_err(Problem::internal)?;
    Ok(Json(status(&agents, &entry)))
}
