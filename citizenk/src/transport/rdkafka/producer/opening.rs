//! Records of batches wait until the leaders of their topic's partitions take records. One that is sent alone does not:
//! it is on its way once it is sent.
//!
//! A topic that was just made has partitions whose leaders refuse records for some milliseconds. If the first of a
//! partition is refused and the second is not, they change places at best (see `proof`). In: topics that are
//! written for the first time. Out: their gates, opened once every leader has said where its partition ends, or
//! after a while without that: what is wrong then is found out with the records.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::client::{Client, lock};
use super::super::offsets;
use super::Shared;
use crate::record::TopicPartition;
use crate::transport::{Spot, TransportError};

/// A cluster that cannot be reached or has no such topic is left to librdkafka, which has limits of its own.
const LONGEST: Duration = Duration::from_secs(5);
/// A dropped producer is noticed this soon.
const ASK: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(50);

/// Closed at first; never closed again.
pub(super) type Gate = Arc<AtomicBool>;

struct Opening {
    topic: String,
    gate: Gate,
    until: Instant,
}

/// The topics whose gates are closed.
#[derive(Default)]
pub(super) struct Openings {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    topics: Vec<Opening>,
    /// A thread works on them.
    served: bool,
}

impl Shared {
    /// A gate that is opened soon.
    pub(super) fn gate(self: &Arc<Self>, topic: &str) -> Gate {
        let gate = Gate::default();
        let mut waiting = lock(&self.openings.waiting);
        waiting.topics.push(Opening {
            topic: topic.to_owned(),
            gate: gate.clone(),
            until: Instant::now() + LONGEST,
        });
        if !waiting.served {
            let shared = self.clone();
            let started = std::thread::Builder::new()
                .name(format!("ck-{}-open", self.name))
                .spawn(move || shared.open());
            match started {
                Ok(_) => waiting.served = true,
                Err(error) => {
                    tracing::warn!(%error, topic, "cannot wait for the topic's leaders");
                    waiting.topics.drain(..).for_each(|opening| opening.open());
                }
            }
        }
        gate
    }

    fn open(&self) {
        loop {
            let topics = {
                let mut waiting = lock(&self.openings.waiting);
                waiting.served = !waiting.topics.is_empty();
                if !waiting.served {
                    return;
                }
                std::mem::take(&mut waiting.topics)
            };
            let mut closed = Vec::new();
            for opening in topics {
                if self.stop.load(Ordering::Acquire) || opening.is_due(&self.client) {
                    opening.open();
                    self.space.notify_waiters();
                } else {
                    closed.push(opening);
                }
            }
            if !closed.is_empty() {
                lock(&self.openings.waiting).topics.append(&mut closed);
                std::thread::park_timeout(PAUSE);
            }
        }
    }
}

impl Opening {
    fn open(&self) {
        self.gate.store(true, Ordering::Release);
    }

    /// Whether to wait no longer.
    fn is_due(&self, client: &Arc<Client>) -> bool {
        if Instant::now() >= self.until {
            tracing::debug!(topic = self.topic, "writing without a word of the leaders");
            return true;
        }
        match leaders_answer(client, &self.topic) {
            Ok(answered) => answered,
            // No waiting gives the right to ask.
            Err(error) => error.code.ends_with("AUTHORIZATION_FAILED"),
        }
    }
}

/// False where there is no such topic (yet): asking for it makes it where brokers do so.
fn leaders_answer(client: &Arc<Client>, topic: &str) -> Result<bool, TransportError> {
    let found = client.metadata(Some(topic), ASK)?;
    let Some(found) = found.iter().find(|found| found.name == topic) else {
        return Ok(false);
    };
    let count = i32::try_from(found.partitions).unwrap_or(i32::MAX);
    let topic: Arc<str> = topic.into();
    let ids = (0..count).map(|partition| TopicPartition::new(topic.clone(), partition));
    offsets::ask(client, &ids.collect::<Vec<_>>(), Spot::End, ASK)?;
    Ok(true)
}
