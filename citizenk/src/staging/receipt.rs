//! What became of one record that somebody waits for.
//!
//! In: the transport's answer, through an [`Answer`], once and from any thread. Out: a [`Receipt`] to poll.
//! One allocation for both sides; owned by whoever waits and, until it answers, by the transport.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::TransportError;
use crate::telemetry::UnawaitedErrors;

/// Partition and offset of a delivered record, or why it was not delivered.
pub(crate) type Outcome = Result<(i32, i64), TransportError>;

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// The side of who waits.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    state: Mutex<State>,
    /// Counts a failure that nobody heard of.
    unawaited: Option<UnawaitedErrors>,
}

impl Receipt {
    pub(crate) fn new(unawaited: Option<UnawaitedErrors>) -> Self {
        Self {
            state: Mutex::default(),
            unawaited,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.outcome = Some(outcome);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready once the transport has answered; to be asked by one task, until it is ready.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.lock();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        match &mut state.waker {
            Some(known) => known.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Receipt {
    /// Nobody heard of the failure: at least the log and the metrics do.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = &state.outcome {
            unheard(error, self.unawaited.as_ref());
        }
    }
}

/// A send failed, and nobody waits for its answer.
pub(crate) fn unheard(error: &dyn std::error::Error, unawaited: Option<&UnawaitedErrors>) {
    if let Some(unawaited) = unawaited {
        unawaited.failed();
    }
    tracing::warn!(error = %error, "a record was not sent, and nobody waited for its answer");
}

/// The transport's side: answers once, at the latest when it is dropped.
#[derive(Debug)]
pub(crate) struct Answer(Option<Arc<Receipt>>);

impl Answer {
    pub(crate) fn to(receipt: &Arc<Receipt>) -> Self {
        Self(Some(receipt.clone()))
    }

    /// Takes up again what [`Answer::into_receipt`] left.
    pub(crate) fn of(receipt: Arc<Receipt>) -> Self {
        Self(Some(receipt))
    }

    /// Leaves the duty to answer to the caller.
    pub(crate) fn into_receipt(mut self) -> Option<Arc<Receipt>> {
        self.0.take()
    }

    pub(crate) fn give(mut self, outcome: Outcome) {
        if let Some(receipt) = self.0.take() {
            receipt.settle(outcome);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.settle(Err(TransportError {
                context: "waiting for the acknowledgement".to_owned(),
                code: "_DESTROY".to_owned(),
                message: "the producer has ended, or nobody waited until its queue had room"
                    .to_owned(),
                retriable: false,
                fatal: true,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_task_that_asked_last_is_woken_once() {
        let (first, last) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let receipt = Arc::<Receipt>::default();
        let answer = Answer::to(&receipt);
        for woken in [&first, &last] {
            let waker = Waker::from(woken.clone());
            assert!(receipt.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        answer.give(Ok((3, 7)));
        let count = |woken: &Woken| woken.0.load(Ordering::Relaxed);
        assert_eq!((count(&first), count(&last)), (0, 1));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(receipt.poll(&mut cx), Poll::Ready(Ok((3, 7))));
    }

    #[test]
    fn a_dropped_answer_is_an_error_and_a_dropped_receipt_harms_nobody() {
        let receipt = Arc::<Receipt>::default();
        drop(Answer::to(&receipt));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Err(error)) = receipt.poll(&mut cx) else {
            panic!("nobody answered");
        };
        assert_eq!(error.code, "_DESTROY");
        let answer = Answer::to(&Arc::default());
        answer.give(Ok((0, 0)));
    }
}
