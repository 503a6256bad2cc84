//! Whether a topic is still the one that was read before.
//!
//! A topic that was deleted and created anew has another id (KIP-516). librdkafka (2.12.1) learns of it and goes
//! on at the old position; that one beyond the new end is noticed (`reset`), one that the new topic has outgrown
//! is not: its first records would be lost. So ids are asked for when partitions are taken, now and then, and
//! soon after a sign of change; with another id, partitions are read from their first record. In: topics, answers.
//! Out: topics that are others now. Brokers before 2.8 know no ids: there nothing is noticed.

use std::collections::HashMap;
use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_admin_op_t as Operation;

use super::super::client::{Client, Mail};
use super::super::conf::{c_text, millis};
use super::super::error;
use super::poll::Poller;
use super::reset::Reset;

/// Between two questions.
const EVERY: Duration = Duration::from_secs(10);
/// After a sign of change, and without an answer about a topic.
const SOON: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
/// The answer is waited for this much longer than the broker has, so that its own error arrives.
const GRACE: Duration = Duration::from_millis(500);

/// A topic's id: 128 bits.
pub(in super::super) type TopicId = (i64, i64);
/// Topics and their ids, as far as the broker told them.
pub(in super::super) type Answers = Vec<(String, Option<TopicId>)>;

#[derive(Debug)]
struct Known {
    id: TopicId,
    /// The one before: a broker that has not heard of the change may still say it.
    former: Option<TopicId>,
}

/// The ids of the topics a consumer reads or has read.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: HashMap<Arc<str>, Known>,
    /// `None`: nothing is asked.
    due: Option<Instant>,
    asking: Arc<AtomicBool>,
}

impl Identities {
    /// Asks after this time at the latest.
    pub(super) fn ask_in(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Something points to a change.
    pub(super) fn suspect(&mut self) {
        if self.due.is_some() {
            self.ask_in(SOON);
        }
    }

    /// Notes the topic's id; answers whether it is another topic than before.
    fn learn(&mut self, topic: &Arc<str>, id: TopicId) -> bool {
        let Some(known) = self.known.get_mut(topic) else {
            let former = None;
            self.known.insert(topic.clone(), Known { id, former });
            return false;
        };
        if known.id == id || known.former == Some(id) {
            return false;
        }
        known.former = Some(std::mem::replace(&mut known.id, id));
        true
    }
}

impl Poller {
    /// Partitions were taken. A consumer without a group may be there for one short read only, which needs no
    /// question of its own.
    pub(super) fn identify(&mut self) {
        if self.core.real {
            let wait = if self.core.group {
                Duration::ZERO
            } else {
                SOON
            };
            self.core.identities.ask_in(wait);
        }
    }

    /// Asks when it is time; answers how long that is.
    pub(super) fn serve_identities(&mut self, now: Instant) -> Option<Duration> {
        let due = self.core.identities.due?;
        if due > now {
            return Some(due - now);
        }
        let mut topics: Vec<Arc<str>> = Vec::new();
        for slot in &self.core.slots.list {
            if !topics.contains(&slot.id.topic) {
                topics.push(slot.id.topic.clone());
            }
        }
        if topics.is_empty() {
            // The next partitions that are taken ask again.
            self.core.identities.due = None;
            return None;
        }
        self.core.identities.due = Some(now + EVERY);
        ask(&self.core.client, &topics, &self.core.identities.asking);
        Some(EVERY)
    }

