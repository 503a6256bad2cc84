//! The polling thread's loop.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::chunk::RdChunk;
use super::super::client::Mail;
use super::super::conf::millis;
use super::super::error;
use super::Shared;
use super::control::Core;
use super::fetches::Fetches;
use crate::record::{Chunk, OwnedRecord, RecordRef, TopicPartition};
use crate::transport::{ConsumerEvents, ConsumerSpec, Pace, TransportError};

/// Longest wait for a message; a wake ends it at once.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// With more chunks of a consumer held than this, records are copied out of theirs.
const MOST_HELD: usize = 4096;
/// How often a message is taken while none are wanted.
const TRICKLE: Duration = Duration::from_millis(100);
/// A poll may take as many messages, however small the chunks are to be.
const SMALLEST_POLL: usize = 512;
/// And takes about so many bytes: whoever gets them may be full, and what the client has fetched while somebody else
/// was waited for is up to `queued.max.messages.kbytes`, perhaps all of one partition.
const POLL_BYTES: usize = 1 << 20;
/// Of those that are there, so many times as many are taken as were seen: the next may be larger.
const GROWTH: usize = 8;

pub(super) struct Poller {
    pub(super) shared: Arc<Shared>,
    pub(super) core: Core,
    pub(super) events: Box<dyn ConsumerEvents>,
    pub(super) drain: Duration,
    /// The drain when the consumer leaves.
    pub(super) last_drain: Duration,
    pub(super) max_chunk: usize,
    /// Where librdkafka puts the messages of a poll; all null between polls.
    buffer: Vec<*mut rd::rd_kafka_message_t>,
    /// Of the keys and values of the last poll.
    bytes: usize,
    fetches: Fetches,
    errors: Vec<TransportError>,
    /// Ends that the poll has met, behind the records it got.
    reached: Vec<(TopicPartition, i64)>,
}

// SAFETY: moved once, into the polling thread, before the buffer holds anything.
unsafe impl Send for Poller {}

