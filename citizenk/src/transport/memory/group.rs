//! Pure: a consumer group as its coordinator sees it.
//!
//! Members ask [`Group::next_event`] what they have to do and report back; time and callbacks are
//! the shell's business. A partition stays with its owner until the owner has said that its revoke
//! is over ([`Group::revoked`]) or is gone, and only then goes to the member it is meant for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assign::{Assignment, Assignor, MemberId, Subscriber, rotated};
use crate::record::TopicPartition;

/// What a member has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupEvent {
    /// These are the member's now. Empty only for a member's first assignment.
    Assign(Vec<TopicPartition>),
    /// To be given up; [`Group::revoked`] ends it.
    Revoke(Vec<TopicPartition>),
    /// These belong to others already; [`Group::rejoin`] follows.
    Lost(Vec<TopicPartition>),
    /// The member gave up everything and was removed.
    Left,
}

/// A member that does not own a partition wanted to commit for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fenced(pub(super) TopicPartition);

/// Members, ownership and committed offsets of one group.
#[derive(Debug, Default)]
pub(super) struct Group {
    assignor: Assignor,
    generation: u64,
    /// Bumped by every change, so that members that have nothing to do need not look again.
    version: u64,
    /// In join order.
    members: Vec<Member>,
    /// Partitions of the topics that exist.
    topics: BTreeMap<Arc<str>, usize>,
    target: Assignment,
    owners: Assignment,
    /// Must be given up by its owner even where it is meant for the same member again.
    release: BTreeSet<TopicPartition>,
    committed: BTreeMap<TopicPartition, i64>,
}

#[derive(Debug)]
struct Member {
    id: MemberId,
    client_id: String,
    topics: BTreeSet<Arc<str>>,
    phase: Phase,
    /// The first assignment was announced.
    announced: bool,
    revoking: Vec<TopicPartition>,
    lost: Option<Vec<TopicPartition>>,
    seen: Option<u64>,
    /// Bumped whenever the member's assignment changes: what a transaction's offsets are sent with.
    generation: u64,
    /// Bumped whenever the member loses something: what an open transaction must not outlive.
    tenure: u64,
}

impl Member {
    fn gained(&mut self) {
        self.generation += 1;
    }

