//! Stats, mappings and how they are.

use citizenk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tagged;
use crate::domain::config::Origin;
use crate::domain::{Issue, Mapping};
use crate::engine::Engine;
use crate::engine::history::Sample;
use crate::engine::run::lock;
use crate::stats::{FlatRow, Row, Stats};

/// Which stats.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct StatsQuery {
    /// 1: disabled mappings too.
    all: u8,
}

/// Stats of all workers, one object for each.
#[citizenk::broadcast_router(get = "/stats")]
pub(crate) async fn stats(
    State(engine): State<Engine>,
    Query(query): Query<StatsQuery>,
) -> Json<Vec<Stats>> {
    Json(vec![engine.stats(query.all != 0)])
}

/// Stats of the worker that is asked.
#[citizenk::route(get = "/stats/self")]
pub(crate) async fn stats_self(
    State(engine): State<Engine>,
    Query(query): Query<StatsQuery>,
) -> Json<Stats> {
    Json(engine.stats(query.all != 0))
}

/// Stats of all workers with one flat row for each mapping and worker, for Grafana.
#[citizenk::broadcast_router(get = "/stats/flat")]
pub(crate) async fn stats_flat(
    State(engine): State<Engine>,
    Query(query): Query<StatsQuery>,
) -> Json<Vec<FlatRow>> {
    Json(engine.stats(query.all != 0).flat())
}

/// Stats of the worker that is asked, in the text format of Prometheus.
#[citizenk::route(get = "/stats/prometheus")]
pub(crate) async fn stats_prometheus(State(engine): State<Engine>) -> String {
    engine.stats(false).prometheus()
}

/// The service as a whole.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServiceInfo {
    /// What the installation is called.
    environment: Option<String>,
    /// A colour for it.
    colour: Option<String>,
    /// Whether nothing can be changed here.
    read_only: bool,
    /// The source group; none: read without one.
    source_group: Option<String>,
    /// The configuration's version.
    version: String,
    /// What its latest change was.
    comment: String,
    /// When it was taken, in milliseconds since the Unix epoch.
    since: i64,
    /// What is noteworthy about it.
    warnings: Vec<Issue>,
    /// What is wrong with the files as they are, while an older configuration runs.
    refused: Vec<Issue>,
    /// Which worker this is, of how many.
    worker: (u32, u32),
    /// How often stats are measured.
    stats_every_ms: u64,
}

impl ServiceInfo {
    pub(crate) fn of(engine: &Engine) -> Self {
        let config = engine.config();
        let options = &engine.options;
        Self {
            environment: options.environment.clone(),
            colour: options.colour.clone(),
            read_only: options.read_only,
            source_group: options.group.clone(),
            version: config.version.clone(),
            comment: config.loaded.file.comment.clone(),
            since: config.at,
            warnings: config.loaded.issues.clone(),
            refused: engine
                .refused()
                .map(|(_, issues)| issues)
                .into_iter()
                .flatten()
                .chain(engine.missing())
                .collect(),
            worker: (options.worker_index, options.worker_count),
            stats_every_ms: u64::try_from(options.stats_every.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The service, its configuration, and what is wrong with it.
#[citizenk::route(get = "/service")]
pub(crate) async fn service(State(engine): State<Engine>) -> Tagged<ServiceInfo> {
    let info = ServiceInfo::of(&engine);
    Tagged(info.version.clone(), info)
}

/// A mapping and how it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MappingInfo {
    /// What it says.
    pub(crate) mapping: Mapping,
    /// Where it stands.
    pub(crate) origin: Origin,
    /// A row for each source and target.
    pub(crate) stats: Vec<Row>,
}

fn infos(engine: &Engine) -> Vec<MappingInfo> {
    let stats = engine.stats(true);
    let config = engine.config();
    let rows = |name: &str| {
        stats
            .mappings
            .iter()
            .filter(|row| row.name == name)
            .cloned()
            .collect()
    };
    let info = |effective: &crate::domain::config::Effective| MappingInfo {
        mapping: effective.mapping.clone(),
        origin: effective.origin.clone(),
        stats: rows(&effective.mapping.name),
    };
    config.loaded.mappings.iter().map(info).collect()
}

/// All mappings, those of templates too.
#[citizenk::route(get = "/mappings")]
pub(crate) async fn mappings(State(engine): State<Engine>) -> Tagged<Vec<MappingInfo>> {
    Tagged(engine.config().version.clone(), infos(&engine))
}

pub(crate) fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no mapping `{name}`"))
}

/// One mapping.
#[citizenk::route(get = "/mappings/{name}")]
pub(crate) async fn mapping(
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Tagged<MappingInfo>, Problem> {
    let found = infos(&engine)
        .into_iter()
        .find(|info| info.mapping.name == name);
    let info = found.ok_or_else(|| unknown(&name))?;
    Ok(Tagged(engine.config().version.clone(), info))
}

/// From when on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct HistoryQuery {
    /// How far back.
    minutes: u32,
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self { minutes: 60 }
    }
}

/// How one source and target was over time.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PairHistory {
    source: String,
    target: String,
    samples: Vec<Sample>,
}

/// How a mapping was over time: the last hour at every tick, a day by the minute.
#[citizenk::route(get = "/mappings/{name}/history")]
pub(crate) async fn history(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Vec<PairHistory>>, Problem> {
    engine
        .config()
        .loaded
        .get(&name)
        .ok_or_else(|| unknown(&name))?;
    let since = engine.now() - i64::from(query.minutes) * 60_000;
    let runs = engine
        .live()
        .into_iter()
        .filter(|(key, _)| key.mapping == name);
    let history = runs.map(|(key, live)| PairHistory {
        source: key.pair.source,
        target: key.pair.target,
        samples: lock(&live.history).since(since),
    });
    Ok(Json(history.collect()))
}

/// A partition of a source.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PartitionInfo {
    source: String,
    target: String,
    partition: i32,
    /// The next offset that is not settled.
    position: Option<i64>,
    /// The first offset that is kept.
    first: i64,
    /// The offset the next record will get.
    end: i64,
    lag: i64,
    /// Records of it that the target has not acknowledged.
    in_flight: u64,
    /// Who reads it.
    worker: u32,
}

/// The partitions a mapping reads here.
#[citizenk::route(get = "/mappings/{name}/partitions")]
pub(crate) async fn partitions(
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<Vec<PartitionInfo>>, Problem> {
    engine
        .config()
        .loaded
        .get(&name)
        .ok_or_else(|| unknown(&name))?;
    let mut all = Vec::new();
    for (key, live) in engine
        .live()
        .into_iter()
        .filter(|(key, _)| key.mapping == name)
    {
        let positions = live.positions();
        live.run.settle(&positions);
        let in_flight = live.run.in_flight();
        for (partition, position, first, end) in engine.partitions(&key, &positions) {
            // Ends are asked for now and then; what is settled was there.
            let end = position.map_or(end, |position| end.max(position));
            all.push(PartitionInfo {
                source: key.pair.source.clone(),
                target: key.pair.target.clone(),
                partition,
                position,
                first,
                end,
                lag: position.map_or(0, |position| (end - position.max(first)).max(0)),
                in_flight: in_flight.get(&partition).copied().unwrap_or(0),
                worker: engine.options.worker_index,
            });
        }
    }
    Ok(Json(all))
}
