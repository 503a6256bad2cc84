//! Counts the allocations of this process's Rust code (librdkafka's own are C's and not seen).
//!
//! Counting is off unless asked for: then an allocation costs one load more than without this module, in
//! every contestant alike.
#![allow(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; it hands every call on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Starts counting.
pub(crate) fn start() {
    ON.store(true, Ordering::Relaxed);
}

/// Allocations and reallocations since counting began; 0 while it has not.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn note() {
    if ON.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is the system allocator's own, with the caller's arguments; counting allocates
// nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_counted_once_asked_for() {
        start();
        let before = count();
        let boxed = std::hint::black_box(Box::new([0_u8; 100]));
        // Other tests allocate beside this one.
        assert!(count() > before);
        drop(boxed);
    }
}