impl Poller {
    pub(super) fn new(
        shared: Arc<Shared>,
        spec: ConsumerSpec,
        last_drain: Duration,
        events: Box<dyn ConsumerEvents>,
    ) -> Self {
        let max_chunk = spec.max_chunk.max(1);
        Self {
            core: Core::new(shared.client.clone(), spec.group.is_some(), spec.name),
            shared,
            events,
            drain: spec.drain,
            last_drain,
            max_chunk,
            buffer: vec![ptr::null_mut(); max_chunk.max(SMALLEST_POLL)],
            bytes: 0,
            fetches: Fetches::default(),
            errors: Vec::new(),
            reached: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        // This thread runs one poller, once.
        let _ = self.shared.thread.set(std::thread::current());
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut pace = Pace {
                wait: Duration::ZERO,
                take: true,
            };
            let mut polled = Instant::now();
            loop {
                if let Some(leave) = self.shared.close_requested() {
                    self.close(leave);
                    return;
                }
                if pace.take {
                    self.poll(pace.wait, self.buffer.len());
                    polled = Instant::now();
                } else {
                    self.hold(pace.wait, &mut polled);
                }
                pace = self.tick();
            }
        }));
        if ended.is_err() {
            // The panic was reported where it happened. What is left must not be lost on the runtime.
            let error = error::with_message(
                format!("consumer `{}`", self.core.name),
                Code::RD_KAFKA_RESP_ERR__FATAL,
                "the polling thread panicked",
            );
            let _ = catch_unwind(AssertUnwindSafe(|| {
                self.events.error(error);
                self.events.closed();
            }));
            // The group notices by itself that this member is gone; closing needs a thread that polls.
            self.core.client.abandon();
        }
    }

    /// Waits for something to come, takes what is there (at most so many), and hands it over.
    pub(super) fn poll(&mut self, wait: Duration, most: usize) {
        let count = self.receive(wait, most);
        let mail = self.core.client.take_mail();
        let mut rest = Vec::new();
        // Rebalances first: of what was just received, records of partitions that go are not handed
        // over, they are their next owner's.
        for item in mail {
            match item {
                Mail::Rebalance(code, partitions) => self.rebalance(code, &partitions),
                other => rest.push(other),
            }
        }
        self.sort(count);
        self.hand_over();
        for item in rest {
            match item {
                Mail::Rebalance(..) => {}
                Mail::Committed(offsets, result) => self.events.committed(&offsets, result),
                Mail::Error(error) => self.events.error(error),
                Mail::Statistics(json) => self.events.statistics(&json),
                Mail::Ends(ends) => self.events.ends(&ends),
            }
        }
        // Behind the records before it.
        for (partition, next) in self.reached.drain(..) {
            self.events.reached_end(&partition, next);
        }
        for error in std::mem::take(&mut self.errors) {
            self.events.error(error);
        }
    }

    /// Takes nothing for a while, until it is woken; now and then one message, because rebalances come
    /// by the same way and the group expects to be polled.
    fn hold(&mut self, wait: Duration, polled: &mut Instant) {
        if polled.elapsed() >= TRICKLE {
            self.poll(Duration::ZERO, 1);
            *polled = Instant::now();
        } else {
            self.shared.sleep(wait.min(TRICKLE));
        }
    }

    /// Fills the buffer until bytes or messages are enough; answers how many messages it got.
    fn receive(&mut self, wait: Duration, most: usize) -> usize {
        self.bytes = 0;
        // A call that may wait returns when its buffer is full, so it gets room for one message; those
        // after it take what else is there without waiting.
        let mut timeout = if wait.is_zero() { 0 } else { millis(wait) };
        let (mut count, mut wanted) = (0, 1);
        loop {
            let more = self.fill(timeout, count..count + wanted);
            count += more;
            if more < wanted {
                return count;
            }
            (timeout, wanted) = (0, step(count, self.bytes, most));
            if wanted == 0 {
                return count;
            }
        }
    }

    /// Takes messages into these places of the buffer; answers how many there were.
    fn fill(&mut self, timeout: i32, places: Range<usize>) -> usize {
        let places = &mut self.buffer[places];
        let queue = self.core.client.queue();
        // SAFETY: the queue is alive, the buffer has room for as many as are asked for.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(queue, timeout, places.as_mut_ptr(), places.len())
        };
        let count = usize::try_from(count).unwrap_or(0);
        for raw in &places[..count] {
            // SAFETY: librdkafka gave us the message, which nobody has destroyed.
            let message = unsafe { &**raw };
            self.bytes += message.key_len + message.len;
        }
        count
    }

    /// Sorts the received messages by partition and takes the errors among them out.
    fn sort(&mut self, count: usize) {
        for index in 0..count {
            let raw = std::mem::replace(&mut self.buffer[index], ptr::null_mut());
            // SAFETY: librdkafka gave us the message; each is staged or destroyed once.
            unsafe {
                if (*raw).err == error::OK {
                    self.core.slots.stage(raw);
                } else {
                    self.failure(&*raw);
                    rd::rd_kafka_message_destroy(raw);
                }
            }
        }
        self.fetches.came(self.bytes);
    }

    /// # Safety
    /// The message is alive.
    unsafe fn failure(&mut self, message: &rd::rd_kafka_message_t) {
        // SAFETY: the message holds its topic, if it has one; texts are terminated.
        let (topic, text) = unsafe {
            let topic = if message.rkt.is_null() {
                String::new()
            } else {
                error::text(rd::rd_kafka_topic_name(message.rkt))
            };
            (topic, error::text(rd::rd_kafka_message_errstr(message)))
        };
        match message.err {
            Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                let partition = TopicPartition::new(topic, message.partition);
                if let Some(slot) = self.core.slots.get_mut(&partition) {
                    slot.echo = true;
                    self.reached.push((partition, message.offset));
                }
            }
            Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
            | Code::RD_KAFKA_RESP_ERR__LOG_TRUNCATION => {
                self.core
                    .note_reset(&topic, message.partition, message.offset);
            }
            code => {
                let context = match topic.as_str() {
                    "" => format!("consumer `{}`", self.core.name),
                    topic if message.partition < 0 => format!("consuming `{topic}`"),
                    topic => format!("consuming {topic}/{}", message.partition),
                };
                let mut error = error::with_message(context, code, text);
                if code == Code::RD_KAFKA_RESP_ERR__FATAL {
                    error = self
                        .core
                        .client
                        .fatal(error.context.clone())
                        .unwrap_or(error);
                }
                self.errors.push(error);
            }
        }
    }

    fn hand_over(&mut self) {
        while let Some((id, messages)) = self.core.slots.next_chunk(self.max_chunk, &self.core.pool)
        {
            let chunk = RdChunk::new(
                messages,
                id.topic,
                id.partition,
                self.core.pool.clone(),
                self.fetches.token(),
                self.core.client.clone(),
            );
            if self.core.pool.held() > MOST_HELD {
                // User code keeps events, and each would keep a whole chunk: from here on each keeps only
                // itself.
                let chunk: Chunk = Arc::new(chunk);
                for index in 0..chunk.len() {
                    let record = OwnedRecord::from(&RecordRef::new(chunk.clone(), index));
                    self.events.records(&mut self.core, Arc::new(record));
                }
            } else if self.fetches.are_many() {
                for piece in chunk.copies() {
                    self.events.records(&mut self.core, Arc::new(piece));
                }
            } else {
                self.events.records(&mut self.core, Arc::new(chunk));
            }
        }
    }

    /// The work between two polls; answers how to go on.
    fn tick(&mut self) -> Pace {
        // Before looking at anything a waker may have left.
        self.shared.woken.store(false, Ordering::Release);
        self.find_partitions();
        let own = self.serve_positions(Instant::now());
        let wanted = self.events.tick(&mut self.core);
        let wait = wanted
            .wait
            .min(own.unwrap_or(LONGEST_WAIT))
            .min(LONGEST_WAIT);
        Pace {
            wait,
            take: wanted.take,
        }
    }

    /// Starts the partitions the discovering thread found, when there is no group.
    fn find_partitions(&mut self) {
        if self.core.group {
            return;
        }
        let gone = {
            let mut wanted = super::lock(&self.shared.wanted);
            let shrunk = std::mem::take(&mut wanted.shrunk);
            let mut ids = if shrunk {
                self.core.slots.ids()
            } else {
                Vec::new()
            };
            ids.retain(|id| wanted.topics.iter().all(|topic| **topic != *id.topic));
            ids
        };
        if !gone.is_empty() {
            self.end_topics(&gone);
        }
        let mut found = std::mem::take(&mut *super::lock(&self.shared.found));
        {
            // What was found before the last change may not be wanted any more.
            let wanted = super::lock(&self.shared.wanted);
            found.retain(|(topic, _)| wanted.topics.contains(topic));
        }
        if !found.is_empty() {
            self.start_found(&found);
        }
    }
}