    /// Acts on the broker's answers.
    pub(super) fn identified(&mut self, answers: Answers) {
        for (topic, id) in answers {
            let Some(id) = id else {
                // It is being deleted, or the broker cannot say.
                self.core.identities.suspect();
                continue;
            };
            let topic: Arc<str> = topic.into();
            let changed = self.core.identities.learn(&topic, id);
            let own = self.core.slots.list.iter_mut();
            for slot in own.filter(|slot| slot.id.topic == topic) {
                // What was found to be another one by its end is at its first records already.
                let noticed = std::mem::take(&mut slot.anew);
                if changed && !noticed && slot.next != i64::from(rd::RD_KAFKA_OFFSET_BEGINNING) {
                    let from = slot.staged.first_offset().unwrap_or(slot.next);
                    self.core.resets.retain(|reset| reset.id != slot.id);
                    self.core.resets.push(Reset::anew(slot.id.clone(), from));
                }
            }
        }
    }
}

/// Asks on a thread of its own, because the question blocks; one at a time.
fn ask(client: &Arc<Client>, topics: &[Arc<str>], asking: &Arc<AtomicBool>) {
    if asking.swap(true, Ordering::AcqRel) {
        return;
    }
    let (client, done, topics) = (client.clone(), asking.clone(), topics.to_vec());
    let asked = std::thread::Builder::new()
        .name("ck-ids".to_owned())
        .spawn(move || {
            let answers = describe(&client, &topics);
            done.store(false, Ordering::Release);
            client.hooks().post(Mail::Topics(answers));
        });
    if let Err(error) = asked {
        asking.store(false, Ordering::Release);
        tracing::warn!(%error, "cannot ask for the ids of topics");
    }
}

/// One request; it creates no topic.
fn describe(client: &Client, topics: &[Arc<str>]) -> Answers {
    let names: Vec<_> = topics.iter().map(|topic| c_text(topic)).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let mut buffer = [0 as c_char; 512];
    let mut answers = Answers::new();
    // SAFETY: the client is alive; the names live during the call and are copied; collection, options, queue and
    // event are destroyed once, after their last use; a null event is "no answer in time". What is read belongs
    // to the living event: `count` descriptions, each with a terminated name and an id.
    unsafe {
        let collection =
            rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options =
            rd::rd_kafka_AdminOptions_new(client.rk(), Operation::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let limited = rd::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(TIMEOUT),
            buffer.as_mut_ptr(),
            buffer.len(),
        );
        let queue = rd::rd_kafka_queue_new(client.rk());
        if limited == error::OK {
            rd::rd_kafka_DescribeTopics(client.rk(), collection, options, queue);
            let event = rd::rd_kafka_queue_poll(queue, millis(TIMEOUT + GRACE));
            if !event.is_null() {
                let result = rd::rd_kafka_event_DescribeTopics_result(event);
                if !result.is_null() && rd::rd_kafka_event_error(event) == error::OK {
                    let mut count = 0;
                    let found = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
                    for index in 0..if found.is_null() { 0 } else { count } {
                        answers.push(read(*found.add(index)));
                    }
                }
                rd::rd_kafka_event_destroy(event);
            }
        }
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_TopicCollection_destroy(collection);
    }
    answers
}

/// # Safety
/// The description is alive.
unsafe fn read(topic: *const rd::rd_kafka_TopicDescription_t) -> (String, Option<TopicId>) {
    // SAFETY: alive by the caller's promise; an error may be null, which is none.
    unsafe {
        let name = error::text(rd::rd_kafka_TopicDescription_name(topic));
        let failed = rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic));
        let uuid = rd::rd_kafka_TopicDescription_topic_id(topic);
        if failed != error::OK || uuid.is_null() {
            return (name, None);
        }
        let id = (
            rd::rd_kafka_Uuid_most_significant_bits(uuid),
            rd::rd_kafka_Uuid_least_significant_bits(uuid),
        );
        (name, Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_id_is_told_once_whatever_brokers_say_that_have_not_heard_of_it() {
        let mut identities = Identities::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let told: Vec<bool> = [(1, 1), (1, 1), (2, 2), (1, 1), (2, 2), (3, 3), (2, 2)]
            .map(|id| identities.learn(&a, id))
            .into();
        assert_eq!(told, [false, false, true, false, false, true, false]);
        assert!(!identities.learn(&b, (2, 2)), "each topic has its own");
        // Brokers without ids say zero for ever.
        let c: Arc<str> = "c".into();
        assert!(!identities.learn(&c, (0, 0)) && !identities.learn(&c, (0, 0)));
    }

    #[test]
    fn only_who_asks_at_all_asks_sooner() {
        let mut identities = Identities::default();
        identities.suspect();
        assert_eq!(identities.due, None);
        identities.ask_in(EVERY);
        let later = identities.due;
        identities.suspect();
        assert!(identities.due < later);
    }
}
