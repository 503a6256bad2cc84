//! Transactions in memory: records of an open one stay with their producer, seen by nobody; the commit
//! appends them in order, together with the group's offsets, under the cluster's lock.
//!
//! No call blocks: what a real cluster would let wait (held reports, an absent broker) ends as the
//! timeout would have ended it. A commit hands the reports that may leave to their sinks first, so that,
//! as with a real client, all sinks have heard when it returns. The offset in a report is the one the
//! record gets if nobody else writes to its partition before the commit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::assign::MemberId;
use super::errors::{error, unknown_partition};
use super::log::NewRecord;
use super::producer::{self, MemoryProducer, ProducerId, Producers, Report, Waiting};
use super::state::{GroupKey, Offsets, Shared, State};
use crate::record::TopicPartition;
use crate::transport::transaction::{
    Ended, GroupMetadata, TransactionError, TransactionFault, TransactionSpec, Transactions,
};
use crate::transport::{Delivered, ProducerHandle, ProducerSpec, TransportError};

/// As the transport of real clusters sets `message.timeout.ms` for transactional producers.
const MESSAGE_TIMEOUT_MS: u64 = 8_000;

/// What an abort reports of a record that it found unsent.
const PURGED: &str = "_PURGE_QUEUE";

/// A fault that a test orders for the next call it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionOrder {
    /// The next commit is refused; the transaction has to be aborted.
    AbortableCommit,
    /// The next commit gets no answer; whether it happened all the same.
    LostCommit { happened: bool },
    /// The next commit or abort ends with `in_doubt`.
    DoubtfulEnd,
    /// The producer of the next `begin` is fenced.
    FencedBegin,
    /// The producer of the next `send_offsets` is fenced.
    FencedOffsets,
}

/// A member as of some moment: what [`GroupMetadata`] holds.
#[derive(Clone, Debug)]
pub(super) struct MemberMark {
    group: GroupKey,
    member: MemberId,
    generation: u64,
}

/// What the cluster knows about a transactional producer.
pub(super) struct Transaction {
    /// The transactional id.
    id: String,
    phase: Phase,
    staged: Vec<StagedRecord>,
    offsets: Vec<Pending>,
    /// A record failed after it was accepted: as a real one, this producer is no good for the next
    /// transaction.
    doubtful: bool,
}

enum Phase {
    /// Not initialised.
    Fresh,
    Ready,
    Open,
    /// Open, and must be aborted.
    Failed(TransportError),
    /// Nothing works any more.
    Dead(TransactionError),
}

struct StagedRecord {
    topic: String,
    partition: i32,
    record: NewRecord,
}

/// Offsets of a group that wait for the commit.
struct Pending {
    mark: MemberMark,
    tenure: u64,
    offsets: Offsets,
}

impl Transaction {
    fn new(id: String) -> Self {
        Self {
            id,
            phase: Phase::Fresh,
            staged: Vec::new(),
            offsets: Vec::new(),
            doubtful: false,
        }
    }

    /// A record failed after it was accepted; the abort's own doing does not count.
    pub(super) fn failed(&mut self, cause: &TransportError) {
        if cause.code == PURGED {
            return;
        }
        self.doubtful |= matches!(self.phase, Phase::Open | Phase::Failed(_));
        self.spoil(cause);
    }

    /// A record failed: nothing of the open transaction may be committed.
    fn spoil(&mut self, cause: &TransportError) {
        if matches!(self.phase, Phase::Open) {
            let message = format!("a record failed delivery: {cause}");
            self.phase = Phase::Failed(error("commit", "_INCONSISTENT", &message, false));
        }
    }

    fn forget(&mut self) {
        self.staged.clear();
        self.offsets.clear();
    }

    fn die(&mut self, fault: TransactionFault, error: TransportError) -> TransactionError {
        self.forget();
        let error = TransactionError { fault, error };
        self.phase = Phase::Dead(error.clone());
        error
    }

    fn fence(&mut self, context: &str) -> TransactionError {
        let mut error = fenced(context);
        error.fatal = true;
        self.die(TransactionFault::Fatal, error)
    }

    /// Why a call that wants an open transaction cannot go on.
    fn open(&mut self, context: &str) -> Result<(), TransactionError> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Failed(error) => Err(abortable(error.clone())),
            Phase::Dead(error) => Err(error.clone()),
            Phase::Fresh | Phase::Ready => Err(self.misused(context)),
        }
    }

    fn misused(&mut self, context: &str) -> TransactionError {
        self.die(TransactionFault::Fatal, wrong_state(context))
    }
}