/// How many messages a poll takes next that has so many, of so many bytes: as many as fit if they are as large.
fn step(count: usize, bytes: usize, most: usize) -> usize {
    let fit = POLL_BYTES.saturating_sub(bytes).saturating_mul(count) / bytes.max(1);
    fit.min(count * GROWTH).min(most.saturating_sub(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a poll takes of messages of these sizes, and in how many steps.
    fn taken(sizes: &[usize], most: usize) -> (usize, usize) {
        let (mut count, mut bytes, mut steps) = (1, sizes[0], 1);
        loop {
            let step = step(count, bytes, most).min(sizes.len() - count);
            if step == 0 {
                return (count, steps);
            }
            bytes += sizes[count..count + step].iter().sum::<usize>();
            count += step;
            steps += 1;
        }
    }

    #[test]
    fn small_messages_are_taken_in_few_steps_and_large_ones_to_the_limit() {
        assert_eq!(taken(&[0; 2_000], 1_000), (1_000, 5));
        assert_eq!(taken(&[100; 2_000], 1_000), (1_000, 5));
        assert_eq!(taken(&[100_000; 2_000], 1_000), (10, 3));
        assert_eq!(taken(&[2 << 20; 2_000], 1_000), (1, 1));
        assert_eq!(taken(&[100; 2_000], 1), (1, 1));
    }

    proptest! {
        #[test]
        fn messages_of_one_size_never_pass_the_limit(size in 0..2_usize << 20, most in 1..2_000_usize) {
            let (count, _) = taken(&vec![size; 4_000], most);
            prop_assert!(count <= most && (count == 1 || count * size <= POLL_BYTES));
            prop_assert!(count == most || (count + 1) * size > POLL_BYTES);
        }

        #[test]
        fn of_any_others_the_last_step_is_too_much_at_most(
            sizes in prop::collection::vec(0..1_usize << 20, 1..2_000),
        ) {
            let (count, _) = taken(&sizes, 1_000);
            let before = count / (GROWTH + 1);
            prop_assert!(count <= 1_000);
            prop_assert!(sizes[..before].iter().sum::<usize>() <= POLL_BYTES);
        }
    }
}
