//! One call of the handler.
//!
//! In: an input and a slot. Out: the verdict, or why there is none. The handler's future is made in the
//! slot, polled there and dropped there: it is never moved, and a call that never waits costs no more
//! than one poll. A slot belongs to whoever makes the calls; dropping it ends the call that runs.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::core::{Core, Failure};
use crate::agent::{AgentInput, Verdict};
use crate::error::{AgentError, panic_text};
use crate::extract::{Call, Outbox};
use crate::middleware::{CallRecords, Wrapped};

/// Where a call's future is; empty between two calls.
pub(super) type Slot<'a, Fut> = Pin<&'a mut Option<Fut>>;

/// How far a call came by its first poll.
pub(super) enum Begun {
    /// It is over; the slot is empty.
    Over(Result<Verdict, Failure>),
    Waits(Waiting),
}

/// Where a call's future is while it waits.
enum Place {
    Slot,
    /// On the pool of blocking threads.
    Pool(JoinHandle<Verdict>),
    /// Within its middlewares.
    Wrapped(Wrapped),
}

/// A call that has to wait for something.
pub(super) struct Waiting {
    place: Place,
    /// When it is dropped, and the limit that says so.
    deadline: Option<(Instant, Duration)>,
}

/// Runs `work` with the waker of the task that awaits this.
pub(super) async fn with_context<R>(work: impl FnOnce(&mut Context<'_>) -> R) -> R {
    let mut work = Some(work);
    poll_fn(|cx| match work.take() {
        Some(work) => Poll::Ready(work(cx)),
        // Nobody polls a future again that was ready.
        None => Poll::Pending,
    })
    .await
}

impl<In, P, H, Fut> Core<In, P, H>
where
    In: AgentInput,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    /// Makes the handler's future: the only place that does.
    #[inline]
    fn create(
        &self,
        input: In,
        records: CallRecords<'_>,
        outbox: &Outbox,
        attempt: u32,
    ) -> Result<Fut, AgentError> {
        let call = Call {
            record: records.single(),
            outbox,
            partitions: None,
            attempt,
            mode: PhantomData,
        };
        (self.handler)(&self.prepared, &call, input)
    }

    /// Begins a call: makes its future in the slot and polls it once. One that waits goes on in
    /// [`Core::resume`].
    #[inline]
    pub(super) fn begin(
        &self,
        input: In,
        records: CallRecords<'_>,
        outbox: &mut Outbox,
        attempt: u32,
        mut slot: Slot<'_, Fut>,
        cx: &mut Context<'_>,
    ) -> Begun {
        if self.stages {
            outbox.begin();
        }
        if self.aside {
            return self.begin_aside(input, records, outbox, attempt, cx);
        }
        let deadline = self.deadline();
        let outbox = &*outbox;
        let polled = catch_unwind(AssertUnwindSafe(|| {
            slot.set(Some(self.create(input, records, outbox, attempt)?));
            let poll = poll_slot(slot.as_mut(), cx);
            if poll.is_ready() {
                slot.set(None);
            }
            Ok(poll)
        }));
        match polled {
            Ok(Ok(Poll::Ready(verdict))) => Begun::Over(self.end(outbox, Ok(verdict))),
            Ok(Ok(Poll::Pending)) => Begun::Waits(Waiting {
                place: Place::Slot,
                deadline,
            }),
            Ok(Err(error)) => Begun::Over(self.end(outbox, Err(Failure::Error(error)))),
            Err(panic) => {
                clear(slot);
                let failure = Failure::Panic(panic_text(&*panic));
                Begun::Over(self.end(outbox, Err(failure)))
            }
        }
    }

    /// Begins a call whose future is not in the slot: on the pool of blocking threads, within
    /// middlewares, or both. One on the pool that is cut off by its timeout goes on there, but what it
    /// stages is refused.
    fn begin_aside(
        &self,
        input: In,
        records: CallRecords<'_>,
        outbox: &Outbox,
        attempt: u32,
        cx: &mut Context<'_>,
    ) -> Begun {
        let deadline = self.deadline();
        let made = catch_unwind(AssertUnwindSafe(|| {
            self.create(input, records, outbox, attempt)
        }));
        if let Some(around) = &self.cx.plan.around {
            let limit = self.cx.plan.spec.tuning.timeout;
            let mut call = around.call(records, attempt, made, limit);
            if self.blocking {
                return on_pool(call, deadline);
            }
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            return match polled {
                Ok(Poll::Ready(verdict)) => Begun::Over(self.end(outbox, Ok(verdict))),
                Ok(Poll::Pending) => Begun::Waits(Waiting {
                    place: Place::Wrapped(call),
                    deadline,
                }),
                Err(panic) => {
                    let failure = Failure::Panic(panic_text(&*panic));
                    Begun::Over(self.end(outbox, Err(failure)))
                }
            };
        }
        let failure = match made {
            Ok(Ok(future)) => return on_pool(future, deadline),
            Ok(Err(error)) => Failure::Error(error),
            Err(panic) => Failure::Panic(panic_text(&*panic)),
        };
        Begun::Over(self.end(outbox, Err(failure)))
    }

    fn deadline(&self) -> Option<(Instant, Duration)> {
        let limit = self.limit?;
        // One that lies beyond the clock's end never comes.
        Some((Instant::now().checked_add(limit)?, limit))
    }

    /// Goes on with a call that had to wait, to its end.
    pub(super) async fn resume(
        &self,
        waiting: Waiting,
        outbox: &Outbox,
        mut slot: Slot<'_, Fut>,
    ) -> Result<Verdict, Failure> {
        let Waiting {
            mut place,
            deadline,
        } = waiting;
        let call = poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| match &mut place {
                Place::Pool(task) => Pin::new(task).poll(cx).map(joined),
                Place::Wrapped(call) => call.as_mut().poll(cx).map(Ok),
                Place::Slot => poll_slot(slot.as_mut(), cx).map(Ok),
            }));
            polled.unwrap_or_else(|panic| Poll::Ready(Err(Failure::Panic(panic_text(&*panic)))))
        });
        let result = match deadline {
            None => call.await,
            Some((at, limit)) => tokio::time::timeout_at(at, call)
                .await
                .unwrap_or(Err(Failure::Timeout(limit))),
        };
        // Before its outputs are judged: what it does when it is dropped still belongs to it.
        clear(slot);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(place)));
        self.end(outbox, result)
    }

    /// Calls the handler once, from the beginning to the end. Outputs of a failed call are forgotten.
    pub(super) async fn attempt(
        &self,
        input: In,
        records: CallRecords<'_>,
        outbox: &mut Outbox,
        attempt: u32,
        mut slot: Slot<'_, Fut>,
    ) -> Result<Verdict, Failure> {
        let begun =
            with_context(|cx| self.begin(input, records, outbox, attempt, slot.as_mut(), cx)).await;
        match begun {
            Begun::Over(result) => result,
            Begun::Waits(waiting) => self.resume(waiting, outbox, slot).await,
        }
    }

    #[inline]
    fn end(&self, outbox: &Outbox, result: Result<Verdict, Failure>) -> Result<Verdict, Failure> {
        let result = match result {
            Ok(Verdict::Failed(error)) => Err(Failure::Error(error)),
            other => other,
        };
        if self.stages {
            outbox.end(result.is_ok());
        }
        result
    }
}

