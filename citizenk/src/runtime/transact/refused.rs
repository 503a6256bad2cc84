//! Outputs of a transaction that the broker refused.
//!
//! A transaction with a refused record cannot be committed. What the broker may still take is tried
//! again until the delivery deadline. A batch that was refused for one of its records is tried again
//! with each record in a batch of its own, so that only the guilty one is refused. Then, and for what it will never take, the agent's produce policy
//! decides, and the transaction is tried without the record, with its letter, or not at all.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::attempt::ALONE;
use super::{Outcome, Transactor, TxnPiece};
use crate::policy::Decision;
use crate::runtime::lane::{letters, refusal};
use crate::staging::StagedBatch;
use crate::telemetry::{SkipReason, Stage};
use crate::transport::{Delivered, DeliverySink, TransportError};

/// As `message.timeout.ms` of the other producers: a transaction itself is much shorter.
const DELIVERY_DEADLINE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);

/// How a broker refuses a batch for one of its records.
const SHARED: [&str; 3] = [
    "MSG_SIZE_TOO_LARGE",
    "RECORD_LIST_TOO_LARGE",
    "_INVALID_DIFFERENT_RECORD",
];

/// What lengths may cost differently in two records of so many bytes.
const SLACK: usize = 64;

/// How a client refuses a record because another one has spoilt the transaction.
const CONSEQUENCES: [&str; 3] = ["_STATE", "_PURGE_QUEUE", "_PURGE_INFLIGHT"];

/// The records of one batch that were refused in one try.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<BTreeMap<usize, TransportError>>);

impl DeliverySink for Refusals {
    fn delivered(&self, index: usize, result: Result<Delivered, TransportError>) {
        if let Err(error) = result {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(index, error);
        }
    }
}

impl Refusals {
    /// Whether one may have been refused for what stood beside it in its batch.
    fn any_shared(&self) -> bool {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused
            .values()
            .any(|error| SHARED.contains(&error.code.as_str()))
    }

    pub(super) fn is_empty(&self) -> bool {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_empty()
    }

    /// Those that were refused for a reason of their own.
    fn take(&self) -> BTreeMap<usize, TransportError> {
        let mut refused =
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        refused.retain(|_, error| !CONSEQUENCES.contains(&error.code.as_str()));
        refused
    }
}

impl Transactor {
    /// Asks what to do about the records that were refused in this try; `None`: there are none.
    pub(super) fn judge_refusals(&mut self) -> Option<Outcome> {
        let patient = self
            .txn
            .begun
            .is_some_and(|begun| begun.elapsed() < DELIVERY_DEADLINE);
        let shared = |part: &TxnPiece| part.refusals.any_shared();
        if !self.alone && self.txn.records > 1 && self.txn.pieces.iter().any(shared) {
            tracing::warn!(
                group = self.cx.status.name,
                records = self.txn.records,
                "a broker refused a batch for one of its records; trying the transaction again with each record on its own"
            );
            self.alone = true;
            self.producer = None;
            return Some(Outcome::Again(Duration::ZERO));
        }
        let guilty = self.take_guilty(patient);
        let mut outcome = None;
        for (part, refused) in self.txn.pieces.iter_mut().zip(guilty) {
            let Some(error) = refused.values().next() else {
                continue;
            };
            let pause = if patient && refused.values().all(|error| error.retriable) {
                tracing::warn!(partition = %part.piece.partition, count = refused.len(), %error, "outputs were not delivered; sending them again");
                PAUSE
            } else {
                match judge(part, &refused) {
                    Ok(pause) => pause,
                    Err(reason) => {
                        let component = &part.piece.line.plan.component;
                        self.cx.supervisor.stop(component, &reason);
                        return Some(Outcome::Stop);
                    }
                }
            };
            let longest = match outcome {
                Some(Outcome::Again(longest)) => pause.max(longest),
                _ => pause,
            };
            outcome = Some(Outcome::Again(longest));
        }
        self.txn.count();
        outcome
    }
}

impl Transactor {
    /// What was refused of each piece, and has to be judged.
    fn take_guilty(&self, patient: bool) -> Vec<BTreeMap<usize, TransportError>> {
        let pieces = &self.txn.pieces;
        let mut all: Vec<_> = pieces.iter().map(|part| part.refusals.take()).collect();
        for refused in &mut all {
            // What the broker may still take is not given up for what stood beside it.
            if patient && refused.values().any(|error| !error.retriable) {
                refused.retain(|_, error| !error.retriable);
            }
        }
        if self.is_alone() && self.is_plain() {
            self.add_larger(&mut all);
        }
        all
    }

    /// Each record of this try was in a batch of its own.
    fn is_alone(&self) -> bool {
        self.alone && self.txn.records <= ALONE
    }

