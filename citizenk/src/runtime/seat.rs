//! An agent's place in its group, as others see it.
//!
//! In: what the polling thread does with the agent's partitions, written at changes only. Out: its status,
//! and news for those who wait for partitions. Positions are read from the lanes' own trackers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ack::LaneAck;
use super::lane::inbox::Inbox;
use crate::record::TopicPartition;

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentState {
    /// It takes records.
    Running,
    /// It keeps its partitions and takes no records.
    Paused,
    /// It handles what it has and takes no more.
    Draining,
    /// It is gone.
    Stopped,
}

/// A partition the agent's consumer has.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    /// A lane reads it.
    Lane(Arc<LaneAck>, Arc<Inbox>),
    /// None does; the next offset when the last one ended, if it is known.
    Idle(Option<i64>),
}

#[derive(Debug)]
pub(crate) struct Seat {
    state: Mutex<AgentState>,
    spots: Mutex<BTreeMap<TopicPartition, Spot>>,
    /// Told whenever partitions came or went.
    news: watch::Sender<()>,
    skipped: AtomicU64,
    /// One verb at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    pub(crate) fn new(state: AgentState) -> Self {
        Self {
            state: Mutex::new(state),
            spots: Mutex::default(),
            news: watch::channel(()).0,
            skipped: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> AgentState {
        *lock(&self.state)
    }

    pub(crate) fn enter(&self, state: AgentState) {
        *lock(&self.state) = state;
    }

    pub(crate) fn put(&self, partition: &TopicPartition, spot: Spot) {
        lock(&self.spots).insert(partition.clone(), spot);
        self.news.send_replace(());
    }

    pub(crate) fn remove(&self, partition: &TopicPartition) {
        lock(&self.spots).remove(partition);
        self.news.send_replace(());
    }

    /// Records the agent will not see because others read on without it.
    pub(crate) fn skip(&self, records: i64) {
        self.skipped
            .fetch_add(records.max(0).unsigned_abs(), Ordering::Relaxed);
    }

    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// The next offset of one partition that is not settled, where it is known.
    pub(crate) fn position(&self, partition: &TopicPartition) -> Option<i64> {
        match lock(&self.spots).get(partition)? {
            Spot::Lane(ack, _) => ack.position(),
            Spot::Idle(position) => *position,
        }
    }

    /// The agent's partitions with the next offset that is not settled.
    pub(crate) fn positions(&self) -> Vec<(TopicPartition, Option<i64>)> {
        let spots = lock(&self.spots);
        let position = |spot: &Spot| match spot {
            Spot::Lane(ack, _) => ack.position(),
            Spot::Idle(position) => *position,
        };
        spots
            .iter()
            .map(|(partition, spot)| (partition.clone(), position(spot)))
            .collect()
    }

    /// Why the broker refuses outputs of a partition, where it does.
    pub(crate) fn refusal(&self) -> Option<String> {
        let spots = lock(&self.spots);
        spots.values().find_map(|spot| match spot {
            Spot::Lane(_, inbox) => inbox.signs.refusal(),
            Spot::Idle(_) => None,
        })
    }

    /// Waits until the agent's consumer has partitions for it, or has none any more.
    pub(crate) async fn until_owning(&self, any: bool) {
        let mut news = self.news.subscribe();
        while lock(&self.spots).is_empty() == any {
            // The sender lives in `self`, so waiting cannot fail.
            let _ = news.changed().await;
        }
    }
}
