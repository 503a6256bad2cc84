//! What the watchdog sees of a lane; plain counters, touched when a lane waits and never per record.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Signs {
    resting: AtomicUsize,
    retries: AtomicU64,
    refused: AtomicU64,
    shipped: AtomicU64,
    answered: AtomicU64,
    /// Why the broker has refused outputs that are sent again, until it takes them.
    refusal: Mutex<Option<String>>,
}

impl Signs {
    /// The lane waits on purpose, which is no stall, as long as the answer is held.
    pub(crate) fn rest(&self) -> Resting<'_> {
        self.resting.fetch_add(1, Ordering::Relaxed);
        Resting(self)
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed) > 0
    }

    /// One more attempt at the same records.
    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Outputs were refused and are sent again.
    pub(crate) fn refused(&self, why: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        *self.lock() = Some(why);
    }

    /// What had been refused was taken, or given up.
    pub(crate) fn accepted(&self) {
        *self.lock() = None;
    }

    pub(crate) fn refusal(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Outputs were sent together.
    pub(crate) fn shipped(&self) {
        self.shipped.fetch_add(1, Ordering::Relaxed);
    }

    /// The broker has answered for all outputs of a shipment.
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Shipments sent and answered, ever.
    pub(crate) fn shipments(&self) -> (u64, u64) {
        let answered = self.answered.load(Ordering::Relaxed);
        (self.shipped.load(Ordering::Relaxed), answered)
    }
}

/// Ends the rest when dropped; see [`Signs::rest`].
#[derive(Debug)]
pub(crate) struct Resting<'a>(&'a Signs);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.resting.fetch_sub(1, Ordering::Relaxed);
    }
}
