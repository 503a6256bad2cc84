//! Whether a record was written that librdkafka says was.
//!
//! A broker refuses a record for a moment while its topic is being made or its leader moves, and librdkafka sends it
//! again. If a later record of the partition is acknowledged before that, librdkafka (2.12) takes the earlier one for
//! written as well, because an idempotent producer's records are only accepted in sequence. But a broker that has
//! nothing of this producer yet accepts any sequence as the first (KIP-360), so that the earlier one is lost.
//!
//! In: delivery reports. Out: which of them prove nothing: those without an offset, before any with an offset
//! of the same partition. Owned by the serving thread.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::error;

/// A topic's handle, of which a producer has one per topic, and a partition.
type Place = (usize, i32);

/// A broker forgets a producer that sends nothing for long (`producer.id.expiration.ms`, a day by default).
const HOLDS: Duration = Duration::from_secs(60 * 60);

/// The partitions that hold a record of this producer for certain.
pub(super) struct Proven {
    since: Instant,
    last: Option<Place>,
    all: HashSet<Place>,
}

impl Proven {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            last: None,
            all: HashSet::new(),
        }
    }

    /// Some reports come: what was proven long ago is to be proven anew.
    pub(super) fn renew(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= HOLDS {
            *self = Self::new(now);
        }
    }

    /// Whether this report, the next in order, leaves open what became of its record.
    pub(super) fn leaves_open(&mut self, report: &rd::rd_kafka_message_t) -> bool {
        let place = (report.rkt as usize, report.partition);
        if report.err != error::OK {
            if is_about_the_log(report.err) {
                self.all.remove(&place);
                self.last = None;
            }
            return false;
        }
        if self.last == Some(place) {
            return false;
        }
        if report.offset >= 0 {
            self.all.insert(place);
        } else if !self.all.contains(&place) {
            return true;
        }
        self.last = Some(place);
        false
    }
}

/// What the broker had of this producer may be gone, with the topic for instance.
fn is_about_the_log(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
            | Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
            | Code::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID
            | Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR
    )
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    fn report(partition: i32, offset: i64, err: Code) -> rd::rd_kafka_message_t {
        rd::rd_kafka_message_t {
            err,
            rkt: ptr::null_mut(),
            partition,
            payload: ptr::null_mut(),
            len: 0,
            key: ptr::null_mut(),
            key_len: 0,
            offset,
            _private: ptr::null_mut(),
        }
    }

    #[test]
    fn a_report_without_an_offset_proves_something_only_after_one_with() {
        let without = i64::from(rd::RD_KAFKA_OFFSET_INVALID);
        let failed = Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
        let start = Instant::now();
        let mut proven = Proven::new(start);
        for (partition, offset, err, open) in [
            (0, without, error::OK, true),
            (0, without, error::OK, true),
            (0, 0, error::OK, false),
            (0, without, error::OK, false),
            // Each partition for itself.
            (1, without, error::OK, true),
            (1, 7, error::OK, false),
            (0, without, error::OK, false),
            (1, without, error::OK, false),
            // A failure is none of this, and proves nothing.
            (2, without, failed, false),
            (2, without, error::OK, true),
            (1, without, failed, false),
            (1, without, error::OK, true),
            (0, without, error::OK, false),
            // What says nothing about the log takes nothing back.
            (0, without, Code::RD_KAFKA_RESP_ERR__PURGE_QUEUE, false),
            (0, without, error::OK, false),
        ] {
            let report = report(partition, offset, err);
            assert_eq!(proven.leaves_open(&report), open, "{partition} {offset}");
        }
        let report = report(0, without, error::OK);
        proven.renew(start + HOLDS / 2);
        assert!(!proven.leaves_open(&report));
        proven.renew(start + HOLDS);
        assert!(
            proven.leaves_open(&report),
            "the broker may have forgotten it"
        );
    }
}
