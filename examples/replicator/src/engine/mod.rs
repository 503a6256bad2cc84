//! What runs.
//!
//! ```text
//! files ─▶ store ─▶ load ─▶ desired runs ─┐
//!                                         ├─▶ reconcile ─▶ agents (clusters) and tasks (files)
//!                running runs ────────────┘
//! ```
//!
//! One agent per source and target of a mapping: agents of a group share one consumer, one that comes or goes
//! takes nothing from the others, and one whose target fails holds up no other. The engine owns the runs; a run
//! owns its counters.

mod apply;
mod folder;
mod groups;
pub(crate) mod history;
mod losses;
pub(crate) mod replay;
pub(crate) mod run;
mod sink;
mod trouble;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use citizenk::prelude::*;
use citizenk::{AgentHandle, AgentState, AgentStatus, Agents};
use replicator_domain::env::Options;
use replicator_domain::loops::{Edge, circle};
use replicator_domain::values::ValueMap;
use replicator_domain::{Issue, Loaded, Pair, load};
use tokio::task::JoinHandle;

use self::history::History;
use self::replay::Replay;
use self::run::{Phase, Run, lock};
use self::sink::FileSink;
use crate::store::{NOTHING, Snapshot, Store};

/// What a run is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunKey {
    pub(crate) mapping: String,
    pub(crate) pair: Pair,
}

impl RunKey {
    /// The name of its agent, and what it is remembered by: readable, and another one for each key.
    pub(crate) fn name(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in [&self.mapping, &self.pair.source, &self.pair.target] {
            for byte in part.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let readable: String = self.mapping.chars().map(plain).take(60).collect();
        format!("{readable}-{hash:016x}")
    }
}

/// A configuration that was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) snapshot: Snapshot,
    pub(crate) version: String,
    pub(crate) loaded: Loaded,
    pub(crate) values: BTreeMap<String, Arc<ValueMap>>,
    /// Whether it was known if source and target are one cluster when it was checked for circles.
    pub(crate) one_known: bool,
    /// When it was read, in milliseconds since the Unix epoch.
    pub(crate) at: i64,
}

/// A run and what carries it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// As its key says; a thousand keys are not asked again with each start.
    name: Arc<str>,
    pub(crate) run: Arc<Run>,
    pub(crate) history: Arc<Mutex<History>>,
    pub(crate) replay: Option<Arc<Replay>>,
    /// The task of a file, or what starts the agent.
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    agent: Arc<OnceLock<AgentHandle>>,
    /// Whether its agent is there or on its way.
    started: bool,
    /// Whether it reads from where it is to begin: a restart goes on there.
    placed: Arc<AtomicBool>,
}

impl Live {
    /// The partitions it copies, with the next offset that is not settled.
    pub(crate) fn positions(&self) -> BTreeMap<i32, Option<i64>> {
        let status = self.agent.get().map(AgentHandle::status);
        self.positions_of(status.as_ref())
    }

    fn positions_of(&self, status: Option<&AgentStatus>) -> BTreeMap<i32, Option<i64>> {
        status
            .filter(|status| status.state != AgentState::Stopped)
            .into_iter()
            .flat_map(|status| &status.partitions)
            .filter(|(at, _)| self.run.share.has(at.partition))
            .map(|(at, next)| (at.partition, *next))
            .collect()
    }

    /// Takes note of what the target has acknowledged. Answers the positions, and what it does: what the target says
    /// against it counts more than what the run knows.
    pub(crate) fn look(&self) -> (BTreeMap<i32, Option<i64>>, Phase) {
        let status = self.agent.get().map(AgentHandle::status);
        let refused = status.as_ref().and_then(|status| status.refused.as_deref());
        let positions = self.positions_of(status.as_ref());
        self.run.settle(&positions);
        let phase = match (self.run.phase(), refused) {
            (Phase::Running | Phase::Failed(_) | Phase::Waiting(_), Some(why)) => {
                Phase::Failed(format!("`{}` refuses records: {why}", self.run.pair.target))
            }
            (phase, _) => phase,
        };
        (positions, phase)
    }
}

/// What the service is given when it starts.
pub(crate) struct Tools {
    pub(crate) agents: Agents,
    pub(crate) admin: Admin,
    pub(crate) producer: Producer,
    pub(crate) clock: Clock,
}

/// The first offset that is kept and the next one, of each partition of a topic.
pub(crate) type Ends = BTreeMap<i32, (i64, i64)>;