    /// Records are as large to the broker as they are here.
    fn is_plain(&self) -> bool {
        let settings = &self.cx.spec.settings;
        ["compression.type", "compression.codec"]
            .into_iter()
            .filter_map(|key| settings.get(key))
            .all(|codec| codec == "none")
    }

    /// Whatever is larger than a record that was refused alone for its size would be refused as well, one
    /// try after the other.
    fn add_larger(&self, all: &mut [BTreeMap<usize, TransportError>]) {
        let mut limits: BTreeMap<String, (usize, TransportError)> = BTreeMap::new();
        for (part, refused) in self.txn.pieces.iter().zip(&*all) {
            for (index, error) in refused {
                if error.code == SHARED[0] {
                    let (topic, size) = weigh(part, *index);
                    let limit = limits
                        .entry(topic.to_owned())
                        .or_insert((size, error.clone()));
                    limit.0 = size.min(limit.0);
                }
            }
        }
        if limits.is_empty() {
            return;
        }
        for (part, refused) in self.txn.pieces.iter().zip(all) {
            for index in 0..part.piece.batch.len() {
                let (topic, size) = weigh(part, index);
                if let Some((limit, error)) = limits.get(topic)
                    && size >= limit + SLACK
                {
                    refused.entry(index).or_insert_with(|| error.clone());
                }
            }
        }
    }
}

/// The topic of a record, and the bytes it brings.
fn weigh(part: &TxnPiece, index: usize) -> (&str, usize) {
    let record = part.piece.batch.get(index);
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers: usize = record
        .headers()
        .map(|(name, value)| name.len() + length(value))
        .sum();
    let topic = &part.piece.line.plan.table.targets()[record.topic]
        .topic
        .name;
    (topic, length(record.key) + length(record.value) + headers)
}

/// Asks the produce policy; answers the pause before the next try, or why the service stops.
fn judge(
    part: &mut TxnPiece,
    refused: &BTreeMap<usize, TransportError>,
) -> Result<Duration, String> {
    let line = part.piece.line.clone();
    let plan = &line.plan;
    let topic_of = |batch: &StagedBatch, index: usize| {
        plan.table.targets()[batch.get(index).topic]
            .topic
            .name
            .clone()
    };
    line.metrics.failed(Stage::Produce, refused.len());
    let (agent, partition) = (&plan.spec.name, &part.piece.partition);
    let decision = plan.on_produce.decide_plain(part.attempt, 0);
    part.attempt += 1;
    let letter_topic = match decision {
        Decision::RetryAfter(pause) => {
            line.metrics.retried(1);
            tracing::warn!(agent, %partition, count = refused.len(), ?pause, "outputs were not delivered; sending them again");
            return Ok(pause);
        }
        Decision::Skip => None,
        Decision::DeadLetter => match refusal::letter_topic(plan) {
            None => return Err("has no dead-letter topic".to_owned()),
            // A letter is as large as what it holds; sending it there again would fail for ever.
            Some(topic)
                if refused
                    .keys()
                    .any(|index| part.piece.batch.get(*index).topic == topic) =>
            {
                return Err("could not deliver a dead letter".to_owned());
            }
            Some(topic) => Some(topic),
        },
        // No produce policy has retry topics: the app would not have been built.
        Decision::Stop | Decision::Later(_) => {
            let (index, error) = refused
                .iter()
                .next()
                .map_or((0, None), |(i, e)| (*i, Some(e)));
            let topic = topic_of(&part.piece.batch, index);
            let error = error.map(ToString::to_string).unwrap_or_default();
            return Err(refusal::undeliverable(refused.len(), &topic, &error));
        }
    };
    let mut rest = StagedBatch::default();
    for index in 0..part.piece.batch.len() {
        let Some(error) = refused.get(&index) else {
            rest.push_from(&part.piece.batch, index);
            continue;
        };
        match letter_topic {
            Some(topic) => {
                line.metrics.dead_lettered(1);
                letters::stage_output(
                    &mut rest,
                    topic,
                    agent,
                    &part.piece.batch.get(index),
                    &plan.table,
                    error,
                );
            }
            None => {
                line.metrics.skipped(SkipReason::Produce, 1);
                let topic = topic_of(&part.piece.batch, index);
                tracing::warn!(agent, %partition, topic, %error, "output skipped");
            }
        }
    }
    if letter_topic.is_some() {
        tracing::warn!(agent, %partition, count = refused.len(), "outputs sent to the dead-letter topic");
    }
    rest.release_chunks();
    line.ledger
        .recycle(std::mem::replace(&mut part.piece.batch, rest));
    Ok(Duration::ZERO)
}