impl Producers {
    pub(super) fn is_transactional(&self, producer: ProducerId) -> bool {
        let slot = self.slots.get(&producer);
        slot.is_some_and(|slot| slot.transaction.is_some())
    }

    /// Why a record cannot be taken.
    pub(super) fn refusal(&self, producer: ProducerId) -> Option<TransportError> {
        match &self.slots.get(&producer)?.transaction.as_ref()?.phase {
            Phase::Open => None,
            Phase::Dead(dead) => Some(dead.error.clone()),
            Phase::Fresh | Phase::Ready | Phase::Failed(_) => Some(wrong_state("produce")),
        }
    }

    fn transaction(&mut self, producer: ProducerId) -> Result<&mut Transaction, TransactionError> {
        let slot = self.slots.get_mut(&producer);
        // The slot goes with the delivering task, that is with its runtime.
        slot.and_then(|slot| slot.transaction.as_mut())
            .ok_or_else(|| TransactionError {
                fault: TransactionFault::Fatal,
                error: error(
                    "transaction",
                    "_DESTROY",
                    "Local: Broker handle destroyed",
                    false,
                ),
            })
    }

    /// A record was not accepted.
    pub(super) fn refused(&mut self, producer: ProducerId, cause: &TransportError) {
        if let Ok(transaction) = self.transaction(producer) {
            transaction.spoil(cause);
        }
    }

    fn take_order(
        &mut self,
        concerns: impl Fn(TransactionOrder) -> bool,
    ) -> Option<TransactionOrder> {
        let index = self.orders.iter().position(|order| concerns(*order))?;
        self.orders.remove(index)
    }
}

impl State {
    /// The membership of a group's member as of now.
    pub(super) fn mark(&self, id: MemberId) -> Option<MemberMark> {
        let key = &self.consumers.get(&id)?.group;
        let group = self.groups.get(key)?;
        matches!(key, GroupKey::Named(_)).then(|| MemberMark {
            group: key.clone(),
            member: id,
            generation: group.generation_of(id),
        })
    }

    /// Takes a record into its producer's open transaction.
    pub(super) fn stage(&mut self, waiting: &Waiting) -> Result<Delivered, TransportError> {
        if let Some(refusal) = self.producers.refusal(waiting.producer) {
            return Err(refusal);
        }
        let topic = &waiting.topic.name;
        self.ensure_topic(topic, None);
        self.bump();
        let log = self.topics.get_mut(topic.as_str());
        let log = log.ok_or_else(|| unknown_partition(topic, -1))?;
        let partition = waiting.place(log, &waiting.record);
        let (_, high) = log
            .watermarks(partition)
            .ok_or_else(|| unknown_partition(topic, partition))?;
        let transaction = self.producers.transaction(waiting.producer);
        let staged = &mut transaction.map_err(|gone| gone.error)?.staged;
        let before = staged
            .iter()
            .filter(|other| other.partition == partition && other.topic == *topic)
            .count();
        staged.push(StagedRecord {
            topic: topic.clone(),
            partition,
            record: waiting.record.clone(),
        });
        let offset = high + before as i64;
        Ok(Delivered { partition, offset })
    }

    fn init_transactions(&mut self, producer: ProducerId) -> Result<(), TransactionError> {
        self.bump();
        let unreachable = self.reachable("init").err();
        let transaction = self.producers.transaction(producer)?;
        match &transaction.phase {
            Phase::Fresh => {}
            Phase::Dead(error) => return Err(error.clone()),
            _ => return Err(transaction.misused("init")),
        }
        if let Some(error) = unreachable {
            return Err(retriable(error));
        }
        transaction.phase = Phase::Ready;
        let id = transaction.id.clone();
        let slots = self.producers.slots.iter_mut();
        for other in slots
            .filter(|(other, _)| **other != producer)
            .filter_map(|(_, slot)| slot.transaction.as_mut())
            .filter(|other| other.id == id && !matches!(other.phase, Phase::Fresh | Phase::Dead(_)))
        {
            other.fence("transaction");
        }
        Ok(())
    }

