//! One try of a transaction: begin, send, offsets, commit; and what to make of each error.

use std::sync::Arc;
use std::time::Duration;

use super::{Outcome, Stopped, Transactor};
use crate::extract::OutputTable;
use crate::record::TopicPartition;
use crate::transport::transaction::{Ended, TransactionError, TransactionFault};
use crate::transport::{DeliverySink, ProducerTopic, TransportError};

/// Longest wait for one answer of the cluster.
const CALL: Duration = Duration::from_secs(10);
/// Offsets are sent this often with this much time each before the producer is replaced.
const OFFSETS: Duration = Duration::from_secs(3);
const OFFSETS_CALLS: usize = 3;
/// A producer whose queue stays full this long cannot deliver.
const QUEUE: Duration = Duration::from_secs(10);
/// Pauses before the next try.
const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_millis(500);
/// In one transaction so many records go in batches of their own before its time is over; of more, a few
/// share a batch.
pub(super) const ALONE: usize = 10_000;
const LOOK: Duration = Duration::from_millis(5);
/// The same call is made again this often before it counts as failed.
const SAME_CALL: usize = 5;

impl Transactor {
    /// Sends what was taken before its commit is due, so that it is delivered meanwhile. An error is
    /// left for the commit to meet.
    pub(super) async fn send_ahead(&mut self) -> Result<(), Stopped> {
        if !self.txn.is_empty()
            && self.producer.is_some()
            && self.begin().is_ok()
            && let Err(Outcome::Stop) = self.send().await
        {
            return Err(Stopped);
        }
        Ok(())
    }

    pub(super) async fn attempt(&mut self) -> Outcome {
        match self.try_to_commit().await {
            Ok(()) => Outcome::Committed,
            Err(outcome) => outcome,
        }
    }

    async fn try_to_commit(&mut self) -> Result<(), Outcome> {
        if self.txn.disown(&self.cx.book) {
            self.abort(SOON)?;
        }
        if self.txn.is_empty() {
            return Ok(());
        }
        if self.producer.is_none() {
            self.renew().await?;
        }
        self.begin()?;
        self.send().await?;
        self.send_offsets().await?;
        self.land().await?;
        // What was taken away meanwhile must not become visible here: its new owner does it again.
        if self.txn.disown(&self.cx.book) {
            return Err(self.aborted(SOON));
        }
        self.commit().await
    }

    /// A fresh producer with the same transactional id: fences the one before, ends its transaction.
    pub(super) async fn renew(&mut self) -> Result<(), Outcome> {
        self.producer = None;
        self.topics.clear();
        self.txn.unsend();
        let mut pause = SOON;
        let mut spec = self.cx.spec.clone();
        if self.alone {
            let together = self.txn.records.div_ceil(ALONE).max(1).to_string();
            spec.settings
                .insert("batch.num.messages".to_owned(), together);
        }
        loop {
            if self.cx.book.is_closed() {
                return Err(Outcome::Again(SOON));
            }
            let error = match self.cx.transport.start_transactions(spec.clone()) {
                Ok(mut producer) => match producer.init(CALL) {
                    Ok(()) => {
                        self.producer = Some(producer);
                        return Ok(());
                    }
                    Err(failed) if failed.fault == TransactionFault::Unsupported => {
                        return Err(self.stop(failed.error));
                    }
                    Err(failed) => failed.error,
                },
                // Settings that cannot be used: no time mends them.
                Err(error) => return Err(self.stop(error)),
            };
            tracing::warn!(group = self.cx.status.name, %error, ?pause, "the transactional producer is not ready; trying again");
            tokio::select! {
                biased;
                () = self.cx.book.until_closed() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LATER);
        }
    }

    pub(super) fn stop(&self, error: TransportError) -> Outcome {
        self.cx.supervisor.fail(error.into());
        Outcome::Stop
    }

    fn begin(&mut self) -> Result<(), Outcome> {
        if self.txn.open {
            return Ok(());
        }
        let Some(producer) = &mut self.producer else {
            return Err(Outcome::Again(SOON));
        };
        match producer.begin() {
            Ok(()) => {
                self.txn.open = true;
                Ok(())
            }
            Err(failed) => Err(self.failed("beginning", &failed)),
        }
    }

