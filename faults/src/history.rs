//! What was observed during a run: plain data, made by many observers, judged by the checker.

use std::collections::BTreeMap;

/// Where a record stands in the topic it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Place {
    pub(crate) fn new(partition: i32, offset: i64) -> Self {
        Self { partition, offset }
    }

    /// A client that sends a record again because the answer was lost may learn only that it is there already.
    pub(crate) fn is_known(self) -> bool {
        self.offset >= 0
    }
}

/// What tells a record of the load from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) producer: u32,
    pub(crate) seq: u64,
}

/// A record of the input topic: acknowledged to its producer, or read back at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) place: Place,
    pub(crate) id: Id,
    pub(crate) key: u32,
}

/// A record of the output topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) place: Place,
    pub(crate) id: Id,
    /// The record of the input topic it was made from.
    pub(crate) source: Place,
}

/// An output as a reader saw it while the run went on; it reads what is committed only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glimpse {
    pub(crate) output: Output,
    /// Microseconds since 1970.
    pub(crate) time: u64,
}

/// A committed offset as the broker keeps it: where the next owner of the partition goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) partition: i32,
    pub(crate) next: i64,
    /// Microseconds since 1970, of the broker, cut to milliseconds.
    pub(crate) time: u64,
}

/// One line of a worker's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) deed: Deed,
    /// Microseconds since 1970.
    pub(crate) time: u64,
}

/// What a worker did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It was given partitions; their calls begin after this.
    Assigned(Vec<i32>),
    /// Partitions were taken from it; their calls ended before this, unless they were lost.
    Revoked(Vec<i32>),
    /// A call began.
    Start(Input),
    /// A call ended well.
    Done(Input),
    /// A call saw a record whose checksum is wrong.
    Corrupt(Place),
    /// Something a row waits for.
    Mark(String),
}

/// The end of a partition of the output topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) partition: i32,
    /// Up to where readers of committed records get.
    pub(crate) stable: i64,
    /// Up to where records were written.
    pub(crate) high: i64,
}

/// Everything that was observed in a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Acknowledged to the load.
    pub(crate) sent: Vec<Input>,
    /// The input topic at the end.
    pub(crate) input: Vec<Input>,
    /// The first offset that retention left, of partitions where it deleted something.
    pub(crate) low: BTreeMap<i32, i64>,
    /// The output topic at the end, committed records only.
    pub(crate) outputs: Vec<Output>,
    pub(crate) glimpses: Vec<Glimpse>,
    /// In the order in which the broker took them.
    pub(crate) commits: Vec<Commit>,
    /// One per process, in the order in which they were started.
    pub(crate) journals: Vec<Vec<Entry>>,
    pub(crate) ends: Vec<End>,
}
