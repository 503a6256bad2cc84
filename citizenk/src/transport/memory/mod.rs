//! The deterministic in-memory cluster of `TestApp` and of the conformance suite.
//!
//! In: what tests push and order ([`MemoryCluster`]), what consumers and producers of the
//! [`MemoryTransport`] do. Out: callbacks as a real client makes them, and everything the cluster
//! knows, for inspection. The cluster owns logs, groups and queues behind one lock (`state`; `log`,
//! `assign` and `group` are pure); each consumer and each producer has one task on the runtime that
//! started it (`consumer`, `producer`); an open transaction's records stay with their producer until the
//! commit appends them (`transaction`). No task polls: with paused time and one thread, the same
//! script gives the same events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::AdminPort;
use crate::record::{OwnedRecord, Timestamp, TopicPartition};
use crate::topic::Partitioner;
use crate::transport::transaction::{TransactionSpec, Transactions};
use crate::transport::{
    BrokerKind, ConsumerEvents, ConsumerHandle, ConsumerSpec, Delivered, ProducerHandle,
    ProducerSpec, Spot, TopicMetadata, Transport, TransportError,
};

mod admin;
mod assign;
mod consumer;
mod errors;
mod group;
mod log;
mod producer;
mod stalls;
mod state;
mod transaction;

#[cfg(test)]
mod tests;

pub(crate) use log::NewRecord;
pub use stalls::Withheld;
#[cfg(test)]
pub(crate) use transaction::TransactionOrder;

use state::{GroupKey, Shared};

/// A cluster in memory; clones are the same cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryCluster {
    shared: Arc<Shared>,
}

/// A member of a consumer group, as `describe` would answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMember {
    pub(crate) client_id: String,
    pub(crate) partitions: Vec<TopicPartition>,
}

