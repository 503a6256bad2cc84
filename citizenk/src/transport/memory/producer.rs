//! Producers: what is appended, and when its reports may leave.
//!
//! In: staged records. Out: appended records, and reports to the sinks, each producer's in the order
//! of its records and always from a task of its own: a real client never answers an accepted record
//! inside `produce`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::errors::{error, unknown_partition, unknown_topic};
use super::log::{NewRecord, TopicLog};
use super::state::{Shared, State};
use super::transaction::{Transaction, TransactionOrder};
use crate::record::{Headers, Timestamp};
use crate::staging::{OutputTopic, Staged, StagedBatch};
use crate::topic::Partitioner;
use crate::transport::{
    Delivered, DeliverySink, ProducerHandle, ProducerSpec, ProducerTopic, TransportError, lock,
};

pub(super) type ProducerId = u64;

/// librdkafka's default of `message.max.bytes`.
const MESSAGE_MAX_BYTES: u64 = 1_000_000;

/// librdkafka's default of `message.timeout.ms`.
const MESSAGE_TIMEOUT_MS: u64 = 300_000;

/// What a timeout of 0 means to librdkafka, as a time that can be added to any instant.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 10);

/// All producers of the cluster.
#[derive(Default)]
pub(super) struct Producers {
    pub(super) slots: BTreeMap<ProducerId, Slot>,
    /// Accepted while the broker was away, in order over all producers.
    waiting: VecDeque<Waiting>,
    /// How many more reports may leave; `None`: all.
    allowance: Option<usize>,
    capacity: Option<usize>,
    /// What tests ordered for transactions to come.
    pub(super) orders: VecDeque<TransactionOrder>,
}

pub(super) struct Slot {
    reports: VecDeque<Report>,
    reporting: bool,
    pub(super) in_flight: usize,
    /// Of a transactional producer.
    pub(super) transaction: Option<Transaction>,
    full: bool,
    dropped: bool,
    notify: Arc<Notify>,
    space: Arc<Notify>,
}

pub(super) struct Report {
    pub(super) sink: Arc<dyn DeliverySink>,
    pub(super) index: usize,
    pub(super) result: Result<Delivered, TransportError>,
}

/// An accepted record on its way into the log.
pub(super) struct Waiting {
    pub(super) producer: ProducerId,
    pub(super) topic: Arc<OutputTopic>,
    pub(super) partition: Option<i32>,
    pub(super) record: NewRecord,
    pub(super) sink: Arc<dyn DeliverySink>,
    pub(super) index: usize,
    /// Reported as timed out when it is still waiting then.
    deadline: Instant,
}

impl Waiting {
    pub(super) fn place(&self, log: &mut TopicLog, record: &NewRecord) -> i32 {
        place(log, self.partition, self.topic.partitioner, record)
    }
}

/// The given partition, else the key's, else the next in turn.
pub(super) fn place(
    log: &mut TopicLog,
    partition: Option<i32>,
    partitioner: Partitioner,
    record: &NewRecord,
) -> i32 {
    let by_key = |key: &_| partitioner.place(key, log.partitions() as u32);
    match partition {
        Some(partition) => partition,
        None => match record.key.as_deref().and_then(by_key) {
            Some(partition) => partition as i32,
            None => log.next_turn(),
        },
    }
}

impl Producers {
    fn held(&self) -> bool {
        self.allowance == Some(0)
    }

    pub(super) fn idle(&self) -> bool {
        let held = self.held();
        let now = Instant::now();
        let mut slots = self.slots.values();
        slots.all(|slot| !slot.reporting && (held || slot.reports.is_empty()))
            && self.waiting.iter().all(|waiting| waiting.deadline > now)
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.slots.values().map(|slot| slot.in_flight).sum()
    }

    pub(super) fn allow(&mut self, reports: Option<usize>) {
        self.allowance = reports;
        for slot in self.slots.values() {
            slot.notify.notify_one();
        }
    }

