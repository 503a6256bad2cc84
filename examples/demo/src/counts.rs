//! The state all components share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What this worker has seen since it started. Clones share the numbers; a restart begins at zero.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    generated: AtomicU64,
    processed: AtomicU64,
    valid: AtomicU64,
    cameras: Mutex<BTreeMap<u32, u64>>,
}

/// The numbers at one moment.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Videos the generator sent.
    pub generated: u64,
    /// Videos handled by `process_videos`.
    pub processed: u64,
    /// Videos `select_valid` passed on.
    pub valid: u64,
    /// Processed videos by camera.
    pub cameras: BTreeMap<u32, u64>,
}

impl Counts {
    pub(crate) fn generated(&self, videos: u64) {
        self.0.generated.fetch_add(videos, Ordering::Relaxed);
    }

    pub(crate) fn processed(&self, cameras: impl Iterator<Item = u32>) {
        let mut counts = self
            .0
            .cameras
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut videos = 0;
        for camera in cameras {
            *counts.entry(camera).or_default() += 1;
            videos += 1;
        }
        self.0.processed.fetch_add(videos, Ordering::Relaxed);
    }

    pub(crate) fn valid(&self, videos: usize) {
        self.0.valid.fetch_add(videos as u64, Ordering::Relaxed);
    }

    /// The numbers now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            generated: self.0.generated.load(Ordering::Relaxed),
            processed: self.0.processed.load(Ordering::Relaxed),
            valid: self.0.valid.load(Ordering::Relaxed),
            cameras: self
                .0
                .cameras
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}
