//! The polling thread's loop.

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
/// A poll takes at least as many messages, when they are there, however small the chunks are to be.
const SMALLEST_POLL: usize = 512;

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

    /// Fills the buffer; answers how many messages it got.
    fn receive(&mut self, wait: Duration, most: usize) -> usize {
        let queue = self.core.client.queue();
        let timeout = if wait.is_zero() { 0 } else { millis(wait) };
        // A call that may wait returns when its buffer is full, so it gets room for one message; the
        // next takes what else is there without waiting.
        // SAFETY: the queue is alive, the buffer has room for as many as are asked for.
        let first = unsafe {
            rd::rd_kafka_consume_batch_queue(queue, timeout, self.buffer.as_mut_ptr(), 1)
        };
        let first = usize::try_from(first).unwrap_or(0);
        if first == 0 || most <= first {
            return first;
        }
        let rest = &mut self.buffer[first..most];
        // SAFETY: as above.
        let more =
            unsafe { rd::rd_kafka_consume_batch_queue(queue, 0, rest.as_mut_ptr(), rest.len()) };
        first + usize::try_from(more).unwrap_or(0)
    }

    /// Sorts the received messages by partition and takes the errors among them out.
    fn sort(&mut self, count: usize) {
        let mut bytes = 0;
        for index in 0..count {
            let raw = std::mem::replace(&mut self.buffer[index], ptr::null_mut());
            // SAFETY: librdkafka gave us the message; each is staged or destroyed once.
            unsafe {
                if (*raw).err == error::OK {
                    bytes += (*raw).key_len + (*raw).len;
                    self.core.slots.stage(raw);
                } else {
                    self.failure(&*raw);
                    rd::rd_kafka_message_destroy(raw);
                }
            }
        }
        self.fetches.came(bytes);
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
