//! A lane's outputs on their way to the broker.
//!
//! In: staged batches, each with the span of input it belongs to. Out: settled spans, once every output
//! of a span is acknowledged. Nothing waits record by record: one counter per shipment, and the
//! producer's thread settles the span itself. Only a failed delivery needs the lane: later shipments
//! wait behind it, so that order holds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::extract::OutputTable;
use crate::runtime::ack::{LaneAck, Ticket};
use crate::runtime::lane::LaneContext;
use crate::runtime::lane::inbox::{Closing, Inbox};
use crate::runtime::lane::letters;
use crate::runtime::lane::overtaken::Overtaken;
use crate::runtime::transact::ledger::Ledger;
use crate::staging::StagedBatch;
use crate::telemetry::LaneMetrics;
use crate::transport::{Delivered, DeliverySink, ProducerHandle, ProducerTopic, TransportError};

/// With this many records of the producer on their way, a lane with some among them waits: a longer queue
/// fills memory and is dearer, because a record that is reported late is no longer in the caches.
const MAX_IN_FLIGHT: usize = 10_000;
/// It goes on below this, so that it is not woken for every shipment.
const ENOUGH_LANDED: usize = MAX_IN_FLIGHT / 4 * 3;
/// Cleared batches a lane keeps, each of at most so many bytes.
const MAX_SPARE: usize = 16;
const MAX_SPARE_BYTES: usize = 256 * 1024;

/// Where a lane's outputs go.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) producer: Arc<dyn ProducerHandle>,
    /// Translates the topic indices of the lane's output table.
    pub(crate) topics: Arc<[ProducerTopic]>,
}

/// Input that waits for outputs.
type Span = (Arc<LaneAck>, Ticket);

/// What a shipment settles. What is sent again may belong to several spans.
#[derive(Clone, Debug, Default)]
struct Spans {
    one: Option<Span>,
    more: Vec<Span>,
}

impl Spans {
    fn settle(&self) {
        for (ack, ticket) in self.one.iter().chain(&self.more) {
            ack.settle(*ticket);
        }
    }
}

impl From<Option<Span>> for Spans {
    fn from(one: Option<Span>) -> Self {
        let more = Vec::new();
        Self { one, more }
    }
}

/// Outputs of some attempts, sent together and settled together.
#[derive(Debug)]
struct Shipment {
    remaining: AtomicUsize,
    failed: AtomicBool,
    failures: Mutex<Vec<(usize, TransportError)>>,
    spans: Spans,
    lane: Arc<Inbox>,
    sent: Instant,
    metrics: Option<LaneMetrics>,
}

impl DeliverySink for Shipment {
    fn delivered(&self, index: usize, result: Result<Delivered, TransportError>) {
        if let Err(error) = result {
            self.failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((index, error));
            self.failed.store(true, Ordering::Release);
        }
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            if !self.failed.load(Ordering::Acquire) {
                self.spans.settle();
            }
            self.lane.signs.answered();
            if let Some(metrics) = &self.metrics {
                metrics.shipped(self.sent.elapsed());
            }
            self.lane.notify.notify_one();
        }
    }
}

impl Shipment {
    fn is_complete(&self) -> bool {
        self.remaining.load(Ordering::Acquire) == 0
    }

    /// Those of a complete shipment, in its order.
    fn take_failures(&self) -> Vec<(usize, TransportError)> {
        let failures = &mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failures = std::mem::take(failures);
        failures.sort_by_key(|(index, _)| *index);
        failures
    }
}

#[derive(Debug)]
struct InFlight {
    shipment: Arc<Shipment>,
    batch: StagedBatch,
    /// Deliveries tried so far.
    attempt: u32,
}

/// A shipment some of whose records the broker refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) batch: StagedBatch,
    pub(crate) failures: Vec<(usize, TransportError)>,
    pub(crate) attempt: u32,
    spans: Spans,
}

impl Refused {
    /// Gives the outputs up: their input counts as done.
    pub(crate) fn settle(self) {
        self.spans.settle();
    }
}

