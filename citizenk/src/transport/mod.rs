//! How the runtime reaches a Kafka cluster: the only place that knows a client library.
//!
//! In: what to read and write ([`ConsumerSpec`], [`ProducerSpec`]), chunks' backward commands through
//! [`Control`]. Out: chunks and rebalance events to a [`ConsumerEvents`], delivery results to a
//! [`DeliverySink`]. `rdkafka` serves real and embedded clusters, `memory` tests. A transport owns the
//! polling thread; a `ConsumerEvents` is called on that thread alone.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::admin::AdminPort;
pub(crate) use crate::admin::Spot;
pub(crate) use crate::error::TransportError;
use crate::record::{Chunk, TopicPartition};
use crate::staging::{Answer, OutputTopic, StagedBatch};

#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;
pub(crate) mod oauth;
pub(crate) mod rdkafka;
pub(crate) mod transaction;

use transaction::{GroupMetadata, TransactionSpec, Transactions};

/// What serves the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerKind {
    /// A Kafka cluster.
    Kafka,
    /// The broker inside this process (librdkafka's mock cluster).
    Embedded,
    /// The deterministic in-memory log of `TestApp`.
    Memory,
}

impl fmt::Display for BrokerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "kafka",
            Self::Embedded => "embedded",
            Self::Memory => "memory",
        })
    }
}

/// Settings of one consumer.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerSpec {
    /// For logs and thread names.
    pub(crate) name: String,
    /// `None`: every partition of every topic is read, no group is joined, nothing is committed.
    pub(crate) group: Option<String>,
    pub(crate) client_id: String,
    /// Names on the broker.
    pub(crate) topics: Vec<String>,
    /// librdkafka settings, merged and checked by `config`.
    pub(crate) settings: BTreeMap<String, String>,
    /// Whether it wants to hear of the ends it reaches ([`ConsumerEvents::reached_end`]). Not for members of a
    /// group: after an end librdkafka takes the next offset for read, and a rebalance, which makes it start again
    /// from there, would skip a record. A reader without a group
    /// that asks for it reads beside the app: steps of a `TestApp` neither hold nor count what it reads.
    pub(crate) ends: bool,
    /// At most this many records in one chunk.
    pub(crate) max_chunk: usize,
    /// How long started calls may go on when partitions are taken away.
    pub(crate) drain: Duration,
}

/// Settings of one producer.
#[derive(Clone, Debug)]
pub(crate) struct ProducerSpec {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) settings: BTreeMap<String, String>,
}

/// Where reading of a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The group's committed offset, or the beginning where there is none.
    Committed,
    Beginning,
    End,
    Offset(i64),
}

/// The partitions' first and next offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) low: i64,
    /// The offset the next record will get.
    pub(crate) high: i64,
}

/// What the polling thread may do to its consumer, between two polls.
pub(crate) trait Control {
    /// Stops fetching; what was fetched and not handed over is dropped and fetched again later.
    fn pause(&mut self, partitions: &[TopicPartition]);
    /// Fetches again from the given next offset (a resume is always followed by a seek: see
    /// ARCHITECTURE.md).
    fn resume(&mut self, positions: &[(TopicPartition, i64)]);
    /// Moves the read position.
    #[allow(
        dead_code,
        reason = "a command of the line; so far only tests of the transports give it"
    )]
    fn seek(&mut self, positions: &[(TopicPartition, i64)]);
    /// Makes a client that delivers nothing show that it is alive: asks again for records before `next`,
    /// which are not handed over, and goes on there. With `anew` fetching of the partition begins anew.
    fn knock(&mut self, partition: &TopicPartition, next: i64, anew: bool);
    /// Whether anything came for the partition since the last [`Control::knock`].
    fn answered(&mut self, partition: &TopicPartition) -> bool;
    /// Asks the broker for the partitions' ends, without waiting; what is answered comes to
    /// [`ConsumerEvents::ends`].
    fn ask_ends(&mut self, partitions: &[TopicPartition]);
    /// Commits next offsets; the result comes to [`ConsumerEvents::committed`].
    fn commit(&mut self, offsets: &[(TopicPartition, i64)]);
    /// Commits and waits for the broker's answer.
    fn commit_now(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        timeout: Duration,
    ) -> Result<(), TransportError>;
    /// The group's committed next offsets; `None` where nothing is committed.
    fn committed(
        &mut self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError>;
    fn watermarks(
        &mut self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<Watermarks, TransportError>;
    /// The high watermark as of the last fetch, without asking the broker; `None` when unknown.
    fn cached_high_watermark(&mut self, partition: &TopicPartition) -> Option<i64>;
    /// How many partitions the topic has.
    fn partition_count(&mut self, topic: &str, timeout: Duration) -> Result<usize, TransportError>;
}

/// How the polling thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// `tick` wants to be called again after this time at the latest.
    pub(crate) wait: Duration,
    /// Whether records may be taken meanwhile. While not, the client's own queue fills up and fetching
    /// ends by itself, which throws nothing away (a pause does); rebalances are still served.
    pub(crate) take: bool,
}

