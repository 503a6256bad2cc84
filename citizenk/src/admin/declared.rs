//! Topics as the app declares them, beside those there are.

use std::fmt;

use super::check;
use super::client::Admin;
use super::error::{AdminError, AdminErrorKind};
use super::types::{ConfigEntry, NewTopic, TopicDescription};
use crate::topic::Declared;

/// A topic of the app, by its name on the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) declared: Declared,
}

/// One thing that is not as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Missing {
        topic: String,
    },
    Partitions {
        topic: String,
        declared: u32,
        actual: usize,
    },
    Replication {
        topic: String,
        declared: u16,
        actual: usize,
    },
    Config {
        topic: String,
        name: &'static str,
        declared: &'static str,
        /// `None`: the broker has no such config, or does not tell its value.
        actual: Option<String>,
    },
    /// The cluster does not tell.
    Unknown(AdminError),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { topic } => write!(
                f,
                "topic `{topic}` does not exist; create it, or let the program do so with `--create-topics`"
            ),
            Self::Partitions {
                topic,
                declared,
                actual,
            } if *actual < usize::try_from(*declared).unwrap_or(usize::MAX) => write!(
                f,
                "topic `{topic}` has {actual} partitions, declared are {declared}; add some (keys then move to other partitions), or change the declaration"
            ),
            Self::Partitions {
                topic,
                declared,
                actual,
            } => write!(
                f,
                "topic `{topic}` has {actual} partitions, declared are {declared}; none can be taken away, so change the declaration"
            ),
            Self::Replication {
                topic,
                declared,
                actual,
            } => write!(
                f,
                "topic `{topic}` has {actual} replicas, declared are {declared}; reassign its partitions, or change the declaration"
            ),
            Self::Config {
                topic,
                name,
                declared,
                actual: Some(actual),
            } => write!(
                f,
                "topic `{topic}`: config `{name}` is `{actual}`, declared is `{declared}`; alter it, or change the declaration"
            ),
            Self::Config {
                topic,
                name,
                declared,
                actual: None,
            } => write!(
                f,
                "topic `{topic}`: config `{name}` is declared as `{declared}`, but the broker shows no such config"
            ),
            Self::Unknown(error) => error.fmt(f),
        }
    }
}

/// What cannot be right in a declaration, whatever the cluster is. One that says nothing is right of any
/// topic, also of Kafka's own.
pub(crate) fn problems(name: &str, declared: &Declared) -> Result<(), String> {
    if *declared == Declared::default() {
        return Ok(());
    }
    check::new_topic(&new_topic(name, declared))
}

fn new_topic(name: &str, declared: &Declared) -> NewTopic {
    let mut topic = NewTopic::new(name);
    (topic.partitions, topic.replication) = (declared.partitions, declared.replication);
    declared
        .configs
        .iter()
        .fold(topic, |topic, (name, value)| topic.config(*name, *value))
}

/// What of an existing topic is not as declared. Pure.
fn differences(
    wanted: &Wanted,
    actual: &TopicDescription,
    configs: &[ConfigEntry],
) -> Vec<Difference> {
    let Wanted { name, declared } = wanted;
    let mut found = Vec::new();
    if let Some(partitions) = declared.partitions
        && usize::try_from(partitions) != Ok(actual.partitions.len())
    {
        found.push(Difference::Partitions {
            topic: name.clone(),
            declared: partitions,
            actual: actual.partitions.len(),
        });
    }
    if let Some(replication) = declared.replication
        && usize::from(replication) != actual.replication()
    {
        found.push(Difference::Replication {
            topic: name.clone(),
            declared: replication,
            actual: actual.replication(),
        });
    }
    for (config, value) in declared.configs {
        let entry = configs.iter().find(|entry| entry.name == *config);
        let actual = entry.and_then(|entry| entry.value.clone());
        if !same_value(actual.as_deref(), value) {
            found.push(Difference::Config {
                topic: name.clone(),
                name: config,
                declared: value,
                actual,
            });
        }
    }
    found
}

/// Lists (`compact,delete`) are the same in any order.
fn same_value(actual: Option<&str>, declared: &str) -> bool {
    let parts = |text: &str| {
        let mut parts: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
        parts.sort();
        parts
    };
    actual.is_some_and(|actual| actual == declared || parts(actual) == parts(declared))
}

