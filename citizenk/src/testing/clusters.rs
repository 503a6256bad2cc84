//! The clusters of a [`TestApp`], each a log of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::TestApp;
use crate::config::DEFAULT_CLUSTER;
use crate::runtime::clusters::{Cluster, Clusters};
use crate::topic::TopicId;
use crate::transport::memory::MemoryCluster;

impl TestApp {
    /// Administers the clusters in memory, as the app's own handlers do with [`Admin`](crate::Admin). It has
    /// one broker and keeps configs without knowing what they mean.
    pub fn admin(&self) -> crate::Admin {
        let names = self
            .settings()
            .map(|settings| crate::app::overrides(&settings).names);
        crate::app::topics::admin(&self.clusters(), &names.unwrap_or_default())
    }

    pub(super) fn real(&self, topic: TopicId) -> String {
        let name = topic.text();
        self.settings().map_or_else(
            |_| topic.name.to_owned(),
            |settings| settings.real_topic(name),
        )
    }

    /// The cluster of this name in memory.
    ///
    /// # Panics
    /// When the app has none.
    #[track_caller]
    pub(super) fn on(&self, cluster: &str) -> &MemoryCluster {
        if cluster == DEFAULT_CLUSTER {
            return &self.cluster;
        }
        match self.others.get(cluster) {
            Some(found) => found,
            None => panic!("the app has no cluster `{cluster}`; add it with `App::cluster`"),
        }
    }

    #[cfg(test)]
    pub(crate) fn memory(&self) -> &MemoryCluster {
        &self.cluster
    }

    pub(super) fn memories(&self) -> impl Iterator<Item = (&'static str, &MemoryCluster)> {
        let others = self.others.iter().map(|(name, cluster)| (*name, cluster));
        std::iter::once((DEFAULT_CLUSTER, &self.cluster)).chain(others)
    }

    pub(crate) fn clusters(&self) -> Clusters {
        let has = |(name, _): &(&'static str, &MemoryCluster)| self.names.contains(name);
        let mut all = self.memories().filter(has).map(|(name, cluster)| Cluster {
            name,
            transport: cluster.transport(),
            consumer_settings: BTreeMap::new(),
            producer_settings: BTreeMap::new(),
        });
        match all.next() {
            Some(first) => Clusters::new(first, all.collect()),
            None => Clusters::unnamed(self.cluster.transport()),
        }
    }

    /// The app's groups that read topics of the cluster.
    pub(super) fn groups_on(&self, cluster: &str) -> BTreeSet<String> {
        let agents = self
            .workers
            .values()
            .flat_map(|worker| worker.engine.agents());
        let here = agents.filter(|agent| agent.plan.cluster == cluster);
        here.filter_map(|agent| agent.plan.group.clone()).collect()
    }

    pub(super) fn permit(&self, records: Option<usize>) {
        self.memories()
            .for_each(|(_, cluster)| cluster.permit(records));
    }

    pub(super) fn activity(&self) -> u64 {
        self.memories().map(|(_, cluster)| cluster.activity()).sum()
    }
}
