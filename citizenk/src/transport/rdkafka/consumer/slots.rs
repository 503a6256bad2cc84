//! The partitions a consumer reads, and what is fetched of each and not yet handed over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rdkafka::bindings as rd;

use super::super::chunk::{Messages, Pool};
use super::super::error;
use crate::record::TopicPartition;

/// One assigned partition.
pub(super) struct Slot {
    pub(super) id: TopicPartition,
    /// The next offset to hand over, or a logical start (−1 end, −2 beginning) before the first.
    pub(super) next: i64,
    pub(super) paused: bool,
    /// Not yet given to librdkafka: commands are noted and take effect with the assignment.
    pub(super) assigning: bool,
    /// A seek was refused and is to be tried again: until then records come from elsewhere.
    pub(super) seeking: bool,
    /// A record has come: the fetcher is known to run.
    pub(super) seen: bool,
    /// The end has come since it was last cleared, or a record from before `next`, which only a seek back
    /// can have asked for.
    pub(super) echo: bool,
    pub(super) staged: Messages,
}

impl Slot {
    fn new(id: TopicPartition) -> Self {
        Self {
            id,
            next: i64::from(rd::RD_KAFKA_OFFSET_INVALID),
            paused: false,
            assigning: true,
            seeking: false,
            seen: false,
            echo: false,
            staged: Messages::default(),
        }
    }

    /// Whether a record belongs to what the reader asked for last.
    fn wants(&self, offset: i64) -> bool {
        !self.paused && !self.seeking && offset >= self.next
    }
}

/// All of them. Positions in the list are stable between two rebalances.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) list: Vec<Slot>,
    /// Topic handles are unique per topic and client while one of its partitions is assigned.
    cache: HashMap<(usize, i32), usize>,
    last: Option<((usize, i32), usize)>,
    names: HashSet<Arc<str>>,
    /// Slots with staged messages.
    pub(super) touched: Vec<usize>,
}

impl Slots {
    /// The same partition with a name that is shared with all others of its topic.
    pub(super) fn intern(&mut self, partition: &TopicPartition) -> TopicPartition {
        let topic = match self.names.get(&partition.topic) {
            Some(name) => name.clone(),
            None => {
                self.names.insert(partition.topic.clone());
                partition.topic.clone()
            }
        };
        TopicPartition {
            topic,
            partition: partition.partition,
        }
    }

    pub(super) fn add(&mut self, id: TopicPartition) {
        self.forget_handles();
        if self.find(&id).is_none() {
            self.list.push(Slot::new(id));
        }
    }

    pub(super) fn remove(&mut self, gone: &[TopicPartition]) {
        self.forget_handles();
        let gone: HashSet<&TopicPartition> = gone.iter().collect();
        self.list.retain(|slot| !gone.contains(&slot.id));
    }

    fn forget_handles(&mut self) {
        self.cache.clear();
        self.last = None;
        self.touched.clear();
    }

    pub(super) fn find(&self, id: &TopicPartition) -> Option<usize> {
        self.list.iter().position(|slot| slot.id == *id)
    }

    pub(super) fn get_mut(&mut self, id: &TopicPartition) -> Option<&mut Slot> {
        self.list.iter_mut().find(|slot| slot.id == *id)
    }

    pub(super) fn ids(&self) -> Vec<TopicPartition> {
        self.list.iter().map(|slot| slot.id.clone()).collect()
    }

    /// Puts a message to its partition, or destroys one that is not wanted: of a partition that was
    /// taken away or paused meanwhile, or not from the position that was asked for. Its reader, now or
    /// later, gets it again.
    ///
    /// # Safety
    /// `raw` is a message without error that nobody else destroys.
    pub(super) unsafe fn stage(&mut self, raw: *mut rd::rd_kafka_message_t) {
        // SAFETY: alive and ours by the caller's promise.
        let message = unsafe { &*raw };
        let key = (message.rkt as usize, message.partition);
        let found = match self.last {
            Some((last, index)) if last == key => Some(index),
            // SAFETY: as above.
            _ => unsafe { self.look_up(message, key) },
        };
        if let Some(index) = found {
            let slot = &mut self.list[index];
            if slot.wants(message.offset) {
                slot.next = message.offset + 1;
                slot.seen = true;
                if slot.staged.is_empty() {
                    self.touched.push(index);
                }
                // SAFETY: ours by the caller's promise, forgotten here.
                unsafe { slot.staged.push(raw) };
                return;
            }
            slot.echo |= message.offset < slot.next;
        }
        // SAFETY: ours, and not used after.
        unsafe { rd::rd_kafka_message_destroy(raw) }
    }

    /// # Safety
    /// The message is alive.
    unsafe fn look_up(
        &mut self,
        message: &rd::rd_kafka_message_t,
        key: (usize, i32),
    ) -> Option<usize> {
        let index = match self.cache.get(&key) {
            Some(index) => *index,
            None => {
                // SAFETY: the message holds its topic; the name is terminated.
                let topic = unsafe { error::text(rd::rd_kafka_topic_name(message.rkt)) };
                let index = self.list.iter().position(|slot| {
                    slot.id.partition == message.partition && *slot.id.topic == *topic
                })?;
                self.cache.insert(key, index);
                index
            }
        };
        self.last = Some((key, index));
        Some(index)
    }

    /// Forgets what is staged: the positions go back to before it.
    pub(super) fn drop_staged_into_positions(&mut self) {
        for slot in &mut self.list {
            if let Some(first) = slot.staged.first_offset() {
                slot.next = first;
                slot.staged.clear();
            }
        }
    }

    /// The next chunk's messages, at most `count`, in the order the partitions were met.
    pub(super) fn next_chunk(
        &mut self,
        count: usize,
        pool: &Pool,
    ) -> Option<(TopicPartition, Messages)> {
        while let Some(&index) = self.touched.last() {
            let slot = &mut self.list[index];
            if slot.staged.is_empty() {
                self.touched.pop();
                continue;
            }
            return Some((slot.id.clone(), slot.staged.take(count, pool)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_from_the_position_asked_for_are_wanted() {
        let mut slot = Slot::new(TopicPartition::new("t", 0));
        slot.next = 5;
        assert!(!slot.wants(4) && slot.wants(5) && slot.wants(9));
        slot.paused = true;
        assert!(!slot.wants(5));
        slot.paused = false;
        // Back to 2, which is refused for now: what comes is still of the old position.
        (slot.next, slot.seeking) = (2, true);
        assert!(!slot.wants(9));
        slot.seeking = false;
        assert!(slot.wants(2));
    }
}
