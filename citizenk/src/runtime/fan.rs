//! One producer over those of several clusters, for agents that write to more than one.
//!
//! In: batches whose records name topics of any cluster. Out: each record to its own cluster's producer, in
//! order. Agents that write to one cluster have its producer and never come here.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::staging::{OutputTopic, StagedBatch};
use crate::transport::{DeliverySink, ProducerHandle, ProducerTopic, TransportError};

/// The upper bits of a topic's index say whose it is.
const SHIFT: u32 = 24;
/// Tables with more topics than this are translated on the heap.
const FEW: usize = 16;

#[derive(Debug)]
pub(super) struct Part {
    pub(super) cluster: &'static str,
    pub(super) producer: Arc<dyn ProducerHandle>,
}

pub(super) struct Fan {
    parts: Arc<[Part]>,
    space: Arc<Notify>,
    /// Tell of room in one of the parts.
    tellers: Vec<AbortHandle>,
}

impl fmt::Debug for Fan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clusters = self.parts.iter().map(|part| part.cluster);
        f.debug_list().entries(clusters).finish()
    }
}

impl Drop for Fan {
    fn drop(&mut self) {
        self.tellers.iter().for_each(AbortHandle::abort);
    }
}

/// Passes the news of room on; registered again before it tells, so that none is missed.
async fn tell(parts: Arc<[Part]>, part: usize, space: Arc<Notify>) {
    let own = parts[part].producer.space();
    let mut room = Box::pin(own.notified());
    room.as_mut().enable();
    loop {
        room.as_mut().await;
        room.set(own.notified());
        room.as_mut().enable();
        space.notify_waiters();
    }
}

impl Fan {
    /// To be called inside a runtime.
    pub(super) fn new(parts: Arc<[Part]>) -> Self {
        let space = Arc::new(Notify::new());
        let tellers = (0..parts.len())
            .map(|part| tokio::spawn(tell(parts.clone(), part, space.clone())).abort_handle())
            .collect();
        Self {
            parts,
            space,
            tellers,
        }
    }
}

fn part_of(topic: ProducerTopic) -> usize {
    (topic.0 >> SHIFT) as usize
}

impl ProducerHandle for Fan {
    fn topic(&self, topic: &OutputTopic) -> Result<ProducerTopic, TransportError> {
        let failed = |message: &str| TransportError {
            context: format!("topic `{}` on cluster `{}`", topic.name, topic.cluster),
            code: "_INVALID_ARG".to_owned(),
            message: message.to_owned(),
            retriable: false,
            fatal: true,
        };
        let mut parts = (0..).zip(self.parts.iter());
        let (number, part): (u32, _) = parts
            .find(|(_, part)| part.cluster == topic.cluster)
            .ok_or_else(|| failed("there is no such cluster"))?;
        let ProducerTopic(index) = part.producer.topic(topic)?;
        if index >> SHIFT > 0 || number >> (u32::BITS - SHIFT) > 0 {
            return Err(failed("too many topics or clusters"));
        }
        Ok(ProducerTopic(number << SHIFT | index))
    }

    fn produce(
        &self,
        topics: &[ProducerTopic],
        batch: &StagedBatch,
        range: Range<usize>,
        sink: &Arc<dyn DeliverySink>,
    ) -> usize {
        let mut few = [ProducerTopic(0); FEW];
        let mut many = Vec::new();
        let own: &mut [ProducerTopic] = if topics.len() <= FEW {
            &mut few[..topics.len()]
        } else {
            many.extend_from_slice(topics);
            &mut many
        };
        for (own, topic) in own.iter_mut().zip(topics) {
            *own = ProducerTopic(topic.0 & ((1 << SHIFT) - 1));
        }
        let part = |index: usize| part_of(topics[batch.get(index).topic]);
        let mut next = range.start;
        while next < range.end {
            let here = part(next);
            let same = (next..range.end).take_while(|index| part(*index) == here);
            let run = same.count();
            let producer = &self.parts[here].producer;
            let taken = producer.produce(own, batch, next..next + run, sink);
            next += taken;
            if taken < run {
                break;
            }
        }
        next - range.start
    }

    fn space(&self) -> &Notify {
        &self.space
    }

    fn in_flight(&self) -> usize {
        let parts = self.parts.iter();
        parts.map(|part| part.producer.in_flight()).sum()
    }

    fn flush(&self, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        let parts = self.parts.iter();
        parts
            .map(|part| {
                let left = deadline.saturating_duration_since(Instant::now());
                part.producer.flush(left)
            })
            .sum()
    }

    fn statistics(&self) -> Option<String> {
        None
    }
}
