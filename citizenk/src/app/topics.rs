//! The app's topics beside those of the cluster.
//!
//! In: what the app declares and the settings say. Out: missing topics created, where that is allowed;
//! every other difference named, in the log or as the error that ends the start.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Handle;

use super::assemble::Assembled;
use crate::admin::{Admin, AdminError, Difference, Wanted};
use crate::config::TopicNames;
use crate::config::{CheckTopics, Settings};
use crate::error::RunError;
use crate::runtime::clusters::{Cluster, Clusters};
use crate::topic::Declared;
use crate::topic::describe::TopicInfo;
use crate::transport::BrokerKind;

/// What administers one cluster.
pub(crate) fn admin_of(cluster: &Cluster, names: &TopicNames) -> Admin {
    let (transport, names) = (cluster.transport.clone(), names.clone());
    let real_name = move |name: &str| names.real(name);
    Admin::new(cluster.name, move || transport.admin(), real_name)
}

/// What administers the app's clusters.
pub(crate) fn admin(clusters: &Clusters, names: &TopicNames) -> Admin {
    let all = clusters.all().map(|cluster| admin_of(cluster, names));
    Admin::first_of(all).unwrap_or_else(|| admin_of(clusters.first(), names))
}

/// How many partitions the topic declares, or else this many.
pub(crate) fn partitions_or(topic: &TopicInfo, default: usize) -> usize {
    let declared = topic.declared.partitions;
    declared
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(default)
}

/// Every topic the app has on the cluster, by its name there.
pub(super) fn wanted(assembled: &Assembled, names: &TopicNames, cluster: &str) -> Vec<Wanted> {
    let topics = assembled.topics.values();
    let mut by_name: BTreeMap<String, Declared> = BTreeMap::new();
    for topic in topics.filter(|topic| topic.cluster == cluster) {
        // Two topics of the program may be one on the broker: what is said of it counts.
        let declared = by_name.entry(names.real(topic.name)).or_default();
        if *declared == Declared::default() {
            *declared = *topic.declared;
        }
    }
    by_name
        .into_iter()
        .map(|(name, declared)| Wanted { name, declared })
        .collect()
}

/// How long a start waits for topics to be created on one of several clusters.
const CREATING: Duration = Duration::from_secs(2);
const CREATE_AGAIN: Duration = Duration::from_secs(5);
const CREATE_AGAIN_AT_MOST: Duration = Duration::from_secs(300);

/// Carries out what is to be done on each cluster, on all at once.
pub(crate) async fn settle_all(
    checks: Vec<(TopicCheck, Admin)>,
    handle: &Handle,
) -> Result<(), RunError> {
    let all = checks.into_iter();
    let all = all.map(|(check, admin)| async move { check.run(&admin, handle).await });
    let ended = futures_util::future::join_all(all).await;
    ended.into_iter().collect()
}

/// What is to be done about topics before anything starts.
#[derive(Debug)]
pub(crate) struct TopicCheck {
    /// The app has no other cluster, so nothing goes on without this one.
    alone: bool,
    wanted: Vec<Wanted>,
    create: bool,
    check: CheckTopics,
}

impl TopicCheck {
    /// Nothing on brokers inside the process: they get the topics they need, and have neither replicas nor
    /// configs.
    pub(crate) fn new(
        assembled: &Assembled,
        names: &TopicNames,
        cluster: &Cluster,
        alone: bool,
        settings: &Settings,
    ) -> Self {
        let (create, check) = (settings.create_topics.value, settings.check_topics.value);
        let mut wanted = match cluster.transport.kind() {
            BrokerKind::Kafka => wanted(assembled, names, cluster.name),
            BrokerKind::Embedded | BrokerKind::Memory => Vec::new(),
        };
        if !create && check == CheckTopics::Warn {
            // A topic of which the app says nothing may well come later.
            wanted.retain(|topic| topic.declared != Declared::default());
        }
        Self {
            alone,
            wanted,
            create,
            check,
        }
    }

    /// Of every cluster of the app, with what administers it.
    pub(crate) fn all(
        assembled: &Assembled,
        names: &TopicNames,
        clusters: &Clusters,
        settings: &Settings,
    ) -> Vec<(Self, Admin)> {
        let alone = clusters.all().count() == 1;
        let check = |cluster| Self::new(assembled, names, cluster, alone, settings);
        let all = clusters.all();
        all.map(|cluster| (check(cluster), admin_of(cluster, names)))
            .collect()
    }

    /// Creates and compares. Where nothing depends on it, or other clusters may be there, a cluster that does
    /// not answer holds up no start.
    pub(crate) async fn run(self, admin: &Admin, handle: &Handle) -> Result<(), RunError> {
        let nothing = !self.create && self.check == CheckTopics::Off;
        if nothing || self.wanted.is_empty() {
            return Ok(());
        }
        if self.check == CheckTopics::Error || (self.create && self.alone) {
            return self.settle(admin).await;
        }
        let admin = admin.clone();
        if self.create {
            let creating = handle.spawn(async move { self.keep_creating(&admin).await });
            // What takes longer goes on beside the agents.
            let _ = tokio::time::timeout(CREATING, creating).await;
            return Ok(());
        }
        handle.spawn(async move {
            if let Err(error) = self.settle(&admin).await {
                tracing::warn!(%error, "the topics could not be compared with their declarations");
            }
        });
        Ok(())
    }

