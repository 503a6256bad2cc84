//! Starts and stops everything that processes records.
//!
//! In: resolved plans, prepared state, a transport. Out: running consumers, a producer, timers; and in
//! reverse order their end, within a deadline.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::agents::Agents;
use super::clusters::{Cluster, Clusters};
use super::crew::Crew;
use super::lane::LaneFactory;
use super::lane::inbox::Poller;
use super::limits::Limits;
use super::plan::AgentPlan;
use super::produce::{Port, Sender, TopicNames};
use super::status::GroupStatus;
use super::supervisor::Supervisor;
use super::task::PreparedTask;
use super::transact::book::Book;
use super::transact::{Defences, Transactor, TransactorContext};
use super::worker::Executor;
use crate::config::DEFAULT_CLUSTER;
use crate::error::{BuildError, BuildIssue, RunError};
use crate::extract::{Env, ShutdownTrigger};
use crate::lifecycle::{HookDef, HookEvent, PartitionHooks, call_all};
use crate::timer::{Placement, RunningTimer, TimerDef};
use crate::transport::transaction::TransactionSpec;
use crate::transport::{ConsumerHandle, ProducerHandle, ProducerSpec, TransportError};
use crate::{time, timer};

/// An agent, resolved, with what makes its lanes.
#[derive(Clone)]
pub(crate) struct PlannedAgent {
    pub(crate) plan: Arc<AgentPlan>,
    pub(crate) factory: Arc<dyn LaneFactory>,
}

/// Everything an engine needs.
pub(crate) struct EngineSpec {
    pub(crate) app: String,
    pub(crate) client_id: String,
    pub(crate) agents: Vec<PlannedAgent>,
    pub(crate) timers: Vec<TimerDef>,
    pub(crate) hooks: Vec<HookDef>,
    pub(crate) names: TopicNames,
    pub(crate) clusters: Clusters,
    pub(crate) max_chunk: usize,
    /// How long started calls may go on when partitions are taken away or the service stops.
    pub(crate) drain: Duration,
    /// `None`: 1 s, and 100 ms with exactly once.
    pub(crate) commit_every: Option<Duration>,
    pub(crate) defences: Defences,
    pub(crate) limits: Limits,
    pub(crate) executor: Executor,
    pub(crate) handle: Handle,
    pub(crate) env: Env,
    pub(crate) port: Port,
    /// Agents that come later.
    pub(crate) later: Agents,
    pub(crate) supervisor: Supervisor,
    pub(crate) trigger: ShutdownTrigger,
}

/// A group that runs.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) status: Arc<GroupStatus>,
    pub(super) handle: Arc<dyn ConsumerHandle>,
}

/// Everything that runs.
pub(crate) struct Engine {
    spec: Arc<EngineSpec>,
    crew: Arc<Crew>,
    pub(crate) sender: Arc<Sender>,
    running_timers: JoinSet<()>,
    shutdown_hooks: Vec<PreparedTask>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("groups", &self.groups())
            .finish_non_exhaustive()
    }
}

struct PreparedHooks {
    startup: Vec<PreparedTask>,
    shutdown: Vec<PreparedTask>,
    partitions: PartitionHooks,
}

fn prepare_hooks(spec: &EngineSpec, issues: &mut Vec<BuildIssue>) -> PreparedHooks {
    let mut by_event = |event: HookEvent| -> Vec<PreparedTask> {
        let mut hooks = Vec::new();
        for hook in spec.hooks.iter().filter(|hook| hook.event == event) {
            let component = format!("hook `{}`", hook.name);
            match hook.task.prepare(&spec.env, &spec.port, component) {
                Ok(task) => hooks.push(task),
                Err(issue) => issues.push(issue),
            }
        }
        hooks
    };
    PreparedHooks {
        startup: by_event(HookEvent::Startup),
        shutdown: by_event(HookEvent::Shutdown),
        partitions: PartitionHooks {
            assigned: Arc::new(by_event(HookEvent::Assigned)),
            revoked: Arc::new(by_event(HookEvent::Revoked)),
            handle: spec.handle.clone(),
            supervisor: spec.supervisor.clone(),
        },
    }
}

