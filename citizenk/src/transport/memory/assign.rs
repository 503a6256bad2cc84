//! Pure: which member of a group should have which partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::record::TopicPartition;

/// A consumer of the cluster; also its name inside a group.
pub(super) type MemberId = u64;

/// Partition to member.
pub(super) type Assignment = BTreeMap<TopicPartition, MemberId>;

/// A member that takes part in an assignment; members are given in join order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber<'a> {
    pub(super) id: MemberId,
    pub(super) topics: &'a BTreeSet<Arc<str>>,
}

/// How partitions are dealt. Handing them over is cooperative in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Members keep what they have; only what balance needs moves.
    #[default]
    Sticky,
    /// Every topic in contiguous ranges, in join order: equal partition numbers of topics of equal
    /// size meet at one member.
    Range,
}

impl Assignor {
    /// Reads librdkafka's `partition.assignment.strategy`, whose default lists range first but which
    /// this library sets to cooperative-sticky.
    pub(super) fn from_setting(setting: Option<&str>) -> Self {
        match setting.and_then(|names| names.split(',').next()) {
            Some(name) if name.trim() == "range" => Self::Range,
            _ => Self::Sticky,
        }
    }

    pub(super) fn assign(
        self,
        partitions: &BTreeSet<TopicPartition>,
        members: &[Subscriber<'_>],
        previous: &Assignment,
    ) -> Assignment {
        match self {
            Self::Sticky => sticky(partitions, members, previous),
            Self::Range => range(partitions, members),
        }
    }
}

/// How many partitions each member has, in total and by topic.
#[derive(Default)]
struct Loads<'a> {
    total: BTreeMap<MemberId, usize>,
    by_topic: BTreeMap<(MemberId, &'a str), usize>,
}

impl<'a> Loads<'a> {
    fn total(&self, id: MemberId) -> usize {
        self.total.get(&id).copied().unwrap_or_default()
    }

    fn of_topic(&self, id: MemberId, topic: &'a str) -> usize {
        self.by_topic.get(&(id, topic)).copied().unwrap_or_default()
    }

    fn add(&mut self, id: MemberId, topic: &'a str) {
        *self.total.entry(id).or_default() += 1;
        *self.by_topic.entry((id, topic)).or_default() += 1;
    }

    fn remove(&mut self, id: MemberId, topic: &'a str) {
        let topic = self.by_topic.get_mut(&(id, topic));
        for count in self.total.get_mut(&id).into_iter().chain(topic) {
            *count -= 1;
        }
    }
}

fn sticky(
    partitions: &BTreeSet<TopicPartition>,
    members: &[Subscriber<'_>],
    previous: &Assignment,
) -> Assignment {
    let mut assignment = Assignment::new();
    let mut loads = Loads::default();
    let keeps = |id: MemberId, topic: &str| {
        members
            .iter()
            .any(|member| member.id == id && member.topics.contains(topic))
    };
    for (partition, &id) in previous {
        if let Some(partition) = partitions.get(partition)
            && keeps(id, &partition.topic)
        {
            loads.add(id, &partition.topic);
            assignment.insert(partition.clone(), id);
        }
    }
    for partition in partitions {
        if assignment.contains_key(partition) {
            continue;
        }
        let topic = &*partition.topic;
        let least = members
            .iter()
            .filter(|member| member.topics.contains(topic))
            .min_by_key(|member| (loads.total(member.id), loads.of_topic(member.id, topic)));
        if let Some(member) = least {
            loads.add(member.id, topic);
            assignment.insert(partition.clone(), member.id);
        }
    }
    // Ends: every move lowers the sum of the squared loads.
    while let Some((partition, to)) = unfair(partitions, members, &assignment, &loads) {
        if let Some(from) = assignment.insert(partition.clone(), to) {
            loads.remove(from, &partition.topic);
        }
        loads.add(to, &partition.topic);
    }
    assignment
}

/// A partition whose move makes loads more equal, and its new owner. Taken from the topic that the
/// two share least equally, so that each member gets some of every topic; among these the highest
/// number.
fn unfair<'a>(
    partitions: &'a BTreeSet<TopicPartition>,
    members: &[Subscriber<'_>],
    assignment: &Assignment,
    loads: &Loads<'a>,
) -> Option<(&'a TopicPartition, MemberId)> {
    let mut receivers: Vec<_> = members.iter().collect();
    receivers.sort_by_key(|member| loads.total(member.id));
    for receiver in receivers {
        let to = receiver.id;
        let found = partitions
            .iter()
            .filter(|partition| receiver.topics.contains(&partition.topic))
            .filter_map(|partition| Some((partition, *assignment.get(partition)?)))
            .filter(|(_, from)| loads.total(*from) > loads.total(to) + 1)
            .max_by_key(|(partition, from)| {
                let topic = &*partition.topic;
                let surplus =
                    loads.of_topic(*from, topic) as i64 - loads.of_topic(to, topic) as i64;
                (loads.total(*from), surplus, *partition)
            });
        if let Some((partition, _)) = found {
            return Some((partition, to));
        }
    }
    None
}

fn range(partitions: &BTreeSet<TopicPartition>, members: &[Subscriber<'_>]) -> Assignment {
    let mut topics: BTreeMap<&str, Vec<&TopicPartition>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition);
    }
    let mut assignment = Assignment::new();
    for (topic, partitions) in topics {
        let subscribers: Vec<_> = members
            .iter()
            .filter(|member| member.topics.contains(topic))
            .collect();
        let count = subscribers.len();
        let mut rest = partitions.as_slice();
        for (index, member) in subscribers.into_iter().enumerate() {
            let share = partitions.len() / count + usize::from(index < partitions.len() % count);
            let (mine, others) = rest.split_at(share);
            rest = others;
            assignment.extend(mine.iter().map(|p| ((*p).clone(), member.id)));
        }
    }
    assignment
}

/// Every partition goes to the next subscriber in join order: what a forced rebalance does, so that
/// it moves all that can move and stays as balanced as before.
pub(super) fn rotated(members: &[Subscriber<'_>], previous: &Assignment) -> Assignment {
    previous
        .iter()
        .map(|(partition, &owner)| {
            let subscribers: Vec<_> = members
                .iter()
                .filter(|member| member.topics.contains(&partition.topic))
                .map(|member| member.id)
                .collect();
            let next = subscribers
                .iter()
                .position(|&id| id == owner)
                .map(|index| subscribers[(index + 1) % subscribers.len()]);
            (partition.clone(), next.unwrap_or(owner))
        })
        .collect()
}
