//! Administration of the cluster in memory: answers at once. One broker, number 0, keeps everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::assign::MemberId;
use super::errors::{error, unknown_topic};
use super::group::Group;
use super::state::{GroupKey, Shared, State};
use crate::admin::{
    AdminPort, AdminReply, BrokerNode, ClusterDescription, ConfigChange, ConfigEntry, ConfigSource,
    Each, GroupDescription, GroupListing, GroupProtocol, GroupState, MemberDescription, NewTopic,
    PartitionDescription, PartitionId, Spot, TopicDescription, TopicListing,
};
use crate::record::TopicPartition;
use crate::transport::TransportError;

/// What topics have where nobody set it.
const DEFAULTS: [(&str, &str); 4] = [
    ("cleanup.policy", "delete"),
    ("max.message.bytes", "1048588"),
    ("min.insync.replicas", "1"),
    ("retention.ms", "604800000"),
];

#[derive(Debug)]
pub(super) struct MemoryAdmin {
    pub(super) shared: Arc<Shared>,
}

impl MemoryAdmin {
    /// What the state says now, unless the broker is away.
    fn answer<T: Send + 'static>(
        &self,
        context: &str,
        ask: impl FnOnce(&mut State) -> Result<T, TransportError>,
    ) -> AdminReply<T> {
        let answer = self.shared.with(|state| {
            #[cfg(test)]
            state.note(context);
            state.reachable(context)?;
            ask(state)
        });
        Box::pin(std::future::ready(answer))
    }
}

fn refused(context: &str, code: &str, message: &str) -> TransportError {
    error(context, code, &format!("Broker: {message}"), false)
}

fn no_such_group(name: &str) -> TransportError {
    refused(name, "GROUP_ID_NOT_FOUND", "The group id does not exist")
}

impl AdminPort for MemoryAdmin {
    fn forget_coordinators(&self) {}

    fn cluster(&self, _: Duration) -> AdminReply<ClusterDescription> {
        self.answer("describing the cluster", |_| {
            Ok(ClusterDescription {
                id: "memory".to_owned(),
                controller: Some(0),
                brokers: vec![BrokerNode {
                    id: 0,
                    host: "memory".to_owned(),
                    port: 0,
                    rack: None,
                }],
            })
        })
    }

    fn topics(&self, _: Duration) -> AdminReply<Vec<TopicListing>> {
        self.answer("listing topics", |state| {
            let logs = state.topics.values();
            Ok(logs
                .map(|log| TopicListing {
                    name: log.name().to_string(),
                    partitions: log.partitions(),
                })
                .collect())
        })
    }

    fn describe_topics(
        &self,
        names: Vec<String>,
        _: Duration,
    ) -> AdminReply<Each<TopicDescription>> {
        self.answer("describing topics", |state| {
            Ok(names
                .iter()
                .map(|name| state.describe_topic(name))
                .collect())
        })
    }

    fn create_topic(&self, topic: NewTopic, dry: bool, _: Duration) -> AdminReply<()> {
        self.answer("creating a topic", |state| {
            let name = topic.name.as_str();
            if state.topics.contains_key(name) {
                let message = format!("Topic '{name}' already exists.");
                return Err(refused(name, "TOPIC_ALREADY_EXISTS", &message));
            }
            if topic.replication.is_some_and(|replicas| replicas > 1) {
                let message = "Replication factor is larger than the number of brokers: 1";
                return Err(refused(name, "INVALID_REPLICATION_FACTOR", message));
            }
            for (config, _) in &topic.configs {
                known_config(name, config)?;
            }
            if !dry {
                let partitions = topic
                    .partitions
                    .and_then(|count| usize::try_from(count).ok());
                state.ensure_topic(name, partitions);
                let configs = topic.configs.into_iter().collect();
                state.configs.insert(topic.name, configs);
            }
            Ok(())
        })
    }

    fn delete_topic(&self, name: String, _: Duration) -> AdminReply<()> {
        self.answer("deleting a topic", |state| state.delete_topic(&name))
    }

    fn add_partitions(&self, name: String, total: usize, _: Duration) -> AdminReply<()> {
        self.answer("adding partitions", |state| {
            let log = state.topics.get(name.as_str());
            let now = log.ok_or_else(|| unknown_topic(&name))?.partitions();
            if now >= total {
                let message =
                    format!("Topic currently has {now} partitions, which is not below {total}.");
                return Err(refused(&name, "INVALID_PARTITIONS", &message));
            }
            state.ensure_topic(&name, Some(total));
            Ok(())
        })
    }