    /// Enqueues what is not enqueued yet, in order.
    async fn send(&mut self) -> Result<(), Outcome> {
        for number in 0..self.txn.pieces.len() {
            let part = &self.txn.pieces[number];
            if part.sent == part.piece.batch.len() {
                continue;
            }
            let table = part.piece.line.plan.table.clone();
            let topics = match self.topics_of(&table) {
                Ok(topics) => topics,
                Err(error) => return Err(self.stop(error)),
            };
            let Some(producer) = &self.producer else {
                return Err(Outcome::Again(SOON));
            };
            let handle = producer.producer().clone();
            let part = &mut self.txn.pieces[number];
            let sink: Arc<dyn DeliverySink> = part.refusals.clone();
            loop {
                let space = handle.space().notified();
                tokio::pin!(space);
                // Registered before asking, so that room made meanwhile is not missed.
                space.as_mut().enable();
                let batch = &part.piece.batch;
                part.sent += handle.produce(&topics, batch, part.sent..batch.len(), &sink);
                if part.sent == batch.len() {
                    break;
                }
                if tokio::time::timeout(QUEUE, space).await.is_err() {
                    tracing::warn!(
                        group = self.cx.status.name,
                        "the producer's queue stays full; trying the transaction again"
                    );
                    return Err(self.aborted(LATER));
                }
            }
        }
        Ok(())
    }

    /// Where something is known to be refused: waits until all records have landed or one has not, for a
    /// commit waits for all of them, and those behind a refused one never land.
    async fn land(&mut self) -> Result<(), Outcome> {
        while let Some(producer) = self.producer.as_ref().filter(|_| self.alone)
            && producer.producer().in_flight() > 0
        {
            if self.txn.pieces.iter().any(|part| !part.refusals.is_empty()) {
                return Err(self.aborted(Duration::ZERO));
            }
            // Rare enough to look instead of being told.
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn topics_of(
        &mut self,
        table: &Arc<OutputTable>,
    ) -> Result<Arc<[ProducerTopic]>, TransportError> {
        if let Some((_, topics)) = self
            .topics
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, table))
        {
            return Ok(topics.clone());
        }
        let Some(producer) = &self.producer else {
            return Ok(Arc::default());
        };
        let topics: Arc<[ProducerTopic]> = table
            .targets()
            .iter()
            .map(|target| producer.producer().topic(&target.topic))
            .collect::<Result<_, _>>()?;
        self.topics.push((table.clone(), topics.clone()));
        Ok(topics)
    }

    async fn send_offsets(&mut self) -> Result<(), Outcome> {
        let offsets: Vec<(TopicPartition, i64)> = self
            .txn
            .positions
            .iter()
            .map(|(partition, taken)| (partition.clone(), taken.position))
            .collect();
        for _ in 0..OFFSETS_CALLS {
            // Fresh each time: it says which generation of the group this worker believes in.
            let metadata = self
                .cx
                .poller
                .handle()
                .and_then(|consumer| consumer.group_metadata());
            let (Some(metadata), Some(producer)) = (metadata, &mut self.producer) else {
                return Err(self.aborted(SOON));
            };
            match producer.send_offsets(&offsets, &metadata, OFFSETS) {
                Ok(()) => return Ok(()),
                Err(failed) if failed.fault == TransactionFault::Retriable => {
                    tracing::warn!(group = self.cx.status.name, error = %failed, "the group's coordinator did not take the offsets; asking again");
                    tokio::time::sleep(SOON).await;
                }
                Err(failed) => return Err(self.failed("adding offsets", &failed)),
            }
        }
        // A client that holds on to a coordinator that is gone is replaced by one that looks for it anew.
        self.producer = None;
        self.txn.unsend();
        Err(Outcome::Again(SOON))
    }

