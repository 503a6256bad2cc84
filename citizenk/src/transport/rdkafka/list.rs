//! Owned partition lists. One that went through a pause or a seek keeps a reference to its partitions,
//! and while such a list lives the client can never be destroyed: lists are made per call, never kept.

use std::ffi::c_int;

use rdkafka::bindings as rd;

use super::conf::c_text;
use super::error;
use crate::record::TopicPartition;

#[derive(Debug)]
pub(super) struct List(*mut rd::rd_kafka_topic_partition_list_t);

impl List {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let size = c_int::try_from(capacity).unwrap_or(c_int::MAX);
        // SAFETY: no preconditions; never answers null.
        Self(unsafe { rd::rd_kafka_topic_partition_list_new(size) })
    }

    pub(super) fn of<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Self {
        let mut list = Self::with_capacity(8);
        for partition in partitions {
            list.add(partition, i64::from(rd::RD_KAFKA_OFFSET_INVALID));
        }
        list
    }

    pub(super) fn at(positions: &[(TopicPartition, i64)]) -> Self {
        let mut list = Self::with_capacity(positions.len());
        for (partition, offset) in positions {
            list.add(partition, *offset);
        }
        list
    }

    pub(super) fn add(&mut self, partition: &TopicPartition, offset: i64) {
        self.add_named(&partition.topic, partition.partition, offset);
    }

    pub(super) fn add_named(&mut self, topic: &str, partition: i32, offset: i64) {
        let topic = c_text(topic);
        // SAFETY: the list is alive and ours; the name is copied; the answered entry is used before
        // the list changes again.
        unsafe {
            let entry = rd::rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition);
            (*entry).offset = offset;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    pub(super) fn as_ptr(&self) -> *mut rd::rd_kafka_topic_partition_list_t {
        self.0
    }

    pub(super) fn entries(&self) -> &[rd::rd_kafka_topic_partition_t] {
        // SAFETY: the list is alive and ours.
        unsafe { entries(self.0) }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: made by us, destroyed once.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.0) }
    }
}

/// The entries of a list that librdkafka owns.
///
/// # Safety
/// `raw` is null or a list that lives and does not change for `'a`.
pub(super) unsafe fn entries<'a>(
    raw: *const rd::rd_kafka_topic_partition_list_t,
) -> &'a [rd::rd_kafka_topic_partition_t] {
    if raw.is_null() {
        return &[];
    }
    // SAFETY: alive by the caller's promise; `cnt` entries are initialised from `elems` on.
    unsafe {
        let count = usize::try_from((*raw).cnt).unwrap_or(0);
        if count == 0 || (*raw).elems.is_null() {
            return &[];
        }
        std::slice::from_raw_parts((*raw).elems, count)
    }
}

/// An entry's partition, with a name of its own.
///
/// # Safety
/// The entry belongs to a living list.
pub(super) unsafe fn partition_of(entry: &rd::rd_kafka_topic_partition_t) -> TopicPartition {
    // SAFETY: the names in a list are terminated texts.
    let topic = unsafe { error::text(entry.topic) };
    TopicPartition::new(topic, entry.partition)
}
