//! The app's topics beside those of the cluster.
//!
//! In: what the app declares and the settings say. Out: missing topics created, where that is allowed;
//! every other difference named, in the log or as the error that ends the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::assemble::Assembled;
use crate::admin::{Admin, AdminError, Difference, Wanted};
use crate::config::{CheckTopics, Settings};
use crate::error::RunError;
use crate::runtime::produce::TopicNames;
use crate::topic::describe::TopicInfo;
use crate::topic::{DEFAULT_CLUSTER, Declared};
use crate::transport::{BrokerKind, Transport};

/// What administers the app's cluster.
pub(crate) fn admin(transport: Arc<dyn Transport>, names: TopicNames) -> Admin {
    let real_name = move |name: &str| names.real(name);
    Admin::new(DEFAULT_CLUSTER, move || transport.admin(), real_name)
}

/// How many partitions the topic declares, or else this many.
pub(crate) fn partitions_or(topic: &TopicInfo, default: usize) -> usize {
    let declared = topic.declared.partitions;
    declared
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(default)
}

/// Every topic of the app's cluster, by its name there.
pub(super) fn wanted(assembled: &Assembled, names: &TopicNames) -> Vec<Wanted> {
    let topics = assembled.topics.values();
    let mut by_name: BTreeMap<String, Declared> = BTreeMap::new();
    for topic in topics.filter(|topic| topic.cluster == DEFAULT_CLUSTER) {
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

/// What is to be done about topics before anything starts.
#[derive(Debug)]
pub(crate) struct TopicCheck {
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
        kind: BrokerKind,
        settings: &Settings,
    ) -> Self {
        let (create, check) = (settings.create_topics.value, settings.check_topics.value);
        let mut wanted = match kind {
            BrokerKind::Kafka => wanted(assembled, names),
            BrokerKind::Embedded | BrokerKind::Memory => Vec::new(),
        };
        if !create && check == CheckTopics::Warn {
            // A topic of which the app says nothing may well come later.
            wanted.retain(|topic| topic.declared != Declared::default());
        }
        Self {
            wanted,
            create,
            check,
        }
    }

    /// Creates and compares. Where nothing depends on it, a cluster that does not answer holds up no start.
    pub(crate) async fn run(self, admin: &Admin, handle: &Handle) -> Result<(), RunError> {
        let nothing = !self.create && self.check == CheckTopics::Off;
        if nothing || self.wanted.is_empty() {
            return Ok(());
        }
        if self.create || self.check == CheckTopics::Error {
            return self.settle(admin).await;
        }
        let admin = admin.clone();
        handle.spawn(async move {
            if let Err(error) = self.settle(&admin).await {
                tracing::warn!(%error, "the topics could not be compared with their declarations");
            }
        });
        Ok(())
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
        let admin = admin(cluster.transport(), TopicNames::default());
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
        let admin = admin(cluster.transport(), TopicNames::default());
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
}
