//! Enqueuing staged records.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::bindings::rd_kafka_vtype_t as Kind;

use super::super::error;
use super::Producer;
use super::ticket::Filling;
use super::topics::{Target, Topics};
use crate::staging::{Staged, StagedBatch};
use crate::transport::{DeliverySink, ProducerTopic, TransportError};

/// "Any partition", the partitioner decides.
pub(super) const ANY: i32 = -1;

thread_local! {
    /// The records of a run, as librdkafka wants them; empty between two calls.
    static RUN: RefCell<Vec<rd::rd_kafka_message_t>> = const { RefCell::new(Vec::new()) };
}

/// What came of enqueuing a run.
struct Sent {
    /// Records that were enqueued or reported as failed.
    taken: usize,
    failed: usize,
    /// The next one's topic is not open yet, which says nothing about the queue.
    closed: bool,
}

/// One call's arguments.
struct Call<'a> {
    known: &'a Topics,
    topics: &'a [ProducerTopic],
    batch: &'a StagedBatch,
    sink: &'a Arc<dyn DeliverySink>,
    queue_bytes: usize,
}

impl Producer {
    pub(super) fn enqueue(
        &self,
        known: &Topics,
        topics: &[ProducerTopic],
        batch: &StagedBatch,
        range: Range<usize>,
        sink: &Arc<dyn DeliverySink>,
    ) -> usize {
        let call = Call {
            known,
            topics,
            batch,
            sink,
            queue_bytes: self.queue_bytes,
        };
        let end = range.end.min(batch.len());
        let mut at = range.start;
        while at < end {
            let filling = self.shared.tickets.arm(at, end - at, sink);
            let count = filling.capacity().min(end - at);
            self.shared.in_flight.fetch_add(count, Ordering::AcqRel);
            let sent = call.fill(self.shared.client.rk(), at..at + count, &filling);
            let unreported = count - sent.taken + sent.failed;
            filling.done(unreported);
            if sent.failed > 0 {
                let refused = &self.shared.refused;
                refused.fetch_add(sent.failed, Ordering::AcqRel);
            }
            self.shared.landed(unreported);
            at += sent.taken;
            if sent.closed {
                // Whoever opens it tells who waits.
                return at - range.start;
            }
            if sent.taken < count {
                self.found_full();
                return at - range.start;
            }
        }
        self.found_room();
        at - range.start
    }

    pub(super) fn found_full(&self) {
        // The serving thread tells who waits; it may be waiting itself just now. Once it knows it is left alone:
        // it would tell those who wait, who would find the queue full and wake it, and so on.
        if !self.shared.full.swap(true, Ordering::AcqRel) {
            self.shared.client.wake();
        }
    }

    pub(super) fn found_room(&self) {
        // Others may wait for the room this call has just found.
        let full = &self.shared.full;
        if full.load(Ordering::Acquire) && full.swap(false, Ordering::AcqRel) {
            self.shared.space.notify_waiters();
        }
    }
}

/// Records that librdkafka takes as a run.
pub(super) fn plain(record: &Staged<'_>) -> bool {
    record.header_count() == 0 && record.timestamp.is_none()
}

impl Call<'_> {
    /// Enqueues records in order until the queue is full.
    fn fill(&self, rk: *mut rd::rd_kafka_t, range: Range<usize>, filling: &Filling<'_>) -> Sent {
        let mut sent = Sent {
            taken: 0,
            failed: 0,
            closed: false,
        };
        while range.start + sent.taken < range.end {
            let at = range.start + sent.taken;
            let record = self.batch.get(at);
            let topic = self.topics.get(record.topic);
            let Some(Target { name, rkt, open }) = topic.and_then(|topic| self.known.get(*topic))
            else {
                let error = error::invalid("producing", "the topic's handle was never asked for");
                self.fail(at, error, &mut sent);
                continue;
            };
            if !open {
                sent.closed = true;
                break;
            }
            if record.partition.is_some_and(|partition| partition < 0) {
                let unknown = Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
                self.fail(
                    at,
                    error::error(describe(name, &record), unknown),
                    &mut sent,
                );
                continue;
            }
            let room = if plain(&record) {
                self.run(name, rkt, at..range.end, sent.taken, filling, &mut sent)
            } else {
                let opaque = filling.opaque(sent.taken);
                // SAFETY: client and topic are alive; the record's bytes are copied in the call.
                let result = unsafe { one(rk, rkt, &record, opaque) };
                self.answered(name, at, result, &mut sent)
            };
            if !room {
                break;
            }
        }
        sent
    }

    /// Enqueues the records from `range.start` on that go to the same topic and partition. With a
    /// partition of its own per record librdkafka would leak those it refuses (2.12.1), so those are
    /// runs of their own.
    fn run(
        &self,
        name: &str,
        rkt: *mut rd::rd_kafka_topic_t,
        range: Range<usize>,
        place: usize,
        filling: &Filling<'_>,
        sent: &mut Sent,
    ) -> bool {
        let first = self.batch.get(range.start);
        let mut run = RUN.with(RefCell::take);
        run.extend(
            range
                .clone()
                .map(|index| self.batch.get(index))
                .take_while(|next| {
                    next.topic == first.topic && next.partition == first.partition && plain(next)
                })
                .enumerate()
                .map(|(offset, record)| message(&record, filling.opaque(place + offset))),
        );
        // SAFETY: the topic is alive, the messages point to bytes that live during the call and are
        // copied in it.
        unsafe {
            rd::rd_kafka_produce_batch(
                rkt,
                first.partition.unwrap_or(ANY),
                rd::RD_KAFKA_MSG_F_COPY,
                run.as_mut_ptr(),
                // A block has at most a few hundred places.
                run.len() as i32,
            );
        }
        let mut room = true;
        for (offset, message) in run.iter().enumerate() {
            room = self.answered(name, range.start + offset, message.err, sent);
            if !room {
                break;
            }
        }
        run.clear();
        RUN.with(|cell| cell.replace(run));
        room
    }

    /// Counts a record by its answer; false when the queue is full and it was not taken.
    fn answered(&self, topic: &str, at: usize, code: Code, sent: &mut Sent) -> bool {
        if code == error::OK {
            sent.taken += 1;
            return true;
        }
        let record = self.batch.get(at);
        let size = record.value.map_or(0, <[u8]>::len);
        if code == Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE {
            let size = size + record.key.map_or(0, <[u8]>::len);
            let error = error::with_message(
                describe(topic, &record),
                code,
                format!("{size} bytes are more than the producer's `message.max.bytes`"),
            );
            self.fail(at, error, sent);
        } else if code != Code::RD_KAFKA_RESP_ERR__QUEUE_FULL {
            self.fail(at, error::error(describe(topic, &record), code), sent);
        } else if size > self.queue_bytes {
            let error = error::with_message(
                describe(topic, &record),
                Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                format!("{size} bytes are more than `queue.buffering.max.kbytes`"),
            );
            self.fail(at, error, sent);
            // What came after it in its run was refused with it, and is tried again.
            return true;
        } else {
            return false;
        }
        true
    }

    fn fail(&self, at: usize, error: TransportError, sent: &mut Sent) {
        sent.taken += 1;
        sent.failed += 1;
        self.sink.delivered(at, Err(error));
    }
}

