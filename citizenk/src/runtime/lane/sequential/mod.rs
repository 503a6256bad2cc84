//! The usual lane: one call at a time, in offset order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use futures_util::future::join;
use tokio::time::Instant;

use super::attempt::{Begun, Waiting, with_context};
use super::core::{Core, Failure, Next};
use super::inbox::EndGuard;
use super::pace::Pace;
use super::refusal;
use super::returned;
use super::shipping::Shipping;
use crate::agent::{AgentInput, Verdict};
use crate::error::{AgentError, DecodeError};
use crate::extract::{Call, Outbox};
use crate::middleware::CallRecords;
use crate::record::Chunk;
use crate::runtime::ack::{LaneAck, Ticket};
use crate::staging::StagedBatch;
use crate::telemetry::{InFlight, SkipReason};

mod batch;

use self::batch::Segment;

/// Why a lane stopped going through a chunk.
enum Stop {
    End,
    Closing,
    /// Enough is done to settle it.
    Due,
    /// A batch is full.
    Batch,
    /// A call waits, or has failed.
    Record(Begun),
    Undecodable(DecodeError),
}

struct Sequential<In: AgentInput, P, H, Fut> {
    core: Core<In, P, H>,
    /// On a retry topic: those of the agent's other topics.
    others: Vec<Core<In, P, H>>,
    /// The future of the call that runs.
    slot: Pin<Box<Option<Fut>>>,
    buffer: In::Buffer,
    /// Records in `buffer`, for retries and dead letters.
    waiting: Vec<Segment>,
    waiting_len: usize,
    /// When the batch goes even if it is not full.
    deadline: Option<Instant>,
    /// A tombstone behind the records that wait.
    skipped: Option<i64>,
    outbox: Outbox,
    shipping: Shipping,
    /// The last record that needs nothing more than its outputs' acknowledgement.
    done: Option<i64>,
    /// How far spans were opened.
    opened: Option<i64>,
    unsettled: u32,
    suspended: bool,
    pace: Pace,
}

pub(super) async fn run<In, P, H, Fut>(core: Core<In, P, H>, others: Vec<Core<In, P, H>>)
where
    In: AgentInput,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    let _end = EndGuard::new(core.cx.inbox.clone());
    if !core.gates_open().await {
        return;
    }
    let outbox = core.outbox();
    let shipping = Shipping::new(&core.cx).timed(&core.cx.metrics);
    let mut lane = Sequential {
        core,
        others,
        slot: Box::pin(None),
        buffer: In::Buffer::default(),
        waiting: Vec::new(),
        waiting_len: 0,
        deadline: None,
        skipped: None,
        outbox,
        shipping,
        done: None,
        opened: None,
        unsettled: 0,
        suspended: false,
        pace: Pace::new(Instant::now()),
    };
    lane.work().await;
    lane.drain().await;
}