    fn topic_configs(&self, names: Vec<String>, _: Duration) -> AdminReply<Each<Vec<ConfigEntry>>> {
        self.answer("reading configs", |state| {
            Ok(names.iter().map(|name| state.configs_of(name)).collect())
        })
    }

    fn alter_configs(
        &self,
        topic: String,
        changes: Vec<ConfigChange>,
        _: Duration,
    ) -> AdminReply<()> {
        self.answer("changing configs", |state| {
            if !state.topics.contains_key(topic.as_str()) {
                return Err(unknown_topic(&topic));
            }
            for change in &changes {
                let (ConfigChange::Set(name, _) | ConfigChange::Reset(name)) = change;
                known_config(&topic, name)?;
            }
            let configs = state.configs.entry(topic).or_default();
            for change in changes {
                match change {
                    ConfigChange::Set(name, value) => configs.insert(name, value),
                    ConfigChange::Reset(name) => configs.remove(&name),
                };
            }
            Ok(())
        })
    }

    fn groups(&self, _: Duration) -> AdminReply<Vec<GroupListing>> {
        self.answer("listing groups", |state| {
            let groups = state.groups.iter();
            Ok(groups
                .filter_map(|(key, group)| match key {
                    GroupKey::Named(name) => Some(GroupListing {
                        group: name.clone(),
                        state: state_of(group),
                        protocol: GroupProtocol::Classic,
                    }),
                    GroupKey::Solo(_) => None,
                })
                .collect())
        })
    }

    fn describe_group(&self, name: String, _: Duration) -> AdminReply<GroupDescription> {
        self.answer("describing a group", |state| {
            let group = state.groups.get(&GroupKey::Named(name.clone()));
            let group = group.ok_or_else(|| no_such_group(&name))?;
            Ok(describe_group(&name, group))
        })
    }

    fn delete_group(&self, name: String, _: Duration) -> AdminReply<()> {
        self.answer("deleting a group", |state| {
            let key = GroupKey::Named(name.clone());
            let group = state.groups.get(&key).ok_or_else(|| no_such_group(&name))?;
            if group.members().next().is_some() {
                return Err(refused(&name, "NON_EMPTY_GROUP", "The group is not empty"));
            }
            state.groups.remove(&key);
            state.bump();
            Ok(())
        })
    }

    fn committed(&self, group: String, _: Duration) -> AdminReply<Vec<(TopicPartition, i64)>> {
        self.answer("offsets of a group", |state| {
            let group = state.groups.get(&GroupKey::Named(group));
            Ok(group.map(Group::all_committed).unwrap_or_default())
        })
    }

    /// Offsets of an open transaction are lost with its member here, and a group with members is not moved:
    /// what is committed is settled.
    fn settled(
        &self,
        group: String,
        partitions: Vec<TopicPartition>,
        _: Duration,
    ) -> AdminReply<Vec<(TopicPartition, i64)>> {
        self.answer("offsets of a group", |state| {
            let group = state.groups.get(&GroupKey::Named(group));
            let mut offsets = group.map(Group::all_committed).unwrap_or_default();
            offsets.retain(|(partition, _)| partitions.contains(partition));
            Ok(offsets)
        })
    }

    fn alter_offsets(
        &self,
        group: String,
        offsets: Vec<(TopicPartition, i64)>,
        _: Duration,
    ) -> AdminReply<Each<()>> {
        self.answer("moving a group", |state| state.move_group(group, &offsets))
    }

    fn list_offsets(
        &self,
        topic: String,
        partitions: Vec<i32>,
        at: Spot,
        _timeout: Duration,
    ) -> AdminReply<Vec<Option<i64>>> {
        self.answer("asking for offsets", |state| {
            let partitions = partitions.into_iter();
            let ids = partitions.map(|partition| TopicPartition::new(topic.as_str(), partition));
            state.offsets(&ids.collect::<Vec<_>>(), at)
        })
    }
}

/// The broker in memory keeps what it is told, and knows slips of the pen by Kafka's form of names.
fn known_config(topic: &str, name: &str) -> Result<(), TransportError> {
    if name.contains('.') {
        return Ok(());
    }
    let message = format!("Unknown topic config name: {name}");
    Err(refused(topic, "INVALID_CONFIG", &message))
}

/// What its coordinator calls a member.
fn member_id(client_id: &str, id: MemberId) -> String {
    format!("{client_id}-{id}")
}

fn state_of(group: &Group) -> GroupState {
    match group.members().next() {
        Some(_) if group.is_dealing() => GroupState::Rebalancing,
        Some(_) => GroupState::Stable,
        None => GroupState::Empty,
    }
}