    pub(super) fn allow_more(&mut self, reports: usize) {
        let allowance = self.allowance.map(|before| before + reports);
        self.allow(allowance);
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = Some(capacity);
        for slot in self.slots.values_mut() {
            if slot.full && slot.in_flight < capacity {
                slot.full = false;
                slot.space.notify_waiters();
            }
        }
    }

    pub(super) fn take_waiting(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    fn wait(&mut self, waiting: Waiting) {
        // The delivering task has to learn of the deadline.
        if let Some(slot) = self.slots.get(&waiting.producer) {
            slot.notify.notify_one();
        }
        self.waiting.push_back(waiting);
    }

    /// Reports what has waited too long for the broker; answers the next deadline.
    fn expire(&mut self, producer: ProducerId) -> Option<Instant> {
        // In order of their deadlines: one producer's records all have the same time.
        let mut waiting = self.waiting.iter();
        while let Some(index) = waiting.position(|waiting| waiting.producer == producer) {
            if self.waiting[index].deadline > Instant::now() {
                return Some(self.waiting[index].deadline);
            }
            if let Some(Waiting {
                topic, sink, index, ..
            }) = self.waiting.remove(index)
            {
                let context = format!("produce to {}", topic.name);
                let message = "Local: Message timed out";
                let result = Err(error(context, "_MSG_TIMED_OUT", message, true));
                let report = Report {
                    sink,
                    index,
                    result,
                };
                self.report(producer, report);
            }
            waiting = self.waiting.iter();
        }
        None
    }

    pub(super) fn report(&mut self, producer: ProducerId, report: Report) {
        if let Some(slot) = self.slots.get_mut(&producer) {
            if let (Err(error), Some(transaction)) = (&report.result, &mut slot.transaction) {
                transaction.failed(error);
            }
            slot.reports.push_back(report);
            slot.notify.notify_one();
        }
    }

    /// Counts one more record in; refuses when the queue is full.
    fn accept(&mut self, producer: ProducerId) -> bool {
        let capacity = self.capacity.unwrap_or(usize::MAX);
        let Some(slot) = self.slots.get_mut(&producer) else {
            return false;
        };
        slot.full = slot.in_flight >= capacity;
        slot.in_flight += usize::from(!slot.full);
        !slot.full
    }

    fn next_report(&mut self, producer: ProducerId) -> Option<Report> {
        if self.held() {
            return None;
        }
        let slot = self.slots.get_mut(&producer)?;
        let report = slot.reports.pop_front()?;
        slot.reporting = true;
        if let Some(allowance) = &mut self.allowance {
            *allowance -= 1;
        }
        Some(report)
    }

    /// The sink has heard of one.
    fn reported(&mut self, producer: ProducerId) {
        let capacity = self.capacity.unwrap_or(usize::MAX);
        if let Some(slot) = self.slots.get_mut(&producer) {
            slot.reporting = false;
            slot.in_flight -= 1;
            if slot.full && slot.in_flight < capacity {
                slot.full = false;
                slot.space.notify_waiters();
            }
        }
    }

    /// Whether the producer was dropped and owes nothing.
    fn is_done(&self, producer: ProducerId) -> bool {
        let slot = self.slots.get(&producer);
        slot.is_none_or(|slot| slot.dropped && slot.in_flight == 0)
    }

    fn remove(&mut self, producer: ProducerId) -> (Option<Slot>, Vec<Waiting>) {
        let gone = self.take_waiting_of(producer);
        (self.slots.remove(&producer), gone)
    }

    pub(super) fn take_waiting_of(&mut self, producer: ProducerId) -> Vec<Waiting> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (taken, kept): (Vec<_>, Vec<_>) =
            waiting.partition(|waiting| waiting.producer == producer);
        self.waiting = kept.into();
        taken
    }
}

