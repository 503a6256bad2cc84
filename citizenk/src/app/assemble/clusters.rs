//! Clusters that components name.

use std::collections::BTreeSet;

use super::Checks;
use crate::config::{check_cluster_name, servers_variable};
use crate::policy::Guarantee;
use crate::runtime::plan::AgentPlan;
use crate::suggest::did_you_mean;
use crate::topic::DEFAULT_CLUSTER;
use crate::topic::describe::TopicInfo;

impl Checks<'_> {
    /// Names by which operators give settings.
    pub(super) fn cluster_names(&mut self, names: &[&'static str]) {
        let mut variables = BTreeSet::new();
        for name in names {
            if let Err(reason) = check_cluster_name(name) {
                self.issue("app", reason);
            } else if !variables.insert(servers_variable(name)) {
                self.issue("app", format!("has two clusters `{name}`"));
            }
        }
    }

    /// Whether the topic's cluster is there.
    pub(super) fn cluster(&mut self, component: &str, topic: &TopicInfo) {
        if self.clusters.contains(&topic.cluster) {
            return;
        }
        let hint = did_you_mean(topic.cluster, self.clusters.iter().copied());
        let what = if topic.cluster == DEFAULT_CLUSTER {
            format!(
                "is on the cluster without a name, which this run does not have: set {}",
                servers_variable(DEFAULT_CLUSTER)
            )
        } else {
            format!(
                "is on cluster `{}`, which the app does not have{hint}; add it with `App::cluster`",
                topic.cluster
            )
        };
        let known = self.clusters.join(", ");
        let message = format!("topic `{}` {what} (there are: {known})", topic.plain);
        self.issue(component, message);
    }

    /// A consumer reads one cluster; a transaction is of one.
    pub(super) fn one_cluster(&mut self, plan: &AgentPlan) {
        let spec = &plan.spec;
        let elsewhere = spec
            .topics
            .iter()
            .find(|topic| topic.cluster != plan.cluster);
        if let Some(topic) = elsewhere {
            let message = format!(
                "reads topics of two clusters, `{}` and `{}`; make an agent for each",
                plan.cluster, topic.cluster
            );
            self.agent_issue(spec, message);
        }
        if plan.guarantee != Guarantee::ExactlyOnce {
            return;
        }
        let targets = plan.table.targets().iter();
        let elsewhere = targets.map(|target| target.id);
        for id in elsewhere.filter(|id| id.cluster != plan.cluster) {
            let message = format!(
                "reads cluster `{}` exactly once and writes topic `{}` of cluster `{}`, but a transaction is of one \
                 cluster; write to a topic of its own cluster and copy that at least once",
                plan.cluster, id.name, id.cluster
            );
            self.agent_issue(spec, message);
        }
    }
}