/// The lane's own bookkeeping of what is on its way.
#[derive(Debug)]
pub(crate) struct Shipping {
    outlet: Option<Outlet>,
    /// With exactly once: outputs are noted here, and a transaction takes them.
    ledger: Option<Arc<Ledger>>,
    inbox: Arc<Inbox>,
    metrics: Option<LaneMetrics>,
    in_flight: VecDeque<InFlight>,
    /// Waits until enough has landed.
    congested: bool,
    /// Cleared batches with their capacity.
    spare: Vec<StagedBatch>,
}

impl Shipping {
    pub(crate) fn new(cx: &LaneContext) -> Self {
        Self {
            outlet: cx.outlet.clone(),
            ledger: cx.ledger.clone(),
            inbox: cx.inbox.clone(),
            metrics: None,
            in_flight: VecDeque::new(),
            congested: false,
            spare: Vec::new(),
        }
    }

    /// Measures how long shipments take.
    pub(crate) fn timed(self, metrics: &LaneMetrics) -> Self {
        let metrics = Some(metrics.clone());
        Self { metrics, ..self }
    }

    /// An empty batch to stage into.
    pub(crate) fn spare(&mut self) -> StagedBatch {
        match &self.ledger {
            Some(ledger) => ledger.spare(),
            None => self.spare.pop().unwrap_or_default(),
        }
    }

    /// Sends a batch; `span` settles when all of it is acknowledged. Waits while too much is on its
    /// way. Answers how many records left.
    pub(crate) async fn ship(&mut self, mut batch: StagedBatch, span: Option<Span>) -> usize {
        batch.release_chunks();
        if let Some(ledger) = &self.ledger {
            if let Some((ack, ticket)) = span {
                ledger.stage(ticket, batch);
                // Noted first: whoever sees the position finds the outputs.
                ack.settle(ticket);
            }
            // Counted when the transaction is committed.
            return 0;
        }
        let records = batch.len();
        self.send(batch, span.into(), 1).await;
        records
    }

    /// Sends again what was refused, once everything else on its way has an answer, and after it, once more, what had
    /// followed it (`overtaken`). Answers how many of those there are; `None` when the lane is told to end, and nothing was sent.
    pub(crate) async fn resend(&mut self, refused: Refused) -> Option<usize> {
        if !self.all_complete().await {
            return None;
        }
        let mut overtaken = Overtaken::default();
        let (mut again, mut repeated) = (self.spare(), 0);
        let (mut spans, mut attempt) = (refused.spans, refused.attempt);
        let first = (refused.batch, refused.failures);
        let later = std::mem::take(&mut self.in_flight)
            .into_iter()
            .map(|later| {
                let failures = later.shipment.take_failures();
                if !failures.is_empty() {
                    attempt = attempt.max(later.attempt);
                    let Spans { one, more } = later.shipment.spans.clone();
                    spans.more.extend(one.into_iter().chain(more));
                }
                (later.batch, failures)
            });
        for (batch, failures) in std::iter::once(first).chain(later) {
            let chosen = overtaken.choose(&batch, &failures);
            for index in &chosen {
                again.push_from(&batch, *index);
            }
            repeated += chosen.len() - failures.len();
            self.recycle(batch);
        }
        again.release_chunks();
        // Together, so that no input of what was refused is done before what follows it is there again.
        self.send(again, spans, attempt + 1).await;
        Some(repeated)
    }

    /// Sends what was refused to a dead-letter topic instead; its input settles with that.
    pub(crate) async fn redirect(
        &mut self,
        refused: Refused,
        topic: usize,
        agent: &str,
        table: &OutputTable,
    ) {
        let Refused {
            batch,
            failures,
            spans,
            ..
        } = refused;
        let mut letters = self.spare();
        for (index, error) in &failures {
            letters::stage_output(&mut letters, topic, agent, &batch.get(*index), table, error);
        }
        self.recycle(batch);
        self.send(letters, spans, 1).await;
    }

