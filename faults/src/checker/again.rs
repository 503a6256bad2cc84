//! Which calls were made again, and whether a loss explains it.
//!
//! At least once repeats what a worker had done but not committed when it lost the partition. How many
//! records those are says little: a successor that catches up does thousands a second. How long ago each
//! was done says it all: a worker commits what it has done within an interval.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{Deed, Entry, History, Place};

/// A time that counts for nobody: commits were held up on their way, or the group was joining.
/// Microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// A call that a later one repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeated {
    pub(crate) place: Place,
    /// Which worker made it.
    pub(crate) worker: usize,
    /// How long before that worker lost the partition it was done, without what counts for nobody.
    pub(crate) age: Duration,
}

/// Every call that was made again. A worker loses a partition when that is revoked, or with its end;
/// a journal ends with its worker.
pub(crate) fn repeated(history: &History, held: &[Held]) -> Vec<Repeated> {
    let mut done: BTreeMap<Place, Vec<(u64, usize, usize)>> = BTreeMap::new();
    for (worker, journal) in history.journals.iter().enumerate() {
        for (at, entry) in journal.iter().enumerate() {
            if let Deed::Done(input) = &entry.deed {
                let calls = done.entry(input.place).or_default();
                calls.push((entry.time, worker, at));
            }
        }
    }
    let mut found = Vec::new();
    for (place, mut calls) in done {
        calls.sort_unstable();
        for (time, worker, at) in calls.drain(..calls.len() - 1) {
            let lost = lost(&history.journals[worker][at..], place.partition);
            let excused: u64 = held
                .iter()
                .map(|held| held.to.min(lost).saturating_sub(held.from.max(time)))
                .sum();
            let age = Duration::from_micros((lost - time).saturating_sub(excused));
            found.push(Repeated { place, worker, age });
        }
    }
    found
}

/// When the worker of this journal has lost the partition.
fn lost(journal: &[Entry], partition: i32) -> u64 {
    let revoked = journal
        .iter()
        .find(|entry| matches!(&entry.deed, Deed::Revoked(list) if list.contains(&partition)));
    let begin = journal.first().map_or(0, |entry| entry.time);
    // Lines of several threads may stand a moment out of order.
    revoked
        .or(journal.last())
        .map_or(begin, |entry| entry.time)
        .max(begin)
}
