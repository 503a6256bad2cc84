//! What administration answers and takes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's own id, the same for all its brokers.
    pub id: String,
    /// The broker that requests of administration go to; `None`: not known now.
    pub controller: Option<i32>,
    /// The brokers that are up.
    pub brokers: Vec<BrokerNode>,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct BrokerNode {
    /// The broker's number.
    pub id: i32,
    /// Where clients reach it.
    pub host: String,
    /// Where clients reach it.
    pub port: u16,
    /// `broker.rack`, where it is set.
    pub rack: Option<String>,
}

/// A topic in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TopicListing {
    /// The name on the broker.
    pub name: String,
    /// How many partitions it has.
    pub partitions: usize,
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TopicDescription {
    /// The name on the broker.
    pub name: String,
    /// The topic's own id: another one after it was deleted and created again. `None` on clusters that
    /// give none.
    pub id: Option<String>,
    /// One of Kafka's own topics.
    pub internal: bool,
    /// In order of their numbers.
    pub partitions: Vec<PartitionDescription>,
}

impl TopicDescription {
    /// The smallest number of replicas a partition has.
    #[must_use]
    pub fn replication(&self) -> usize {
        let replicas = self.partitions.iter().map(|p| p.replicas.len());
        replicas.min().unwrap_or(0)
    }

    /// Partitions with fewer replicas in sync than they have, or without a leader.
    #[must_use]
    pub fn under_replicated(&self) -> Vec<i32> {
        self.partitions
            .iter()
            .filter(|p| p.in_sync.len() < p.replicas.len() || p.leader.is_none())
            .map(|p| p.partition)
            .collect()
    }
}

/// A partition and the brokers that keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// The partition's number.
    pub partition: i32,
    /// The broker that is read from and written to; `None`: there is none now.
    pub leader: Option<i32>,
    /// The brokers that keep a copy.
    pub replicas: Vec<i32>,
    /// Those whose copy is complete (ISR).
    pub in_sync: Vec<i32>,
}

/// A topic that is to be created; see [`Admin::create_topic`](crate::Admin::create_topic).
///
/// ```
/// use citizenk::admin::NewTopic;
///
/// let topic = NewTopic::new("orders")
///     .partitions(12)
///     .replication(3)
///     .config("cleanup.policy", "compact");
/// assert_eq!(topic.name(), "orders");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: Option<u32>,
    pub(crate) replication: Option<u16>,
    pub(crate) configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with the cluster's defaults.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: None,
            replication: None,
            configs: Vec::new(),
        }
    }

    /// How many partitions. Default: the cluster's (`num.partitions`).
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// On how many brokers each partition is kept. Default: the cluster's (`default.replication.factor`).
    #[must_use]
    pub fn replication(mut self, replicas: u16) -> Self {
        self.replication = Some(replicas);
        self
    }

    /// A config of the topic, in Kafka's words, e.g. `retention.ms`. Default: the cluster's.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }

    /// The name on the broker.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A config of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// In Kafka's words, e.g. `retention.ms`.
    pub name: String,
    /// `None`: the broker does not tell, e.g. of passwords.
    pub value: Option<String>,
    /// Who says so.
    pub source: ConfigSource,
    /// It cannot be changed.
    pub read_only: bool,
    /// Its value is not told.
    pub sensitive: bool,
}

/// Where a config's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConfigSource {
    /// It is set for the topic.
    Topic,
    /// It is set for the broker, or for all brokers.
    Broker,
    /// Nobody set it.
    Default,
    /// The broker does not say.
    Unknown,
}

/// A change of one config of a topic; others stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// Sets it.
    Set(String, String),
    /// Takes the topic's own value away: the cluster's default holds again.
    Reset(String),
}

impl ConfigChange {
    /// Sets a config.
    #[must_use]
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Set(name.into(), value.into())
    }

    /// Takes the topic's own value away.
    #[must_use]
    pub fn reset(name: impl Into<String>) -> Self {
        Self::Reset(name.into())
    }
}

/// A group's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupState {
    /// Members come or go.
    Rebalancing,
    /// Every member has its partitions.
    Stable,
    /// No members; its offsets are kept.
    Empty,
    /// It does not exist, or not for long.
    Dead,
    /// A state the client has no name for, e.g. `Assigning` of the newer protocol.
    Unknown,
}

/// How a group's members share partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupProtocol {
    /// Its members do it (`group.protocol=classic`).
    Classic,
    /// The broker does it (`group.protocol=consumer`, KIP-848).
    Consumer,
    /// The broker does not say.
    Unknown,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct GroupListing {
    /// The group's name.
    pub group: String,
    /// What it does.
    pub state: GroupState,
    /// How it shares.
    pub protocol: GroupProtocol,
}

/// A group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct GroupDescription {
    /// The group's name.
    pub group: String,
    /// What it does.
    pub state: GroupState,
    /// How it shares.
    pub protocol: GroupProtocol,
    /// The assignor, e.g. `cooperative-sticky`; empty while there is none.
    pub assignor: String,
    /// The broker that keeps the group.
    pub coordinator: Option<i32>,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct MemberDescription {
    /// The name its coordinator gave it.
    pub member_id: String,
    /// `client.id`; workers of this library put the address of their HTTP server there.
    pub client_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// The address it connects from.
    pub host: String,
    /// What it reads now.
    pub partitions: Vec<PartitionId>,
    /// What it is to read when the rebalance under way is over; told by the newer protocol only.
    pub target: Option<Vec<PartitionId>>,
}

/// A partition of a topic.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct PartitionId {
    /// The topic's name on the broker.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

impl PartitionId {
    /// A partition by topic and number.
    #[must_use]
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The first and the next offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PartitionOffsets {
    /// Whose.
    #[serde(flatten)]
    pub partition: PartitionId,
    /// The first record that is kept.
    pub low: i64,
    /// The offset the next record will get.
    pub high: i64,
}

/// Where a group stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct GroupOffset {
    /// In which.
    #[serde(flatten)]
    pub partition: PartitionId,
    /// The next offset it will read.
    pub committed: i64,
    /// The first record that is kept.
    pub low: i64,
    /// The offset the next record will get.
    pub high: i64,
}

impl GroupOffset {
    /// How many offsets lie before the group; marks of transactions count, as they do for Kafka's tools.
    #[must_use]
    pub fn lag(&self) -> i64 {
        (self.high - self.committed.max(self.low)).max(0)
    }
}