pub(super) fn describe(topic: &str, record: &Staged<'_>) -> String {
    match record.partition {
        Some(partition) => format!("producing to {topic}/{partition}"),
        None => format!("producing to `{topic}`"),
    }
}

pub(super) fn raw(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    match bytes {
        Some(bytes) => (bytes.as_ptr().cast_mut().cast(), bytes.len()),
        None => (ptr::null_mut(), 0),
    }
}

fn message(record: &Staged<'_>, opaque: *mut c_void) -> rd::rd_kafka_message_t {
    let (payload, len) = raw(record.value);
    let (key, key_len) = raw(record.key);
    rd::rd_kafka_message_t {
        err: error::OK,
        rkt: ptr::null_mut(),
        partition: ANY,
        payload,
        len,
        key,
        key_len,
        offset: 0,
        _private: opaque,
    }
}

/// Enqueues a record with headers or a timestamp.
///
/// # Safety
/// Client and topic are alive, and the topic belongs to the client.
pub(super) unsafe fn one(
    rk: *mut rd::rd_kafka_t,
    rkt: *mut rd::rd_kafka_topic_t,
    record: &Staged<'_>,
    opaque: *mut c_void,
) -> Code {
    let mem = |bytes| {
        let (ptr, size) = raw(bytes);
        rd::rd_kafka_vu_s__bindgen_ty_1 {
            mem: rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size },
        }
    };
    let item = |vtype, u| rd::rd_kafka_vu_t { vtype, u };
    // SAFETY: `header_add` copies name and value; the headers are librdkafka's once the record is
    // enqueued, else ours to destroy.
    unsafe {
        let count = record.header_count();
        let headers = if count == 0 {
            ptr::null_mut()
        } else {
            rd::rd_kafka_headers_new(count)
        };
        for (name, value) in record.headers() {
            let (data, size) = raw(value);
            rd::rd_kafka_header_add(
                headers,
                name.as_ptr().cast(),
                name.len() as isize,
                data,
                size as isize,
            );
        }
        let items = [
            item(
                Kind::RD_KAFKA_VTYPE_RKT,
                rd::rd_kafka_vu_s__bindgen_ty_1 { rkt },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_PARTITION,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    i32_: record.partition.unwrap_or(ANY),
                },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_MSGFLAGS,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    i: rd::RD_KAFKA_MSG_F_COPY,
                },
            ),
            item(Kind::RD_KAFKA_VTYPE_VALUE, mem(record.value)),
            item(Kind::RD_KAFKA_VTYPE_KEY, mem(record.key)),
            item(
                Kind::RD_KAFKA_VTYPE_TIMESTAMP,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    // 0 is "now" to librdkafka.
                    i64_: record.timestamp.unwrap_or(0),
                },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_OPAQUE,
                rd::rd_kafka_vu_s__bindgen_ty_1 { ptr: opaque },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_HEADERS,
                rd::rd_kafka_vu_s__bindgen_ty_1 { headers },
            ),
        ];
        // The headers come last: without any they are left away.
        let used = items.len() - usize::from(count == 0);
        let failed = rd::rd_kafka_produceva(rk, items.as_ptr(), used);
        if failed.is_null() {
            return error::OK;
        }
        let code = rd::rd_kafka_error_code(failed);
        rd::rd_kafka_error_destroy(failed);
        if !headers.is_null() {
            rd::rd_kafka_headers_destroy(headers);
        }
        code
    }
}
