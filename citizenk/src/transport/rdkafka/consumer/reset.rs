//! Positions the broker refused.
//!
//! With `auto.offset.reset=error` librdkafka tells of a position that does not exist any more instead
//! of jumping silently. Where retention took the records, reading goes on at the first that is left
//! and the loss is reported; where the position lies beyond the end (a topic that was created anew, or
//! cut), it goes on at the first record, for none of these was read. A position we never had comes from an answer that was damaged on
//! its way (librdkafka 2.12 loses its place behind a batch with a wrong checksum): reading goes on at ours.

use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::error;
use super::control::Core;
use super::poll::Poller;
use crate::record::TopicPartition;
use crate::transport::Control;

/// How soon a seek is tried again that came before the fetcher ran.
pub(super) const SEEK_AGAIN: Duration = Duration::from_millis(10);
/// How soon a broker that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// A partition whose position must be found anew.
pub(super) struct Reset {
    pub(super) id: TopicPartition,
    /// The refused offset.
    from: i64,
    at: Instant,
}

impl Core {
    pub(super) fn note_reset(&mut self, topic: &str, partition: i32, offset: i64) {
        let id = self.slots.intern(&TopicPartition::new(topic, partition));
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        // A refused logical position has no number; the slot's is as good.
        let from = if offset >= 0 { offset } else { slot.next };
        if self.resets.iter().all(|reset| reset.id != id) {
            let at = Instant::now();
            self.resets.push(Reset { id, from, at });
        }
    }
}

impl Poller {
    /// Serves what is due; answers how long the next may wait.
    pub(super) fn serve_positions(&mut self, now: Instant) -> Option<Duration> {
        let due: Vec<_> = self
            .core
            .seeks
            .extract_if(.., |(.., at)| *at <= now)
            .collect();
        for (id, offset, _) in due {
            self.core.seek_now(&[(id, offset)]);
        }
        let due: Vec<_> = self
            .core
            .resets
            .extract_if(.., |reset| reset.at <= now)
            .collect();
        for reset in due {
            self.reset(reset);
        }
        let seeks = self.core.seeks.iter().map(|(.., at)| *at);
        let next = seeks
            .chain(self.core.resets.iter().map(|reset| reset.at))
            .min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn reset(&mut self, reset: Reset) {
        let Reset { id, from, .. } = reset;
        let marks = match self.core.watermarks(&id, ASK_TIMEOUT) {
            Ok(marks) => marks,
            Err(error) => {
                self.events.error(error);
                let at = Instant::now() + ASK_AGAIN;
                self.core.resets.push(Reset { id, from, at });
                return;
            }
        };
        let said = from;
        let own = self
            .core
            .slots
            .get_mut(&id)
            .map(|slot| slot.staged.first_offset().unwrap_or(slot.next));
        let from = believable(said, own, marks.high);
        if from != said {
            self.events.error(error::with_message(
                format!("reading {id}"),
                Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
                format!("the client lost its place and asked for offset {said}; reading goes on at {from}"),
            ));
        }
        let anew = from > marks.high;
        let target = if from < 0 && from == i64::from(rd::RD_KAFKA_OFFSET_END) {
            marks.high
        } else if anew {
            marks.low
        } else {
            from.clamp(marks.low, marks.high)
        };
        if let Some(slot) = self.core.slots.get_mut(&id) {
            slot.staged.clear();
            slot.next = target;
            slot.seen = false;
            slot.echo = true;
        }
        if let Err(error) = self.core.restart(&id) {
            self.events.error(error);
            let at = Instant::now() + ASK_AGAIN;
            self.core.resets.push(Reset { id, from, at });
            return;
        }
        if anew {
            self.events.created_anew(&id, from, target);
        } else if (0..target).contains(&from) {
            self.events.skipped(&id, from, target);
        }
    }
}

/// Where to go on: where the client says it was refused, unless that is beyond the end and our own
/// position is not.
fn believable(said: i64, own: Option<i64>, high: i64) -> i64 {
    own.filter(|own| said > high && (0..=high).contains(own))
        .unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_never_ours_is_not_believed() {
        assert_eq!(believable(1 << 60, Some(8), 14), 8);
        assert_eq!(believable(1 << 60, Some(14), 14), 14);
        // The topic was truncated: our position lies beyond the end as well.
        assert_eq!(believable(20, Some(20), 14), 20);
        // Retention: the position is one we had.
        assert_eq!(believable(3, Some(3), 14), 3);
        assert_eq!(believable(-1, Some(-1), 14), -1);
        assert_eq!(believable(20, None, 14), 20);
    }
}
