//! What a transport has to answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::types::{
    ClusterDescription, ConfigChange, ConfigEntry, GroupDescription, GroupListing, NewTopic,
    TopicDescription, TopicListing,
};
use crate::error::TransportError;
use crate::record::TopicPartition;

/// An answer under way. The request leaves at the call; dropping the future does not take it back.
pub(crate) type AdminReply<T> = Pin<Box<dyn Future<Output = Result<T, TransportError>> + Send>>;

/// One result for each thing that was asked about, in the order of the request.
pub(crate) type Each<T> = Vec<Result<T, TransportError>>;

/// A place in a partition that only the broker can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The first record that is kept.
    Beginning,
    /// Behind the last record; where only committed records are read, not beyond the first open transaction.
    End,
    /// The first record of this time (milliseconds since the Unix epoch) or later; the end where there is
    /// none.
    Time(i64),
}

/// Administration of one cluster. Nothing here blocks, and nothing runs on a consumer's thread. Names are
/// checked before.
pub(crate) trait AdminPort: Send + Sync + fmt::Debug {
    /// What is known of groups' coordinators may be old: the next port asks anew.
    fn forget_coordinators(&self);
    fn cluster(&self, timeout: Duration) -> AdminReply<ClusterDescription>;
    fn topics(&self, timeout: Duration) -> AdminReply<Vec<TopicListing>>;
    fn describe_topics(
        &self,
        names: Vec<String>,
        timeout: Duration,
    ) -> AdminReply<Each<TopicDescription>>;
    /// With `dry`, the broker only says whether it would.
    fn create_topic(&self, topic: NewTopic, dry: bool, timeout: Duration) -> AdminReply<()>;
    fn delete_topic(&self, name: String, timeout: Duration) -> AdminReply<()>;
    /// Up to this many in all.
    fn add_partitions(&self, name: String, total: usize, timeout: Duration) -> AdminReply<()>;
    fn topic_configs(
        &self,
        names: Vec<String>,
        timeout: Duration,
    ) -> AdminReply<Each<Vec<ConfigEntry>>>;
    fn alter_configs(
        &self,
        topic: String,
        changes: Vec<ConfigChange>,
        timeout: Duration,
    ) -> AdminReply<()>;
    fn groups(&self, timeout: Duration) -> AdminReply<Vec<GroupListing>>;
    fn describe_group(&self, name: String, timeout: Duration) -> AdminReply<GroupDescription>;
    fn delete_group(&self, name: String, timeout: Duration) -> AdminReply<()>;
    /// The group's committed next offsets, of all partitions that have one.
    fn committed(&self, group: String, timeout: Duration)
    -> AdminReply<Vec<(TopicPartition, i64)>>;
    /// As [`AdminPort::committed`], of these partitions; an error where an open transaction may still change
    /// one.
    fn settled(
        &self,
        group: String,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> AdminReply<Vec<(TopicPartition, i64)>>;
    /// Sets committed offsets of a group without members.
    fn alter_offsets(
        &self,
        group: String,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> AdminReply<Each<()>>;
    /// The offsets of partitions of one topic, in their order; `None`: no record is that young.
    fn list_offsets(
        &self,
        topic: String,
        partitions: Vec<i32>,
        at: Spot,
        timeout: Duration,
    ) -> AdminReply<Vec<Option<i64>>>;
}
