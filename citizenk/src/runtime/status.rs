//! What others may know of a group: health, metrics, listings. Written by the polling thread, at most
//! once a second and at rebalances.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::heart::Heart;
use super::stall::Cause;
use crate::record::TopicPartition;
use crate::transport::TransportError;

/// One partition, as of the last look.
#[derive(Clone, Debug)]
pub(crate) struct PartitionStatus {
    pub(crate) partition: TopicPartition,
    pub(crate) position: Option<i64>,
    pub(crate) committed: Option<i64>,
    pub(crate) high: Option<i64>,
    pub(crate) queued: usize,
    pub(crate) paused: bool,
    pub(crate) stall: Option<StallStatus>,
}

/// A partition that makes no progress.
#[derive(Clone, Debug)]
pub(crate) struct StallStatus {
    pub(crate) waiting: Duration,
    pub(crate) cause: Cause,
    /// Whose lane is behind all others, where a lane is the cause.
    pub(crate) agent: Option<String>,
    pub(crate) paused: bool,
}

impl fmt::Display for StallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(agent) = &self.agent {
            write!(f, "agent `{agent}`: ")?;
        }
        self.cause.fmt(f)?;
        if self.paused {
            f.write_str(" (fetching is paused)")?;
        }
        Ok(())
    }
}

impl PartitionStatus {
    /// Records behind the position; `None` when the end is not known.
    pub(crate) fn lag(&self) -> Option<i64> {
        Some((self.high? - self.position.or(self.committed)?).max(0))
    }
}

/// Longer than topics are asked for anew (`topic.metadata.refresh.interval.ms`).
const DENIED_FETCH: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct GroupStatus {
    /// For listings: the group, or what reads without one.
    pub(crate) name: String,
    pub(crate) cluster: &'static str,
    pub(crate) group: Option<String>,
    /// Of the polling thread.
    pub(crate) heart: Arc<Heart>,
    /// An agent of the app itself is in it: who comes later does not make the service less ready.
    pub(crate) own: bool,
    assigned: AtomicBool,
    partitions: Mutex<Vec<PartitionStatus>>,
    owned: Mutex<BTreeSet<TopicPartition>>,
    statistics: Mutex<Option<String>>,
    last_error: Mutex<Option<String>>,
    /// What the cluster's ACLs deny, by what was being done, and until when that counts.
    denied: Mutex<BTreeMap<String, (String, Option<Instant>)>>,
    pub(crate) rebalances: AtomicU64,
    /// Changes of the topics it reads, after the first.
    pub(crate) subscriptions: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) failed_commits: AtomicU64,
    pub(crate) skipped_offsets: AtomicU64,
    /// Lanes that were still in a call when the drain of their last revoke ended.
    cut_off: AtomicUsize,
    closed: watch::Sender<bool>,
}

/// More lanes than there can be.
const NO_REVOKE: usize = usize::MAX;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GroupStatus {
    pub(crate) fn new(
        heart: Arc<Heart>,
        cluster: &'static str,
        group: Option<String>,
        own: bool,
    ) -> Self {
        Self {
            name: heart.name().to_owned(),
            cluster,
            group,
            heart,
            own,
            assigned: AtomicBool::new(false),
            partitions: Mutex::default(),
            owned: Mutex::default(),
            statistics: Mutex::default(),
            last_error: Mutex::default(),
            denied: Mutex::default(),
            rebalances: AtomicU64::new(0),
            subscriptions: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            skipped_offsets: AtomicU64::new(0),
            cut_off: AtomicUsize::new(NO_REVOKE),
            closed: watch::channel(false).0,
        }
    }

    pub(crate) fn assigned(&self, partitions: &[TopicPartition]) {
        // Whoever is given partitions is a member; what it may read it is given.
        lock(&self.denied).retain(|what, (_, until)| {
            let read = |partition: &TopicPartition| {
                let topic = &partition.topic;
                what.contains(&format!("`{topic}`")) || what.contains(&format!(" {topic}/"))
            };
            what.starts_with("consuming ")
                && !partitions.iter().any(read)
                && until.is_none_or(|until| until > Instant::now())
        });
        lock(&self.owned).extend(partitions.iter().cloned());
        self.assigned.store(true, Ordering::Release);
    }

    /// Whether the first assignment has been completed; an empty one counts.
    pub(crate) fn is_assigned(&self) -> bool {
        self.assigned.load(Ordering::Acquire)
    }

    pub(crate) fn rebalanced(&self) {
        self.rebalances.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subscribed(&self) {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, succeeded: bool) {
        let counter = if succeeded {
            &self.commits
        } else {
            &self.failed_commits
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn skipped(&self, offsets: i64) {
        self.skipped_offsets
            .fetch_add(offsets.unsigned_abs(), Ordering::Relaxed);
    }

    pub(crate) fn cut_off(&self, lanes: usize) {
        self.cut_off.store(lanes, Ordering::Release);
    }

    /// What earlier revokes have cut off counts no more.
    pub(crate) fn forget_cut_off(&self) {
        self.cut_off.store(NO_REVOKE, Ordering::Release);
    }

    /// How many lanes were cut off by the last revoke; `None`: there was none.
    pub(crate) fn was_cut_off(&self) -> Option<usize> {
        Some(self.cut_off.load(Ordering::Acquire)).filter(|lanes| *lanes != NO_REVOKE)
    }

    pub(crate) fn partitions(&self, list: Vec<PartitionStatus>) {
        *lock(&self.partitions) = list;
    }

    pub(crate) fn list(&self) -> Vec<PartitionStatus> {
        lock(&self.partitions).clone()
    }

    pub(crate) fn revoked(&self, partitions: &[TopicPartition]) {
        let mut owned = lock(&self.owned);
        for partition in partitions {
            owned.remove(partition);
        }
    }

    pub(crate) fn owns(&self, topic: &str, partition: i32) -> bool {
        lock(&self.owned).contains(&TopicPartition::new(topic, partition))
    }

    /// The partitions this consumer has now.
    pub(crate) fn owned(&self) -> Vec<TopicPartition> {
        lock(&self.owned).iter().cloned().collect()
    }

    pub(crate) fn statistics(&self, json: &str) {
        *lock(&self.statistics) = Some(json.to_owned());
    }

    pub(crate) fn last_statistics(&self) -> Option<String> {
        lock(&self.statistics).clone()
    }

    pub(crate) fn error(&self, error: &TransportError) {
        *lock(&self.last_error) = Some(error.to_string());
        if matches!(
            &*error.code,
            "TOPIC_AUTHORIZATION_FAILED" | "GROUP_AUTHORIZATION_FAILED"
        ) {
            // A fetch that is denied is reported once, and nothing says that the next was not: until then the
            // client has asked for the topic anew, and the subscription's own error has come.
            let of_fetch = !error.context.ends_with('`');
            let until = of_fetch.then(|| Instant::now() + DENIED_FETCH);
            let denied = (error.to_string(), until);
            lock(&self.denied).insert(error.context.clone(), denied);
        }
    }

    /// What the cluster's ACLs deny, as far as is known.
    pub(crate) fn denied(&self) -> Option<String> {
        let now = Instant::now();
        let denied = lock(&self.denied);
        let mut counts = denied
            .values()
            .filter(|(_, until)| until.is_none_or(|until| until > now));
        counts.next().map(|(text, _)| text.clone())
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    pub(crate) fn closed(&self) {
        lock(&self.partitions).clear();
        lock(&self.owned).clear();
        self.heart.stop();
        self.closed.send_replace(true);
    }

    /// Waits until the consumer has left.
    pub(crate) async fn until_closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }
}
