//! What the polling thread does to its consumer between two polls.

use std::collections::HashMap;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;

use super::super::chunk::Pool;
use super::super::client::{Client, Mail, TopicHandle};
use super::super::conf::{c_text, millis};
use super::super::error;
use super::super::list::{self, List};
use super::reset::{Reset, SEEK_AGAIN};
use super::slots::Slots;
use super::{callbacks, ends};
use crate::record::TopicPartition;
use crate::transport::{Control, Spot, TransportError, Watermarks};

/// A seek that is waited for: its answer comes from librdkafka's own thread, without the broker.
const SEEK_WAIT: Duration = Duration::from_secs(1);
/// A commit that a group in the middle of a join refuses is tried again after this time, then after twice as
/// long, and so on, as long as a join that nobody holds up takes.
const COMMIT_AGAIN: Duration = Duration::from_millis(20);
const JOINING: Duration = Duration::from_millis(500);

/// All that the events may command, and what it takes to obey.
pub(super) struct Core {
    pub(super) client: Arc<Client>,
    pub(super) name: String,
    /// Whether there is a group; without one partitions are started one by one.
    pub(super) group: bool,
    pub(super) slots: Slots,
    pub(super) pool: Arc<Pool>,
    /// Topics read without a group.
    pub(super) topics: HashMap<Arc<str>, TopicHandle>,
    /// Seeks that came before the fetcher ran.
    pub(super) seeks: Vec<(TopicPartition, i64, Instant)>,
    pub(super) resets: Vec<Reset>,
    /// A question for ends is on its way.
    asking: Arc<AtomicBool>,
}

impl Core {
    pub(super) fn new(client: Arc<Client>, group: bool, name: String) -> Self {
        Self {
            client,
            name,
            group,
            slots: Slots::default(),
            pool: Arc::default(),
            topics: HashMap::new(),
            seeks: Vec::new(),
            resets: Vec::new(),
            asking: Arc::default(),
        }
    }

    /// Notes new positions, forgets what was fetched, and answers those that librdkafka must hear of.
    fn reposition(
        &mut self,
        positions: &[(TopicPartition, i64)],
        resume: bool,
    ) -> Vec<(TopicPartition, i64)> {
        let mut known = Vec::with_capacity(positions.len());
        for (id, offset) in positions {
            self.seeks.retain(|(other, ..)| other != id);
            let Some(slot) = self.slots.get_mut(id) else {
                tracing::debug!(consumer = self.name, partition = %id, "not assigned: seek ignored");
                continue;
            };
            slot.staged.clear();
            slot.next = *offset;
            slot.seeking = false;
            if resume {
                slot.paused = false;
            }
            if !slot.assigning {
                known.push((id.clone(), *offset));
            }
        }
        known
    }

    /// Seeks where the fetcher runs; else notes the seek for later.
    pub(super) fn seek_now(&mut self, positions: &[(TopicPartition, i64)]) {
        if positions.is_empty() {
            return;
        }
        // A fetcher that has delivered takes a seek for certain, and what was fetched before it is
        // obsolete from the call on. One that may not have started refuses it, so its answer counts.
        let all_seen = positions
            .iter()
            .all(|(id, _)| self.slots.get_mut(id).is_some_and(|slot| slot.seen));
        let wait = if all_seen { 0 } else { millis(SEEK_WAIT) };
        let list = List::at(positions);
        // SAFETY: client and list are alive; a returned error is taken.
        let result = unsafe {
            let raw = rd::rd_kafka_seek_partitions(self.client.rk(), list.as_ptr(), wait);
            error::take(raw, || format!("consumer `{}` seeking", self.name))
        };
        if all_seen {
            for (id, _) in positions {
                self.sought(id, true);
            }
            return;
        }
        if let Err((_, error)) = &result {
            tracing::debug!(%error, "seek will be repeated");
        }
        for (entry, (id, offset)) in list.entries().iter().zip(positions) {
            self.sought(id, entry.err == error::OK);
            if entry.err != error::OK {
                let again = Instant::now() + SEEK_AGAIN;
                self.seeks.push((id.clone(), *offset, again));
            }
        }
    }