/// What a consumer does with what it reads. Called on the polling thread only; nothing here may block
/// (the transport itself waits for a [`Drain`]).
pub(crate) trait ConsumerEvents: Send {
    /// Partitions were given to this consumer (with cooperative assignors: added). Answers where to
    /// start each, in the same order.
    fn assigned(&mut self, control: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start>;
    /// Partitions are being taken away: stop intake. The transport waits for the drain (unless `lost`),
    /// then calls `revoke_end`.
    fn revoke_begin(&mut self, partitions: &[TopicPartition], lost: bool) -> Drain;
    /// Commit what is settled (unless `lost`) and forget the partitions. The transport unassigns after.
    fn revoke_end(&mut self, control: &mut dyn Control, partitions: &[TopicPartition], lost: bool);
    /// Records of one assigned partition.
    fn records(&mut self, control: &mut dyn Control, chunk: Chunk);
    /// Called after every poll and whenever the handle was woken; answers how to go on.
    fn tick(&mut self, control: &mut dyn Control) -> Pace;
    /// The broker answered [`Control::ask_ends`]: the offset each partition's next record will get.
    fn ends(&mut self, ends: &[(TopicPartition, i64)]) {
        let _ = ends;
    }
    /// An asynchronous commit ended.
    fn committed(&mut self, offsets: &[(TopicPartition, i64)], result: Result<(), TransportError>);
    /// The client reported an error; `fatal` ones end the consumer.
    fn error(&mut self, error: TransportError);
    /// Offsets `from..to` of the partition are gone (retention) and were skipped.
    fn skipped(&mut self, partition: &TopicPartition, from: i64, to: i64);
    /// The position `from` lies beyond the end: the topic was created anew, or cut. Reading goes on at
    /// `to`, its first record: offsets below `from` come again, with other records.
    fn created_anew(&mut self, partition: &TopicPartition, from: i64, to: i64);
    /// All there was below the next offset `next` has been handed over; a record need not be the last
    /// thing there: transactions leave marks. Only where the consumer was asked to tell.
    fn reached_end(&mut self, _partition: &TopicPartition, _next: i64) {}
    /// The client's statistics document (JSON).
    fn statistics(&mut self, json: &str);
    /// The consumer has left its group and will call nothing any more.
    fn closed(&mut self);
}

/// Counts down to zero as started calls end; can be waited for by a thread or a task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain {
    inner: Arc<DrainInner>,
}

#[derive(Debug, Default)]
struct DrainInner {
    pending: std::sync::Mutex<usize>,
    zero: std::sync::Condvar,
    notify: Notify,
}

impl Drain {
    /// Adds one that must end.
    pub(crate) fn add(&self) -> DrainToken {
        *lock(&self.inner.pending) += 1;
        DrainToken {
            drain: self.clone(),
        }
    }

