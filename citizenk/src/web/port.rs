//! What the web needs of the app: facts as data, actions as one trait that `app` implements.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::Problem;
use crate::extract::{ProduceError, Sent};
use crate::record::{Headers, OwnedRecord, TopicPartition};
use crate::staging::StagedBatch;
use crate::topic::Direction;
use crate::topic::describe::TopicInfo;
use crate::transport::BrokerKind;

/// What a service is; fixed once it runs.
#[derive(Clone, Debug)]
pub(crate) struct ServiceInfo {
    pub(crate) name: String,
    /// The app's consumer group; `None` for apps that only produce.
    pub(crate) group: Option<String>,
    pub(crate) version: String,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<License>,
    pub(crate) broker: BrokerKind,
    /// Printable: without credentials.
    pub(crate) bootstrap: String,
    pub(crate) cluster_id: Option<String>,
    /// The one without a name first.
    pub(crate) clusters: Vec<ClusterDoc>,
    pub(crate) agents: Vec<AgentDoc>,
    pub(crate) topics: Vec<TopicDoc>,
    pub(crate) timers: Vec<TaskDoc>,
    pub(crate) hooks: Vec<TaskDoc>,
    pub(crate) routes: Vec<RouteDoc>,
}

/// A cluster, for listings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClusterDoc {
    pub(crate) name: &'static str,
    /// Printable: without credentials.
    pub(crate) bootstrap_servers: String,
}

/// The licence of an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct License {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

/// An agent, for listings.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AgentDoc {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// What it takes at a time, e.g. `event` or `batch`.
    pub(crate) kind: String,
    /// Names in the program; of another cluster than the one without a name: `CLUSTER/NAME`.
    pub(crate) topics: Vec<String>,
    pub(crate) outputs: Vec<String>,
    /// Where its failed records wait for their next try.
    pub(crate) retry_topics: Vec<String>,
    pub(crate) cluster: &'static str,
    pub(crate) group: Option<String>,
    /// File and line.
    pub(crate) location: String,
}

/// A topic the app declares, for listings and checks.
#[derive(Clone, Debug)]
pub(crate) struct TopicDoc {
    pub(crate) info: TopicInfo,
    /// The name on the broker, which settings may have changed.
    pub(crate) broker_name: String,
}

impl TopicDoc {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.info.name,
            "broker_name": self.broker_name,
            "direction": match self.info.direction {
                Direction::Input => "input",
                Direction::Output => "output",
                Direction::Bidir => "bidir",
            },
            "codec": self.info.codec,
            "media_type": self.info.media_type,
            "value_type": self.info.value_type,
            "key_codec": self.info.key_codec,
            "key_type": self.info.key_type,
            "partitioner": format!("{:?}", self.info.partitioner),
            "cluster": self.info.cluster,
            "schemas": self.info.schemas_json(&self.broker_name),
        })
    }
}

/// A timer or hook, for listings.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TaskDoc {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// When it runs, e.g. `every 5s` or `startup`.
    pub(crate) schedule: String,
    /// Topics it may send to.
    pub(crate) outputs: Vec<String>,
    pub(crate) location: String,
}

/// An endpoint of the user's, for listings.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RouteDoc {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) location: String,
}

impl ServiceInfo {
    /// The topics records may be posted to; what stands on retry topics is the runtime's.
    pub(crate) fn writable(&self) -> impl Iterator<Item = &TopicDoc> {
        self.topics.iter().filter(|topic| !topic.info.internal)
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&TopicDoc> {
        self.topics.iter().find(|topic| topic.info.name == name)
    }

    pub(crate) fn agent(&self, name: &str) -> Option<&AgentDoc> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "group": self.group,
            "version": self.version,
            "title": self.title,
            "description": self.description,
            "license": self.license,
            "broker": self.broker.to_string(),
            "bootstrap_servers": self.bootstrap,
            "cluster_id": self.cluster_id,
            "clusters": self.clusters,
            "citizenk": env!("CARGO_PKG_VERSION"),
            "agents": self.agents,
            "topics": self.topics.iter().map(TopicDoc::to_json).collect::<Vec<_>>(),
            "timers": self.timers,
            "hooks": self.hooks,
            "routes": self.routes,
        })
    }
}

/// A record posted to a topic, in the topic's own format.
#[derive(Clone, Debug)]
pub(crate) struct ProduceRequest {
    /// The name in the program.
    pub(crate) topic: &'static str,
    pub(crate) key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    pub(crate) partition: Option<i32>,
    /// Milliseconds since the Unix epoch; `None`: now.
    pub(crate) timestamp: Option<i64>,
}

impl ProduceRequest {
    /// The record as the producer takes it, with the current trace.
    pub(crate) fn staged(&self) -> StagedBatch {
        let mut batch = StagedBatch::default();
        {
            let mut writer = batch.record(0);
            if let Some(key) = &self.key {
                writer.key_bytes(key);
            }
            for (name, value) in self.headers.iter() {
                writer.header(name, value);
            }
            crate::telemetry::trace::inject(|name, value| {
                if self.headers.get(name).is_none() {
                    writer.header(name, Some(value.as_bytes()));
                }
            });
            writer
                .partition(self.partition)
                .timestamp(self.timestamp)
                .finish(self.value.as_deref());
        }
        batch
    }
}

/// A record posted to an agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentCall {
    pub(crate) agent: String,
    /// `record.topic` is the name in the program.
    pub(crate) record: OwnedRecord,
}

/// What became of a record posted to an agent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallReport {
    /// `processed`, or what the handler or its policy decided instead.
    pub(crate) outcome: String,
    /// How many records the handler sent.
    pub(crate) outputs: usize,
}

/// Something that must hold for the service to be ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Condition {
    pub(crate) name: String,
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

/// A member's client id and its partitions.
pub(crate) type GroupMember = (String, Vec<TopicPartition>);

/// An answer that takes time.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The running app as the automatic endpoints see it.
///
/// The methods that are not asynchronous run on the web's only thread: they must neither block nor wait
/// for a lock that user code holds.
pub(crate) trait Service: Send + Sync + 'static {
    fn info(&self) -> &ServiceInfo;
    /// The client's statistics and ours, per consumer and producer.
    fn stats(&self) -> Value;
    /// Sends a record and answers after the broker's acknowledgement.
    fn produce(&self, request: ProduceRequest) -> Answer<'_, Result<Sent, ProduceError>>;
    /// Runs an agent's handler on a record that came from no topic.
    fn call_agent(&self, call: AgentCall) -> Answer<'_, Result<CallReport, Problem>>;
    /// Everything readiness depends on; ready when all are `ok`.
    fn health(&self) -> Vec<Condition>;
    /// A request was answered; `route` is the pattern that matched, not the path.
    fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration);
    /// The partitions this worker's consumer of a group has now; `None` while it has none of that group.
    fn owned(&self, cluster: &str, group: &str) -> Option<Vec<TopicPartition>>;
    /// How often that changed.
    fn rebalances(&self, cluster: &str, group: &str) -> u64;
    /// How many partitions a topic has, by its name on the broker.
    fn partitions(&self, cluster: &'static str, topic: String) -> Answer<'_, Result<u32, Problem>>;
    /// Client ids and partitions of a group's members, as the broker says.
    fn members(
        &self,
        cluster: &'static str,
        group: String,
    ) -> Answer<'_, Result<Vec<GroupMember>, Problem>>;
    /// All metrics as OpenMetrics text.
    fn metrics(&self) -> String;
}

impl fmt::Debug for dyn Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.info().name)
    }
}