fn on_pool(
    future: impl Future<Output = Verdict> + Send + 'static,
    deadline: Option<(Instant, Duration)>,
) -> Begun {
    let handle = tokio::runtime::Handle::current();
    let task = tokio::task::spawn_blocking(move || handle.block_on(future));
    Begun::Waits(Waiting {
        place: Place::Pool(task),
        deadline,
    })
}

#[inline]
fn poll_slot<Fut: Future<Output = Verdict>>(
    slot: Slot<'_, Fut>,
    cx: &mut Context<'_>,
) -> Poll<Verdict> {
    match slot.as_pin_mut() {
        Some(future) => future.poll(cx),
        // Who polls has put a future there and taken none out.
        None => Poll::Ready(Verdict::Done),
    }
}

/// Empties a slot. A future that panics while it is dropped is gone all the same, and the panic was
/// reported where it happened.
fn clear<Fut>(mut slot: Slot<'_, Fut>) {
    let _ = catch_unwind(AssertUnwindSafe(|| slot.set(None)));
}

fn joined(result: Result<Verdict, JoinError>) -> Result<Verdict, Failure> {
    result.map_err(|error| match error.try_into_panic() {
        Ok(panic) => Failure::Panic(panic_text(&*panic)),
        Err(error) => Failure::Error(AgentError::new(error)),
    })
}