impl MemoryCluster {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(MemoryTransport {
            cluster: self.clone(),
        })
    }

    /// Partitions of topics that are created by writing to them; at first 4.
    #[cfg(test)]
    pub(crate) fn set_default_partitions(&self, partitions: usize) {
        self.shared
            .with(|state| state.default_partitions = partitions.max(1));
    }

    /// Sets the clock that stamps records without a timestamp; from here it runs with tokio's.
    pub(crate) fn set_now(&self, millis: i64) {
        self.shared.with(|state| state.set_now(millis));
    }

    // Data.

    /// Creates the topic, or adds partitions to it.
    pub(crate) fn create_topic(&self, topic: &str, partitions: usize) {
        self.shared
            .with(|state| state.ensure_topic(topic, Some(partitions)));
    }

    /// Appends at once, whatever was ordered for producers, also while the broker is unavailable
    /// to clients.
    pub(crate) fn push(
        &self,
        topic: &str,
        partition: Option<i32>,
        partitioner: Partitioner,
        mut record: NewRecord,
    ) -> Result<Delivered, TransportError> {
        self.shared.with(|state| {
            if record.timestamp == Timestamp::None {
                record.timestamp = Timestamp::Create(state.now());
            }
            state.append(
                topic,
                |log, record| producer::place(log, partition, partitioner, record),
                record,
            )
        })
    }

    /// What the topic keeps, in append order over all its partitions.
    pub(crate) fn records(&self, topic: &str) -> Vec<OwnedRecord> {
        self.shared.with(|state| {
            let log = state.topics.get(topic);
            log.map(|log| log.records()).unwrap_or_default()
        })
    }

    /// Next offsets, by partition; empty when there is no such topic.
    #[cfg(test)]
    pub(crate) fn end_offsets(&self, topic: &str) -> Vec<i64> {
        self.watermarks(topic).map(|(_, high)| high).collect()
    }

    fn watermarks(&self, topic: &str) -> impl Iterator<Item = (i64, i64)> + use<> {
        let watermarks: Vec<_> = self.shared.with(|state| {
            let log = state.topics.get(topic);
            let log = log.into_iter();
            log.flat_map(|log| (0..log.partitions() as i32).filter_map(|p| log.watermarks(p)))
                .collect()
        });
        watermarks.into_iter()
    }

    /// Forgets the records below an offset, as retention does; answers the new start.
    pub(crate) fn truncate(&self, topic: &str, partition: i32, to_offset: i64) -> Option<i64> {
        self.shared
            .with(|state| state.truncate(topic, partition, to_offset))
    }

    // Groups.

    /// The group's committed next offsets, where there are any.
    pub(crate) fn committed(&self, group: &str, topic: &str) -> Vec<(i32, i64)> {
        self.in_group(group, |group| group.committed_of(topic))
            .unwrap_or_default()
    }

    /// How many kept records of the topics the group has not committed.
    pub(crate) fn lag(&self, group: &str, topics: &[&str]) -> i64 {
        let lag_of = |topic: &&str| -> i64 {
            let committed: BTreeMap<i32, i64> = self.committed(group, topic).into_iter().collect();
            let partitions = (0..).zip(self.watermarks(topic));
            partitions
                .map(|(partition, (low, high))| {
                    let next = committed.get(&partition).copied().unwrap_or(low);
                    (high - next.max(low)).max(0)
                })
                .sum()
        };
        topics.iter().map(lag_of).sum()
    }

    /// Members in join order, with what they own.
    pub(crate) fn members(&self, group: &str) -> Vec<GroupMember> {
        let describe = |group: &mut group::Group| {
            let members = group.members();
            members
                .map(|(id, client_id)| GroupMember {
                    client_id: client_id.to_owned(),
                    partitions: group.owned(id),
                })
                .collect()
        };
        self.in_group(group, describe).unwrap_or_default()
    }

    /// Bumped by every join, leave, loss and change of topics.
    #[cfg(test)]
    pub(crate) fn generation(&self, group: &str) -> u64 {
        self.in_group(group, |group| group.generation())
            .unwrap_or_default()
    }

    /// Revokes everything from all members and deals it anew, each partition to another member
    /// where there is one.
    pub(crate) fn force_rebalance(&self, group: &str) -> bool {
        self.change_group(group, |group| {
            group.rotate();
            true
        })
    }

    /// Expels a member as if its session had expired: others get its partitions at once, it hears of
    /// it after that and joins again. Answers whether there was one.
    pub(crate) fn lose_member(&self, group: &str, client_id: &str) -> bool {
        self.change_group(group, |group| {
            let mut members = group.members();
            let found = members.find(|(_, name)| *name == client_id);
            let Some(id) = found.map(|(id, _)| id) else {
                return false;
            };
            drop(members);
            group.lose(id);
            true
        })
    }

    fn in_group<R>(&self, group: &str, ask: impl FnOnce(&mut group::Group) -> R) -> Option<R> {
        let key = GroupKey::Named(group.to_owned());
        self.shared
            .with(|state| state.groups.get_mut(&key).map(ask))
    }

    fn change_group(&self, group: &str, change: impl FnOnce(&mut group::Group) -> bool) -> bool {
        let key = GroupKey::Named(group.to_owned());
        self.shared.with(|state| {
            let changed = state.groups.get_mut(&key).is_some_and(change);
            if changed {
                state.bump();
                state.poke_group(&key);
            }
            changed
        })
    }

    // Faults.

    /// The next commits, of whatever group, fail with this error.
    pub(crate) fn fail_commits(&self, count: usize, error: &TransportError) {
        self.shared.with(|state| state.fail_commits(count, error));
    }

    /// The next records produced to the topic are not appended but reported with this error.
    pub(crate) fn fail_next(&self, topic: &str, count: usize, error: &TransportError) {
        self.shared
            .with(|state| state.fail_next(topic, count, error));
    }

    /// The next call of a transaction that it concerns, of whatever producer, goes this way.
    #[cfg(test)]
    pub(crate) fn order_transaction(&self, order: TransactionOrder) {
        self.shared
            .with(|state| state.producers.orders.push_back(order));
    }

    /// All consumers with this client id report the error; a fatal one ends them. Answers whether
    /// there was one.
    pub(crate) fn consumer_error(&self, client_id: &str, error: &TransportError) -> bool {
        self.shared
            .with(|state| state.consumer_error(client_id, error))
    }

    /// Stops and starts the broker. While it is away consumers get no records and no partitions,
    /// commits fail, produced records wait; each consumer hears one retriable error.
    pub(crate) fn set_available(&self, available: bool) {
        self.shared.with(|state| state.set_available(available));
    }

    /// Hands out nothing of the partition until then, though the broker is there; `None` ends it.
    pub(crate) fn withhold(&self, topic: &str, partition: i32, until: Option<Withheld>) {
        let partition = TopicPartition::new(topic, partition);
        self.shared.with(|state| {
            state.stalls.order(partition, until);
            state.bump();
        });
    }

    /// Offsets at the end of the partition that are no records, as marks of transactions are.
    pub(crate) fn set_empty_end(&self, topic: &str, partition: i32, offsets: i64) {
        let partition = TopicPartition::new(topic, partition);
        self.shared
            .with(|state| state.stalls.set_empty(partition, offsets));
    }

    /// Keeps delivery reports back, or lets them go again.
    pub(crate) fn hold_deliveries(&self, hold: bool) {
        self.shared
            .with(|state| state.producers.allow(hold.then_some(0)));
    }

    /// While deliveries are held: lets this many more reports go.
    pub(crate) fn release_deliveries(&self, count: usize) {
        self.shared.with(|state| state.producers.allow_more(count));
    }

    /// Each producer accepts at most this many records that are not reported yet.
    pub(crate) fn queue_capacity(&self, records: usize) {
        self.shared
            .with(|state| state.producers.set_capacity(records));
    }

    /// Hands at most this many records to consumers from here on; `None`: all. For tests that go
    /// step by step.
    pub(crate) fn permit(&self, records: Option<usize>) {
        self.shared.with(|state| state.permit(records));
    }

    /// How many more that is.
    pub(crate) fn permitted(&self) -> Option<usize> {
        self.shared.with(|state| state.permits())
    }

    /// The threads on which this was asked for, in order, since the last look.
    #[cfg(test)]
    pub(crate) fn asked(&self, what: &str) -> Vec<std::thread::ThreadId> {
        self.shared
            .with(|state| state.noted.remove(what).unwrap_or_default())
    }

    // Settling.

    /// Records accepted from producers and not reported: under way, held or waiting for the broker.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.with(|state| state.producers.in_flight())
    }

    /// Counts everything that happens: appends, chunks, wakes, group changes, commits, reports.
    pub(crate) fn activity(&self) -> u64 {
        self.shared.with(|state| state.activity())
    }

    /// Whether nothing is left that the cluster would do by itself now: consumers have read all that
    /// is not paused and have ticked after the last wake, groups have settled, reports have gone.
    /// Held reports and what an absent broker keeps do not count, nor do timers in the future.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> bool {
        self.shared.with(|state| state.idle())
    }

    /// As [`MemoryCluster::idle`], but a consumer may wait for calls that end only when time passes.
    pub(crate) fn idle_or_draining(&self) -> bool {
        self.shared.with(|state| state.idle_or_draining())
    }

    /// Waits until [`MemoryCluster::idle`]. Parks, so that paused time may advance to a drain's or a
    /// tick's end.
    #[cfg(test)]
    pub(crate) async fn quiescent(&self) {
        loop {
            let quiet = self.shared.quiet.notified();
            if self.idle() {
                return;
            }
            quiet.await;
        }
    }
}

