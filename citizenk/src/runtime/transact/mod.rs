//! Exactly once: inputs' offsets and their outputs become visible together or not at all.
//!
//! In: what lanes settled and staged ([`book`], [`ledger`]). Out: transactions of about 100 ms, each with
//! every output of the offsets it commits and no other (KIP-447). One transactor per consumer group of a
//! worker owns the transactional producer; it runs beside the polling thread, never on it.
//!
//! Nothing is ever rewound: a transaction that did not happen is tried again from the bytes that were
//! staged, without calling a handler, unless its partitions have been given to another worker. Whether
//! one happened whose end nobody confirmed is decided by a new producer of the same transactional id
//! (which ends what the old one left open) and the offsets the group then has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

mod attempt;
pub(crate) mod book;
pub(crate) mod ledger;
mod refused;
#[cfg(test)]
mod tests;

use self::book::{Book, Piece, Taken};
use crate::extract::OutputTable;
use crate::record::TopicPartition;
use crate::runtime::lane::inbox::Poller;
use crate::runtime::status::GroupStatus;
use crate::runtime::supervisor::Supervisor;
use crate::telemetry::{CommitResult, ConsumerMetrics};
use crate::time::Clock;
use crate::transport::transaction::{TransactionSpec, Transactions};
use crate::transport::{ProducerTopic, Transport};

/// A transaction with more than this is committed before its time.
const MAX_RECORDS: usize = 100_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Parts of the protocol that tests switch off, to see that they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Defences {
    /// A producer whose transaction may be ended by a late request is replaced before the next one.
    pub(crate) renew_in_doubt: bool,
}

impl Default for Defences {
    fn default() -> Self {
        Self {
            renew_in_doubt: true,
        }
    }
}

/// What a transactor works with.
pub(crate) struct TransactorContext {
    pub(crate) spec: TransactionSpec,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) book: Arc<Book>,
    /// The group's consumer.
    pub(crate) poller: Arc<Poller>,
    pub(crate) supervisor: Supervisor,
    pub(crate) status: Arc<GroupStatus>,
    pub(crate) metrics: ConsumerMetrics,
    pub(crate) clock: Clock,
    /// Time from the begin of a transaction to its commit; zero commits whatever there is at once.
    pub(crate) interval: Duration,
    pub(crate) defences: Defences,
}

/// The transaction that is being filled or tried.
#[derive(Debug, Default)]
struct Txn {
    positions: BTreeMap<TopicPartition, Taken>,
    pieces: Vec<TxnPiece>,
    records: usize,
    bytes: usize,
    /// When its first part was taken.
    begun: Option<Instant>,
    /// Whether the producer has it open.
    open: bool,
}

#[derive(Debug)]
struct TxnPiece {
    piece: Piece,
    /// Records the producer has taken in this try.
    sent: usize,
    refusals: Arc<refused::Refusals>,
    /// Deliveries tried so far.
    attempt: u32,
}

impl Txn {
    fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    fn is_large(&self) -> bool {
        self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES
    }

    /// Everything has to be sent anew.
    fn unsend(&mut self) {
        self.open = false;
        for part in &mut self.pieces {
            part.sent = 0;
            part.refusals = Arc::default();
        }
    }

    /// Forgets partitions that are ours no more; answers whether something of them was sent already.
    fn disown(&mut self, book: &Book) -> bool {
        self.positions
            .retain(|partition, taken| book.owns(partition, taken.assignment));
        let before = self.pieces.len();
        let mut sent = false;
        let positions = &self.positions;
        self.pieces.retain(|part| {
            // One that went and came back begins again at its position, with outputs of its own.
            let Piece {
                partition,
                assignment,
                ..
            } = &part.piece;
            let kept = positions
                .get(partition)
                .is_some_and(|taken| taken.assignment == *assignment);
            sent |= !kept && part.sent > 0;
            kept
        });
        if self.pieces.len() < before {
            self.count();
        }
        sent
    }

