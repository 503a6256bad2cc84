//! Reads a topic up to the end it had at start.
//!
//! In: the partitions of one topic, without a group. Out: its chunks, each with how many of its records
//! count; the channel closes at the end. Waits for the receiver without blocking the polling thread.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;

use super::REACH;
use crate::record::{Chunk, TopicPartition};
use crate::transport::{ConsumerEvents, Control, Drain, Pace, Start, TransportError};

/// Reads every partition up to the end it had at start.
pub(super) struct Reader {
    /// How many there are.
    partitions: usize,
    /// The next offset, and where to end.
    ends: HashMap<TopicPartition, (i64, i64)>,
    /// Chunks the receiving side had no room for.
    pending: VecDeque<(Chunk, usize)>,
    /// Dropped at the end.
    chunks: Option<mpsc::Sender<(Chunk, usize)>>,
    failed: mpsc::Sender<TransportError>,
}

impl Reader {
    /// Of a topic with so many partitions; the receiver of `chunks` wakes the consumer for each.
    pub(super) fn new(
        partitions: usize,
        chunks: mpsc::Sender<(Chunk, usize)>,
        failed: mpsc::Sender<TransportError>,
    ) -> Self {
        Self {
            partitions,
            ends: HashMap::new(),
            pending: VecDeque::new(),
            chunks: Some(chunks),
            failed,
        }
    }
}

impl ConsumerEvents for Reader {
    fn assigned(&mut self, control: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start> {
        let mut starts = Vec::new();
        for partition in partitions {
            match control.watermarks(partition, REACH) {
                Ok(marks) => {
                    self.ends.insert(partition.clone(), (marks.low, marks.high));
                    starts.push(Start::Offset(marks.low));
                }
                Err(error) => {
                    // One report is enough: the reading side ends with it.
                    let _ = self.failed.try_send(error);
                    starts.push(Start::End);
                }
            }
        }
        starts
    }

    fn revoke_begin(&mut self, _: &[TopicPartition], _: bool) -> Drain {
        Drain::default()
    }

    fn revoke_end(&mut self, _: &mut dyn Control, _: &[TopicPartition], _: bool) {}

    fn records(&mut self, _: &mut dyn Control, chunk: Chunk) {
        let id = TopicPartition::new(chunk.topic().clone(), chunk.partition());
        let (Some((next, end)), Some(last)) = (self.ends.get_mut(&id), chunk.len().checked_sub(1))
        else {
            return;
        };
        let count = (0..chunk.len())
            .take_while(|index| chunk.offset(*index) < *end)
            .count();
        *next = (*next).max(chunk.offset(last) + 1);
        if count > 0 {
            self.pending.push_back((chunk, count));
        }
    }

    fn reached_end(&mut self, partition: &TopicPartition, next: i64) {
        if let Some((at, _)) = self.ends.get_mut(partition) {
            *at = next.max(*at);
        }
    }

    fn tick(&mut self, _: &mut dyn Control) -> Pace {
        let wait = Duration::from_millis(100);
        let Some(chunks) = &self.chunks else {
            return Pace { wait, take: false };
        };
        while let Some(chunk) = self.pending.pop_front() {
            if let Err(refused) = chunks.try_send(chunk) {
                // Full: the receiver wakes us. Closed: nothing more is wanted.
                if let mpsc::error::TrySendError::Full(chunk) = refused {
                    self.pending.push_front(chunk);
                }
                return Pace { wait, take: false };
            }
        }
        if self.ends.len() >= self.partitions && self.ends.values().all(|(next, end)| next >= end) {
            self.chunks = None;
        }
        Pace { wait, take: true }
    }

    fn committed(&mut self, _: &[(TopicPartition, i64)], _: Result<(), TransportError>) {}

    fn error(&mut self, error: TransportError) {
        if error.fatal {
            let _ = self.failed.try_send(error);
        } else {
            tracing::warn!(%error, "redrive");
        }
    }

    fn skipped(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        self.reached_end(partition, to);
        tracing::warn!(%partition, from, to, "letters were deleted before they were read");
    }

    fn created_anew(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        tracing::warn!(%partition, from, to, "the topic was created anew meanwhile; reading it from its first record");
    }

    fn statistics(&mut self, _: &str) {}

    fn closed(&mut self) {}
}