    async fn keep_creating(&self, admin: &Admin) {
        let mut pause = CREATE_AGAIN;
        while let Err(error) = self.settle(admin).await {
            let cluster = admin.cluster_name();
            tracing::warn!(cluster, %error, again_in = ?pause, "topics could not be created");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(CREATE_AGAIN_AT_MOST);
        }
    }

    async fn settle(&self, admin: &Admin) -> Result<(), RunError> {
        let failed = |error: AdminError| RunError::Startup {
            component: "the check of topics".to_owned(),
            reason: error.to_string(),
        };
        let mut found = admin.compare(&self.wanted).await.map_err(failed)?;
        if self.create {
            let created = admin.create_missing(&self.wanted, &found).await;
            let created = created.map_err(failed)?;
            for topic in &created {
                tracing::info!(topic, "created");
            }
            let missing = |one: &Difference| matches!(one, Difference::Missing { .. });
            if found.iter().filter(|one| missing(one)).count() > created.len() {
                // Another worker was quicker, perhaps one that declares otherwise.
                found = admin.compare(&self.wanted).await.map_err(failed)?;
            }
            found.retain(|one| !missing(one));
        }
        match self.check {
            CheckTopics::Off => Ok(()),
            CheckTopics::Warn => {
                for difference in &found {
                    tracing::warn!("{difference}");
                }
                Ok(())
            }
            CheckTopics::Error => refused(&found),
        }
    }
}

/// An error that names every difference; none without any.
pub(super) fn refused(found: &[Difference]) -> Result<(), RunError> {
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(|one| format!("\n  - {one}")).collect();
    Err(RunError::Startup {
        component: "the check of topics".to_owned(),
        reason: format!("{} differences:{}", found.len(), lines.concat()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::ConfigChange;
    use crate::transport::memory::MemoryCluster;

    fn admin(cluster: &MemoryCluster) -> Admin {
        let transport = cluster.transport();
        Admin::new("default", move || transport.admin(), str::to_owned)
    }

    fn check(create: bool, check: CheckTopics) -> TopicCheck {
        let declared = |partitions, configs| Declared {
            partitions: Some(partitions),
            replication: Some(1),
            configs,
        };
        let topic = |name: &str, declared| Wanted {
            name: name.to_owned(),
            declared,
        };
        TopicCheck {
            alone: true,
            wanted: vec![
                topic("new", declared(6, &[("cleanup.policy", "compact")])),
                topic("old", declared(4, &[("retention.ms", "1000")])),
            ],
            create,
            check,
        }
    }

    #[tokio::test]
    async fn missing_topics_are_created_and_other_differences_named() {
        let cluster = MemoryCluster::new();
        cluster.create_topic("old", 2);
        let admin = admin(&cluster);
        let handle = Handle::current();
        let run = |create, what| check(create, what).run(&admin, &handle);

        let error = run(false, CheckTopics::Error)
            .await
            .unwrap_err()
            .to_string();
        for part in [
            "3 differences",
            "`new` does not exist",
            "2 partitions, declared are 4",
            "retention.ms",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(
            admin.topics().await.unwrap().len(),
            1,
            "nothing is created unasked"
        );

        let error = run(true, CheckTopics::Error).await.unwrap_err().to_string();
        assert!(error.contains("2 differences"), "{error}");
        let created = admin.describe_topic("new").await.unwrap();
        assert_eq!(created.partitions.len(), 6);
        let configs = admin.topic_configs("new").await.unwrap();
        let policy = configs.iter().find(|entry| entry.name == "cleanup.policy");
        assert_eq!(policy.unwrap().value.as_deref(), Some("compact"));

        admin.add_partitions("old", 4).await.unwrap();
        let change = [ConfigChange::set("retention.ms", "1000")];
        admin.alter_configs("old", &change).await.unwrap();
        run(false, CheckTopics::Error).await.unwrap();
    }

    #[tokio::test]
    async fn a_cluster_that_does_not_answer_holds_up_no_start_that_only_compares() {
        let cluster = MemoryCluster::new();
        cluster.set_available(false);
        let admin = admin(&cluster);
        let handle = Handle::current();
        check(false, CheckTopics::Warn)
            .run(&admin, &handle)
            .await
            .unwrap();
        for (create, what) in [(false, CheckTopics::Error), (true, CheckTopics::Off)] {
            let error = check(create, what).run(&admin, &handle).await.unwrap_err();
            assert!(error.to_string().contains("_TRANSPORT"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_several_clusters_holds_up_no_start_and_gets_its_topics_when_it_is_back() {
        let cluster = MemoryCluster::new();
        cluster.set_available(false);
        let admin = admin(&cluster);
        let begun = tokio::time::Instant::now();
        let one_of_two = TopicCheck {
            alone: false,
            ..check(true, CheckTopics::Off)
        };
        let handle = Handle::current();
        settle_all(vec![(one_of_two, admin.clone())], &handle)
            .await
            .unwrap();
        assert!(begun.elapsed() <= CREATING);
        cluster.set_available(true);
        tokio::time::sleep(CREATE_AGAIN * 2).await;
        let created = admin.describe_topic("new").await.unwrap();
        assert_eq!(created.partitions.len(), 6);
    }
}