    fn sought(&mut self, id: &TopicPartition, taken: bool) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.seeking = !taken;
        }
    }

    pub(super) fn pause_now(&self, list: &List) {
        if list.is_empty() {
            return;
        }
        // SAFETY: client and list are alive.
        let code = unsafe { rd::rd_kafka_pause_partitions(self.client.rk(), list.as_ptr()) };
        if code != error::OK {
            let error = error::error(format!("consumer `{}` pausing", self.name), code);
            tracing::warn!(%error, "pause failed");
        }
    }

    pub(super) fn resume_now(&self, list: &List) {
        if list.is_empty() {
            return;
        }
        // SAFETY: client and list are alive.
        let code = unsafe { rd::rd_kafka_resume_partitions(self.client.rk(), list.as_ptr()) };
        if code != error::OK {
            let error = error::error(format!("consumer `{}` resuming", self.name), code);
            tracing::warn!(%error, "resume failed");
        }
    }

    fn commit_context(&self) -> String {
        format!("consumer `{}` committing offsets", self.name)
    }

    fn commit_once(&self, list: &List, timeout: Duration) -> Result<(), TransportError> {
        // librdkafka's own waiting commit has no time limit; a queue for this one answer has.
        // SAFETY: all handles are alive; event and queue are destroyed once, after their use.
        unsafe {
            let queue = rd::rd_kafka_queue_new(self.client.rk());
            let code = rd::rd_kafka_commit_queue(
                self.client.rk(),
                list.as_ptr(),
                queue,
                None,
                ptr::null_mut(),
            );
            let result = if code == error::OK {
                let event = rd::rd_kafka_queue_poll(queue, millis(timeout));
                if event.is_null() {
                    Err(error::error(
                        self.commit_context(),
                        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT,
                    ))
                } else {
                    let partitions = rd::rd_kafka_event_topic_partition_list(event);
                    let result = callbacks::commit_result(
                        rd::rd_kafka_event_error(event),
                        list::entries(partitions),
                    );
                    rd::rd_kafka_event_destroy(event);
                    result
                }
            } else {
                Err(error::error(self.commit_context(), code))
            };
            rd::rd_kafka_queue_destroy(queue);
            result
        }
    }

    fn no_group(&self) -> TransportError {
        error::invalid(self.commit_context(), "there is no group to commit to")
    }
}

