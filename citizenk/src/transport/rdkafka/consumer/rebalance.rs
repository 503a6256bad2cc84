//! Taking partitions and giving them back.
//!
//! Order of a revoke: stop intake, wait for what has started, commit, unassign. The wait is on this
//! thread, which nobody needs meanwhile. When the assignment is already lost, nothing is waited for or
//! committed: others may own the partitions by now.

use std::ffi::CStr;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::error;
use super::super::list::List;
use super::control::Core;
use super::poll::Poller;
use crate::record::TopicPartition;
use crate::transport::{Start, TransportError};

impl Poller {
    pub(super) fn rebalance(&mut self, code: Code, partitions: &[TopicPartition]) {
        match code {
            Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.take(partitions),
            Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                // SAFETY: the client is alive.
                let lost = unsafe { rd::rd_kafka_assignment_lost(self.core.client.rk()) } != 0;
                self.give_back(partitions, lost);
                if let Err(error) = self.core.unassign(partitions) {
                    self.events.error(error);
                }
            }
            code => {
                self.events.error(error::error(
                    format!("consumer `{}` rebalancing", self.core.name),
                    code,
                ));
                let all = self.core.slots.ids();
                self.give_back(&all, true);
                if let Err(error) = self.core.unassign(&all) {
                    self.events.error(error);
                }
            }
        }
    }

    fn take(&mut self, partitions: &[TopicPartition]) {
        let partitions = self.place(partitions);
        let result = self.core.assign(&partitions);
        self.began(&partitions);
        if let Err(error) = result {
            self.events.error(error);
        }
    }

    /// Makes slots and asks where to start; answers the partitions with shared names.
    fn place(&mut self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        let partitions: Vec<_> = partitions
            .iter()
            .map(|partition| self.core.slots.intern(partition))
            .collect();
        for id in &partitions {
            self.core.slots.add(id.clone());
        }
        let starts = self.events.assigned(&mut self.core, &partitions);
        if starts.len() != partitions.len() {
            tracing::error!(
                consumer = self.core.name,
                "{} start positions for {} partitions: the others start at the beginning",
                starts.len(),
                partitions.len()
            );
        }
        let rest = std::iter::repeat(Start::Beginning);
        for (id, start) in partitions.iter().zip(starts.into_iter().chain(rest)) {
            if let Some(slot) = self.core.slots.get_mut(id)
                // A seek during `assigned` has the last word.
                && slot.next == i64::from(rd::RD_KAFKA_OFFSET_INVALID)
            {
                slot.next = match start {
                    Start::Committed => i64::from(rd::RD_KAFKA_OFFSET_STORED),
                    Start::Beginning => i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
                    Start::End => i64::from(rd::RD_KAFKA_OFFSET_END),
                    Start::Offset(offset) => offset.max(0),
                };
            }
        }
        partitions
    }

    /// The partitions are librdkafka's now: what was commanded before takes effect.
    fn began(&mut self, partitions: &[TopicPartition]) {
        let mut paused = List::with_capacity(0);
        for id in partitions {
            if let Some(slot) = self.core.slots.get_mut(id) {
                slot.assigning = false;
                if slot.paused {
                    paused.add(id, i64::from(rd::RD_KAFKA_OFFSET_INVALID));
                }
            }
        }
        self.core.pause_now(&paused);
    }

    /// All of a revoke but the unassign.
    pub(super) fn give_back(&mut self, partitions: &[TopicPartition], lost: bool) {
        let drain = self.events.revoke_begin(partitions, lost);
        for id in partitions {
            if let Some(slot) = self.core.slots.get_mut(id) {
                slot.staged.clear();
            }
        }
        if !lost && !drain.wait_blocking(self.drain) {
            tracing::warn!(
                consumer = self.core.name,
                drain = ?self.drain,
                "calls still run while their partitions are given back: their records will be \
                 processed again"
            );
        }
        self.events.revoke_end(&mut self.core, partitions, lost);
        self.core.forget(partitions);
    }

    /// Ends reading partitions, without a group, of topics that are no longer wanted.
    pub(super) fn end_topics(&mut self, gone: &[TopicPartition]) {
        self.give_back(gone, false);
        for id in gone {
            self.core.stop_partition(id);
        }
        for id in gone {
            self.core.topics.remove(&id.topic);
        }
    }

    /// Starts the partitions that are new in what the discovering thread found.
    pub(super) fn start_found(&mut self, found: &[(String, usize)]) {
        let mut new = Vec::new();
        for (topic, count) in found {
            for partition in 0..i32::try_from(*count).unwrap_or(i32::MAX) {
                let id = TopicPartition::new(topic.as_str(), partition);
                if self.core.slots.find(&id).is_none() {
                    new.push(id);
                }
            }
        }
        if new.is_empty() {
            return;
        }
        let new = self.place(&new);
        for id in &new {
            if let Err(error) = self.core.start_partition(id) {
                self.events.error(error);
            }
        }
        self.began(&new);
    }
}

