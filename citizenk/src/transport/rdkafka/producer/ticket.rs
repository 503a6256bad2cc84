//! Which record a delivery report is about.
//!
//! librdkafka carries one pointer per record. It points to a slot of a block; the slot knows its block,
//! its place in the block is the record's place in the batch, and the block knows the sink. Blocks are
//! armed for one call of `produce` and go back to their pool with their last report.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::super::client::lock;
use crate::transport::{Delivered, DeliverySink, TransportError};

/// Sizes of blocks: a lone record must not hold the memory of a whole batch. With each, how many
/// unused blocks are kept.
const SIZES: [(usize, usize); 3] = [(1, 4096), (16, 512), (512, 256)];

struct Slot {
    block: *const Block,
}

pub(super) struct Block {
    slots: Box<[Slot]>,
    /// Which of `SIZES`.
    class: usize,
    armed: UnsafeCell<Armed>,
    /// Reports to come, plus one while `produce` still fills the block.
    remaining: AtomicUsize,
}

#[derive(Default)]
struct Armed {
    /// The record's index in its batch that the first slot stands for.
    base: usize,
    sink: Option<Arc<dyn DeliverySink>>,
}

impl Block {
    fn new(class: usize) -> *mut Self {
        let slots = (0..SIZES[class].0)
            .map(|_| Slot { block: ptr::null() })
            .collect();
        let block = Box::into_raw(Box::new(Self {
            slots,
            class,
            armed: UnsafeCell::default(),
            remaining: AtomicUsize::new(0),
        }));
        // SAFETY: just made, and nobody else knows of it.
        for slot in unsafe { &mut (*block).slots } {
            slot.block = block;
        }
        block
    }
}

/// A block that is being filled; holds back its return to the pool.
pub(super) struct Filling<'a> {
    block: *mut Block,
    tickets: &'a Tickets,
}

impl Filling<'_> {
    pub(super) fn capacity(&self) -> usize {
        // SAFETY: alive while it is being filled.
        let slots = unsafe { &(*self.block).slots };
        slots.len()
    }

    /// The opaque of the record at this place of the block.
    pub(super) fn opaque(&self, place: usize) -> *mut c_void {
        // SAFETY: alive while it is being filled; indexing is checked.
        let slot: *const Slot = unsafe { &raw const (&(*self.block).slots)[place] };
        slot.cast_mut().cast()
    }

    /// Ends filling: `unused` of the armed records will not be reported.
    pub(super) fn done(self, unused: usize) {
        // SAFETY: the block is alive until its count is zero, which includes ours.
        unsafe { self.tickets.count_down(self.block, unused + 1) }
    }
}

/// The blocks of a producer.
#[derive(Default)]
pub(super) struct Tickets {
    free: [Mutex<Vec<Free>>; SIZES.len()],
}

struct Free(*mut Block);

// SAFETY: a free block has one owner, the pool.
unsafe impl Send for Free {}

impl Drop for Free {
    fn drop(&mut self) {
        // SAFETY: made by `Block::new`; free blocks are referred to by nobody else.
        unsafe { drop(Box::from_raw(self.0)) }
    }
}

impl Tickets {
    /// A block for `count` records from `base` on, or for as many as the largest holds.
    pub(super) fn arm(
        &self,
        base: usize,
        count: usize,
        sink: &Arc<dyn DeliverySink>,
    ) -> Filling<'_> {
        let class = SIZES
            .iter()
            .position(|(size, _)| *size >= count)
            .unwrap_or(SIZES.len() - 1);
        let free = lock(&self.free[class]).pop();
        let block = match free {
            Some(free) => {
                let block = free.0;
                std::mem::forget(free);
                block
            }
            None => Block::new(class),
        };
        // SAFETY: ours alone until the first record with one of its slots is enqueued, and
        // librdkafka's locks order that before its report.
        unsafe {
            *(*block).armed.get() = Armed {
                base,
                sink: Some(sink.clone()),
            };
            let slots = &(*block).slots;
            let armed = count.min(slots.len());
            (*block).remaining.store(armed + 1, Ordering::Relaxed);
        }
        Filling {
            block,
            tickets: self,
        }
    }

    /// Reports the record of a ticket, which must not be used again.
    ///
    /// # Safety
    /// `opaque` came from [`Filling::opaque`] of this pool, was enqueued, and is reported once.
    pub(super) unsafe fn report(
        &self,
        opaque: *mut c_void,
        result: Result<Delivered, TransportError>,
    ) {
        // SAFETY: the block lives until all its records were reported, and this one was not.
        unsafe {
            let slot = opaque.cast::<Slot>();
            let block = (*slot).block.cast_mut();
            let slots = &(*block).slots;
            let place = slot.cast_const().offset_from(slots.as_ptr());
            let armed = &*(*block).armed.get();
            if let Some(sink) = &armed.sink {
                sink.delivered(armed.base + place.unsigned_abs(), result);
            }
            self.count_down(block, 1);
        }
    }

    /// # Safety
    /// The block is alive, and `count` of its count are the caller's.
    unsafe fn count_down(&self, block: *mut Block, count: usize) {
        // SAFETY: alive; who brings the count to zero is its only user.
        unsafe {
            if (*block).remaining.fetch_sub(count, Ordering::AcqRel) != count {
                return;
            }
            // Dropped here and not when the block is next used: the sink may hold a whole batch.
            (*(*block).armed.get()).sink = None;
            let class = (*block).class;
            let block = Free(block);
            let mut free = lock(&self.free[class]);
            if free.len() < SIZES[class].1 {
                free.push(block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<usize>>);

    impl DeliverySink for Heard {
        fn delivered(&self, index: usize, _: Result<Delivered, TransportError>) {
            lock(&self.0).push(index);
        }
    }

    #[test]
    fn a_block_tells_records_apart_and_returns_to_its_pool() {
        let tickets = Tickets::default();
        let heard = Arc::new(Heard::default());
        let sink: Arc<dyn DeliverySink> = heard.clone();
        let delivered = Delivered {
            partition: 0,
            offset: 0,
        };
        for round in 0..3 {
            let filling = tickets.arm(100, 5, &sink);
            assert_eq!(filling.capacity(), 16);
            let opaques: Vec<_> = (0..4).map(|place| filling.opaque(place)).collect();
            // One of the five was not taken.
            filling.done(1);
            for opaque in opaques.into_iter().rev() {
                // SAFETY: each is reported once.
                unsafe { tickets.report(opaque, Ok(delivered)) };
            }
            assert_eq!(lock(&heard.0).split_off(0), [103, 102, 101, 100], "{round}");
            assert_eq!(lock(&tickets.free[1]).len(), 1);
            assert_eq!(Arc::strong_count(&sink), 2);
        }
    }
}
