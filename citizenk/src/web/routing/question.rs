//! Questions that many have at the same time.
//!
//! In: who wants to know something, and how to ask for it. Out: the answer of the one question that is open at a
//! time, shared by all who came while it was. It belongs to those who wait for it: when all have left, it ends.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use tokio::time::Instant;

use crate::web::Problem;

/// So often at most one thing is asked for: during a rebalance everybody is disappointed by every answer, and a
/// broker in trouble is not helped by questions.
const BETWEEN: Duration = Duration::from_millis(200);

type Asking<T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send>>;

/// The last question for a thing.
struct Question<T: Clone> {
    begun: Instant,
    asking: WeakShared<Asking<T>>,
}

/// Open questions by what they are for.
pub(super) struct Questions<K, T: Clone>(Mutex<BTreeMap<K, Question<T>>>);

impl<K, T: Clone> Default for Questions<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// An answer, and whose question it was.
pub(super) enum Asked<T> {
    /// Asked for this caller, so begun after it came.
    Mine(T),
    /// Of a question that was open already.
    Joined(T),
}

impl<K: Ord + Clone, T: Clone> Questions<K, T> {
    /// Asks, or waits for the answer of the question that is open; its outcome, good or bad, is everybody's.
    pub(super) async fn ask<F>(
        &self,
        name: &K,
        ask: impl FnOnce() -> F + Send + 'static,
    ) -> Asked<Result<T, Problem>>
    where
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let (asking, joined) = self.open(name, ask);
        let answer = asking.await;
        if joined {
            Asked::Joined(answer)
        } else {
            Asked::Mine(answer)
        }
    }

    fn open<F>(
        &self,
        name: &K,
        ask: impl FnOnce() -> F + Send + 'static,
    ) -> (Shared<Asking<T>>, bool)
    where
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = open.get(name);
        let asking = last.and_then(|last| last.asking.upgrade());
        if let Some(asking) = asking.filter(|asking| asking.peek().is_none()) {
            return (asking, true);
        }
        let now = Instant::now();
        // One that ended before its turn, because all who waited had left, counts as of now: else each of them would
        // put off the next.
        let begun = last.map_or(now, |last| now.max(last.begun.min(now) + BETWEEN));
        let asking: Asking<T> = Box::pin(async move {
            tokio::time::sleep_until(begun).await;
            ask().await
        });
        let asking = asking.shared();
        if let Some(asking) = asking.downgrade() {
            open.insert(name.clone(), Question { begun, asking });
        }
        (asking, false)
    }
}