    fn gave_up(&mut self) {
        self.generation += 1;
        self.tenure += 1;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live,
    /// Expelled; has not rejoined yet.
    Out,
    Leaving,
}

impl Group {
    pub(super) fn new(assignor: Assignor, topics: BTreeMap<Arc<str>, usize>) -> Self {
        Self {
            assignor,
            topics,
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn join(&mut self, id: MemberId, client_id: &str, topics: BTreeSet<Arc<str>>) {
        self.members.push(Member {
            id,
            client_id: client_id.to_owned(),
            topics,
            phase: Phase::Live,
            announced: false,
            revoking: Vec::new(),
            lost: None,
            seen: None,
            generation: 0,
            tenure: 0,
        });
        self.rebalance();
    }

    /// The member reads these topics from now on.
    pub(super) fn subscribe(&mut self, id: MemberId, topics: BTreeSet<Arc<str>>) {
        if let Some(member) = self.member_mut(id) {
            member.topics = topics;
            self.rebalance();
        }
    }

    /// The member wants to leave: everything is revoked, then [`GroupEvent::Left`].
    pub(super) fn leave(&mut self, id: MemberId) {
        if let Some(member) = self.member_mut(id)
            && member.phase != Phase::Leaving
        {
            member.phase = Phase::Leaving;
            self.rebalance();
        }
    }

    /// The member is gone without a word.
    pub(super) fn remove(&mut self, id: MemberId) {
        self.members.retain(|member| member.id != id);
        self.disown(id);
        self.rebalance();
    }

    /// The member's session expired: others may have its partitions at once.
    pub(super) fn lose(&mut self, id: MemberId) {
        let owned = self.owned(id);
        let Some(member) = self.member_mut(id) else {
            return;
        };
        // What is being revoked ends as a revoke whose commit is refused.
        let lost = owned
            .into_iter()
            .filter(|partition| !member.revoking.contains(partition));
        member.lost.get_or_insert_default().extend(lost);
        member.gave_up();
        if member.phase == Phase::Live {
            member.phase = Phase::Out;
        }
        self.disown(id);
        self.rebalance();
    }

    /// An expelled member joins again, as the youngest.
    pub(super) fn rejoin(&mut self, id: MemberId) {
        let Some(index) = self.members.iter().position(|member| member.id == id) else {
            return;
        };
        let mut member = self.members.remove(index);
        member.gave_up();
        if member.phase == Phase::Out {
            member.phase = Phase::Live;
            member.announced = false;
        }
        self.members.push(member);
        self.rebalance();
    }

    /// Takes everything from everyone and deals it anew, each partition to another member where
    /// there is one.
    pub(super) fn rotate(&mut self) {
        let previous = rotated(&self.live(), &self.target);
        self.release = self.owners.keys().cloned().collect();
        self.generation += 1;
        self.version += 1;
        self.target = previous;
    }

    /// The topic appeared or grew.
    pub(super) fn topic_changed(&mut self, topic: &Arc<str>, partitions: usize) {
        self.topics.insert(topic.clone(), partitions);
        if self.members.iter().any(|m| m.topics.contains(topic)) {
            self.rebalance();
        }
    }

    /// The topic is gone, and what was committed for it.
    pub(super) fn topic_deleted(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.committed
            .retain(|partition, _| &*partition.topic != topic);
        if self.members.iter().any(|m| m.topics.contains(topic)) {
            self.rebalance();
        }
    }

    /// What the member has to do; `None`: nothing until something changes.
    pub(super) fn next_event(&mut self, id: MemberId) -> Option<GroupEvent> {
        let version = self.version;
        let index = self.members.iter().position(|member| member.id == id)?;
        if self.members[index].seen == Some(version) || !self.members[index].revoking.is_empty() {
            return None;
        }
        if let Some(lost) = self.members[index].lost.take() {
            return Some(GroupEvent::Lost(lost));
        }
        let revoke: Vec<_> = self
            .owners
            .iter()
            .filter(|(partition, owner)| {
                **owner == id
                    && (self.target.get(*partition) != Some(&id)
                        || self.release.contains(*partition))
            })
            .map(|(partition, _)| partition.clone())
            .collect();
        if !revoke.is_empty() {
            self.members[index].revoking.clone_from(&revoke);
            return Some(GroupEvent::Revoke(revoke));
        }
        match self.members[index].phase {
            Phase::Leaving => {
                self.members.remove(index);
                self.version += 1;
                return Some(GroupEvent::Left);
            }
            Phase::Out => return None,
            Phase::Live => {}
        }
        let free: Vec<_> = self
            .target
            .iter()
            .filter(|(partition, member)| **member == id && !self.owners.contains_key(*partition))
            .map(|(partition, _)| partition.clone())
            .collect();
        if free.is_empty() && self.members[index].announced {
            self.members[index].seen = Some(version);
            return None;
        }
        self.members[index].announced = true;
        self.members[index].gained();
        self.owners
            .extend(free.iter().map(|partition| (partition.clone(), id)));
        self.version += 1;
        Some(GroupEvent::Assign(free))
    }

    /// The member's revoke is over: the partitions are free.
    pub(super) fn revoked(&mut self, id: MemberId) {
        let Some(member) = self.member_mut(id) else {
            return;
        };
        member.gave_up();
        for partition in std::mem::take(&mut member.revoking) {
            if self.owners.get(&partition) == Some(&id) {
                self.owners.remove(&partition);
                self.release.remove(&partition);
            }
        }
        self.version += 1;
    }

    /// All or nothing, as a broker refuses a commit of an older generation.
    pub(super) fn commit(
        &mut self,
        id: MemberId,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), Fenced> {
        for (partition, _) in offsets {
            if self.owners.get(partition) != Some(&id) {
                return Err(Fenced(partition.clone()));
            }
        }
        self.committed.extend(offsets.iter().cloned());
        Ok(())
    }

    /// The member's generation as of now; 0 when there is no such member.
    pub(super) fn generation_of(&self, id: MemberId) -> u64 {
        self.member(id).map_or(0, |member| member.generation)
    }

    /// Whether the member of this generation may send these offsets; answers its tenure.
    pub(super) fn admit(
        &self,
        id: MemberId,
        generation: u64,
        offsets: &[(TopicPartition, i64)],
    ) -> Option<u64> {
        let member = self.member(id)?;
        (member.generation == generation && self.owns(id, offsets)).then_some(member.tenure)
    }

    /// Whether the member still holds what it held when its offsets were admitted.
    pub(super) fn still_holds(
        &self,
        id: MemberId,
        tenure: u64,
        offsets: &[(TopicPartition, i64)],
    ) -> bool {
        let member = self.member(id);
        member.is_some_and(|member| member.tenure == tenure) && self.owns(id, offsets)
    }

    /// Offsets of a committed transaction; checked by [`Group::still_holds`].
    pub(super) fn store(&mut self, offsets: &[(TopicPartition, i64)]) {
        self.committed.extend(offsets.iter().cloned());
    }

    fn owns(&self, id: MemberId, offsets: &[(TopicPartition, i64)]) -> bool {
        let mut partitions = offsets.iter().map(|(partition, _)| partition);
        partitions.all(|partition| self.owners.get(partition) == Some(&id))
    }

    fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    pub(super) fn committed(&self, partition: &TopicPartition) -> Option<i64> {
        self.committed.get(partition).copied()
    }

    /// Committed next offsets of a topic, by partition.
    pub(super) fn committed_of(&self, topic: &str) -> Vec<(i32, i64)> {
        self.committed
            .iter()
            .filter(|(partition, _)| &*partition.topic == topic)
            .map(|(partition, offset)| (partition.partition, *offset))
            .collect()
    }

    /// All committed next offsets.
    pub(super) fn all_committed(&self) -> Vec<(TopicPartition, i64)> {
        let committed = self.committed.iter();
        committed
            .map(|(partition, offset)| (partition.clone(), *offset))
            .collect()
    }

    pub(super) fn owned(&self, id: MemberId) -> Vec<TopicPartition> {
        self.owners
            .iter()
            .filter(|(_, owner)| **owner == id)
            .map(|(partition, _)| partition.clone())
            .collect()
    }

    /// Members in join order.
    pub(super) fn members(&self) -> impl Iterator<Item = (MemberId, &str)> {
        self.members
            .iter()
            .map(|member| (member.id, member.client_id.as_str()))
    }

    /// Whether partitions have yet to go to whom they are meant for.
    pub(super) fn is_dealing(&self) -> bool {
        self.owners != self.target || !self.release.is_empty()
    }

    /// Whether the member is on its way out.
    pub(super) fn is_leaving(&self, id: MemberId) -> bool {
        self.members
            .iter()
            .any(|member| member.id == id && member.phase == Phase::Leaving)
    }

    fn member_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    fn disown(&mut self, id: MemberId) {
        let release = &mut self.release;
        self.owners.retain(|partition, owner| {
            if *owner == id {
                release.remove(partition);
            }
            *owner != id
        });
    }

    fn live(&self) -> Vec<Subscriber<'_>> {
        self.members
            .iter()
            .filter(|member| member.phase == Phase::Live)
            .map(|member| Subscriber {
                id: member.id,
                topics: &member.topics,
            })
            .collect()
    }

    fn rebalance(&mut self) {
        let partitions: BTreeSet<_> = self
            .topics
            .iter()
            .flat_map(|(topic, &count)| {
                (0..count as i32).map(|partition| TopicPartition::new(topic.clone(), partition))
            })
            .collect();
        self.target = self
            .assignor
            .assign(&partitions, &self.live(), &self.target);
        self.generation += 1;
        self.version += 1;
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