impl Admin {
    /// What is not as declared, topic by topic.
    pub(crate) async fn compare(&self, wanted: &[Wanted]) -> Result<Vec<Difference>, AdminError> {
        let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
        let described = self.describe_each(&names).await?;
        let with_configs = |topic: &&Wanted| !topic.declared.configs.is_empty();
        let of_interest: Vec<String> = wanted
            .iter()
            .zip(&described)
            .filter(|(topic, described)| described.is_ok() && with_configs(topic))
            .map(|(topic, _)| topic.name.clone())
            .collect();
        let read = self.configs_of(of_interest.clone()).await?;
        let mut configs: std::collections::BTreeMap<_, _> =
            of_interest.into_iter().zip(read).collect();
        let mut found = Vec::new();
        for (topic, described) in wanted.iter().zip(described) {
            let refused = |operation, error| {
                let subject = format!("topic `{}`", topic.name);
                AdminError::of(self.cluster_name(), operation, subject, error)
            };
            match described.map_err(|error| refused("describing", error)) {
                Ok(described) => {
                    let entries = configs
                        .remove(&topic.name)
                        .unwrap_or_else(|| Ok(Vec::new()));
                    match entries {
                        Ok(entries) => found.extend(differences(topic, &described, &entries)),
                        Err(error) => {
                            let without = Wanted {
                                declared: Declared {
                                    configs: &[],
                                    ..topic.declared
                                },
                                ..topic.clone()
                            };
                            found.extend(differences(&without, &described, &[]));
                            let error = refused("reading configs of", error);
                            found.push(Difference::Unknown(error));
                        }
                    }
                }
                Err(error) if error.kind == AdminErrorKind::NotFound => {
                    found.push(Difference::Missing {
                        topic: topic.name.clone(),
                    });
                }
                Err(error) => found.push(Difference::Unknown(error)),
            }
        }
        Ok(found)
    }

    /// Creates those that are missing; answers their names. Another worker may be quicker.
    pub(crate) async fn create_missing(
        &self,
        wanted: &[Wanted],
        differences: &[Difference],
    ) -> Result<Vec<String>, AdminError> {
        let mut created = Vec::new();
        for topic in wanted {
            let missing = Difference::Missing {
                topic: topic.name.clone(),
            };
            if !differences.contains(&missing) {
                continue;
            }
            match self
                .create_topic(new_topic(&topic.name, &topic.declared))
                .await
            {
                Ok(()) => created.push(topic.name.clone()),
                Err(error) if error.kind == AdminErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(created)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{ConfigSource, PartitionDescription};

    fn description(partitions: i32, replicas: &[i32]) -> TopicDescription {
        TopicDescription {
            name: "orders".to_owned(),
            id: None,
            internal: false,
            partitions: (0..partitions)
                .map(|partition| PartitionDescription {
                    partition,
                    leader: Some(1),
                    replicas: replicas.to_vec(),
                    in_sync: replicas.to_vec(),
                })
                .collect(),
        }
    }

    fn config(name: &str, value: &str) -> ConfigEntry {
        ConfigEntry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source: ConfigSource::Default,
            read_only: false,
            sensitive: false,
        }
    }

    #[test]
    fn every_difference_is_named() {
        let wanted = Wanted {
            name: "orders".to_owned(),
            declared: Declared {
                partitions: Some(12),
                replication: Some(3),
                configs: &[
                    ("cleanup.policy", "delete,compact"),
                    ("retention.ms", "1000"),
                    ("retention.sm", "1"),
                ],
            },
        };
        let configs = [
            config("cleanup.policy", "compact, delete"),
            config("retention.ms", "604800000"),
        ];
        let found = differences(&wanted, &description(6, &[1]), &configs);
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        for (line, parts) in lines.iter().zip([
            ["`orders`", "6 partitions", "12"],
            ["`orders`", "1 replicas", "3"],
            ["`retention.ms`", "`604800000`", "`1000`"],
            ["`retention.sm`", "`1`", "no such config"],
        ]) {
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
        let too_many = differences(&wanted, &description(13, &[1, 2, 3]), &[]);
        assert!(too_many[0].to_string().contains("none can be taken away"));
        let nothing = Wanted {
            declared: Declared::default(),
            ..wanted
        };
        assert_eq!(differences(&nothing, &description(1, &[1]), &[]), []);
    }
}