impl Engine {
    /// Starts the producer, runs the start-up hooks, then starts consumers and timers.
    pub(crate) async fn start(spec: EngineSpec) -> Result<Self, RunError> {
        let mut issues = Vec::new();
        for agent in &spec.agents {
            issues.extend(agent.factory.check(&spec.env, &agent.plan));
        }
        let hooks = prepare_hooks(&spec, &mut issues);
        let mut tasks = Vec::new();
        for timer in &spec.timers {
            let component = format!("timer `{}`", timer.name);
            match timer.task.prepare(&spec.env, &spec.port, component) {
                Ok(task) => tasks.push(task),
                Err(issue) => issues.push(issue),
            }
        }
        if let Some(error) = BuildError::from_issues(issues) {
            return Err(error.into());
        }
        let (mut producers, mut metrics) = (Vec::new(), Vec::new());
        for cluster in spec.clusters.all() {
            let producer = cluster.transport.start_producer(ProducerSpec {
                name: on_cluster(&spec.app, cluster.name),
                client_id: spec.client_id.clone(),
                settings: cluster.producer_settings.clone(),
            })?;
            producers.push((cluster.name, producer));
            metrics.push(spec.env.metrics.producer(cluster.name, &spec.app));
        }
        let sender = Sender::new(producers, spec.names.clone()).counted(metrics);
        let sender = Arc::new(sender);
        spec.port.set(Some(sender.clone()));
        let spec = Arc::new(spec);
        // Before the hooks, which may start agents.
        let crew = Arc::new(Crew::new(
            spec.clone(),
            sender.clone(),
            hooks.partitions.clone(),
        ));
        spec.later.connect(&crew);
        if let Err((component, reason)) = call_all(&hooks.startup).await {
            return Err(RunError::Startup { component, reason });
        }
        let mut engine = Self {
            running_timers: JoinSet::new(),
            shutdown_hooks: hooks.shutdown,
            sender,
            crew,
            spec,
        };
        engine.crew.start_all().await?;
        engine.start_timers(tasks)?;
        Ok(engine)
    }

    fn start_timers(&mut self, tasks: Vec<PreparedTask>) -> Result<(), RunError> {
        let timers = self.spec.timers.clone();
        for (def, task) in timers.into_iter().zip(tasks) {
            let schedule = resolve_schedule(&def).map_err(BuildError::from)?;
            let timer = RunningTimer {
                placed_here: self.placement(&def),
                schedule,
                task,
                env: self.spec.env.clone(),
                supervisor: self.spec.supervisor.clone(),
                metrics: self.spec.env.metrics.timer(&def.name),
                def,
            };
            self.running_timers.spawn_on(timer.run(), &self.spec.handle);
        }
        Ok(())
    }

    fn placement(&self, def: &TimerDef) -> Box<dyn Fn() -> bool + Send + Sync> {
        let topic = match &def.placement {
            Placement::Every => return Box::new(|| true),
            Placement::Owner(topic) => Some((topic.cluster, self.spec.names.real(topic.name))),
            Placement::One => self
                .spec
                .agents
                .iter()
                .find(|agent| agent.plan.group.is_some())
                .and_then(|agent| {
                    let first = agent.plan.real_topics.first()?;
                    Some((agent.plan.cluster, first.to_string()))
                }),
        };
        let groups: Vec<_> = self
            .groups()
            .iter()
            .map(|group| group.status.clone())
            .filter(|status| {
                let here = topic.as_ref().map(|(cluster, _)| *cluster);
                status.group.is_some() && here == Some(status.cluster)
            })
            .collect();
        Box::new(move || {
            topic
                .as_ref()
                .is_some_and(|(_, topic)| groups.iter().any(|group| group.owns(topic, 0)))
        })
    }

    /// Makes every consumer look at what was settled.
    pub(crate) fn wake(&self) {
        self.groups().iter().for_each(|group| group.handle.wake());
    }

    /// The consumers that run, also those that were started later.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.crew.groups()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn later(&self) -> &Agents {
        &self.spec.later
    }

    pub(crate) fn crew(&self) -> &Arc<Crew> {
        &self.crew
    }

    pub(crate) fn agents(&self) -> &[PlannedAgent] {
        &self.spec.agents
    }

    /// Stops: timers, consumers (drain, commit, leave), shutdown hooks, background tasks, producer.
    /// Answers what was left unfinished.
    pub(crate) async fn stop(mut self) -> Result<(), RunError> {
        let spec = &self.spec;
        spec.trigger.stop();
        let deadline = Instant::now() + spec.drain;
        let groups = self.crew.end();
        for group in &groups {
            // What a rebalance cut off was long ago.
            group.status.forget_cut_off();
            group.handle.close(spec.drain);
        }
        // Leaving takes a round trip to the broker after the drain.
        let left = deadline + LEAVE;
        let mut unfinished = 0;
        for group in &groups {
            if timeout_at(left, group.status.until_closed()).await.is_err() {
                tracing::warn!(
                    group = group.status.name,
                    "the consumer did not leave in time"
                );
                // Its calls are over where it gave its partitions back and only waits for the broker, which answers
                // nobody while a group joins; otherwise nobody knows.
                unfinished += group.status.was_cut_off().unwrap_or(1);
            } else {
                unfinished += group.status.was_cut_off().unwrap_or(0);
            }
        }
        if timeout_at(left, async {
            while self.running_timers.join_next().await.is_some() {}
        })
        .await
        .is_err()
        {
            tracing::warn!("timers were still running; they are cut off");
            unfinished += 1;
            self.running_timers.abort_all();
        }
        if let Err((component, reason)) = timeout_at(left + LEAVE, call_all(&self.shutdown_hooks))
            .await
            .unwrap_or_else(|_| {
                Err((
                    "a shutdown hook".to_owned(),
                    "did not end before the deadline".to_owned(),
                ))
            })
        {
            tracing::error!(component, reason, "failed");
        }
        if timeout_at(left, spec.env.background.idle()).await.is_err() {
            tracing::warn!(
                running = spec.env.background.running(),
                "background tasks were still running"
            );
        }
        spec.port.set(None);
        let time = left.saturating_duration_since(Instant::now()).max(LEAVE);
        let outputs = flush(&self.sender, time).await;
        if unfinished > 0 || outputs > 0 {
            return Err(RunError::Drain {
                calls: unfinished,
                outputs,
            });
        }
        Ok(())
    }
}

