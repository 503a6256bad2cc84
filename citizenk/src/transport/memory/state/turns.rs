//! What the tasks of consumers tell and ask, and who is woken.

use std::time::Duration;

use tokio::time::Instant;

use super::super::assign::MemberId;
use super::{ConsumerSlot, GroupKey, State};
use crate::record::TopicPartition;
use crate::transport::TransportError;

impl State {
    /// While a consumer waits for its drain, it has nothing to do itself: time may pass.
    pub(in super::super) fn draining(&mut self, id: MemberId, waits: bool) {
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.draining = waits;
        }
    }

    /// A consumer starts a round: what happens from here on counts for the next one.
    pub(in super::super) fn begin_round(&mut self, id: MemberId) -> Vec<TransportError> {
        let Some(slot) = self.consumers.get_mut(&id) else {
            return Vec::new();
        };
        slot.poked = false;
        slot.idle = false;
        let errors: Vec<_> = slot.errors.drain(..).collect();
        if slot.closing && self.in_group(id, |group| group.is_leaving(id)) == Some(false) {
            self.in_group(id, |group| group.leave(id));
        }
        errors
    }

    /// A consumer has done what it could; answers whether it may sleep.
    pub(in super::super) fn rest(
        &mut self,
        id: MemberId,
        mut positions: impl Iterator<Item = (TopicPartition, i64)>,
        sleep: Duration,
        beside: bool,
    ) -> bool {
        let permitted = self.is_permitted() || (beside && self.is_available());
        let work = permitted
            && positions.any(|(partition, next)| {
                if self.stalls.holds(&partition) {
                    return false;
                }
                let log = self.topics.get(&partition.topic);
                let high = log.and_then(|log| log.watermarks(partition.partition));
                let empty = self.stalls.empty(&partition);
                high.is_some_and(|(_, high)| !(high..=high + empty).contains(&next))
            });
        let Some(slot) = self.consumers.get_mut(&id) else {
            return false;
        };
        slot.idle = !work && !slot.poked;
        slot.due = Instant::now().checked_add(sleep);
        slot.idle
    }

    pub(in super::super) fn close(&mut self, id: MemberId) {
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.closing = true;
            self.poke(id);
        }
    }

    pub(in super::super) fn consumer_error(
        &mut self,
        client_id: &str,
        error: &TransportError,
    ) -> bool {
        let slots = self.consumers.iter_mut();
        let ids: Vec<_> = slots
            .filter(|(_, slot)| slot.client_id == client_id)
            .map(|(id, slot)| {
                slot.errors.push_back(error.clone());
                *id
            })
            .collect();
        for id in &ids {
            self.poke(*id);
        }
        !ids.is_empty()
    }

    pub(in super::super) fn poke(&mut self, id: MemberId) {
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.poke();
            self.bump();
        }
    }

    pub(in super::super) fn poke_group(&mut self, key: &GroupKey) {
        let slots = self.consumers.values_mut();
        slots
            .filter(|slot| slot.group == *key)
            .for_each(ConsumerSlot::poke);
    }

    pub(super) fn poke_topic(&mut self, topic: &str) {
        let slots = self.consumers.values_mut();
        slots
            .filter(|slot| slot.topics.contains(topic))
            .for_each(ConsumerSlot::poke);
    }

    pub(in super::super) fn poke_all(&mut self) {
        self.consumers.values_mut().for_each(ConsumerSlot::poke);
    }
}

impl ConsumerSlot {
    pub(super) fn is_idle(&self, late: Instant) -> bool {
        self.idle && self.due.is_none_or(|due| due > late)
    }

    fn poke(&mut self) {
        self.poked = true;
        self.idle = false;
        self.notify.notify_one();
    }
}
