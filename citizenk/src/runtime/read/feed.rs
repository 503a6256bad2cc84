//! What a read does on the polling thread of its consumer.
//!
//! In: chunks and ends. Out: the wanted records, over a channel that the consumer fills only while little
//! is on its way: above [`AHEAD`] bytes nothing more is taken, and above twice that (librdkafka gives one
//! message now and then all the same) partitions are paused. The stream takes from the other end and wakes
//! the polling thread when there is room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Span;
use crate::extract::{Counts, Found, ReadError};
use crate::record::{Chunk, ChunkStore, TopicPartition};
use crate::transport::{ConsumerEvents, Control, Drain, Pace, Start, TransportError};

/// Bytes on their way to the stream above which nothing more is taken.
pub(super) const AHEAD: usize = 4 << 20;
/// What a chunk counts besides its bytes.
const CHUNK: usize = 1024;
/// The polling thread looks by itself.
const LOOK: Duration = Duration::from_secs(1);

pub(super) type Item = Result<Found, ReadError>;

/// What the polling thread and the stream share.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// On their way to the stream.
    pub(super) bytes: AtomicUsize,
    /// A partition that is not at its end, and where it is.
    waits: Mutex<Option<(i32, i64)>>,
    trouble: Mutex<Option<TransportError>>,
}

impl Gauge {
    pub(super) fn waits(&self) -> (i32, i64) {
        lock(&self.waits).unwrap_or_default()
    }

