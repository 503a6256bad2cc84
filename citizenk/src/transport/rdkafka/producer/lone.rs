//! Enqueuing a record that somebody waits for.
//!
//! librdkafka carries the address of whom to answer, told apart from a ticket by its lowest bit.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::error;
use super::Producer;
use super::send::{ANY, describe, one, plain, raw};
use crate::staging::{Answer, Receipt, Staged, StagedBatch};
use crate::transport::{ProducerTopic, TransportError};

/// Tickets and receipts are aligned, so that no address of theirs has this bit.
const LONE: usize = 1;
const _: () = assert!(align_of::<Receipt>() > LONE);

fn opaque(receipt: Arc<Receipt>) -> *mut c_void {
    Arc::into_raw(receipt)
        .map_addr(|address| address | LONE)
        .cast_mut()
        .cast()
}

/// Whom to answer, unless the opaque is a ticket.
///
/// # Safety
/// The opaque was enqueued with a record; one that [`opaque`] made is given here once.
#[inline]
pub(super) unsafe fn answer(opaque: *mut c_void) -> Option<Answer> {
    if opaque.addr() & LONE == 0 {
        return None;
    }
    let receipt = opaque.map_addr(|address| address & !LONE).cast_const();
    // SAFETY: `Arc::into_raw` made the address, and it is taken back once by the caller's promise.
    Some(Answer::of(unsafe { Arc::from_raw(receipt.cast()) }))
}

impl Producer {
    pub(super) fn enqueue_lone(
        &self,
        topic: ProducerTopic,
        batch: &StagedBatch,
        answer_to: Answer,
    ) -> Result<(), Answer> {
        let found = {
            let known = self
                .topics
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            // The handle lives as long as the producer; the lock must not be held while the program's own
            // partitioner is called.
            known.get(topic).map(|target| target.rkt)
        };
        let record = batch.get(0);
        let Some(rkt) = found else {
            let error = error::invalid("producing", "the topic's handle was never asked for");
            return self.refuse(answer_to, error);
        };
        if record.partition.is_some_and(|partition| partition < 0) {
            let code = Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
            return self.refuse(answer_to, self.failure(topic, &record, code));
        }
        let Some(receipt) = answer_to.into_receipt() else {
            return Ok(());
        };
        self.shared.in_flight.fetch_add(1, Ordering::AcqRel);
        let opaque = opaque(receipt);
        // SAFETY: client and topic are alive; the record's bytes are copied in the call.
        let code = unsafe {
            if plain(&record) {
                alone(rkt, &record, opaque)
            } else {
                one(self.shared.client.rk(), rkt, &record, opaque)
            }
        };
        if code == error::OK {
            self.found_room();
            return Ok(());
        }
        // SAFETY: the record was not taken, so nobody else will give the opaque back.
        let Some(answer_to) = (unsafe { answer(opaque) }) else {
            return Ok(());
        };
        self.shared.landed(1);
        let size = record.value.map_or(0, <[u8]>::len);
        if code != Code::RD_KAFKA_RESP_ERR__QUEUE_FULL {
            return self.refuse(answer_to, self.failure(topic, &record, code));
        }
        if size > self.queue_bytes {
            let error = error::with_message(
                self.describe(topic, &record),
                Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                format!("{size} bytes are more than `queue.buffering.max.kbytes`"),
            );
            return self.refuse(answer_to, error);
        }
        self.found_full();
        Err(answer_to)
    }

    fn refuse(&self, answer_to: Answer, error: TransportError) -> Result<(), Answer> {
        self.shared.refused.fetch_add(1, Ordering::AcqRel);
        answer_to.give(Err(error));
        Ok(())
    }

    fn describe(&self, topic: ProducerTopic, record: &Staged<'_>) -> String {
        let known = self
            .topics
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        describe(known.get(topic).map_or("?", |target| target.name), record)
    }

    fn failure(&self, topic: ProducerTopic, record: &Staged<'_>, code: Code) -> TransportError {
        error::error(self.describe(topic, record), code)
    }
}

/// Enqueues a record without headers and timestamp.
///
/// # Safety
/// The topic is alive.
unsafe fn alone(rkt: *mut rd::rd_kafka_topic_t, record: &Staged<'_>, opaque: *mut c_void) -> Code {
    let (payload, len) = raw(record.value);
    let (key, key_len) = raw(record.key);
    // SAFETY: alive by the caller's promise; the bytes live during the call and are copied in it.
    unsafe {
        let refused = rd::rd_kafka_produce(
            rkt,
            record.partition.unwrap_or(ANY),
            rd::RD_KAFKA_MSG_F_COPY,
            payload,
            len,
            key,
            key_len,
            opaque,
        );
        if refused == 0 {
            error::OK
        } else {
            rd::rd_kafka_last_error()
        }
    }
}