/// The group's committed offsets; offsets of transactions that are still open are waited for.
pub(super) fn committed(
    client: &Client,
    consumer: &str,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Option<i64>>, TransportError> {
    let context = || format!("consumer `{consumer}` asking for committed offsets");
    let list = List::of(partitions);
    // SAFETY: client and list are alive.
    let code = unsafe { rd::rd_kafka_committed(client.rk(), list.as_ptr(), millis(timeout)) };
    error::check(code, context)?;
    list.entries()
        .iter()
        .map(|entry| {
            error::check(entry.err, context)?;
            Ok(Some(entry.offset).filter(|offset| *offset >= 0))
        })
        .collect()
}

/// Where a place is in each partition.
pub(super) fn offsets(
    client: &Client,
    consumer: &str,
    partitions: &[TopicPartition],
    spot: Spot,
    timeout: Duration,
) -> Result<Vec<i64>, TransportError> {
    let Spot::Time(millis) = spot else {
        let place = |id| {
            let marks = watermarks(client, id, timeout)?;
            Ok(match spot {
                Spot::Beginning => marks.low,
                _ => marks.high,
            })
        };
        return partitions.iter().map(place).collect();
    };
    let asked: Vec<_> = partitions.iter().map(|id| (id.clone(), millis)).collect();
    let list = List::at(&asked);
    let context = || format!("consumer `{consumer}` asking for offsets by time");
    // SAFETY: client and list are alive; the answers are written into the list.
    let code = unsafe {
        rd::rd_kafka_offsets_for_times(client.rk(), list.as_ptr(), self::millis(timeout))
    };
    error::check(code, context)?;
    let mut offsets = Vec::with_capacity(partitions.len());
    for (entry, id) in list.entries().iter().zip(partitions) {
        error::check(entry.err, context)?;
        // Negative: no record is that young.
        offsets.push(match entry.offset {
            offset if offset >= 0 => offset,
            _ => watermarks(client, id, timeout)?.high,
        });
    }
    Ok(offsets)
}

fn watermarks(
    client: &Client,
    partition: &TopicPartition,
    timeout: Duration,
) -> Result<Watermarks, TransportError> {
    let (mut low, mut high) = (0, 0);
    let topic = c_text(&partition.topic);
    // SAFETY: the client is alive, the name terminated, both places valid.
    let code = unsafe {
        rd::rd_kafka_query_watermark_offsets(
            client.rk(),
            topic.as_ptr(),
            partition.partition,
            &raw mut low,
            &raw mut high,
            millis(timeout),
        )
    };
    error::check(code, || format!("asking for the offsets of {partition}"))?;
    Ok(Watermarks { low, high })
}

impl Control for Core {
    fn pause(&mut self, partitions: &[TopicPartition]) {
        let mut list = List::with_capacity(partitions.len());
        for id in partitions {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.staged.clear();
                slot.paused = true;
                if !slot.assigning {
                    list.add(id, i64::from(rd::RD_KAFKA_OFFSET_INVALID));
                }
            }
        }
        self.pause_now(&list);
    }

    fn resume(&mut self, positions: &[(TopicPartition, i64)]) {
        let known = self.reposition(positions, true);
        if known.is_empty() {
            return;
        }
        self.resume_now(&List::at(&known));
        // The seek wakes the fetcher, which else sleeps up to a second, and makes the position ours.
        self.seek_now(&known);
    }

    fn seek(&mut self, positions: &[(TopicPartition, i64)]) {
        let known = self.reposition(positions, false);
        self.seek_now(&known);
    }

    fn knock(&mut self, partition: &TopicPartition, next: i64, anew: bool) {
        self.knock_at(partition, next, anew);
    }

    fn answered(&mut self, partition: &TopicPartition) -> bool {
        self.slots.get_mut(partition).is_some_and(|slot| slot.echo)
    }

    fn ask_ends(&mut self, partitions: &[TopicPartition]) {
        ends::ask(&self.client, partitions, &self.asking);
    }

    fn commit(&mut self, offsets: &[(TopicPartition, i64)]) {
        if offsets.is_empty() {
            return;
        }
        let hooks = self.client.hooks();
        if !self.group {
            hooks.post(Mail::Committed(offsets.to_vec(), Err(self.no_group())));
            return;
        }
        let list = List::at(offsets);
        // SAFETY: client, queue and list are alive, the list is copied; `hooks` outlives the client.
        let code = unsafe {
            rd::rd_kafka_commit_queue(
                self.client.rk(),
                list.as_ptr(),
                self.client.queue(),
                Some(callbacks::on_committed),
                ptr::from_ref(hooks).cast_mut().cast(),
            )
        };
        if code != error::OK {
            let error = error::error(self.commit_context(), code);
            hooks.post(Mail::Committed(offsets.to_vec(), Err(error)));
        }
    }

    fn commit_now(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        timeout: Duration,
    ) -> Result<(), TransportError> {
        if offsets.is_empty() {
            return Ok(());
        }
        if !self.group {
            return Err(self.no_group());
        }
        let list = List::at(offsets);
        let begun = Instant::now();
        let mut pause = COMMIT_AGAIN;
        loop {
            let result = self.commit_once(&list, timeout.saturating_sub(begun.elapsed()));
            // While others of the group still hear of their partitions it takes no commit, for a moment.
            let joining = matches!(&result, Err(error) if &*error.code == "REBALANCE_IN_PROGRESS");
            if !joining || begun.elapsed() + pause > timeout.min(JOINING) {
                return result;
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "the polling thread's own wait, bounded, in a revoke that nobody else serves"
            )]
            std::thread::sleep(pause);
            pause *= 2;
        }
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError> {
        if !self.group || partitions.is_empty() {
            return Ok(vec![None; partitions.len()]);
        }
        committed(&self.client, &self.name, partitions, timeout)
    }

    fn watermarks(
        &mut self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<Watermarks, TransportError> {
        watermarks(&self.client, partition, timeout)
    }

    fn cached_high_watermark(&mut self, partition: &TopicPartition) -> Option<i64> {
        let (mut low, mut high) = (0, 0);
        let topic = c_text(&partition.topic);
        // SAFETY: the client is alive, the name terminated, both places valid.
        let code = unsafe {
            rd::rd_kafka_get_watermark_offsets(
                self.client.rk(),
                topic.as_ptr(),
                partition.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (code == error::OK && high >= 0).then_some(high)
    }

    fn partition_count(&mut self, topic: &str, timeout: Duration) -> Result<usize, TransportError> {
        self.client
            .metadata(Some(topic), timeout)?
            .into_iter()
            .find(|known| known.name == topic)
            .map(|known| known.partitions)
            .ok_or_else(|| {
                error::error(
                    format!("topic `{topic}`"),
                    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                )
            })
    }
}
