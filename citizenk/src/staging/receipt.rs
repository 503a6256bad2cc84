//! What became of one record that somebody waits for.
//!
//! In: the transport's answer, through an [`Answer`], once and from any thread. Out: a [`Receipt`] to poll.
//! One allocation for both sides; owned by whoever waits and, until it answers, by the transport.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::TransportError;
use crate::telemetry::UnawaitedErrors;

/// Partition and offset of a delivered record, or why it was not delivered.
pub(crate) type Outcome = Result<(i32, i64), TransportError>;

/// Somebody's waker is in place.
const WAITING: u8 = 1;
/// Place or error are in place.
const SETTLED: u8 = 2;
/// It is an error.
const FAILED: u8 = 4;

#[derive(Debug, Default)]
struct Rest {
    waker: Option<Waker>,
    error: Option<Box<TransportError>>,
}

/// The side of who waits. A record that arrives before it is asked for takes no lock: with many on their way that is
/// nearly each.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    state: AtomicU8,
    partition: AtomicI32,
    offset: AtomicI64,
    rest: Mutex<Rest>,
    /// Counts a failure that nobody heard of.
    unawaited: Option<UnawaitedErrors>,
}

impl Receipt {
    pub(crate) fn new(unawaited: Option<UnawaitedErrors>) -> Self {
        let mut receipt = Self::default();
        receipt.unawaited = unawaited;
        receipt
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: Outcome) {
        let settled = match outcome {
            Ok((partition, offset)) => {
                self.partition.store(partition, Ordering::Relaxed);
                self.offset.store(offset, Ordering::Relaxed);
                SETTLED
            }
            Err(error) => {
                self.rest().error = Some(Box::new(error));
                SETTLED | FAILED
            }
        };
        // Releases what was stored, and sees the waker of who waits.
        if self.state.fetch_or(settled, Ordering::AcqRel) & WAITING != 0 {
            let waker = self.rest().waker.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// What was settled; an error only once.
    fn outcome(&self, state: u8) -> Option<Outcome> {
        if state & SETTLED == 0 {
            return None;
        }
        if state & FAILED != 0 {
            return self.rest().error.take().map(|error| Err(*error));
        }
        let partition = self.partition.load(Ordering::Relaxed);
        Some(Ok((partition, self.offset.load(Ordering::Relaxed))))
    }

    /// Ready once the transport has answered; to be asked by one task, until it is ready.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = self.outcome(self.state.load(Ordering::Acquire)) {
            return Poll::Ready(outcome);
        }
        match &mut self.rest().waker {
            Some(known) => known.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        // It may have been settled meanwhile, by one that saw no waker, or the one before.
        let state = self.state.fetch_or(WAITING, Ordering::AcqRel);
        self.outcome(state).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Receipt {
    /// Nobody heard of the failure: at least the log and the metrics do.
    fn drop(&mut self) {
        let rest = self.rest.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &rest.error {
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
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::task::Wake;
    use std::time::Duration;

    use tokio::time::timeout;

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

    #[tokio::test]
    async fn no_answer_is_missed_whenever_it_comes() {
        const RECORDS: i32 = 20_000;
        const PATIENCE: Duration = Duration::from_secs(20);
        let place = |number: i32| (number, i64::from(number) << 32);
        let (records, taken) = mpsc::sync_channel::<(i32, Answer)>(1);
        let transport = std::thread::spawn(move || {
            for (number, answer) in taken {
                if number % 3 == 0 {
                    drop(answer);
                } else {
                    answer.give(Ok(place(number)));
                }
            }
        });
        for number in 0..RECORDS {
            let receipt = Arc::<Receipt>::default();
            let record = (number, Answer::to(&receipt));
            assert!(records.send(record).is_ok(), "the transport takes all");
            // By one who goes away, and by one who stays.
            let mut cx = Context::from_waker(Waker::noop());
            let outcome = match receipt.poll(&mut cx) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => timeout(PATIENCE, poll_fn(|cx| receipt.poll(cx)))
                    .await
                    .expect("the answer comes"),
            };
            assert_eq!(outcome.ok(), (number % 3 != 0).then(|| place(number)));
        }
        drop(records);
        transport.join().expect("it has no reason to panic");
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
