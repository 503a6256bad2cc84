//! The lane of `concurrency = N`: up to N keys of the partition at once, each key in offset order.

use std::collections::VecDeque;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::core::{Core, Next};
use super::inbox::{Closing, EndGuard};
use super::refusal;
use super::returned;
use super::schedule::{KeyId, KeySchedule};
use super::shipping::Shipping;
use crate::agent::{AgentInput, Verdict};
use crate::error::AgentError;
use crate::extract::{Call, Outbox};
use crate::middleware::CallRecords;
use crate::record::Chunk;
use crate::runtime::ack::Ticket;
use crate::staging::StagedBatch;
use crate::telemetry::SkipReason;

/// A record that waits for its key or for a place.
struct Job {
    chunk: Chunk,
    index: usize,
    ticket: Ticket,
}

/// A record that was run to its end.
struct Ended {
    key: KeyId,
    ticket: Ticket,
    next: Next,
    outbox: Outbox,
}

/// The calls that run.
struct Running<C: Future> {
    calls: FuturesUnordered<C>,
    /// Ended while the lane did something else.
    over: VecDeque<C::Output>,
}

impl<C: Future> Default for Running<C> {
    fn default() -> Self {
        Self {
            calls: FuturesUnordered::new(),
            over: VecDeque::new(),
        }
    }
}

impl<C: Future> Running<C> {
    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.over.is_empty()
    }

    /// The next one that has ended; `None`: none runs.
    async fn ended(&mut self) -> Option<C::Output> {
        match self.over.pop_front() {
            Some(ended) => Some(ended),
            None => self.calls.next().await,
        }
    }

    /// Does something that may wait; the calls go on meanwhile.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(ended) = self.calls.next() => self.over.push_back(ended),
            }
        }
    }
}

/// `cores`: one per topic records come from.
pub(super) async fn run<In, P, H, Fut>(cores: Arc<[Arc<Core<In, P, H>>]>, limit: usize)
where
    In: AgentInput,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    let core = &cores[0];
    let inbox = core.cx.inbox.clone();
    let _end = EndGuard::new(inbox.clone());
    if !core.gates_open().await {
        return;
    }
    let hasher = RandomState::new();
    let mut shipping = Shipping::new(&core.cx).timed(&core.cx.metrics);
    let mut schedule: KeySchedule<Job> = KeySchedule::new(limit);
    let mut running = Running::default();
    let mut outboxes: Vec<Outbox> = Vec::new();
    // Enough look-ahead to find N different keys, and no more.
    let look_ahead = (limit * 16).max(256);

    loop {
        let closing = inbox.closing();
        // What was overtaken still starts: room may come only when its offset is done. And so does what another lane
        // waits for.
        let congested = shipping.is_congested();
        if congested && shipping.is_awaited() {
            schedule.overtake_all();
        }
        // Behind what is awaited nothing more is taken: all of what was taken may have to start.
        while closing == Closing::No && schedule.waiting() < look_ahead && !shipping.is_at_meeting()
        {
            let Some((chunk, bytes)) = inbox.pop() else {
                break;
            };
            core.cx.received(&chunk, bytes);
            for index in 0..chunk.len() {
                let key = chunk.key(index).map(|key| hasher.hash_one(key));
                let ticket = core.cx.ack.open(chunk.offset(index));
                schedule.push(
                    key,
                    Job {
                        chunk: chunk.clone(),
                        index,
                        ticket,
                    },
                );
            }
            if congested && shipping.is_awaited() {
                schedule.overtake_all();
            }
        }
        // A record that others have overtaken holds back their offsets: left to the next owner, it would
        // take them with it, and they would be handled twice.
        while let Some((key, job)) = match closing {
            Closing::No if congested => schedule.start_behind(),
            Closing::No => schedule.start(),
            Closing::Drain => schedule.start_overtaken(),
            Closing::Abandon => None,
        } {
            let outbox = outboxes.pop().unwrap_or_else(|| core.outbox());
            running.calls.push(run_job(cores.clone(), key, job, outbox));
        }
        if closing != Closing::No && running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some(ended) = running.ended() => {
                let Ended { key, ticket, next, outbox } = ended;
                if next == Next::Halt {
                    schedule.halted(key);
                    continue;
                }
                schedule.done(key);
                let mut batch = shipping.spare();
                outbox.swap(&mut batch);
                running.beside(settle(core, &mut shipping, batch, ticket)).await;
                outboxes.push(outbox);
            }
            () = inbox.notify.notified() => {}
        }
        while let Some(refused) = shipping.reap() {
            let attended = refusal::attend(core, &mut shipping, refused);
            if running.beside(attended).await == Next::Halt {
                break;
            }
        }
    }
    while !shipping.is_idle() && shipping.oldest_complete().await {
        if shipping.reap().is_some() || inbox.closing() == Closing::Abandon {
            return;
        }
    }
}

async fn settle<In: AgentInput, P, H>(
    core: &Core<In, P, H>,
    shipping: &mut Shipping,
    batch: StagedBatch,
    ticket: Ticket,
) {
    let ack = &core.cx.ack;
    if batch.is_empty() || !core.cx.has_exit() {
        ack.settle(ticket);
        return;
    }
    let sent = shipping.ship(batch, Some((ack.clone(), ticket))).await;
    core.cx.metrics.sent(sent);
}

async fn run_job<In, P, H, Fut>(
    cores: Arc<[Arc<Core<In, P, H>>]>,
    key: KeyId,
    job: Job,
    mut outbox: Outbox,
) -> Ended
where
    In: AgentInput,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    let Job {
        mut chunk,
        mut index,
        ticket,
    } = job;
    let mut core = &cores[0];
    if core.cx.stage > 0 {
        let next = match returned::open(&chunk, index, &core.cx.plan.real_topics) {
            Ok(record) => {
                let due = record.due;
                core = &cores[record.input];
                (chunk, index) = (Arc::new(record), 0);
                core.until_due(due).await
            }
            Err(error) => core.undecodable(&outbox, &chunk, index, &error).await,
        };
        if next != Next::Again {
            return Ended {
                key,
                ticket,
                next,
                outbox,
            };
        }
    }
    let earlier = core.earlier_attempts(&chunk);
    let mut attempt = 1;
    let mut slot = pin!(None);
    let next = loop {
        let mut buffer = In::Buffer::default();
        match core.decode(&mut buffer, &chunk, index) {
            Ok(true) => {}
            Ok(false) => {
                core.cx.metrics.skipped(SkipReason::Tombstone, 1);
                break Next::Done;
            }
            Err(mut error) => match core.obtain(&mut error).await {
                Next::Again => continue,
                Next::Done => break core.undecodable(&outbox, &chunk, index, &error).await,
                Next::Halt => break Next::Halt,
            },
        }
        let Some(input) = In::take(&mut buffer) else {
            break Next::Done;
        };
        let record = CallRecords::One(&chunk, index);
        let result = core
            .attempt(
                input,
                record,
                &mut outbox,
                earlier.saturating_add(attempt),
                slot.as_mut(),
            )
            .await;
        let Err(failure) = result else {
            break Next::Done;
        };
        match core.failed(&failure, attempt, &outbox, &chunk, index).await {
            Next::Again => attempt += 1,
            next => break next,
        }
    };
    Ended {
        key,
        ticket,
        next,
        outbox,
    }
}
