//! The producer's topic handles, each with the partitioner its topic asks for.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::bindings as rd;

use super::super::client::{Client, TopicHandle};
use super::super::error;
use super::Shared;
use super::opening::Gate;
use crate::staging::OutputTopic;
use crate::topic::Partitioner;
use crate::transport::{ProducerTopic, TransportError};

/// Grows by copying: reading it needs no lock, and a program has few topics.
#[derive(Clone, Default)]
pub(super) struct Topics {
    list: Vec<Entry>,
    names: HashMap<String, u32>,
}

#[derive(Clone)]
struct Entry {
    topic: OutputTopic,
    handle: Arc<TopicHandle>,
    gate: Gate,
}

/// Where a record goes.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) rkt: *mut rd::rd_kafka_topic_t,
    /// Records are taken.
    pub(super) open: bool,
}

impl Topics {
    pub(super) fn get(&self, index: ProducerTopic) -> Option<Target<'_>> {
        self.list.get(index.0 as usize).map(|entry| Target {
            name: &entry.topic.name,
            rkt: entry.handle.raw(),
            open: entry.gate.load(Ordering::Acquire),
        })
    }

    pub(super) fn find(
        &self,
        topic: &OutputTopic,
    ) -> Result<Option<ProducerTopic>, TransportError> {
        let Some(index) = self.names.get(&topic.name) else {
            return Ok(None);
        };
        let known = self.list[*index as usize].topic.partitioner;
        if known == topic.partitioner {
            return Ok(Some(ProducerTopic(*index)));
        }
        // The keys of one topic would be spread in two ways, and no reader could find them.
        Err(error::invalid(
            format!("topic `{}`", topic.name),
            format!(
                "is already written with the partitioner {known:?}; {:?} would put its keys elsewhere",
                topic.partitioner
            ),
        ))
    }

    pub(super) fn with(
        &self,
        shared: &Arc<Shared>,
        topic: &OutputTopic,
    ) -> Result<(Self, ProducerTopic), TransportError> {
        if topic.name.is_empty() || topic.name.contains('\0') {
            return Err(error::invalid("output topic", "not a topic name"));
        }
        let conf = partitioned(&shared.client, topic.partitioner)?;
        let handle = Arc::new(shared.client.topic_with(&topic.name, conf)?);
        let index = u32::try_from(self.list.len())
            .map_err(|_| error::invalid("output topic", "too many topics"))?;
        let mut grown = self.clone();
        grown.names.insert(topic.name.clone(), index);
        grown.list.push(Entry {
            topic: topic.clone(),
            handle,
            gate: shared.gate(&topic.name),
        });
        Ok((grown, ProducerTopic(index)))
    }
}

/// The producer's own topic settings with this partitioner.
fn partitioned(
    client: &Client,
    partitioner: Partitioner,
) -> Result<*mut rd::rd_kafka_topic_conf_t, TransportError> {
    // SAFETY: the client is alive; the copy is ours.
    let conf = unsafe { rd::rd_kafka_default_topic_conf_dup(client.rk()) };
    // Both spread records without key, a few milliseconds' worth to one partition at a time.
    let name: &CStr = match partitioner {
        Partitioner::Murmur2 => c"murmur2_random",
        Partitioner::Crc32 => c"consistent_random",
        Partitioner::Custom(function) => {
            // SAFETY: the configuration is alive; the opaque is a plain function's address.
            unsafe {
                rd::rd_kafka_topic_conf_set_opaque(conf, function as *mut c_void);
                rd::rd_kafka_topic_conf_set_partitioner_cb(conf, Some(custom));
            }
            return Ok(conf);
        }
    };
    let mut buffer = [0 as c_char; 512];
    // SAFETY: the configuration is alive, the texts are terminated, the buffer has the given length;
    // on failure the configuration is freed once.
    unsafe {
        let result = rd::rd_kafka_topic_conf_set(
            conf,
            c"partitioner".as_ptr(),
            name.as_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
        );
        if result == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
            return Ok(conf);
        }
        rd::rd_kafka_topic_conf_destroy(conf);
        Err(error::invalid(
            "topic setting `partitioner`",
            error::text(buffer.as_ptr()),
        ))
    }
}

unsafe extern "C" fn custom(
    topic: *const rd::rd_kafka_topic_t,
    key: *const c_void,
    len: usize,
    partitions: i32,
    function: *mut c_void,
    message: *mut c_void,
) -> i32 {
    if key.is_null() {
        // SAFETY: librdkafka's own arguments, handed on.
        return unsafe {
            rd::rd_kafka_msg_partitioner_random(topic, key, len, partitions, function, message)
        };
    }
    // SAFETY: the address that `partitioned` gave, of a function of this very type; `len` bytes of key
    // are readable during the call.
    let (function, key) = unsafe {
        (
            std::mem::transmute::<*mut c_void, fn(&[u8], u32) -> u32>(function),
            std::slice::from_raw_parts(key.cast::<u8>(), len),
        )
    };
    let count = u32::try_from(partitions).unwrap_or(1);
    // A panic must not unwind into C; the record fails as one without a partition.
    match catch_unwind(|| Partitioner::Custom(function).partition(key, count)) {
        Ok(partition) => i32::try_from(partition).unwrap_or(-1),
        Err(_) => -1,
    }
}