/// Reaches a [`MemoryCluster`].
#[derive(Clone, Debug)]
pub(crate) struct MemoryTransport {
    cluster: MemoryCluster,
}

impl Transport for MemoryTransport {
    fn kind(&self) -> BrokerKind {
        BrokerKind::Memory
    }

    fn start_consumer(
        &self,
        spec: ConsumerSpec,
        events: Box<dyn ConsumerEvents>,
    ) -> Result<Arc<dyn ConsumerHandle>, TransportError> {
        consumer::start(&self.cluster.shared, spec, events)
    }

    fn start_producer(
        &self,
        spec: ProducerSpec,
    ) -> Result<Arc<dyn ProducerHandle>, TransportError> {
        producer::start(&self.cluster.shared, &spec)
    }

    fn start_transactions(
        &self,
        spec: TransactionSpec,
    ) -> Result<Box<dyn Transactions>, TransportError> {
        transaction::start(&self.cluster.shared, spec)
    }

    fn topics(
        &self,
        only: Option<&str>,
        _timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError> {
        self.cluster.shared.with(|state| {
            #[cfg(test)]
            state.note("topics");
            state.reachable("topics")?;
            let logs = state.topics.values();
            Ok(logs
                .filter(|log| only.is_none_or(|name| **log.name() == *name))
                .map(|log| TopicMetadata {
                    name: log.name().to_string(),
                    partitions: log.partitions(),
                })
                .collect())
        })
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        at: Spot,
        _committed_only: bool,
        _timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError> {
        self.cluster.shared.with(|state| {
            #[cfg(test)]
            state.note("offsets");
            state.offsets(partitions, at)
        })
    }

    fn admin(&self) -> Result<Arc<dyn AdminPort>, TransportError> {
        Ok(Arc::new(admin::MemoryAdmin {
            shared: self.cluster.shared.clone(),
        }))
    }

    fn last_contact(&self) -> Option<Duration> {
        Some(self.cluster.shared.with(|state| state.last_contact()))
    }

    fn create_topic(&self, name: &str, partitions: usize) -> Result<(), TransportError> {
        self.cluster.shared.with(|state| {
            state.reachable("create topic")?;
            // An existing topic stays as it is, as on a real cluster.
            if !state.topics.contains_key(name) {
                state.ensure_topic(name, Some(partitions));
            }
            Ok(())
        })
    }
}