    fn begin_transaction(&mut self, producer: ProducerId) -> Result<(), TransactionError> {
        self.bump();
        let is_fenced = |order| order == TransactionOrder::FencedBegin;
        let order = self.producers.take_order(is_fenced);
        let transaction = self.producers.transaction(producer)?;
        match &transaction.phase {
            Phase::Ready if order.is_some() => Err(transaction.fence("begin")),
            Phase::Ready => {
                transaction.phase = Phase::Open;
                Ok(())
            }
            Phase::Failed(error) => Err(abortable(error.clone())),
            Phase::Dead(error) => Err(error.clone()),
            Phase::Fresh | Phase::Open => Err(transaction.misused("begin")),
        }
    }

    fn send_offsets(
        &mut self,
        producer: ProducerId,
        offsets: &[(TopicPartition, i64)],
        mark: Option<&MemberMark>,
    ) -> Result<(), TransactionError> {
        const CONTEXT: &str = "send offsets";
        self.bump();
        let is_fenced = |order| order == TransactionOrder::FencedOffsets;
        let order = self.producers.take_order(is_fenced);
        let unreachable = self.reachable(CONTEXT).err();
        let transaction = self.producers.transaction(producer)?;
        transaction.open(CONTEXT)?;
        if order.is_some() {
            return Err(transaction.fence(CONTEXT));
        }
        if let Some(error) = unreachable {
            return Err(retriable(error));
        }
        // Metadata of another transport are nobody's here.
        let admitted = mark.and_then(|mark| {
            let group = self.groups.get(&mark.group)?;
            let tenure = group.admit(mark.member, mark.generation, offsets)?;
            Some((mark.clone(), tenure))
        });
        let Some((mark, tenure)) = admitted else {
            let error = stale(CONTEXT);
            transaction.phase = Phase::Failed(error.clone());
            return Err(abortable(error));
        };
        transaction.offsets.push(Pending {
            mark,
            tenure,
            offsets: offsets.to_vec(),
        });
        Ok(())
    }

    fn commit_transaction(&mut self, producer: ProducerId) -> Result<Ended, TransactionError> {
        const CONTEXT: &str = "commit";
        self.bump();
        let order = self.producers.take_order(|order| {
            matches!(
                order,
                TransactionOrder::AbortableCommit | TransactionOrder::LostCommit { .. }
            )
        });
        let unreachable = self.reachable(CONTEXT).err();
        let in_flight = self.producers.slots.get(&producer);
        let unreported = in_flight.is_some_and(|slot| slot.in_flight > 0);
        let transaction = self.producers.transaction(producer)?;
        transaction.open(CONTEXT)?;
        if let Some(error) = unreachable {
            return Err(transaction.die(TransactionFault::Fatal, error));
        }
        if unreported || order == Some(TransactionOrder::LostCommit { happened: false }) {
            return Err(transaction.die(TransactionFault::Fatal, unanswered()));
        }
        let refused = if order == Some(TransactionOrder::AbortableCommit) {
            let message = "ordered by the test";
            Some(error(
                CONTEXT,
                "INVALID_PRODUCER_ID_MAPPING",
                message,
                false,
            ))
        } else {
            let holds = |pending: &Pending| {
                let Pending {
                    mark,
                    tenure,
                    offsets,
                } = pending;
                let group = self.groups.get(&mark.group);
                group.is_some_and(|group| group.still_holds(mark.member, *tenure, offsets))
            };
            (!transaction.offsets.iter().all(holds)).then(|| stale(CONTEXT))
        };
        if let Some(error) = refused {
            transaction.phase = Phase::Failed(error.clone());
            return Err(abortable(error));
        }
        let staged = std::mem::take(&mut transaction.staged);
        let pending = std::mem::take(&mut transaction.offsets);
        transaction.phase = Phase::Ready;
        for StagedRecord {
            topic,
            partition,
            record,
        } in staged
        {
            // The partition is there as when the record was staged, unless its topic was deleted since.
            let _ = self.append(&topic, |_, _| partition, record);
        }
        for Pending { mark, offsets, .. } in pending {
            if let Some(group) = self.groups.get_mut(&mark.group) {
                group.store(&offsets);
            }
        }
        if order.is_some() {
            let transaction = self.producers.transaction(producer)?;
            return Err(transaction.die(TransactionFault::Fatal, unanswered()));
        }
        self.ended(producer)
    }