    fn count(&mut self) {
        self.records = self.pieces.iter().map(|part| part.piece.batch.len()).sum();
        self.bytes = self
            .pieces
            .iter()
            .map(|part| part.piece.batch.byte_len())
            .sum();
    }
}

/// Commits what a group's lanes settle.
pub(crate) struct Transactor {
    cx: TransactorContext,
    producer: Option<Box<dyn Transactions>>,
    /// The producer's topic handles, by output table.
    topics: Vec<(Arc<OutputTable>, Arc<[ProducerTopic]>)>,
    txn: Txn,
    /// This transaction is tried with each record in a batch of its own.
    alone: bool,
    /// Where pieces are taken into.
    taken: Vec<Piece>,
}

/// How a try ended.
enum Outcome {
    Committed,
    Again(Duration),
    /// The service stops; the reason is with the supervisor.
    Stop,
}

/// The service has to stop; the supervisor knows why.
struct Stopped;

impl Transactor {
    pub(crate) fn new(cx: TransactorContext) -> Self {
        Self {
            cx,
            producer: None,
            topics: Vec::new(),
            txn: Txn::default(),
            alone: false,
            taken: Vec::new(),
        }
    }

    /// Runs until the group's consumer has left, or the service has to stop.
    pub(crate) async fn run(mut self) {
        let _ = self.work().await;
        self.cx.book.end();
    }

    async fn work(&mut self) -> Result<(), Stopped> {
        let book = self.cx.book.clone();
        // A cluster that cannot do this at all is found before the first record.
        if let Some(Outcome::Stop) = self.renew().await.err() {
            return Err(Stopped);
        }
        let mut leaving = FuturesUnordered::new();
        while !book.is_closed() {
            for flush in book.take_flushes() {
                leaving.push(async move {
                    flush.lanes.wait().await;
                    flush.done
                });
            }
            let due = self.txn.begun.map(|begun| begun + self.cx.interval);
            tokio::select! {
                biased;
                // The last transaction of partitions that are given back; the token is dropped after it.
                Some(_done) = leaving.next() => self.finish().await?,
                () = until(due) => self.finish().await?,
                () = book.until_news() => {
                    self.take();
                    self.send_ahead().await?;
                    if self.cx.interval.is_zero() || self.txn.is_large() {
                        self.finish().await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves what was settled into the transaction.
    fn take(&mut self) {
        self.cx.book.take(&mut self.txn.positions, &mut self.taken);
        for piece in self.taken.drain(..) {
            self.txn.records += piece.batch.len();
            self.txn.bytes += piece.batch.byte_len();
            self.txn.pieces.push(TxnPiece {
                piece,
                sent: 0,
                refusals: Arc::default(),
                attempt: 1,
            });
        }
        if !self.txn.is_empty() {
            self.txn.begun.get_or_insert_with(Instant::now);
        }
    }

    /// Commits all that is settled by now; comes back without only when the consumer has left.
    async fn finish(&mut self) -> Result<(), Stopped> {
        self.take();
        while !self.txn.is_empty() && !self.cx.book.is_closed() {
            let pause = match self.attempt().await {
                Outcome::Committed => {
                    self.committed();
                    return Ok(());
                }
                Outcome::Stop => return Err(Stopped),
                Outcome::Again(pause) => pause,
            };
            self.count(CommitResult::Failed);
            tokio::select! {
                biased;
                () = self.cx.book.until_closed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    fn committed(&mut self) {
        if std::mem::take(&mut self.alone) {
            // The next one is sent in batches again.
            self.producer = None;
        }
        let txn = std::mem::take(&mut self.txn);
        if txn.is_empty() {
            // All partitions of it were given to others.
            return;
        }
        self.cx.book.set_committed(&txn.positions);
        for part in txn.pieces {
            let Piece { line, batch, .. } = part.piece;
            line.metrics.sent(batch.len());
            line.ledger.recycle(batch);
        }
        self.count(CommitResult::Ok);
    }

    fn count(&self, result: CommitResult) {
        self.cx.status.committed(matches!(result, CommitResult::Ok));
        self.cx.metrics.committed(result, self.cx.clock.millis());
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
