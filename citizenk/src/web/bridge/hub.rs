//! The consumer that all live clients of a topic share.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use super::BridgeTopic;
use super::places::Places;
use super::slot::Slot;
use super::wire::{Mark, record, unreadable};
use crate::error::panic_text;
use crate::extract::{Env, Position, ReadError, RecordStream};
use crate::fanout::{SlowClient, Stream, Subscriber};
use crate::web::Problem;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bridge and a topic.
type Id = (u64, &'static str);

/// The hubs of a running app, and how many clients may read beside them.
#[derive(Clone, Default)]
pub(crate) struct Hubs(Arc<Inner>);

#[derive(Default)]
struct Inner {
    slots: Mutex<BTreeMap<Id, Arc<Slot<Hub, Problem>>>>,
    pools: Mutex<BTreeMap<u64, Arc<Semaphore>>>,
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hubs")
    }
}

impl Hubs {
    /// The places for clients of a bridge that catch up.
    pub(super) fn pool(&self, bridge: u64, most: usize) -> Arc<Semaphore> {
        let mut pools = lock(&self.0.pools);
        let new = || Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        pools.entry(bridge).or_insert_with(new).clone()
    }

    /// The topic's hub. It runs as long as somebody holds it. All who come while it starts get this one, or why it
    /// did not start.
    pub(super) async fn hub(
        &self,
        bridge: u64,
        topic: &BridgeTopic,
        env: &Env,
    ) -> Result<Arc<Hub>, Problem> {
        let slot = lock(&self.0.slots)
            .entry((bridge, topic.info.name))
            .or_default()
            .clone();
        let start = async { Ok(Hub::start(topic, env).await?) };
        slot.get(|hub| hub.shared.runs(), start).await
    }
}

/// One read of a topic from now on, and its last records.
pub(super) struct Hub {
    pub(super) shared: Arc<Shared>,
    reading: AbortHandle,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

pub(super) struct Shared {
    pub(super) stream: Stream,
    /// Behind the last record given to `stream`; changed together with it.
    at: Mutex<Places>,
    /// Whether it reads no more.
    ended: watch::Sender<bool>,
}

impl Hub {
    async fn start(topic: &BridgeTopic, env: &Env) -> Result<Self, ReadError> {
        let read = || (topic.read)(&env.reader);
        let extents = read().from(Position::Latest).extents().await?;
        let at: Places = Places(
            extents
                .iter()
                .map(|(id, extent)| (*id, extent.high))
                .collect(),
        );
        let records = read().each_from(at.0.clone()).follow().stream();
        let shared = Arc::new(Shared {
            stream: env.streams.unlisted(&format!("bridge:{}", topic.info.name)),
            at: Mutex::new(at),
            ended: watch::channel(false).0,
        });
        let (ends, name) = (shared.clone(), topic.info.name);
        let reads = AssertUnwindSafe(read_on(shared.clone(), records, name)).catch_unwind();
        let reading = tokio::spawn(async move {
            let reason = match reads.await {
                Ok(reason) => reason,
                // A user's type that panics when it is read or written.
                Err(panic) => format!("reading panicked: {}", panic_text(&*panic)),
            };
            tracing::warn!(
                topic = name,
                reason,
                "live clients of a bridge have to come again"
            );
            ends.ended.send_replace(true);
        });
        Ok(Self {
            shared,
            reading: reading.abort_handle(),
        })
    }

    /// A client from now on, and where that is.
    pub(super) fn join(&self) -> (Subscriber, Places) {
        let at = lock(&self.shared.at);
        let subscriber = self.shared.stream.subscribe(SlowClient::default(), None);
        (subscriber, at.clone())
    }
}

impl Shared {
    fn runs(&self) -> bool {
        !*self.ended.borrow()
    }

    /// Waits until it reads no more.
    pub(super) async fn ended(&self) {
        // The sender lives in `self`.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    fn publish(&self, partition: i32, offset: i64, json: bytes::Bytes) {
        let mut at = lock(&self.at);
        at.passed(partition, offset);
        let id = at.to_string();
        let mark = Mark {
            partition,
            offset,
            id,
        };
        self.stream.publish(None, json, Some(Arc::new(mark)));
    }
}

async fn read_on(
    shared: Arc<Shared>,
    mut records: RecordStream<Option<bytes::Bytes>>,
    topic: &'static str,
) -> String {
    loop {
        match records.next().await {
            Some(Ok(event)) => {
                let json = record(&event);
                shared.publish(event.partition(), event.offset(), json);
            }
            Some(Err(error)) => match place_of(&error) {
                Some((partition, offset)) => {
                    tracing::warn!(%error, topic, "a record that clients cannot be given");
                    shared.publish(partition, offset, unreadable(partition, offset, &error));
                }
                // Who comes again is told what is missing.
                None if error.is_final() || matches!(error, ReadError::Deleted { .. }) => {
                    break error.to_string();
                }
                None => tracing::warn!(%error, topic, "records that clients cannot be given"),
            },
            None => break "the topic is read no more".to_owned(),
        }
    }
}

/// Of a record that was passed over.
pub(super) fn place_of(error: &ReadError) -> Option<(i32, i64)> {
    match error {
        ReadError::Decode {
            partition, offset, ..
        } => Some((*partition, *offset)),
        _ => None,
    }
}
