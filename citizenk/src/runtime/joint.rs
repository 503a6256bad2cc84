//! One request for all who want to know the same at once.
//!
//! In: what each wants to know, and how to ask for all of it. Out: one answer for many, never older than the call of
//! whoever gets it: who comes while a request is under way waits for the next one, with all who come meanwhile.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;

/// `None`: the runtime has ended.
type Round<A> = Shared<BoxFuture<'static, Option<A>>>;

pub(super) struct Joint<W, A: Clone> {
    /// Who has it asks.
    turn: Arc<tokio::sync::Mutex<()>>,
    next: Arc<Mutex<Next<W, A>>>,
}

/// The request that has not begun.
struct Next<W, A: Clone> {
    wanted: BTreeSet<W>,
    round: Option<Round<A>>,
}

impl<W, A: Clone> Default for Joint<W, A> {
    fn default() -> Self {
        let next = Next {
            wanted: BTreeSet::new(),
            round: None,
        };
        Self {
            turn: Arc::default(),
            next: Arc::new(Mutex::new(next)),
        }
    }
}

impl<W, A> Joint<W, A>
where
    W: Ord + Send + 'static,
    A: Clone + Send + Sync + 'static,
{
    /// Asks on the runtime, so that nobody waits for a caller that is not polled. Every caller's `ask` must do the
    /// same: one of them is used, with what all of them want.
    pub(super) fn ask<F>(
        &self,
        handle: &Handle,
        wanted: impl IntoIterator<Item = W>,
        ask: impl FnOnce(BTreeSet<W>) -> F + Send + 'static,
    ) -> impl Future<Output = Option<A>> + Send + 'static
    where
        F: Future<Output = A> + Send,
    {
        let mut next = lock(&self.next);
        next.wanted.extend(wanted);
        if let Some(round) = &next.round {
            return round.clone();
        }
        let (turn, begun) = (self.turn.clone(), self.next.clone());
        let asked = handle.spawn(async move {
            let _turn = turn.lock().await;
            let wanted = {
                let mut next = lock(&begun);
                next.round = None;
                std::mem::take(&mut next.wanted)
            };
            ask(wanted).await
        });
        let round = asked.map(Result::ok).boxed().shared();
        next.round = Some(round.clone());
        round
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    type Asked = (BTreeSet<u32>, oneshot::Sender<u32>);

    /// Requests come out of the channel and are answered by whoever reads it.
    fn asking() -> (
        impl Fn(u32) -> BoxFuture<'static, Option<u32>>,
        mpsc::Receiver<Asked>,
    ) {
        let (requests, asked) = mpsc::channel(8);
        let joint = Joint::default();
        let ask = move |wanted| {
            let requests = requests.clone();
            let ask = |wanted| async move {
                let (answer, answered) = oneshot::channel();
                requests.send((wanted, answer)).await.unwrap();
                answered.await.unwrap()
            };
            joint.ask(&Handle::current(), [wanted], ask).boxed()
        };
        (ask, asked)
    }

    #[tokio::test]
    async fn who_comes_while_a_request_is_under_way_shares_the_next_one() {
        let (ask, mut asked) = asking();
        let first = [ask(1), ask(2)];
        let (wanted, answer) = asked.recv().await.unwrap();
        assert_eq!(wanted, BTreeSet::from([1, 2]));
        // Its answer may be older than these calls.
        let second = [ask(2), ask(3)];
        answer.send(10).unwrap();
        for one in first {
            assert_eq!(one.await, Some(10));
        }
        let (wanted, answer) = asked.recv().await.unwrap();
        assert_eq!(wanted, BTreeSet::from([2, 3]));
        answer.send(20).unwrap();
        for one in second {
            assert_eq!(one.await, Some(20));
        }
        assert!(asked.try_recv().is_err(), "two requests for four calls");
    }

    #[tokio::test]
    async fn who_goes_away_holds_up_nobody() {
        let (ask, mut asked) = asking();
        let gone = ask(1);
        let (_, first) = asked.recv().await.unwrap();
        // Neither the one that asks nor one that has not begun is looked at any more.
        let waits = ask(2);
        drop((gone, waits));
        let stays = ask(3);
        first.send(10).unwrap();
        let (wanted, answer) = asked.recv().await.unwrap();
        assert!(wanted.contains(&3));
        answer.send(20).unwrap();
        assert_eq!(stays.await, Some(20));
    }
}