/// As of a group of the classic protocol: while it deals its partitions, it does not tell whose they are.
fn describe_group(name: &str, group: &Group) -> GroupDescription {
    let members = group.members();
    let told = !group.is_dealing();
    GroupDescription {
        group: name.to_owned(),
        state: state_of(group),
        protocol: GroupProtocol::Classic,
        assignor: "cooperative-sticky".to_owned(),
        coordinator: Some(0),
        members: members
            .map(|(id, client_id)| MemberDescription {
                member_id: member_id(client_id, id),
                client_id: client_id.to_owned(),
                instance_id: None,
                host: "memory".to_owned(),
                partitions: group
                    .owned(id)
                    .iter()
                    .filter(|_| told)
                    .map(|p| PartitionId::new(&*p.topic, p.partition))
                    .collect(),
                target: None,
            })
            .collect(),
    }
}

impl State {
    /// What the coordinator calls a consumer; `None` without a group.
    pub(super) fn member_id(&mut self, id: MemberId) -> Option<String> {
        #[cfg(test)]
        self.note("member id");
        let key = &self.consumers.get(&id)?.group;
        let group = self
            .groups
            .get(key)
            .filter(|_| matches!(key, GroupKey::Named(_)))?;
        let (_, client_id) = group.members().find(|(member, _)| *member == id)?;
        Some(member_id(client_id, id))
    }

    fn describe_topic(&self, name: &str) -> Result<TopicDescription, TransportError> {
        let log = self.topics.get(name).ok_or_else(|| unknown_topic(name))?;
        let partitions = i32::try_from(log.partitions()).unwrap_or(i32::MAX);
        Ok(TopicDescription {
            name: name.to_owned(),
            id: None,
            internal: false,
            partitions: (0..partitions)
                .map(|partition| PartitionDescription {
                    partition,
                    leader: Some(0),
                    replicas: vec![0],
                    in_sync: vec![0],
                })
                .collect(),
        })
    }

    fn configs_of(&self, topic: &str) -> Result<Vec<ConfigEntry>, TransportError> {
        if !self.topics.contains_key(topic) {
            return Err(unknown_topic(topic));
        }
        let entry = |source, name: &str, value: &str| {
            let entry = ConfigEntry {
                name: name.to_owned(),
                value: Some(value.to_owned()),
                source,
                read_only: false,
                sensitive: false,
            };
            (name.to_owned(), entry)
        };
        let defaults = DEFAULTS.iter();
        let mut entries: BTreeMap<_, _> = defaults
            .map(|(name, value)| entry(ConfigSource::Default, name, value))
            .collect();
        let own = self.configs.get(topic).into_iter().flatten();
        entries.extend(own.map(|(name, value)| entry(ConfigSource::Topic, name, value)));
        Ok(entries.into_values().collect())
    }

    fn delete_topic(&mut self, name: &str) -> Result<(), TransportError> {
        if self.topics.remove(name).is_none() {
            return Err(unknown_topic(name));
        }
        self.configs.remove(name);
        for group in self.groups.values_mut() {
            group.topic_deleted(name);
        }
        self.bump();
        self.poke_all();
        Ok(())
    }

    fn move_group(
        &mut self,
        group: String,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<Each<()>, TransportError> {
        let there: Each<()> = offsets
            .iter()
            .map(|(partition, _)| self.watermarks(partition).map(|_| ()))
            .collect();
        let sizes = self.topics.values();
        let sizes = sizes.map(|log| (log.name().clone(), log.partitions()));
        let sizes = sizes.collect();
        let key = GroupKey::Named(group.clone());
        let state = self.groups.entry(key);
        let state = state.or_insert_with(|| Group::new(super::assign::Assignor::default(), sizes));
        if state.members().next().is_some() {
            let message = "The coordinator is not aware of this member";
            return Err(refused(&group, "UNKNOWN_MEMBER_ID", message));
        }
        let known: Vec<_> = offsets
            .iter()
            .zip(&there)
            .filter(|(_, there)| there.is_ok())
            .map(|(offset, _)| offset.clone())
            .collect();
        state.store(&known);
        self.bump();
        Ok(there)
    }

    pub(super) fn offsets(
        &self,
        partitions: &[TopicPartition],
        at: Spot,
    ) -> Result<Vec<Option<i64>>, TransportError> {
        let offset = |id: &TopicPartition| {
            let marks = self.watermarks(id)?;
            Ok(match at {
                Spot::Beginning => Some(marks.low),
                Spot::End => Some(marks.high),
                Spot::Time(time) => {
                    let log = self.topics.get(&id.topic);
                    log.and_then(|log| log.at_time(id.partition, time))
                }
            })
        };
        partitions.iter().map(offset).collect()
    }
}