    /// Blocks the thread until all ended or the time is over; answers whether all ended.
    pub(crate) fn wait_blocking(&self, timeout: Duration) -> bool {
        let pending = lock(&self.inner.pending);
        let waited = self
            .inner
            .zero
            .wait_timeout_while(pending, timeout, |pending| *pending > 0);
        let (pending, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        *pending == 0
    }

    /// Waits until all ended.
    pub(crate) async fn wait(&self) {
        loop {
            let notified = self.inner.notify.notified();
            if *lock(&self.inner.pending) == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One that must end before its [`Drain`] is empty; ends when dropped.
#[derive(Debug)]
pub(crate) struct DrainToken {
    drain: Drain,
}

impl Drop for DrainToken {
    fn drop(&mut self) {
        let mut pending = lock(&self.drain.inner.pending);
        *pending -= 1;
        if *pending == 0 {
            self.drain.inner.zero.notify_all();
            self.drain.inner.notify.notify_waiters();
        }
    }
}

/// A running consumer.
pub(crate) trait ConsumerHandle: Send + Sync + fmt::Debug {
    /// Makes the polling thread call [`ConsumerEvents::tick`] soon. Cheap; any thread.
    fn wake(&self);
    /// Starts an orderly end: revoke, drain, commit, leave; [`ConsumerEvents::closed`] follows within
    /// the drain time plus `leave`.
    fn close(&self, leave: Duration);
    /// The membership as of now, for [`Transactions::send_offsets`]; `None` without a group, or once the
    /// consumer has left. Take it fresh for each transaction: after a rebalance an older one is refused.
    fn group_metadata(&self) -> Option<GroupMetadata>;
    /// The name its coordinator gave this consumer; `None` without a group, and before it has joined. After a
    /// session that was lost it is another one.
    fn member_id(&self) -> Option<String>;
    /// Reads these topics from now on instead of those before. With a cooperative assignor, and without a
    /// group, only partitions of topics that are new or gone change hands. Any thread; waits for no broker.
    fn subscribe(&self, topics: &[String]) -> Result<(), TransportError>;
    /// The offset of the place in each partition, in the same order. Blocks: never on the polling thread.
    fn offsets(
        &self,
        partitions: &[TopicPartition],
        spot: Spot,
        timeout: Duration,
    ) -> Result<Vec<i64>, TransportError>;
    /// As [`Control::committed`], for other threads than the polling one. Offsets of open transactions are
    /// waited for.
    fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError>;
}

/// A record reached the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Hears what became of produced records; called on the producer's thread, once per accepted record,
/// or right inside `produce` for a record that could not be accepted (too large, unknown partition).
pub(crate) trait DeliverySink: Send + Sync {
    fn delivered(&self, index: usize, result: Result<Delivered, TransportError>);
}

/// The sink of one record.
struct Lone(std::sync::Mutex<Option<Answer>>);

impl Lone {
    fn take(&self) -> Option<Answer> {
        lock(&self.0).take()
    }
}

impl DeliverySink for Lone {
    fn delivered(&self, _: usize, result: Result<Delivered, TransportError>) {
        if let Some(answer) = self.take() {
            answer.give(result.map(|place| (place.partition, place.offset)));
        }
    }
}

/// The producer's index of an output topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerTopic(pub(crate) u32);

/// A running producer.
pub(crate) trait ProducerHandle: Send + Sync + fmt::Debug {
    /// Finds or makes the topic's handle. Cheap after the first time.
    fn topic(&self, topic: &OutputTopic) -> Result<ProducerTopic, TransportError>;
    /// Enqueues records `range` of the batch in order, without blocking; `topics` translates the
    /// batch's topic indices. Answers how many were taken (each of them is reported to `sink`, once);
    /// fewer than asked means the queue is full: wait for `space` and go on from there.
    fn produce(
        &self,
        topics: &[ProducerTopic],
        batch: &StagedBatch,
        range: Range<usize>,
        sink: &Arc<dyn DeliverySink>,
    ) -> usize;
    /// Enqueues the only record of a batch for somebody who waits for it, without blocking. Gives the
    /// answer back when the queue is full: wait for `space` and try again.
    fn produce_one(
        &self,
        topic: ProducerTopic,
        record: &StagedBatch,
        answer: Answer,
    ) -> Result<(), Answer> {
        let lone = Arc::new(Lone(std::sync::Mutex::new(Some(answer))));
        let sink: Arc<dyn DeliverySink> = lone.clone();
        if self.produce(&[topic], record, 0..1, &sink) == 1 {
            return Ok(());
        }
        match lone.take() {
            Some(answer) => Err(answer),
            // It was told all the same.
            None => Ok(()),
        }
    }
    /// Notified (all waiters) whenever deliveries made room after the queue was full.
    fn space(&self) -> &Notify;
    /// Records accepted and not yet reported.
    fn in_flight(&self) -> usize;
    /// Sends what is queued at once and waits for its reports; answers how many are still unreported.
    /// Blocks the thread (the memory transport returns at once).
    fn flush(&self, timeout: Duration) -> usize;
    /// The client's last statistics document (JSON).
    fn statistics(&self) -> Option<String>;
}

/// A topic as the broker describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicMetadata {
    pub(crate) name: String,
    pub(crate) partitions: usize,
}

/// One cluster.
pub(crate) trait Transport: Send + Sync + fmt::Debug {
    fn kind(&self) -> BrokerKind;
    /// The address of the broker inside this process, if that is where it leads.
    #[cfg(feature = "web")]
    fn inside(&self) -> Option<&str> {
        None
    }
    fn start_consumer(
        &self,
        spec: ConsumerSpec,
        events: Box<dyn ConsumerEvents>,
    ) -> Result<Arc<dyn ConsumerHandle>, TransportError>;
    fn start_producer(&self, spec: ProducerSpec)
    -> Result<Arc<dyn ProducerHandle>, TransportError>;
    /// A producer of its own for transactions. Nothing is asked of the cluster before
    /// [`Transactions::init`]. Dropping it never blocks: what it could not deliver is reported as
    /// failed, and an open transaction is left to its successor's `init` or its timeout.
    fn start_transactions(
        &self,
        spec: TransactionSpec,
    ) -> Result<Box<dyn Transactions>, TransportError>;
    /// All topics, or one. Blocks the thread.
    fn topics(
        &self,
        only: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError>;
    /// The offsets of partitions, also of several topics, in their order; `None` where no record is so young. Without
    /// a consumer, where [`ConsumerHandle::offsets`] asks with one; the embedded broker cannot tell times. Fails as a
    /// whole. Blocks the thread.
    fn offsets(
        &self,
        partitions: &[TopicPartition],
        at: Spot,
        committed_only: bool,
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError>;
    /// What administers the cluster, on threads of its own. Nothing is connected by this call.
    fn admin(&self) -> Result<Arc<dyn AdminPort>, TransportError>;
    /// When a broker last answered anything on this connection, as time passed since; `None`: never.
    fn last_contact(&self) -> Option<Duration>;
    /// What the clients of this connection last complained of, if no broker has answered since.
    fn trouble(&self) -> Option<String> {
        None
    }
    /// Chunks that something still holds, queued ones included.
    fn held_chunks(&self) -> usize {
        0
    }
    /// Creates the topic unless it exists, on brokers inside the process; those of a real cluster are made
    /// through [`Transport::admin`].
    fn create_topic(&self, name: &str, partitions: usize) -> Result<(), TransportError>;
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
