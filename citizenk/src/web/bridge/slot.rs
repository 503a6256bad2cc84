//! One value that many want at the same time and that takes a while to start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

/// Keeps a value for as long as somebody holds it.
pub(super) struct Slot<T, E> {
    state: Mutex<State<T, E>>,
    /// Starts that have failed, to be read by whoever is about to wait. Changed under the lock.
    failures: AtomicU64,
}

struct State<T, E> {
    value: Weak<T>,
    /// Why the last start failed.
    failure: Option<E>,
}

impl<T, E> Default for Slot<T, E> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                value: Weak::new(),
                failure: None,
            }),
            failures: AtomicU64::new(0),
        }
    }
}

impl<T, E: Clone> Slot<T, E> {
    /// The value, started if there is none or none of use. All who come while it starts get the same: it, or why
    /// it failed; who comes later starts anew. A start that is dropped half-way is begun again by the next who waits.
    pub(super) async fn get(
        &self,
        of_use: impl FnOnce(&T) -> bool,
        start: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let before = self.failures.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(value) = state.value.upgrade().filter(|value| of_use(value)) {
            return Ok(value);
        }
        if let Some(failure) = &state.failure
            && self.failures.load(Ordering::Acquire) != before
        {
            return Err(failure.clone());
        }
        match start.await {
            Ok(value) => {
                let value = Arc::new(value);
                state.value = Arc::downgrade(&value);
                Ok(value)
            }
            Err(failure) => {
                state.failure = Some(failure.clone());
                self.failures.fetch_add(1, Ordering::AcqRel);
                Err(failure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Starts that end when they may, each with its number: an error if it is odd.
    struct Starts {
        may_end: Semaphore,
        begun: Cell<u32>,
    }

    impl Starts {
        fn new() -> Self {
            Self {
                may_end: Semaphore::new(0),
                begun: Cell::new(0),
            }
        }

        async fn start(&self) -> Result<u32, u32> {
            let number = self.begun.get() + 1;
            self.begun.set(number);
            self.may_end.acquire().await.unwrap().forget();
            if number.is_multiple_of(2) {
                Ok(number)
            } else {
                Err(number)
            }
        }
    }

    #[test]
    fn all_who_wait_get_the_same_value_or_the_same_failure() {
        let (slot, starts) = (Slot::<u32, u32>::default(), Starts::new());
        let get = || slot.get(|_| true, starts.start());
        let mut waiting = join_all((0..5).map(|_| get()));
        assert!((&mut waiting).now_or_never().is_none());
        starts.may_end.add_permits(1);
        let failed = waiting.now_or_never().unwrap();
        assert!(failed.iter().all(|one| *one == Err(1)), "{failed:?}");
        assert_eq!(starts.begun.get(), 1, "nobody tried by himself");

        // Who comes after that tries again.
        let mut waiting = join_all((0..5).map(|_| get()));
        assert!((&mut waiting).now_or_never().is_none());
        starts.may_end.add_permits(1);
        let started = waiting.now_or_never().unwrap();
        assert!(started.iter().all(|one| *one == Ok(Arc::new(2))));
        assert_eq!(starts.begun.get(), 2);

        // The failure of once is not that of a value that nobody holds any more.
        drop(started);
        starts.may_end.add_permits(2);
        assert_eq!(get().now_or_never(), Some(Err(3)));
        assert_eq!(get().now_or_never(), Some(Ok(Arc::new(4))));
    }

    #[test]
    fn a_start_that_is_given_up_or_of_no_use_any_more_is_begun_again() {
        let (slot, starts) = (Slot::<u32, u32>::default(), Starts::new());
        let get = |of_use: bool| slot.get(move |_| of_use, starts.start());
        let mut first = Box::pin(get(true));
        let mut second = Box::pin(get(true));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        starts.may_end.add_permits(1);
        let value = second.now_or_never().unwrap();
        assert_eq!(value, Ok(Arc::new(2)));
        starts.may_end.add_permits(1);
        assert_eq!(get(false).now_or_never(), Some(Err(3)));
        drop(value);
    }
}