/// What is known about a service's group.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct GroupInfo {
    /// How many read with it.
    pub(crate) members: usize,
    /// `missing`, `empty`, `stable` and so on; empty before the first look.
    pub(crate) state: String,
    /// When it was last deleted or moved, in milliseconds since the Unix epoch.
    pub(crate) acted_at: Option<i64>,
    /// Why that did not succeed.
    pub(crate) error: Option<String>,
    /// When it was last looked at, in milliseconds since the Unix epoch.
    pub(crate) looked_at: Option<i64>,
}

/// So many configurations are remembered.
const FORMER: usize = 20;

/// How long a cluster may take to answer before the mappings that need it wait.
const ASK: Duration = Duration::from_secs(5);

/// The Replicator; clones share it.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) store: Store,
    tools: OnceLock<Tools>,
    config: RwLock<Arc<Config>>,
    /// What counted before, the newest last: somebody may be about to change it.
    former: Mutex<VecDeque<Snapshot>>,
    /// What is wrong with the files as they are, while an older configuration runs.
    refused: Mutex<Option<(String, Vec<Issue>)>>,
    pub(crate) runs: Mutex<BTreeMap<RunKey, Live>>,
    pub(crate) groups: Mutex<BTreeMap<String, GroupInfo>>,
    pub(crate) started: OnceLock<i64>,
    /// Files that were there and are missing.
    away: Mutex<watch::Away>,
    /// Held by who edits the files, from the look at them until they count.
    pub(crate) editing: tokio::sync::Mutex<()>,
    /// Whether source and target are one cluster, once that is known.
    one: OnceLock<bool>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
    /// Held by who writes down what is active.
    remembering: Mutex<()>,
    /// Counts the ticks of the stats.
    pub(crate) ticked: tokio::sync::watch::Sender<u64>,
    pub(crate) lags: Mutex<BTreeMap<String, Ends>>,
    /// The files that are written: each by one, however many mappings it is the target of.
    sinks: Mutex<BTreeMap<PathBuf, Weak<FileSink>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl std::ops::Deref for Engine {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Engine {
    pub(crate) fn new(options: Options) -> Self {
        Self(Arc::new(Inner {
            store: Store::new(&options),
            options,
            tools: OnceLock::new(),
            config: RwLock::default(),
            former: Mutex::default(),
            refused: Mutex::default(),
            away: Mutex::default(),
            runs: Mutex::default(),
            groups: Mutex::default(),
            started: OnceLock::new(),
            editing: tokio::sync::Mutex::new(()),
            one: OnceLock::new(),
            turn: tokio::sync::Mutex::new(()),
            remembering: Mutex::default(),
            ticked: tokio::sync::watch::Sender::new(0),
            lags: Mutex::default(),
            sinks: Mutex::default(),
        }))
    }

    pub(crate) fn tools(&self) -> citizenk::Result<&Tools> {
        self.tools
            .get()
            .ok_or_else(|| AgentError::new("the service has not started yet"))
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Goes on with another configuration, and remembers the one before.
    fn take(&self, config: Config) {
        let before = self.config();
        let mut former = lock(&self.former);
        if former.len() >= FORMER {
            former.pop_front();
        }
        former.push_back(before.snapshot.clone());
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// The texts as they were in a version; `now` is what they have become. `None`: nobody knows any more.
    pub(crate) fn texts_of(&self, version: &str, now: &Snapshot) -> Option<Snapshot> {
        let before = self.config();
        if before.version == version {
            return Some(before.snapshot.clone());
        }
        let former = lock(&self.former).clone();
        let known = former
            .into_iter()
            .rev()
            .find(|one| one.version() == version);
        // Also what was seen of another worker, or before a restart.
        known.or_else(|| self.store.back_to(version, now.clone()))
    }

    pub(crate) fn refused(&self) -> Option<(String, Vec<Issue>)> {
        lock(&self.refused).clone()
    }

    /// Now, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        self.tools
            .get()
            .map_or(0, |tools| tools.clock.now().timestamp_millis())
    }

    /// Begins to work; everything else happens in tasks.
    pub(crate) fn start(&self, tools: Tools, background: &Background) {
        let _ = self.started.set(tools.clock.now().timestamp_millis());
        // A second start of one app is never made.
        let _ = self.tools.set(tools);
        let every = |name: &'static str, wait: Duration, work: fn(Self) -> Work| {
            let engine = self.clone();
            let shutdown = background.shutdown();
            background.spawn(name, async move {
                while !shutdown.is_stopping() {
                    work(engine.clone()).await;
                    tokio::select! {
                        () = shutdown.wait() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Ok::<(), AgentError>(())
            });
        };
        let (engine, shutdown) = (self.clone(), background.shutdown());
        background.spawn("mappings", async move {
            engine.follow_files(shutdown).await;
            Ok::<(), AgentError>(())
        });
        every("stats", self.options.stats_every, |engine| {
            Box::pin(async move { engine.tick() })
        });
        // A cluster that does not answer holds up no tick.
        every("lags", self.options.stats_every, |engine| {
            Box::pin(async move { engine.measure_lags().await })
        });
        every("groups", self.options.groups_every, |engine| {
            Box::pin(async move { engine.look_after_groups().await })
        });
    }

    /// Reads the texts and says what is wrong with them.
    pub(crate) async fn examine(&self, snapshot: Snapshot) -> Config {
        let one = self.one_cluster().await;
        self.examined(snapshot, one)
    }

    /// As [`Engine::examine`], without asking a cluster. `one`: see [`Engine::one_cluster`].
    pub(crate) fn examined(&self, snapshot: Snapshot, one: Option<bool>) -> Config {
        let template = |name: &str| snapshot.templates.get(name).cloned();
        let mut loaded = load("mappings.json", &snapshot.mappings, &template);
        let mut values = BTreeMap::new();
        for (topic, text) in &snapshot.topic_mappings {
            match ValueMap::parse(&format!("topic_mappings/{topic}.json"), text) {
                Ok((map, warnings)) => {
                    loaded.issues.extend(warnings);
                    values.insert(topic.clone(), Arc::new(map));
                }
                Err(issues) => loaded.issues.extend(issues),
            }
        }
        let taken = self.store.taken(&loaded.mappings);
        loaded.issues.extend(taken);
        if let Some(message) = loop_of(&loaded, one == Some(true)) {
            loaded.issues.push(Issue::error("mappings.json", message));
        }
        Config {
            version: snapshot.version(),
            loaded,
            values,
            snapshot,
            one_known: one.is_some(),
            at: self.now(),
        }
    }

    /// Whether source and target are one cluster; `None`: not known before both have answered.
    pub(crate) async fn one_cluster(&self) -> Option<bool> {
        if let Some(known) = self.one.get() {
            return Some(*known);
        }
        if !(self.options.has_source && self.options.has_target) {
            return Some(false);
        }
        let tools = self.tools().ok()?;
        let id = async |cluster: &str| -> Option<String> {
            let admin = tools.admin.on(cluster).ok()?.timeout(ASK);
            let described = admin.cluster().await.ok()?;
            Some(described.id).filter(|id| !id.is_empty())
        };
        let (source, target) = tokio::join!(id("source"), id("target"));
        let (source, target) = (source?, target?);
        Some(*self.one.get_or_init(|| source == target))
    }

    /// Takes the files as they are, if they can be used; answers what is wrong with them.
    pub(crate) async fn reload(&self) -> Vec<Issue> {
        let _turn = self.turn.lock().await;
        let mut changed = false;
        let issues = match self.texts() {
            Err(error) => {
                let issues = vec![Issue::error("mappings.json", error.to_string())];
                self.refuse(String::new(), issues.clone());
                issues
            }
            Ok(snapshot) => {
                let version = snapshot.version();
                let known = lock(&self.refused)
                    .as_ref()
                    .is_some_and(|(refused, _)| *refused == version);
                let before = self.config();
                // What was taken while a cluster did not answer is checked again once both have.
                let same = version == before.version
                    && (before.one_known || self.one_cluster().await.is_none());
                if same || known {
                    if same {
                        *lock(&self.refused) = None;
                    }
                    self.refused().map(|(_, issues)| issues).unwrap_or_default()
                } else {
                    let config = self.examine(snapshot).await;
                    let issues = config.loaded.issues.clone();
                    if config.loaded.is_valid() {
                        *lock(&self.refused) = None;
                        tracing::info!(
                            version = config.version,
                            comment = config.loaded.file.comment,
                            "configuration"
                        );
                        self.take(config);
                        changed = true;
                    } else {
                        if version == before.version {
                            // Nothing older is left to go on with.
                            *self.config.write().unwrap_or_else(PoisonError::into_inner) =
                                Arc::default();
                        }
                        self.refuse(version, issues.clone());
                        changed = true;
                    }
                    issues
                }
            }
        };
        self.reconcile().await;
        if changed {
            // Who listens is told without waiting for the next tick.
            self.ticked.send_modify(|_| {});
        }
        issues
    }

    fn refuse(&self, version: String, issues: Vec<Issue>) {
        let mut refused = lock(&self.refused);
        let known = refused.as_ref().map_or(&[][..], |(_, issues)| issues);
        for issue in issues
            .iter()
            .filter(|issue| issue.is_error() && !known.contains(issue))
        {
            tracing::error!(%issue, "the configuration is not used; the one before goes on");
        }
        *refused = Some((version, issues));
    }

    /// Every run, with what it is.
    pub(crate) fn live(&self) -> Vec<(RunKey, Live)> {
        lock(&self.runs)
            .iter()
            .map(|(key, live)| (key.clone(), live.clone()))
            .collect()
    }

    /// Writes down what goes on where it is after a restart: what has begun, and what had begun before and waits
    /// or tries again.
    fn remember_active(&self) {
        let config = self.config();
        if config.version.is_empty() || config.snapshot.mappings == NOTHING {
            // Nothing was read yet, or there was no file when the service started: nothing is switched off.
            return;
        }
        let _only = lock(&self.remembering);
        let known = self.store.active();
        let active: BTreeSet<String> = lock(&self.runs)
            .values()
            .filter(|live| live.placed.load(Ordering::Relaxed) || known.contains(&*live.name))
            .map(|live| live.name.to_string())
            .collect();
        if active != known
            && let Err(error) = self.store.save_active(&active)
        {
            tracing::warn!(%error, "what is active cannot be remembered; after a restart mappings begin at the latest record");
        }
    }

    /// Why a mapping cannot be paused: a start that is under way, or is tried again, does not stop for it.
    pub(crate) fn unpausable(&self, mapping: &str) -> Option<String> {
        let mut own = self.live().into_iter();
        let (key, live) = own.find(|(key, live)| {
            key.mapping == mapping && live.replay.is_none() && live.agent.get().is_none()
        })?;
        let Pair { source, target } = &key.pair;
        let why = match live.run.phase() {
            Phase::Waiting(why) | Phase::Failed(why) => {
                format!("does not run ({why}); disable it instead")
            }
            _ => "is still starting; try again in a moment".to_owned(),
        };
        Some(format!("`{mapping}` from `{source}` to `{target}` {why}"))
    }

    /// Pauses a mapping where it is, or lets it go on.
    pub(crate) async fn pause(&self, mapping: &str, paused: bool) -> citizenk::Result<usize> {
        let mut found = 0;
        for (_, live) in self
            .live()
            .into_iter()
            .filter(|(key, _)| key.mapping == mapping)
        {
            found += 1;
            if let Some(replay) = &live.replay {
                replay.pause(paused);
                live.run.enter(replay.phase());
                continue;
            } else if let Some(agent) = live.agent.get() {
                if paused {
                    agent.pause().await?;
                } else {
                    agent.resume(citizenk::ReadFrom::Committed).await?;
                }
            } else {
                continue;
            }
            live.run.enter(if paused {
                Phase::Paused
            } else {
                Phase::Running
            });
        }
        Ok(found)
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A circle among the enabled mappings, in words.
fn loop_of(loaded: &Loaded, one_cluster: bool) -> Option<String> {
    let mut edges = Vec::new();
    for effective in loaded
        .mappings
        .iter()
        .filter(|effective| effective.mapping.enabled)
    {
        let mapping = &effective.mapping;
        let place = |is_file: bool, cluster: &str, name: &str| match (is_file, one_cluster) {
            (true, _) => format!("file {name}"),
            (false, true) => name.to_owned(),
            (false, false) => format!("{cluster} {name}"),
        };
        edges.extend(mapping.pairs().into_iter().map(|pair| Edge {
            mapping: mapping.name.clone(),
            from: place(mapping.source_is_file, "source", pair.source),
            to: place(mapping.target_is_file, "target", pair.target),
        }));
    }
    let circle = circle(&edges)?;
    let steps: Vec<String> = circle
        .iter()
        .map(|edge| format!("`{}` copies {} to {}", edge.mapping, edge.from, edge.to))
        .collect();
    let mut message = format!("records would go round in a circle: {}", steps.join(", "));
    if one_cluster {
        message.push_str(
            "; source and target are one cluster, as both answer with one cluster id (two clusters that were made with \
             the same id need ids of their own: Kafka's image gives all the same one unless `CLUSTER_ID` is set)",
        );
    }
    Some(message)
}