/// A place among the cluster's producers, held by the delivering task: when that ends, in order or
/// not, nothing waits for its reports any more.
struct Registration {
    shared: Arc<Shared>,
    id: ProducerId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Dropped here, not under the lock: a sink may own a handle of this cluster.
        drop(self.shared.with(|state| state.producers.remove(self.id)));
    }
}

pub(super) fn start(
    shared: &Arc<Shared>,
    spec: &ProducerSpec,
) -> Result<Arc<dyn ProducerHandle>, TransportError> {
    Ok(create(shared, spec, MESSAGE_TIMEOUT_MS, None)?)
}

pub(super) fn create(
    shared: &Arc<Shared>,
    spec: &ProducerSpec,
    default_timeout_ms: u64,
    transaction: Option<Transaction>,
) -> Result<Arc<MemoryProducer>, TransportError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|no_runtime| {
        let context = format!("start producer {}", spec.name);
        error(context, "_STATE", &no_runtime.to_string(), false)
    })?;
    let (notify, space) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let id = shared.with(|state| {
        let id = state.fresh_id();
        state.producers.slots.insert(
            id,
            Slot {
                reports: VecDeque::new(),
                reporting: false,
                in_flight: 0,
                transaction,
                full: false,
                dropped: false,
                notify: notify.clone(),
                space: space.clone(),
            },
        );
        id
    });
    let registration = Registration {
        shared: shared.clone(),
        id,
    };
    let turn = Arc::default();
    runtime.spawn(deliver(registration, notify, Arc::clone(&turn)));
    let setting = |name: &str| spec.settings.get(name)?.parse::<u64>().ok();
    let timeout = setting("message.timeout.ms").or_else(|| setting("delivery.timeout.ms"));
    Ok(Arc::new(MemoryProducer {
        shared: shared.clone(),
        id,
        turn,
        topics: Mutex::default(),
        space,
        max_bytes: setting("message.max.bytes").unwrap_or(MESSAGE_MAX_BYTES),
        timeout: match timeout.unwrap_or(default_timeout_ms) {
            0 => FOR_EVER,
            millis => Duration::from_millis(millis).min(FOR_EVER),
        },
    }))
}

/// Hands the next report that may leave to its sink; answers whether there was one.
fn deliver_next(shared: &Shared, id: ProducerId, turn: &Mutex<()>) -> bool {
    // A commit hands reports over too, and both keep their order.
    let _turn = lock(turn);
    let Some(report) = shared.with(|state| state.producers.next_report(id)) else {
        return false;
    };
    report.sink.delivered(report.index, report.result);
    shared.with(|state| {
        state.bump();
        state.producers.reported(id);
    });
    true
}

async fn deliver(registration: Registration, notify: Arc<Notify>, turn: Arc<Mutex<()>>) {
    let Registration { shared, id } = &registration;
    let id = *id;
    loop {
        let deadline = shared.with(|state| state.producers.expire(id));
        if deliver_next(shared, id, &turn) {
            continue;
        }
        if shared.with(|state| state.producers.is_done(id)) {
            return;
        }
        match deadline {
            Some(deadline) => {
                let _ = tokio::time::timeout_at(deadline, notify.notified()).await;
            }
            None => notify.notified().await,
        }
    }
}

pub(super) struct MemoryProducer {
    shared: Arc<Shared>,
    pub(super) id: ProducerId,
    /// Held while a sink hears a report.
    turn: Arc<Mutex<()>>,
    topics: Mutex<Vec<Arc<OutputTopic>>>,
    space: Arc<Notify>,
    max_bytes: u64,
    timeout: Duration,
}

enum Taken {
    Accepted,
    Full,
    Refused(TransportError),
}

impl MemoryProducer {
    /// Hands all reports that may leave to their sinks.
    pub(super) fn deliver_all(&self) {
        while deliver_next(&self.shared, self.id, &self.turn) {}
    }