    fn abort_transaction(&mut self, producer: ProducerId) -> Result<Ended, TransactionError> {
        self.bump();
        let unreachable = self.reachable("abort").err();
        let transaction = self.producers.transaction(producer)?;
        match &transaction.phase {
            Phase::Open | Phase::Failed(_) => {}
            Phase::Dead(error) => return Err(error.clone()),
            Phase::Fresh | Phase::Ready => return Err(transaction.misused("abort")),
        }
        transaction.forget();
        // What is not said to the coordinator yet is said by the same call, made again.
        transaction.phase = match &unreachable {
            None => Phase::Ready,
            Some(error) => Phase::Failed(error.clone()),
        };
        for waiting in self.producers.take_waiting_of(producer) {
            let context = format!("produce to {}", waiting.topic.name);
            let report = Report {
                sink: waiting.sink,
                index: waiting.index,
                result: Err(error(context, PURGED, "Local: Purged in queue", false)),
            };
            self.producers.report(producer, report);
        }
        match unreachable {
            None => self.ended(producer),
            Some(error) => Err(retriable(error)),
        }
    }

    fn ended(&mut self, producer: ProducerId) -> Result<Ended, TransactionError> {
        let is_doubtful = |order| order == TransactionOrder::DoubtfulEnd;
        let ordered = self.producers.take_order(is_doubtful).is_some();
        let transaction = self.producers.transaction(producer)?;
        let in_doubt = std::mem::take(&mut transaction.doubtful) || ordered;
        Ok(Ended { in_doubt })
    }
}

fn abortable(error: TransportError) -> TransactionError {
    let fault = TransactionFault::Abortable;
    TransactionError { fault, error }
}

fn retriable(error: TransportError) -> TransactionError {
    let fault = TransactionFault::Retriable;
    TransactionError { fault, error }
}

fn fenced(context: &str) -> TransportError {
    let message = "Local: This instance has been fenced by a newer instance";
    error(context, "_FENCED", message, false)
}

fn wrong_state(context: &str) -> TransportError {
    error(context, "_STATE", "Local: Erroneous state", false)
}

fn unanswered() -> TransportError {
    error("commit", "_TIMED_OUT", "Local: Timed out", true)
}

fn stale(context: &str) -> TransportError {
    let message = "Broker: Specified group generation id is not valid";
    error(context, "ILLEGAL_GENERATION", message, false)
}

pub(super) fn start(
    shared: &Arc<Shared>,
    spec: TransactionSpec,
) -> Result<Box<dyn Transactions>, TransportError> {
    let transaction = Transaction::new(spec.transactional_id);
    let spec = ProducerSpec {
        name: spec.name,
        client_id: spec.client_id,
        settings: spec.settings,
    };
    let memory = producer::create(shared, &spec, MESSAGE_TIMEOUT_MS, Some(transaction))?;
    Ok(Box::new(MemoryTransactions {
        shared: shared.clone(),
        producer: memory.clone(),
        memory,
    }))
}

struct MemoryTransactions {
    shared: Arc<Shared>,
    memory: Arc<MemoryProducer>,
    producer: Arc<dyn ProducerHandle>,
}

impl fmt::Debug for MemoryTransactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTransactions({})", self.memory.id)
    }
}

impl Transactions for MemoryTransactions {
    fn producer(&self) -> &Arc<dyn ProducerHandle> {
        &self.producer
    }

    fn init(&mut self, _timeout: Duration) -> Result<(), TransactionError> {
        let id = self.memory.id;
        self.shared.with(|state| state.init_transactions(id))
    }

    fn begin(&mut self) -> Result<(), TransactionError> {
        let id = self.memory.id;
        self.shared.with(|state| state.begin_transaction(id))
    }

    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        group: &GroupMetadata,
        _timeout: Duration,
    ) -> Result<(), TransactionError> {
        let id = self.memory.id;
        let mark = group.0.downcast_ref::<MemberMark>();
        self.shared
            .with(|state| state.send_offsets(id, offsets, mark))
    }

    fn commit(&mut self, _timeout: Duration) -> Result<Ended, TransactionError> {
        self.memory.deliver_all();
        let id = self.memory.id;
        self.shared.with(|state| state.commit_transaction(id))
    }

    fn abort(&mut self, _timeout: Duration) -> Result<Ended, TransactionError> {
        let id = self.memory.id;
        let result = self.shared.with(|state| state.abort_transaction(id));
        self.memory.deliver_all();
        result
    }
}