impl Core {
    /// Whether librdkafka wants changes (cooperative) or whole assignments (eager).
    fn incremental(&self) -> bool {
        // SAFETY: the client is alive; the answer is null or a static text.
        unsafe {
            let protocol = rd::rd_kafka_rebalance_protocol(self.client.rk());
            !protocol.is_null() && CStr::from_ptr(protocol) == c"COOPERATIVE"
        }
    }

    fn positions(&self, partitions: &[TopicPartition]) -> List {
        let mut list = List::with_capacity(partitions.len());
        for id in partitions {
            if let Some(index) = self.slots.find(id) {
                list.add(id, self.slots.list[index].next);
            }
        }
        list
    }

    fn assign(&self, partitions: &[TopicPartition]) -> Result<(), TransportError> {
        let list = self.positions(partitions);
        let context = || format!("consumer `{}` taking partitions", self.name);
        // SAFETY: client and list are alive, the list is copied; a returned error is taken.
        unsafe {
            if self.incremental() {
                let raw = rd::rd_kafka_incremental_assign(self.client.rk(), list.as_ptr());
                error::take(raw, context).map_err(|(_, error)| error)
            } else {
                error::check(
                    rd::rd_kafka_assign(self.client.rk(), list.as_ptr()),
                    context,
                )
            }
        }
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), TransportError> {
        let list = List::of(partitions);
        let context = || format!("consumer `{}` giving partitions back", self.name);
        // SAFETY: client and list are alive, the list is copied; a returned error is taken.
        unsafe {
            if self.incremental() {
                let raw = rd::rd_kafka_incremental_unassign(self.client.rk(), list.as_ptr());
                error::take(raw, context).map_err(|(_, error)| error)
            } else {
                let none = std::ptr::null();
                error::check(rd::rd_kafka_assign(self.client.rk(), none), context)
            }
        }
    }

    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        // librdkafka keeps the pause of a partition that is taken away (2.12.1): given back to this
        // consumer, it would never be read again.
        let mut paused = List::with_capacity(0);
        for id in partitions {
            if self.slots.get_mut(id).is_some_and(|slot| slot.paused) {
                paused.add(id, i64::from(rd::RD_KAFKA_OFFSET_INVALID));
            }
        }
        self.resume_now(&paused);
        drop(paused);
        self.slots.remove(partitions);
        self.seeks.retain(|(id, ..)| !partitions.contains(id));
        self.resets.retain(|reset| !partitions.contains(&reset.id));
    }

    /// Reads a partition, without a group, from its slot's position.
    fn start_partition(&mut self, id: &TopicPartition) -> Result<(), TransportError> {
        if !self.topics.contains_key(&id.topic) {
            let handle = self.client.topic(&id.topic)?;
            self.topics.insert(id.topic.clone(), handle);
        }
        let (Some(topic), Some(index)) = (self.topics.get(&id.topic), self.slots.find(id)) else {
            return Ok(());
        };
        let next = self.slots.list[index].next;
        // SAFETY: topic and queue are alive; the partition is not started yet.
        let result = unsafe {
            rd::rd_kafka_consume_start_queue(topic.raw(), id.partition, next, self.client.queue())
        };
        if result == 0 {
            return Ok(());
        }
        // SAFETY: takes no pointer; the last error of this thread.
        let code = unsafe { rd::rd_kafka_last_error() };
        Err(error::error(format!("starting to read {id}"), code))
    }

    /// Ends reading a partition without a group.
    pub(super) fn stop_partition(&self, id: &TopicPartition) {
        if let Some(topic) = self.topics.get(&id.topic) {
            // SAFETY: the topic is alive. Waits for librdkafka's own thread, not for the broker.
            unsafe { rd::rd_kafka_consume_stop(topic.raw(), id.partition) };
        }
    }

    /// Starts a partition anew at its slot's position: a fetcher that gave up takes no seek.
    pub(super) fn restart(&mut self, id: &TopicPartition) -> Result<(), TransportError> {
        let one = std::slice::from_ref(id);
        if !self.group {
            self.stop_partition(id);
            self.start_partition(id)?;
        } else if self.incremental() {
            self.unassign(one)?;
            self.assign(one)?;
        } else {
            // Eager protocols know whole assignments only: the others go on where they are.
            let all = self.slots.ids();
            self.slots.drop_staged_into_positions();
            self.assign(&all)?;
            // Their fetchers start anew, too, and may refuse a seek until they have.
            for slot in &mut self.slots.list {
                slot.seen = false;
            }
        }
        let mut paused = List::with_capacity(0);
        for slot in self.slots.list.iter().filter(|slot| slot.paused) {
            paused.add(&slot.id, i64::from(rd::RD_KAFKA_OFFSET_INVALID));
        }
        self.pause_now(&paused);
        Ok(())
    }
}
