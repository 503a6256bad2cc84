//! The partitions a hook is told about.

use super::{Call, Extract, PartitionHook, PrepareContext};
use crate::config::DEFAULT_CLUSTER;
use crate::error::{AgentError, BuildIssue};
use crate::record::TopicPartition;

/// The partitions that were assigned or revoked.
///
/// ```
/// use citizenk::{Partitions, TopicPartition};
/// let partitions = Partitions::new("video-counter", vec![TopicPartition { topic: "videos".into(), partition: 0 }]);
/// assert_eq!(partitions.iter().count(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    cluster: Option<&'static str>,
    group: String,
    list: Vec<TopicPartition>,
}

impl Partitions {
    /// For tests of hooks.
    #[must_use]
    pub fn new(group: &str, list: Vec<TopicPartition>) -> Self {
        Self {
            cluster: None,
            group: group.to_owned(),
            list,
        }
    }

    pub(crate) fn on(mut self, cluster: &'static str) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// The cluster they are on; `default` is the one without a name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.cluster.unwrap_or(DEFAULT_CLUSTER)
    }

    /// The consumer group they belong to.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &TopicPartition> {
        self.list.iter()
    }
}

impl Extract<PartitionHook> for Partitions {
    type Prepared = ();

    fn prepare(_: &PrepareContext<'_>) -> Result<(), BuildIssue> {
        Ok(())
    }

    fn extract(_: &(), call: &Call<'_, PartitionHook>) -> Result<Self, AgentError> {
        Ok(call.partitions.cloned().unwrap_or_default())
    }
}