    pub(super) fn trouble(&self) -> Option<TransportError> {
        lock(&self.trouble).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn weight(chunk: &dyn ChunkStore) -> usize {
    CHUNK + chunk.bytes()
}

/// A partition that is read.
#[derive(Debug)]
struct Part {
    next: i64,
    to: Option<i64>,
    /// Paused, because too much is on its way.
    held: bool,
    over: bool,
}

pub(super) struct Feed {
    topic: Arc<str>,
    parts: HashMap<i32, Part>,
    /// Whether partitions that are added later are read too.
    new_partitions: bool,
    /// Ended and not yet paused in the client.
    ended: Vec<TopicPartition>,
    /// Dropped at the end of the read.
    out: Option<mpsc::UnboundedSender<Item>>,
    gauge: Arc<Gauge>,
    counts: Arc<Counts>,
}

impl Feed {
    pub(super) fn new(
        topic: Arc<str>,
        spans: &[Span],
        new_partitions: bool,
        out: mpsc::UnboundedSender<Item>,
        gauge: Arc<Gauge>,
        counts: Arc<Counts>,
    ) -> Self {
        let part = |span: &Span| Part {
            next: span.from,
            to: span.to,
            held: false,
            over: span.is_empty(),
        };
        let parts = spans.iter().map(|span| (span.partition, part(span)));
        Self {
            topic,
            parts: parts.collect(),
            new_partitions,
            ended: Vec::new(),
            out: Some(out),
            gauge,
            counts,
        }
    }

    fn give(&mut self, item: Item) {
        if let Some(out) = &self.out
            && out.send(item).is_err()
        {
            // The stream was dropped; the consumer is closing.
            self.out = None;
        }
    }

    /// Everything below `next` has passed.
    fn passed(&mut self, partition: i32, next: i64) {
        let Some(part) = self.parts.get_mut(&partition) else {
            return;
        };
        if part.over {
            return;
        }
        let next = part.to.map_or(next, |to| next.min(to)).max(part.next);
        if part.to.is_some() {
            let more = u64::try_from(next - part.next).unwrap_or(0);
            self.counts.passed.fetch_add(more, Ordering::Relaxed);
        }
        part.next = next;
        if part.to.is_some_and(|to| next >= to) {
            part.over = true;
            self.ended
                .push(TopicPartition::new(self.topic.clone(), partition));
        }
    }

    fn is_full(&self, limit: usize) -> bool {
        self.gauge.bytes.load(Ordering::Acquire) >= limit
    }
}

impl ConsumerEvents for Feed {
    fn assigned(&mut self, control: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start> {
        let mut unwanted = Vec::new();
        let start = |id: &TopicPartition| {
            if self.new_partitions && !self.parts.contains_key(&id.partition) {
                let part = Part {
                    next: 0,
                    to: None,
                    held: false,
                    over: false,
                };
                self.parts.insert(id.partition, part);
                return Start::Beginning;
            }
            match self.parts.get(&id.partition) {
                Some(part) if !part.over => Start::Offset(part.next),
                _ => {
                    unwanted.push(id.clone());
                    Start::End
                }
            }
        };
        let starts = partitions.iter().map(start).collect();
        control.pause(&unwanted);
        starts
    }

    fn revoke_begin(&mut self, _: &[TopicPartition], _: bool) -> Drain {
        Drain::default()
    }

    fn revoke_end(&mut self, _: &mut dyn Control, _: &[TopicPartition], _: bool) {}

    fn records(&mut self, control: &mut dyn Control, chunk: Chunk) {
        let partition = chunk.partition();
        let Some(part) = self.parts.get(&partition) else {
            return;
        };
        let Some(last) = chunk.len().checked_sub(1).filter(|_| !part.over) else {
            return;
        };
        let (from, to) = (part.next, part.to.unwrap_or(i64::MAX));
        let begin = (0..=last).take_while(|index| chunk.offset(*index) < from);
        let begin = begin.count();
        let end = (begin..=last).take_while(|index| chunk.offset(*index) < to);
        let end = begin + end.count();
        self.passed(partition, chunk.offset(last) + 1);
        if begin < end {
            let weight = weight(&*chunk);
            self.gauge.bytes.fetch_add(weight, Ordering::AcqRel);
            self.give(Ok(Found::Records(chunk, begin..end)));
        }
        if self.is_full(2 * AHEAD)
            && let Some(part) = self.parts.get_mut(&partition).filter(|part| !part.over)
        {
            part.held = true;
            control.pause(&[TopicPartition::new(self.topic.clone(), partition)]);
        }
    }

    fn reached_end(&mut self, partition: &TopicPartition, next: i64) {
        let part = self.parts.get(&partition.partition);
        // A read without end goes on with the next record, whatever its offset is.
        if part.is_some_and(|part| part.to.is_some()) {
            self.passed(partition.partition, next);
        }
    }

    fn tick(&mut self, control: &mut dyn Control) -> Pace {
        if !self.ended.is_empty() {
            control.pause(&std::mem::take(&mut self.ended));
        }
        if self.parts.values().all(|part| part.over) && !self.new_partitions {
            self.out = None;
        }
        if self.out.is_none() {
            return Pace {
                wait: LOOK,
                take: false,
            };
        }
        let open = self.parts.iter().find(|(_, part)| !part.over);
        *lock(&self.gauge.waits) = open.map(|(partition, part)| (*partition, part.next));
        let take = !self.is_full(AHEAD);
        if take {
            let topic = &self.topic;
            let held = self.parts.iter_mut().filter(|(_, part)| part.held);
            let again: Vec<_> = held
                .map(|(partition, part)| {
                    part.held = false;
                    (TopicPartition::new(topic.clone(), *partition), part.next)
                })
                .collect();
            if !again.is_empty() {
                control.resume(&again);
            }
        }
        Pace { wait: LOOK, take }
    }

    fn committed(&mut self, _: &[(TopicPartition, i64)], _: Result<(), TransportError>) {}

    fn error(&mut self, error: TransportError) {
        if error.fatal || !error.retriable {
            self.give(Err(ReadError::Transport {
                topic: self.topic.to_string(),
                source: error,
            }));
            self.out = None;
        } else {
            tracing::debug!(%error, topic = &*self.topic, "reading goes on");
            *lock(&self.gauge.trouble) = Some(error);
        }
    }

    fn skipped(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        let Some(part) = self.parts.get(&partition.partition) else {
            return;
        };
        let gone = part.to.map_or(to, |end| end.min(to));
        if part.over || gone <= from {
            return;
        }
        self.give(Ok(Found::Deleted(partition.clone(), from, gone)));
        self.passed(partition.partition, to);
    }

    fn created_anew(&mut self, partition: &TopicPartition, from: i64, _: i64) {
        self.give(Err(ReadError::Recreated {
            topic: self.topic.to_string(),
            partition: partition.partition,
            offset: from,
        }));
        self.out = None;
    }

    fn statistics(&mut self, _: &str) {}

    fn closed(&mut self) {}
}