impl Drop for Engine {
    /// Also when nobody has stopped it: a polling thread and what it polls for hold each other.
    fn drop(&mut self) {
        self.spec.trigger.stop();
        for group in self.crew.end() {
            group.handle.close(LEAVE);
        }
        self.spec.port.set(None);
    }
}

/// What commits the group's work in transactions; runs until the consumer has left.
pub(super) fn start_transactor(
    spec: &EngineSpec,
    cluster: &Cluster,
    status: &Arc<GroupStatus>,
    poller: &Arc<Poller>,
) -> Result<Arc<Book>, TransportError> {
    let group = status.group.clone().unwrap_or_default();
    let book = Arc::new(Book::default());
    let transactor = Transactor::new(TransactorContext {
        spec: TransactionSpec {
            name: on_cluster(&group, cluster.name),
            client_id: spec.client_id.clone(),
            transactional_id: transactional_id(&group, &cluster.consumer_settings),
            settings: cluster.producer_settings.clone(),
        },
        transport: cluster.transport.clone(),
        book: book.clone(),
        poller: poller.clone(),
        supervisor: spec.supervisor.clone(),
        status: status.clone(),
        metrics: spec.env.metrics.consumer(cluster.name, &group),
        clock: spec.env.clock.clone(),
        interval: spec.commit_every.unwrap_or(TRANSACTION),
        defences: spec.defences,
    });
    spec.executor
        .run_aside(
            &format!("citizenk-txn-{group}"),
            &spec.handle,
            transactor.run(),
        )
        .map_err(|error| TransportError {
            context: format!("group `{group}`"),
            code: "_CRIT_SYS_RESOURCE".to_owned(),
            message: format!("cannot start the thread of its transactions: {error}"),
            retriable: false,
            fatal: true,
        })?;
    Ok(book)
}

/// From the begin of a transaction to its commit.
const TRANSACTION: Duration = Duration::from_millis(100);

/// Unique among live workers: two that share one fence each other. A deployment that names its instances
/// gets the same one after a restart, which ends at once what the crashed one left open.
fn transactional_id(group: &str, settings: &BTreeMap<String, String>) -> String {
    match settings.get("group.instance.id") {
        Some(instance) => format!("{group}-{instance}"),
        // The standard library's hash keys are random.
        None => format!(
            "{group}-{:016x}",
            RandomState::new().hash_one(std::process::id())
        ),
    }
}

/// What a step of the end may take beyond the drain deadline.
const LEAVE: Duration = Duration::from_secs(1);

/// Ends a start that is not to go on: what start-up hooks have sent still leaves.
pub(crate) async fn give_up(port: &Port, timeout: Duration) -> Result<(), RunError> {
    let Some(sender) = port.get() else {
        return Ok(());
    };
    port.set(None);
    match flush(&sender, timeout).await {
        0 => Ok(()),
        outputs => Err(RunError::Drain { calls: 0, outputs }),
    }
}

/// Sends what is queued, to all clusters at once: one that is down costs the others nothing.
async fn flush(sender: &Sender, timeout: Duration) -> usize {
    let each = sender.producers().map(|(_, producer)| {
        let producer: Arc<dyn ProducerHandle> = producer.clone();
        async move {
            if producer.in_flight() == 0 {
                return 0;
            }
            let flushing = producer.clone();
            let flushed = tokio::task::spawn_blocking(move || flushing.flush(timeout)).await;
            flushed.unwrap_or_else(|_| producer.in_flight())
        }
    });
    futures_util::future::join_all(each).await.into_iter().sum()
}

/// What runs on a cluster, for listings and names of threads.
pub(super) fn on_cluster(name: &str, cluster: &str) -> String {
    if cluster == DEFAULT_CLUSTER {
        return name.to_owned();
    }
    format!("{name} on {cluster}")
}

/// The timer's schedule, or what is wrong with it.
pub(crate) fn resolve_schedule(def: &TimerDef) -> Result<time::Schedule, BuildIssue> {
    let schedule = match &def.schedule {
        timer::Schedule::Every(interval) => time::Schedule::every(*interval),
        timer::Schedule::Cron { expression, zone } => {
            time::Schedule::cron(expression, zone.unwrap_or("UTC"))
        }
    };
    schedule.map_err(|error| {
        BuildIssue::new(format!("timer `{}`", def.name), error.to_string())
            .at_text(def.origin.to_string())
    })
}
