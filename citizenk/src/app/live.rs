//! The running app as the automatic endpoints see it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::beside;
use crate::admin::AdminErrorKind;
use crate::config::DEFAULT_CLUSTER;
use crate::error::AgentError;
use crate::extract::Env;
use crate::extract::{ProduceError, Sent};
use crate::record::TopicPartition;
use crate::runtime::ack::LaneAck;
use crate::runtime::clusters::{Cluster, Clusters};
use crate::runtime::crew::Crew;
use crate::runtime::engine::{Engine, EngineSpec, PlannedAgent};
use crate::runtime::lane::LaneContext;
use crate::runtime::lane::direct::DirectCall;
use crate::runtime::lane::inbox::{Inbox, Poller, Room};
use crate::runtime::produce::{Port, Sender};
use crate::runtime::stall::Cause;
use crate::runtime::status::GroupStatus;
use crate::runtime::supervisor::Supervisor;
use crate::telemetry::{ClusterLabel, LaneId};
use crate::web::{
    AgentCall, Answer, CallReport, Condition, GroupMember, Problem, ProduceRequest, Service,
    ServiceInfo,
};

/// The broker must have been heard within this time.
const BROKER_SILENCE: Duration = Duration::from_secs(30);

/// How long a broker may take to say what topics there are.
const METADATA: Duration = Duration::from_secs(5);

/// What exists once consumers run.
struct View {
    crew: Arc<Crew>,
    sender: Arc<Sender>,
}

impl View {
    fn groups(&self) -> impl Iterator<Item = Arc<GroupStatus>> {
        self.crew.groups().into_iter().map(|group| group.status)
    }
}

/// Answers the automatic endpoints; there before the engine runs.
pub(crate) struct Live {
    info: ServiceInfo,
    env: Env,
    port: Port,
    agents: Vec<PlannedAgent>,
    clusters: Clusters,
    supervisor: Supervisor,
    handle: tokio::runtime::Handle,
    view: OnceLock<View>,
}

impl Live {
    pub(crate) fn new(info: ServiceInfo, spec: &EngineSpec) -> Self {
        Self {
            info,
            env: spec.env.clone(),
            port: spec.port.clone(),
            agents: spec.agents.clone(),
            clusters: spec.clusters.clone(),
            supervisor: spec.supervisor.clone(),
            handle: spec.handle.clone(),
            view: OnceLock::new(),
        }
    }

    /// Called once, when the engine runs.
    pub(crate) fn started(&self, engine: &Engine) {
        // A second engine for one view is never made.
        let _ = self.view.set(View {
            crew: engine.crew().clone(),
            sender: engine.sender.clone(),
        });
    }
}

impl Live {
    /// This worker's consumers of a group: one per guarantee of its agents, each a member of its own.
    fn of_group(&self, cluster: &str, name: &str) -> Vec<Arc<GroupStatus>> {
        let groups = self.view.get().into_iter().flat_map(View::groups);
        groups
            .filter(|group| group.cluster == cluster && group.group.as_deref() == Some(name))
            .collect()
    }

    /// What it has of a group on the embedded broker at this address; `None`: it is not in it.
    pub(super) fn owned_on(&self, broker: &str, group: &str) -> Option<Vec<TopicPartition>> {
        let mut there = self
            .clusters
            .all()
            .filter(|cluster| cluster.transport.inside() == Some(broker));
        there.find_map(|cluster| self.owned(cluster.name, group))
    }

    /// What of the group makes no progress, since when, and what it waits for.
    fn stalls(&self, group: &GroupStatus) -> Vec<String> {
        let now = self.env.clock.now();
        let line =
            |what: &dyn std::fmt::Display, waiting: Duration, cause: &dyn std::fmt::Display| {
                let since = chrono::TimeDelta::from_std(waiting)
                    .ok()
                    .and_then(|waiting| now.checked_sub_signed(waiting))
                    .unwrap_or(now)
                    .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                format!("{what} since {since}: {cause}")
            };
        let partitions = group.list();
        let silence = group.heart.silence(tokio::time::Instant::now());
        silence
            .map(|silence| line(&"polling", silence, &Cause::Poll))
            .into_iter()
            .chain(partitions.iter().filter_map(|status| {
                let stall = status.stall.as_ref()?;
                Some(line(&status.partition, stall.waiting, stall))
            }))
            .collect()
    }
}