    fn take(
        &self,
        state: &mut State,
        topic: &Arc<OutputTopic>,
        staged: &Staged<'_>,
        index: usize,
        sink: &Arc<dyn DeliverySink>,
    ) -> Taken {
        if staged.size() as u64 > self.max_bytes {
            let context = format!("produce to {}", topic.name);
            let message = "Broker: Message size too large";
            return Taken::Refused(error(context, "MSG_SIZE_TOO_LARGE", message, false));
        }
        if let Some(partition) = staged.partition {
            state.ensure_topic(&topic.name, None);
            if !state.topics[topic.name.as_str()].has(partition) {
                return Taken::Refused(unknown_partition(&topic.name, partition));
            }
        }
        if let Some(refusal) = state.producers.refusal(self.id) {
            return Taken::Refused(refusal);
        }
        if !state.producers.accept(self.id) {
            return Taken::Full;
        }
        let waiting = Waiting {
            producer: self.id,
            topic: topic.clone(),
            partition: staged.partition,
            record: NewRecord {
                key: staged.key.map(<[u8]>::to_vec),
                payload: staged.value.map(<[u8]>::to_vec),
                headers: owned_headers(staged),
                timestamp: Timestamp::Create(staged.timestamp.unwrap_or_else(|| state.now())),
            },
            sink: sink.clone(),
            index,
            deadline: Instant::now() + self.timeout,
        };
        state.bump();
        if state.is_available() {
            state.append_waiting(waiting);
        } else {
            state.producers.wait(waiting);
        }
        Taken::Accepted
    }
}

fn owned_headers(staged: &Staged<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in staged.headers() {
        headers.push(name, value);
    }
    headers
}

impl ProducerHandle for MemoryProducer {
    fn topic(&self, topic: &OutputTopic) -> Result<ProducerTopic, TransportError> {
        let mut topics = lock(&self.topics);
        let known = topics.iter().position(|known| **known == *topic);
        let index = known.unwrap_or_else(|| {
            topics.push(Arc::new(topic.clone()));
            topics.len() - 1
        });
        Ok(ProducerTopic(index as u32))
    }

    fn produce(
        &self,
        topics: &[ProducerTopic],
        batch: &StagedBatch,
        range: Range<usize>,
        sink: &Arc<dyn DeliverySink>,
    ) -> usize {
        let table: Vec<_> = {
            let known = lock(&self.topics);
            let known = |topic: &ProducerTopic| known.get(topic.0 as usize).cloned();
            topics.iter().map(known).collect()
        };
        let start = range.start;
        for index in range.clone() {
            let staged = batch.get(index);
            let taken = match table.get(staged.topic) {
                Some(Some(topic)) => self
                    .shared
                    .with(|state| self.take(state, topic, &staged, index, sink)),
                _ => Taken::Refused(unknown_topic(&format!("topic {}", staged.topic))),
            };
            match taken {
                Taken::Accepted => {}
                Taken::Full => return index - start,
                Taken::Refused(error) => {
                    self.shared
                        .with(|state| state.producers.refused(self.id, &error));
                    sink.delivered(index, Err(error));
                }
            }
        }
        range.len()
    }

    fn space(&self) -> &Notify {
        &self.space
    }

    fn in_flight(&self) -> usize {
        self.shared.with(|state| {
            let slot = state.producers.slots.get(&self.id);
            slot.map_or(0, |slot| slot.in_flight)
        })
    }

    fn flush(&self, _timeout: Duration) -> usize {
        self.in_flight()
    }

    fn statistics(&self) -> Option<String> {
        None
    }
}

impl fmt::Debug for MemoryProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryProducer({})", self.id)
    }
}

impl Drop for MemoryProducer {
    fn drop(&mut self) {
        self.shared.with(|state| {
            if let Some(slot) = state.producers.slots.get_mut(&self.id) {
                slot.dropped = true;
                slot.notify.notify_one();
            }
        });
    }
}