    async fn commit(&mut self) -> Result<(), Outcome> {
        for _ in 0..SAME_CALL {
            let Some(producer) = &mut self.producer else {
                return Err(Outcome::Again(SOON));
            };
            match producer.commit(CALL) {
                Ok(ended) => {
                    self.txn.open = false;
                    self.ended(ended);
                    return Ok(());
                }
                Err(failed) => match failed.fault {
                    TransactionFault::Retriable => tokio::time::sleep(SOON).await,
                    TransactionFault::Fatal => return self.resolve(&failed).await,
                    TransactionFault::Abortable | TransactionFault::Unsupported => {
                        return Err(self.failed("committing", &failed));
                    }
                },
            }
        }
        self.producer = None;
        self.txn.unsend();
        Err(Outcome::Again(LATER))
    }

    /// Nobody knows whether the commit happened: a new producer ends it one way or the other, and the
    /// group's offsets tell which.
    async fn resolve(&mut self, failed: &TransactionError) -> Result<(), Outcome> {
        tracing::warn!(group = self.cx.status.name, error = %failed, "the outcome of a transaction is not known; finding out");
        self.renew().await?;
        let partitions: Vec<_> = self.txn.positions.keys().cloned().collect();
        loop {
            let Some(consumer) = self.cx.poller.handle() else {
                return Err(Outcome::Again(SOON));
            };
            let error =
                match consumer.committed(&partitions, CALL) {
                    Ok(committed) => {
                        let happened = self.txn.positions.values().zip(&committed).all(
                            |(taken, committed)| committed.is_some_and(|at| at >= taken.position),
                        );
                        tracing::info!(
                            group = self.cx.status.name,
                            happened,
                            "the outcome is known"
                        );
                        return if happened {
                            Ok(())
                        } else {
                            Err(Outcome::Again(Duration::ZERO))
                        };
                    }
                    Err(error) => error,
                };
            if self.cx.book.is_closed() {
                return Err(Outcome::Again(SOON));
            }
            tracing::warn!(group = self.cx.status.name, %error, "cannot read committed offsets; trying again");
            tokio::time::sleep(LATER).await;
        }
    }

    /// What to do about a failed call of which is known that nothing was committed.
    fn failed(&mut self, doing: &str, failed: &TransactionError) -> Outcome {
        tracing::warn!(group = self.cx.status.name, error = %failed, doing, "the transaction failed; trying again");
        match failed.fault {
            TransactionFault::Unsupported => self.stop(failed.error.clone()),
            TransactionFault::Abortable | TransactionFault::Retriable => self.aborted(SOON),
            TransactionFault::Fatal => {
                self.producer = None;
                self.txn.unsend();
                Outcome::Again(LATER)
            }
        }
    }

    /// Aborts what is open. What of it was refused meets its policy; the rest will be sent again.
    fn abort(&mut self, pause: Duration) -> Result<(), Outcome> {
        match self.aborted(pause) {
            Outcome::Stop => Err(Outcome::Stop),
            Outcome::Again(_) | Outcome::Committed => Ok(()),
        }
    }

    /// Aborts; answers when to try again, `pause` at the earliest.
    fn aborted(&mut self, pause: Duration) -> Outcome {
        if let Some(producer) = self.producer.as_mut().filter(|_| self.txn.open) {
            match producer.abort(CALL) {
                Ok(ended) => self.ended(ended),
                Err(failed) => {
                    tracing::warn!(group = self.cx.status.name, error = %failed, "the abort failed; replacing the producer");
                    self.producer = None;
                }
            }
        }
        // Now and not before: every record has been reported on by the end of an abort.
        let judged = self.judge_refusals();
        self.txn.unsend();
        match judged {
            Some(Outcome::Again(longer)) => Outcome::Again(longer.max(pause)),
            Some(other) => other,
            None => Outcome::Again(pause),
        }
    }

    fn ended(&mut self, ended: Ended) {
        if ended.in_doubt && self.cx.defences.renew_in_doubt {
            tracing::info!(
                group = self.cx.status.name,
                "a late request could end the next transaction; replacing the producer first"
            );
            self.producer = None;
        }
    }
}