    async fn send(&mut self, batch: StagedBatch, spans: Spans, attempt: u32) {
        let Some(outlet) = self.outlet.clone() else {
            return;
        };
        let shipment = Arc::new(Shipment {
            remaining: AtomicUsize::new(batch.len()),
            failed: AtomicBool::new(false),
            failures: Mutex::default(),
            spans,
            lane: self.inbox.clone(),
            sent: Instant::now(),
            metrics: self.metrics.clone(),
        });
        self.inbox.signs.shipped();
        let sink: Arc<dyn DeliverySink> = shipment.clone();
        let mut taken = 0;
        loop {
            let space = outlet.producer.space().notified();
            tokio::pin!(space);
            // Registered before asking, so that room made meanwhile is not missed.
            space.as_mut().enable();
            taken += outlet
                .producer
                .produce(&outlet.topics, &batch, taken..batch.len(), &sink);
            if taken == batch.len() {
                break;
            }
            space.await;
        }
        self.in_flight.push_back(InFlight {
            shipment,
            batch,
            attempt,
        });
    }

    /// Forgets acknowledged shipments; answers the oldest refused one.
    pub(crate) fn reap(&mut self) -> Option<Refused> {
        while let Some(front) = self.in_flight.front() {
            if !front.shipment.is_complete() {
                return None;
            }
            let done = self.in_flight.pop_front()?;
            if !done.shipment.failed.load(Ordering::Acquire) {
                if done.attempt > 1 {
                    self.inbox.signs.accepted();
                }
                self.recycle(done.batch);
                continue;
            }
            let failures = done.shipment.take_failures();
            let spans = done.shipment.spans.clone();
            return Some(Refused {
                batch: done.batch,
                failures,
                attempt: done.attempt,
                spans,
            });
        }
        None
    }

    fn recycle(&mut self, mut batch: StagedBatch) {
        batch.clear();
        if self.spare.len() < MAX_SPARE && batch.capacity() <= MAX_SPARE_BYTES {
            self.spare.push(batch);
        }
    }

    /// Whether another lane of the partition waits for this one: then it goes on although it is congested.
    pub(crate) fn is_awaited(&self) -> bool {
        self.ledger
            .as_ref()
            .is_some_and(|ledger| ledger.is_awaited())
    }

    /// Whether the lane has come where another one waits for it: its span has to end here.
    pub(crate) fn is_at_meeting(&self) -> bool {
        self.ledger
            .as_ref()
            .is_some_and(|ledger| ledger.is_at_meeting())
    }

    /// Whether the lane has to wait before it stages more, unless it is awaited.
    pub(crate) fn is_congested(&mut self) -> bool {
        if let Some(ledger) = &self.ledger {
            return ledger.is_full();
        }
        let (Some(outlet), Some(_)) = (&self.outlet, self.in_flight.front()) else {
            // Others' records are not waited for: they may never land.
            self.congested = false;
            return false;
        };
        let most = if self.congested {
            ENOUGH_LANDED
        } else {
            MAX_IN_FLIGHT
        };
        self.congested = outlet.producer.in_flight() >= most;
        self.congested
    }

    /// Waits until the oldest shipment is complete, or the ledger has room; `false` when the lane was abandoned meanwhile,
    /// or told to end with a full ledger.
    pub(crate) async fn oldest_complete(&self) -> bool {
        loop {
            let notified = self.inbox.notify.notified();
            match self.in_flight.front() {
                // The room may come with what others are still to do, so an ending lane does not wait for it.
                None if self.ledger.as_ref().is_some_and(|ledger| ledger.is_full())
                    && !self.is_awaited() =>
                {
                    if self.inbox.is_closing() {
                        return false;
                    }
                }
                None => return true,
                Some(front) if front.shipment.is_complete() => return true,
                Some(_) => {}
            }
            if self.inbox.closing() == Closing::Abandon {
                return false;
            }
            notified.await;
        }
    }

    /// Waits until every shipment is complete; `false` when the lane is told to end meanwhile.
    async fn all_complete(&self) -> bool {
        loop {
            let notified = self.inbox.notify.notified();
            if self.in_flight.iter().all(|one| one.shipment.is_complete()) {
                return true;
            }
            if self.inbox.is_closing() {
                return false;
            }
            notified.await;
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether an acknowledged or refused shipment waits to be reaped.
    pub(crate) fn has_news(&self) -> bool {
        self.in_flight
            .front()
            .is_some_and(|front| front.shipment.is_complete())
    }
}
