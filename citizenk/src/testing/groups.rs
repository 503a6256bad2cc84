//! What the groups of a [`TestApp`] have, and what they left.

use std::collections::{BTreeMap, BTreeSet};

use super::{DeadLetter, TestApp};
use crate::record::TopicPartition;
use crate::topic::Topic;

impl TestApp {
    /// The committed next offsets of the app's own group, by partition.
    pub fn committed<V, K>(&self, topic: &Topic<V, K>) -> BTreeMap<i32, i64> {
        let real = self.real(topic.id());
        let cluster = self.on(topic.cluster);
        let groups = self.groups_on(topic.cluster);
        groups
            .iter()
            .flat_map(|group| cluster.committed(group, &real))
            .collect()
    }

    /// The committed next offsets of any group, by partition; also while nothing runs in it.
    pub fn committed_by<V, K>(&self, group: &str, topic: &Topic<V, K>) -> BTreeMap<i32, i64> {
        let real = self.real(topic.id());
        let committed = self.on(topic.cluster).committed(group, &real);
        committed.into_iter().collect()
    }

    pub(super) fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self
            .workers
            .values()
            .flat_map(|worker| worker.engine.agents())
            .filter_map(|agent| agent.plan.group.clone())
            .collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// Everything on the dead-letter topics of the app's agents, in order.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let topics: BTreeSet<(&'static str, String)> = self
            .workers
            .values()
            .flat_map(|worker| worker.engine.agents())
            .flat_map(|agent| {
                let plan = &agent.plan;
                [&plan.on_decode, &plan.on_error, &plan.on_produce]
                    .into_iter()
                    .filter_map(|policy| policy.dead_letter_topic())
                    .map(|topic| (topic.cluster, self.real(topic.id())))
                    .collect::<Vec<_>>()
            })
            .collect();
        topics
            .iter()
            .flat_map(|(cluster, topic)| self.on(cluster).records(topic))
            .map(DeadLetter::from_record)
            .collect()
    }

    /// The partitions a worker owns in the app's groups.
    pub fn owned_by(&self, worker: usize) -> Vec<TopicPartition> {
        let name = self.member(worker);
        let groups = self.groups();
        let members = groups.iter().flat_map(|group| {
            let all = self.memories();
            all.flat_map(|(_, cluster)| cluster.members(group))
        });
        members
            .filter(|member| member.client_id == name)
            .flat_map(|member| member.partitions)
            .collect()
    }

    /// The client id of a worker's consumers.
    pub(super) fn member(&self, worker: usize) -> String {
        #[cfg(feature = "web")]
        if let Ok(settings) = self.settings() {
            return self.client_id(worker, &settings);
        }
        format!("worker-{worker}")
    }

    /// Records of the topic that the app's own groups have not committed.
    pub fn lag<V, K>(&self, topic: &Topic<V, K>) -> i64 {
        let real = self.real(topic.id());
        let cluster = self.on(topic.cluster);
        self.groups_on(topic.cluster)
            .iter()
            .map(|group| cluster.lag(group, &[&real]))
            .sum()
    }
}