fn condition(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Condition {
    Condition {
        name: name.into(),
        ok,
        detail: detail.into(),
    }
}

/// Whether the cluster was heard of lately.
fn contact(cluster: &Cluster) -> Condition {
    let contact = cluster.transport.last_contact();
    let heard = contact.is_some_and(|silence| silence <= BROKER_SILENCE);
    let detail = match contact {
        Some(silence) => format!("heard {:.1} s ago", silence.as_secs_f64()),
        None => "not reached yet".to_owned(),
    };
    let detail = match cluster.transport.trouble() {
        Some(trouble) => format!("{detail}: {trouble}"),
        None => detail,
    };
    let name = match cluster.name {
        DEFAULT_CLUSTER => "broker".to_owned(),
        name => format!("broker: {name}"),
    };
    condition(name, heard, detail)
}

fn group_stats(group: &GroupStatus) -> Value {
    use std::sync::atomic::Ordering::Relaxed;
    let partitions: Vec<Value> = group
        .list()
        .iter()
        .map(|status| {
            json!({
                "topic": &*status.partition.topic,
                "partition": status.partition.partition,
                "position": status.position,
                "committed": status.committed,
                "high_watermark": status.high,
                "lag": status.lag(),
                "queued": status.queued,
                "paused": status.paused,
                "stalled": status.stall.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    json!({
        "cluster": group.cluster,
        "group": group.group,
        "assigned": group.is_assigned(),
        "rebalances": group.rebalances.load(Relaxed),
        "subscription_changes": group.subscriptions.load(Relaxed),
        "commits": group.commits.load(Relaxed),
        "failed_commits": group.failed_commits.load(Relaxed),
        "skipped_offsets": group.skipped_offsets.load(Relaxed),
        "last_error": group.last_error(),
        "partitions": partitions,
        "client": client_document(group.last_statistics()),
    })
}

/// The client's own statistics; there when `statistics.interval.ms` is set.
fn client_document(text: Option<String>) -> Value {
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or(Value::Null)
}

impl Service for Live {
    fn info(&self) -> &ServiceInfo {
        &self.info
    }

    fn stats(&self) -> Value {
        let mut lanes = Map::new();
        for lane in self.env.metrics.lanes() {
            let id = lane.id();
            let cluster = match id.cluster.0 {
                DEFAULT_CLUSTER => String::new(),
                name => format!("{name}/"),
            };
            let name = format!("{} {cluster}{}/{}", id.agent, id.topic, id.partition);
            lanes.insert(name, lane.values().into_iter().collect());
        }
        let (mut consumers, mut producer, mut producers) = (Map::new(), Value::Null, Map::new());
        if let Some(view) = self.view.get() {
            consumers = view
                .groups()
                .map(|group| (group.name.clone(), group_stats(&group)))
                .collect();
            for (cluster, handle) in view.sender.producers() {
                let stats = json!({ "in_flight": handle.in_flight(), "client": client_document(handle.statistics()) });
                if cluster == DEFAULT_CLUSTER {
                    producer = stats;
                } else {
                    producers.insert(cluster.to_owned(), stats);
                }
            }
        }
        json!({
            "consumers": consumers,
            "producer": producer,
            "producers": producers,
            "lanes": lanes,
            "background_tasks": self.env.background.running(),
        })
    }

    fn produce(&self, request: ProduceRequest) -> Answer<'_, Result<Sent, ProduceError>> {
        let batch = request.staged();
        let topic = request.topic.to_owned();
        let declared = self.info.topic(request.topic).map(|doc| doc.info.output());
        let producer = self.env.producer.clone();
        Box::pin(async move {
            let Some(declared) = declared else {
                return Err(ProduceError::NotRunning { topic });
            };
            let sent = producer.send_staged(declared, batch).await?;
            sent.first()
                .copied()
                .ok_or(ProduceError::NotRunning { topic })
        })
    }

    fn call_agent(&self, call: AgentCall) -> Answer<'_, Result<CallReport, Problem>> {
        Box::pin(async move {
            let AgentCall { agent, mut record } = call;
            let found = self
                .agents
                .iter()
                .find(|planned| planned.plan.spec.name == agent);
            let planned =
                found.ok_or_else(|| Problem::not_found(format!("there is no agent `{agent}`")))?;
            let plan = planned.plan.clone();
            let input = plan
                .spec
                .topics
                .iter()
                .position(|topic| topic.name == &*record.topic);
            let Some(input) = input else {
                let topic = &record.topic;
                return Err(Problem::not_found(format!(
                    "agent `{agent}` does not read topic `{topic}`"
                )));
            };
            let not_running =
                || Problem::unavailable("the service is not running yet", Duration::from_secs(1));
            let sender = self.port.get().ok_or_else(not_running)?;
            let outlet = if plan.table.targets().is_empty() {
                None
            } else {
                Some(sender.outlet(&plan.table).map_err(Problem::internal)?)
            };
            record.topic = plan.real_topics[input].clone();
            let partition = TopicPartition {
                topic: record.topic.clone(),
                partition: record.partition,
            };
            let lane = LaneId {
                agent: agent.clone(),
                topic: partition.topic.to_string(),
                partition: partition.partition,
                group: plan.group.clone().unwrap_or_default(),
                cluster: ClusterLabel(plan.cluster),
            };
            let cx = LaneContext {
                env: self.env.clone(),
                input,
                stage: 0,
                inbox: Arc::new(Inbox::new(Room::of(1), Arc::new(Poller::default()))),
                ack: Arc::new(LaneAck::at(None)),
                outlet,
                ledger: None,
                supervisor: self.supervisor.clone(),
                metrics: self.env.metrics.lane(&lane),
                gates: Vec::new(),
                partition,
                plan,
            };
            // Where user code may block; this runs on the web's own thread.
            let call = planned.factory.call(DirectCall { cx, record });
            #[cfg(feature = "otel")]
            let call = crate::telemetry::trace::carried(call);
            let called = self.handle.spawn(call).await;
            match called {
                Ok(Ok(outputs)) => Ok(CallReport {
                    outcome: "processed".to_owned(),
                    outputs,
                }),
                Ok(Err(error)) => Err(failed(&error)),
                Err(error) => Err(Problem::internal(error)),
            }
        })
    }

    fn health(&self) -> Vec<Condition> {
        let Some(view) = self.view.get() else {
            return vec![condition(
                "started",
                false,
                "state, start-up hooks or the first connection are not done",
            )];
        };
        let mut conditions = vec![condition("started", true, "start-up hooks have returned")];
        if self.env.shutdown.is_stopping() {
            conditions.push(condition("running", false, "the service is stopping"));
        }
        for group in view.groups() {
            let denied = group.denied();
            // What is started later does not take a service that is ready out of service.
            let ok = !group.own || (group.is_assigned() && denied.is_none());
            let detail = if let Some(denied) = denied {
                denied
            } else if ok {
                format!("{} partitions", group.owned().len())
            } else {
                group
                    .last_error()
                    .unwrap_or_else(|| "waiting for the first assignment".to_owned())
            };
            conditions.push(condition(format!("assigned: {}", group.name), ok, detail));
            let stalled = self.stalls(&group);
            conditions.push(condition(
                format!("progress: {}", group.name),
                stalled.is_empty(),
                stalled.join(", "),
            ));
        }
        conditions.extend(self.clusters.all().map(contact));
        conditions
    }

    fn owned(&self, cluster: &str, group: &str) -> Option<Vec<TopicPartition>> {
        let consumers = self.of_group(cluster, group);
        let owned = consumers.iter().flat_map(|consumer| consumer.owned());
        (!consumers.is_empty()).then(|| owned.collect())
    }

    fn rebalances(&self, cluster: &str, group: &str) -> u64 {
        use std::sync::atomic::Ordering::Relaxed;
        let consumers = self.of_group(cluster, group);
        let rebalances = consumers
            .iter()
            .map(|consumer| consumer.rebalances.load(Relaxed));
        rebalances.sum()
    }

    fn partitions(&self, cluster: &'static str, topic: String) -> Answer<'_, Result<u32, Problem>> {
        Box::pin(async move {
            let found = self.clusters.of(cluster).map_err(Problem::internal)?;
            let transport = found.transport.clone();
            let asked = self.handle.spawn_blocking(move || {
                let found = transport.topics(Some(&topic), METADATA)?;
                Ok::<_, crate::TransportError>((topic, found))
            });
            let (topic, found) = asked.await.map_err(Problem::internal)??;
            let count = found.first().map(|found| found.partitions);
            count
                .and_then(|count| u32::try_from(count).ok())
                .filter(|count| *count > 0)
                .ok_or_else(|| {
                    let text = format!("the broker has no topic `{topic}`");
                    Problem::unavailable(text, Duration::from_secs(1))
                })
        })
    }

    fn members(
        &self,
        cluster: &'static str,
        group: String,
    ) -> Answer<'_, Result<Vec<GroupMember>, Problem>> {
        Box::pin(async move {
            let found = self.clusters.of(cluster).map_err(Problem::internal)?;
            if let Some(broker) = found.transport.inside() {
                return Ok(beside::members(broker, &group));
            }
            let admin = self.env.admin.on(cluster).map_err(Problem::internal)?;
            let described = admin.describe_group(&group).await.map_err(|error| {
                let text = match error.kind {
                    AdminErrorKind::NotFound => format!("no worker has joined group `{group}` yet"),
                    _ => format!("the broker does not say who is in the group: {error}"),
                };
                Problem::unavailable(text, Duration::from_secs(1))
            })?;
            let members = described.members.into_iter().map(|member| {
                let partitions = member.partitions.iter();
                let partitions = partitions
                    .map(|place| TopicPartition::new(&*place.topic, place.partition))
                    .collect();
                (member.client_id, partitions)
            });
            Ok(members.collect())
        })
    }

    fn metrics(&self) -> String {
        let metrics = &self.env.metrics;
        // Clients of one library count together, whatever their cluster.
        let held = self
            .clusters
            .all()
            .map(|cluster| cluster.transport.held_chunks());
        metrics.pinned_chunks(held.max().unwrap_or_default());
        if let Some(view) = self.view.get() {
            for (cluster, producer) in view.sender.producers() {
                metrics
                    .producer(cluster, &self.info.name)
                    .in_flight(producer.in_flight());
            }
        }
        metrics.render()
    }

    fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.env.metrics.request(method, route, status, took);
    }
}

/// A decode error is the caller's; any other is the handler's.
fn failed(error: &AgentError) -> Problem {
    match error.source().downcast_ref::<crate::DecodeError>() {
        Some(decode) => Problem::unprocessable(decode.to_string()),
        None => Problem::internal(error.to_string()).with("error", error.to_string()),
    }
}
