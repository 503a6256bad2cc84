//! Consumers that come and go, and the offsets of their groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::super::assign::{Assignor, MemberId};
use super::super::errors::{all_down, error, no_group};
use super::super::group::{Group, GroupEvent};
use super::{ConsumerSlot, GroupKey, State};
use crate::record::TopicPartition;
use crate::transport::TransportError;

impl State {
    pub(in super::super) fn join(
        &mut self,
        group: Option<String>,
        client_id: &str,
        topics: impl IntoIterator<Item = String>,
        assignor: Assignor,
        notify: Arc<Notify>,
    ) -> MemberId {
        let id = self.fresh_id();
        let key = group.map_or(GroupKey::Solo(id), GroupKey::Named);
        let topics: BTreeSet<Arc<str>> = topics.into_iter().map(Arc::from).collect();
        let sizes = &self.topics;
        self.groups
            .entry(key.clone())
            .or_insert_with(|| {
                let sizes = sizes.values();
                let sizes = sizes.map(|log| (log.name().clone(), log.partitions()));
                Group::new(assignor, sizes.collect())
            })
            .join(id, client_id, topics.clone());
        let errors = (!self.is_available()).then(all_down).into_iter().collect();
        self.consumers.insert(
            id,
            ConsumerSlot {
                client_id: client_id.to_owned(),
                group: key.clone(),
                topics,
                notify,
                poked: true,
                idle: false,
                draining: false,
                due: None,
                closing: false,
                errors,
            },
        );
        self.bump();
        self.poke_group(&key);
        id
    }

    /// The consumer reads these topics from now on.
    pub(in super::super) fn subscribe(&mut self, id: MemberId, topics: &[String]) {
        let topics: BTreeSet<Arc<str>> = topics.iter().map(|name| name.as_str().into()).collect();
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.topics.clone_from(&topics);
        }
        self.in_group(id, |group| group.subscribe(id, topics));
    }

    /// Changes the group of the consumer and wakes its members.
    pub(in super::super) fn in_group<R>(
        &mut self,
        id: MemberId,
        change: impl FnOnce(&mut Group) -> R,
    ) -> Option<R> {
        let key = self.consumers.get(&id)?.group.clone();
        let result = change(self.groups.get_mut(&key)?);
        self.bump();
        self.poke_group(&key);
        Some(result)
    }

    /// What the member has to do; a broker that is away starts nothing, but lets members leave.
    pub(in super::super) fn next_event(&mut self, id: MemberId) -> Option<GroupEvent> {
        let key = self.consumers.get(&id)?.group.clone();
        let available = self.is_available();
        let group = self.groups.get_mut(&key)?;
        if !available && !group.is_leaving(id) {
            return None;
        }
        let event = group.next_event(id)?;
        self.bump();
        if event == GroupEvent::Left {
            self.poke_group(&key);
        }
        Some(event)
    }

    /// The consumer's task ended, in order or not.
    pub(in super::super) fn remove_consumer(&mut self, id: MemberId) {
        let Some(slot) = self.consumers.remove(&id) else {
            return;
        };
        self.bump();
        match slot.group {
            GroupKey::Solo(_) => {
                self.groups.remove(&slot.group);
            }
            GroupKey::Named(_) => {
                if let Some(group) = self.groups.get_mut(&slot.group)
                    && group.members().any(|(member, _)| member == id)
                {
                    group.remove(id);
                    self.poke_group(&slot.group);
                }
            }
        }
    }

    pub(in super::super) fn fail_commits(&mut self, count: usize, error: &TransportError) {
        self.commit_failures
            .extend(std::iter::repeat_n(error.clone(), count));
    }

    pub(in super::super) fn commit(
        &mut self,
        id: MemberId,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), TransportError> {
        let group = self.named_group(id, "commit")?;
        self.bump();
        if let Some(error) = self.commit_failures.pop_front() {
            return Err(error);
        }
        let group = self
            .groups
            .get_mut(&group)
            .ok_or_else(|| no_group("commit"))?;
        group.commit(id, offsets).map_err(|fenced| {
            error(
                format!("commit {}", fenced.0),
                "ILLEGAL_GENERATION",
                "Broker: Specified group generation id is not valid",
                false,
            )
        })
    }

    pub(in super::super) fn committed(
        &self,
        id: MemberId,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, TransportError> {
        let group = self.named_group(id, "committed offsets")?;
        let group = self
            .groups
            .get(&group)
            .ok_or_else(|| no_group("committed offsets"))?;
        Ok(partitions.iter().map(|p| group.committed(p)).collect())
    }

    pub(in super::super) fn named_group(
        &self,
        id: MemberId,
        context: &str,
    ) -> Result<GroupKey, TransportError> {
        self.reachable(context)?;
        match self.consumers.get(&id).map(|slot| &slot.group) {
            Some(key @ GroupKey::Named(_)) => Ok(key.clone()),
            _ => Err(no_group(context)),
        }
    }

    pub(in super::super) fn reachable(&self, context: &str) -> Result<(), TransportError> {
        if self.is_available() {
            return Ok(());
        }
        Err(error(
            context,
            "_TRANSPORT",
            "Local: Broker transport failure",
            true,
        ))
    }
}