impl<In, P, H, Fut> Sequential<In, P, H, Fut>
where
    In: AgentInput,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    async fn work(&mut self) {
        let inbox = self.core.cx.inbox.clone();
        let in_flight = self.core.cx.metrics.in_flight();
        loop {
            if inbox.is_closing() || self.attend().await == Next::Halt {
                return;
            }
            if self.shipping.is_at_meeting() {
                if self.batch().await == Next::Halt {
                    return;
                }
                self.settle().await;
            }
            if let Some((chunk, bytes)) = inbox.pop() {
                self.core.cx.received(&chunk, bytes);
                let next = match self.core.cx.stage {
                    0 => self.taken(&chunk, &in_flight).await,
                    _ => self.returned(&chunk, &in_flight).await,
                };
                drop(chunk);
                if next == Next::Halt {
                    return;
                }
                // Other lanes of this worker get their turn.
                tokio::task::yield_now().await;
                continue;
            }
            let notified = inbox.notify.notified();
            if inbox.queued() > 0 || inbox.is_closing() || self.shipping.has_news() {
                continue;
            }
            match self.deadline {
                None => notified.await,
                Some(deadline) => {
                    // No timer for what waits for nothing: the least one takes a millisecond.
                    let due = deadline <= Instant::now() || {
                        // A batch that fills is no stall.
                        let _rest = inbox.signs.rest();
                        tokio::time::timeout_at(deadline, notified).await.is_err()
                    };
                    if due {
                        if self.batch().await == Next::Halt {
                            return;
                        }
                        self.settle().await;
                    }
                }
            }
        }
    }

    async fn taken(&mut self, chunk: &Chunk, in_flight: &InFlight) -> Next {
        let begun = Instant::now();
        let records = chunk.len();
        in_flight.add(records);
        self.pace.begin(begun);
        if self.chunk(chunk).await == Next::Halt {
            return Next::Halt;
        }
        in_flight.sub(records);
        // One look at the clock per chunk: the average of its records.
        let average = begun.elapsed() / u32::try_from(records).unwrap_or(u32::MAX).max(1);
        self.core.cx.metrics.handled(average);
        self.settle().await;
        Next::Done
    }

    /// Records of a retry topic, each in its time. A batch holds what is due, of one topic.
    async fn returned(&mut self, chunk: &Chunk, in_flight: &InFlight) -> Next {
        for index in 0..chunk.len() {
            let opened = returned::open(chunk, index, &self.core.cx.plan.real_topics);
            let next = match opened {
                Ok(record) => {
                    let (input, due) = (record.input, record.due);
                    let here = input == self.core.cx.input;
                    if (!here || self.core.wait_for(due).is_some())
                        && self.batch().await == Next::Halt
                    {
                        return Next::Halt;
                    }
                    self.settle().await;
                    if let Some(other) = self.others.iter_mut().find(|core| core.cx.input == input)
                    {
                        std::mem::swap(&mut self.core, other);
                    }
                    if self.until_due(due).await == Next::Halt {
                        return Next::Halt;
                    }
                    let record: Chunk = std::sync::Arc::new(record);
                    self.taken(&record, in_flight).await
                }
                Err(error) => self.undecodable(chunk, index, error).await,
            };
            if next == Next::Halt {
                return Next::Halt;
            }
        }
        self.settle().await;
        Next::Done
    }

    /// Waits until a record is due, and looks after deliveries meanwhile.
    async fn until_due(&mut self, due: i64) -> Next {
        let inbox = self.core.cx.inbox.clone();
        let mut resting = None;
        while let Some(left) = self.core.wait_for(due) {
            resting.get_or_insert_with(|| inbox.rest());
            let notified = inbox.notify.notified();
            if inbox.is_closing() || self.attend().await == Next::Halt {
                return Next::Halt;
            }
            // Whether it was woken or not: what there is to do is seen above.
            let _ = tokio::time::timeout(left, notified).await;
        }
        Next::Again
    }

    async fn chunk(&mut self, chunk: &Chunk) -> Next {
        let mut index = 0;
        loop {
            let stop = with_context(|cx| self.quick(chunk, &mut index, cx)).await;
            let next = match stop {
                Stop::End => return Next::Done,
                Stop::Closing => return Next::Halt,
                Stop::Due => Next::Done,
                Stop::Batch => self.batch().await,
                Stop::Record(begun) => {
                    let result = match begun {
                        Begun::Over(result) => result,
                        Begun::Waits(waiting) => self.resume(waiting).await,
                    };
                    let next = self.single(chunk, index, result).await;
                    index += usize::from(next != Next::Again);
                    next
                }
                Stop::Undecodable(error) => {
                    let next = self.undecodable(chunk, index, error).await;
                    index += usize::from(next != Next::Again);
                    next
                }
            };
            if next == Next::Halt {
                return Next::Halt;
            }
            if self.suspended || self.unsettled >= self.pace.records() {
                if self.suspended {
                    self.pace.begin(Instant::now());
                } else {
                    self.pace.settled(Instant::now());
                }
                self.settle().await;
                if self.attend().await == Next::Halt {
                    return Next::Halt;
                }
            }
        }
    }

    /// Goes through the records from `index` on as long as nothing has to be waited for. Where it stops
    /// at a record, `index` is that record's.
    fn quick(&mut self, chunk: &Chunk, index: &mut usize, cx: &mut Context<'_>) -> Stop {
        let (first, len) = (*index, chunk.len());
        let attempt = self.core.earlier_attempts(chunk).saturating_add(1);
        let stop = loop {
            if *index == len {
                break Stop::End;
            }
            if self.unsettled >= self.pace.records() {
                break Stop::Due;
            }
            if self.core.cx.inbox.is_closing() {
                break Stop::Closing;
            }
            if In::BATCH {
                match self.core.decode(&mut self.buffer, chunk, *index) {
                    Ok(true) => self.wait_for_batch(chunk, *index),
                    Ok(false) => self.skip_tombstone(chunk, *index),
                    Err(error) => break Stop::Undecodable(error),
                }
                *index += 1;
                self.unsettled += 1;
                if self.waiting_len >= self.core.cx.plan.spec.tuning.batch_size {
                    break Stop::Batch;
                }
                continue;
            }
            match self.core.decode_one(chunk, *index) {
                Ok(Some(input)) => {
                    let record = CallRecords::One(chunk, *index);
                    let slot = self.slot.as_mut();
                    let outbox = &mut self.outbox;
                    match self.core.begin(input, record, outbox, attempt, slot, cx) {
                        Begun::Over(Ok(_)) => {}
                        begun => break Stop::Record(begun),
                    }
                }
                Ok(None) => self.core.cx.metrics.skipped(SkipReason::Tombstone, 1),
                Err(error) => break Stop::Undecodable(error),
            }
            *index += 1;
            self.unsettled += 1;
        };
        if !In::BATCH && *index > first {
            self.finished(chunk.position(*index - 1));
        }
        stop
    }

    /// `Again`: what was missing is there now.
    async fn undecodable(&mut self, chunk: &Chunk, index: usize, mut error: DecodeError) -> Next {
        // Order: the batch before it must be done before the record can be passed.
        if self.batch().await == Next::Halt {
            return Next::Halt;
        }
        self.settle().await;
        let obtained = self.core.obtain(&mut error).await;
        if obtained != Next::Done {
            return obtained;
        }
        let next = self
            .core
            .undecodable(&self.outbox, chunk, index, &error)
            .await;
        if next != Next::Halt {
            self.finished(chunk.position(index));
            self.unsettled += 1;
        }
        next
    }

    /// What comes after the first call for an event, until it is done with.
    async fn single(
        &mut self,
        chunk: &Chunk,
        index: usize,
        mut result: Result<Verdict, Failure>,
    ) -> Next {
        let mut attempt = 1;
        let earlier = self.core.earlier_attempts(chunk);
        while let Err(failure) = result {
            // What came before must not wait for the pauses, or the end, of this one.
            self.settle().await;
            match self
                .core
                .failed(&failure, attempt, &self.outbox, chunk, index)
                .await
            {
                Next::Again => attempt += 1,
                Next::Done => break,
                Next::Halt => return Next::Halt,
            }
            match self.core.decode_one(chunk, index) {
                Ok(Some(input)) => {
                    let tries = earlier.saturating_add(attempt);
                    let record = CallRecords::One(chunk, index);
                    result = self.attempt(input, record, tries).await;
                }
                Ok(None) => break,
                Err(error) => return self.undecodable(chunk, index, error).await,
            }
        }
        self.finished(chunk.position(index));
        self.unsettled += 1;
        Next::Done
    }

    /// Calls the handler once, from the beginning to the end.
    async fn attempt(
        &mut self,
        input: In,
        records: CallRecords<'_>,
        attempt: u32,
    ) -> Result<Verdict, Failure> {
        let (core, slot, outbox) = (&self.core, self.slot.as_mut(), &mut self.outbox);
        let begun = with_context(|cx| core.begin(input, records, outbox, attempt, slot, cx)).await;
        match begun {
            Begun::Over(result) => result,
            Begun::Waits(waiting) => self.resume(waiting).await,
        }
    }

    /// Goes on with a call that has to wait; what was done before leaves meanwhile.
    async fn resume(&mut self, waiting: Waiting) -> Result<Verdict, Failure> {
        self.suspended = true;
        let earlier = self.earlier();
        let call = self.core.resume(waiting, &self.outbox, self.slot.as_mut());
        let Some((batch, span)) = earlier else {
            return call.await;
        };
        let (sent, result) = join(self.shipping.ship(batch, Some(span)), call).await;
        self.core.cx.metrics.sent(sent);
        result
    }

    /// What was done before the current call and is not on its way yet; settled at once where it has no outputs.
    fn earlier(&mut self) -> Option<(StagedBatch, (Arc<LaneAck>, Ticket))> {
        let through = self.done.filter(|_| self.done > self.opened)?;
        self.opened = Some(through);
        self.unsettled = 0;
        let ack = &self.core.cx.ack;
        let mut batch = self.shipping.spare();
        self.outbox.take_earlier(&mut batch);
        if batch.is_empty() {
            ack.settle_through(through);
            return None;
        }
        Some((batch, (ack.clone(), ack.open(through))))
    }

    /// Sends what was done before the current call, apart from the call's own outputs: if that ends half done, these
    /// must not leave with it.
    async fn part_from_earlier(&mut self) {
        if let Some((batch, span)) = self.earlier() {
            let sent = self.shipping.ship(batch, Some(span)).await;
            self.core.cx.metrics.sent(sent);
        }
    }

    fn finished(&mut self, offset: i64) {
        self.done = Some(offset);
    }

    /// Ships what is staged and opens the span up to the last record done.
    async fn settle(&mut self) {
        self.unsettled = 0;
        self.suspended = false;
        if self.done <= self.opened {
            return;
        }
        let Some(through) = self.done else { return };
        self.opened = Some(through);
        let ack = &self.core.cx.ack;
        let mut batch = self.shipping.spare();
        if self.core.cx.has_exit() {
            self.outbox.swap(&mut batch);
        }
        if batch.is_empty() {
            ack.settle_through(through);
            return;
        }
        let ticket = ack.open(through);
        let sent = self.shipping.ship(batch, Some((ack.clone(), ticket))).await;
        self.core.cx.metrics.sent(sent);
    }

    /// Looks after deliveries: waits while too much is on its way, and handles what was refused.
    async fn attend(&mut self) -> Next {
        loop {
            while let Some(refused) = self.shipping.reap() {
                if refusal::attend(&self.core, &mut self.shipping, refused).await == Next::Halt {
                    return Next::Halt;
                }
            }
            if !self.shipping.is_congested() || self.shipping.is_awaited() {
                return Next::Done;
            }
            if !self.shipping.oldest_complete().await {
                return Next::Halt;
            }
        }
    }

    /// The lane is told to end: what was shipped settles, everything else stays unsettled.
    async fn drain(&mut self) {
        self.settle().await;
        while !self.shipping.is_idle() {
            if !self.shipping.oldest_complete().await {
                return;
            }
            if let Some(refused) = self.shipping.reap() {
                tracing::warn!(
                    agent = self.core.cx.plan.spec.name, partition = %self.core.cx.partition,
                    count = refused.failures.len(), "outputs not delivered while stopping; their input will be processed again"
                );
                return;
            }
        }
    }
}
