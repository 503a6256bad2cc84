//! Reading by hand: batches from the consumer's queue, decoded where they lie.

use std::ffi::{CString, c_void};
use std::hint::black_box;
use std::ptr;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::Result;
use super::client::{Client, Conf, OK, check, describe};
use crate::contest::Run;
use crate::counts::Counts;
use crate::reading::Reading;
use crate::settings;

/// As many as citizenk puts in one chunk at most.
const BATCH: usize = 1000;
const WAIT_MS: i32 = 100;
/// Gives up after this many waits without a record.
const PATIENCE: u32 = 300;

/// A member of a group, and where it stands.
pub(super) struct Consumer {
    queue: *mut rd::rd_kafka_queue_t,
    topic: CString,
    buffer: Vec<*mut rd::rd_kafka_message_t>,
    /// The next offset of each partition; below 0 where nothing was read.
    next: Vec<i64>,
    idle: u32,
    client: Client,
}

/// The key and value of a record, while it is looked at.
pub(super) struct Record<'a> {
    pub(super) partition: i32,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    message: &'a rd::rd_kafka_message_t,
}

impl Record<'_> {
    /// Milliseconds since the Unix epoch; 0 for none.
    pub(super) fn timestamp(&self) -> i64 {
        // SAFETY: the message lives.
        unsafe { rd::rd_kafka_message_timestamp(self.message, ptr::null_mut()) }.max(0)
    }

    /// The headers, taken out of the message; null for none.
    pub(super) fn take_headers(&self) -> *mut rd::rd_kafka_headers_t {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is this thread's alone, and nobody looks at its headers afterwards.
        unsafe {
            let message = ptr::from_ref(self.message).cast_mut();
            rd::rd_kafka_message_detach_headers(message, &raw mut headers);
        }
        headers
    }
}

impl Consumer {
    pub(super) fn subscribe(run: &Run) -> Result<Self> {
        let wait = settings::fetch_wait(run.embedded);
        Self::new(&run.servers, &run.group, &run.topic, wait)
    }

    pub(super) fn new(
        servers: &str,
        group: &str,
        topic: &str,
        fetch_wait: (&str, &str),
    ) -> Result<Self> {
        let mut conf = Conf::new(servers)?;
        conf.set_all(&settings::CONSUMER)?;
        conf.set_all(&[
            fetch_wait,
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
        ])?;
        // SAFETY: the configuration lives; the callback is a plain function.
        unsafe { rd::rd_kafka_conf_set_rebalance_cb(conf.raw(), Some(rebalance)) };
        let client = conf.client(rd::rd_kafka_type_t::RD_KAFKA_CONSUMER)?;
        let topic = CString::new(topic)?;
        // SAFETY: the client lives; the list is copied by `subscribe` and destroyed once.
        let (code, queue) = unsafe {
            rd::rd_kafka_poll_set_consumer(client.rk());
            let list = rd::rd_kafka_topic_partition_list_new(1);
            rd::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), -1);
            let code = rd::rd_kafka_subscribe(client.rk(), list);
            rd::rd_kafka_topic_partition_list_destroy(list);
            (code, rd::rd_kafka_queue_get_consumer(client.rk()))
        };
        let consumer = Self {
            queue,
            topic,
            buffer: vec![ptr::null_mut(); BATCH],
            next: Vec::new(),
            idle: 0,
            client,
        };
        check(code, "subscribe")?;
        Ok(consumer)
    }

    /// Takes what is there, after a wait for the first if need be, and looks at each.
    pub(super) fn batch(&mut self, mut each: impl FnMut(&Record<'_>) -> Result<()>) -> Result<()> {
        // A call that may wait returns only when its buffer is full or the whole wait is over, so it asks
        // for one message; the next takes what else is there without waiting.
        let mut count = self.receive(0, WAIT_MS, 1);
        if count == 0 {
            self.idle += 1;
            return if self.idle < PATIENCE {
                Ok(())
            } else {
                Err("no record came for half a minute".into())
            };
        }
        self.idle = 0;
        count += self.receive(count, 0, BATCH - count);
        let mut result = Ok(());
        for slot in &mut self.buffer[..count] {
            let raw = std::mem::replace(slot, ptr::null_mut());
            // SAFETY: librdkafka gave us the message: it is read, then destroyed once.
            unsafe {
                if result.is_ok() {
                    result = look(&*raw, &mut self.next, &mut each);
                }
                rd::rd_kafka_message_destroy(raw);
            }
        }
        result
    }

    fn receive(&mut self, at: usize, wait: i32, most: usize) -> usize {
        let room = &mut self.buffer[at..at + most];
        // SAFETY: the queue lives; there is room for as many messages as are asked for.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(self.queue, wait, room.as_mut_ptr(), room.len())
        };
        usize::try_from(count).unwrap_or(0)
    }

    /// Commits what was read and leaves the group.
    pub(super) fn commit_and_leave(&mut self) -> Result<()> {
        // SAFETY: the client lives; the list is destroyed once, after the commit that waits.
        let (commit, close) = unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(self.next.len() as i32);
            for (partition, next) in self.next.iter().enumerate().filter(|(_, next)| **next >= 0) {
                let entry = rd::rd_kafka_topic_partition_list_add(
                    list,
                    self.topic.as_ptr(),
                    partition as i32,
                );
                (*entry).offset = *next;
            }
            let commit = rd::rd_kafka_commit(self.client.rk(), list, 0);
            rd::rd_kafka_topic_partition_list_destroy(list);
            (commit, rd::rd_kafka_consumer_close(self.client.rk()))
        };
        check(commit, "commit")?;
        check(close, "close")
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // SAFETY: a reference of ours, given back once, before the client goes.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

/// Hands a message over as a record and notes its offset.
///
/// # Safety
/// The message lives, and nobody else touches it meanwhile.
unsafe fn look(
    message: &rd::rd_kafka_message_t,
    next: &mut Vec<i64>,
    each: &mut impl FnMut(&Record<'_>) -> Result<()>,
) -> Result<()> {
    if message.err != OK {
        return Err(format!("consume: {}", describe(message.err)).into());
    }
    let partition = usize::try_from(message.partition)?;
    if next.len() <= partition {
        next.resize(partition + 1, -1);
    }
    next[partition] = message.offset + 1;
    // SAFETY: the fields describe bytes that live as long as the message.
    let record = unsafe {
        Record {
            partition: message.partition,
            message,
            key: bytes(message.key, message.key_len),
            value: bytes(message.payload, message.len),
        }
    };
    each(&record)
}

/// # Safety
/// `data` is null or points to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(data: *const c_void, len: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data.cast(), len) }
}

unsafe extern "C" fn rebalance(
    rk: *mut rd::rd_kafka_t,
    code: Code,
    partitions: *mut rd::rd_kafka_topic_partition_list_t,
    _opaque: *mut c_void,
) {
    // SAFETY: client and list live during the call; a returned error is ours to destroy.
    unsafe {
        let error = if code == Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            rd::rd_kafka_incremental_assign(rk, partitions)
        } else {
            rd::rd_kafka_incremental_unassign(rk, partitions)
        };
        if !error.is_null() {
            rd::rd_kafka_error_destroy(error);
        }
    }
}

/// Reads, decodes and counts all records.
pub(crate) fn consume(run: &Run, counts: &Counts) -> Result<()> {
    let mut consumer = Consumer::subscribe(run)?;
    while !counts.is_done() {
        consumer.batch(|record| {
            black_box(serde_json::from_slice::<Reading>(record.value)?);
            counts.count();
            Ok(())
        })?;
    }
    consumer.commit_and_leave()
}
