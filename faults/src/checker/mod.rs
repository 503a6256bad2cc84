//! The one judge of every run: a history in, a verdict out; no clock, no network.
//!
//! The invariants are those of Jepsen's Kafka tests and three of our own: what is committed was
//! processed, each key keeps its order, and where exactly once is promised the outputs are exactly
//! those of the inputs. Cycles between transactions show as a record that is missing or there twice.

pub(crate) mod again;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::history::{Deed, Glimpse, History, Id, Input, Place};

/// Commit times of the broker are cut to milliseconds.
const TICK: u64 = 1000;

/// What a row promises, beyond what always holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// Outputs are those of the inputs, each once and in order.
    pub(crate) exactly_once: bool,
    /// Every input has an output; not so where an output is meant to be refused.
    pub(crate) complete: bool,
    /// All workers stopped cleanly: what they did is committed.
    pub(crate) settled: bool,
    /// No partition was lost: at no time two workers call the handler for one key.
    pub(crate) exclusive: bool,
    /// The load may have sent records again: its client does so when all brokers were gone at once.
    pub(crate) resends: bool,
}

impl Rules {
    /// At least once, to the end.
    pub(crate) const AT_LEAST_ONCE: Self = Self {
        exactly_once: false,
        complete: true,
        settled: true,
        exclusive: false,
        resends: false,
    };

    /// As [`Self::AT_LEAST_ONCE`], after all brokers were gone at once.
    pub(crate) const ALL_GONE: Self = Self {
        resends: true,
        ..Self::AT_LEAST_ONCE
    };

    /// As [`Self::AT_LEAST_ONCE`], and outputs are exactly those of the inputs.
    pub(crate) const EXACTLY_ONCE: Self = Self {
        exactly_once: true,
        ..Self::AT_LEAST_ONCE
    };

    /// As [`Self::AT_LEAST_ONCE`], and every hand-over was clean.
    pub(crate) const CLEAN: Self = Self {
        exclusive: true,
        ..Self::AT_LEAST_ONCE
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Every observer of a place saw the same record there.
    Agreement,
    /// An acknowledged record is there, and came out.
    LostWrite,
    /// An idempotent send stands at one place only.
    DuplicateSend,
    /// What a reader of committed records saw is committed.
    AbortedRead,
    /// And it was committed when it was seen.
    EarlyRead,
    /// Within one assignment no record is left out, called twice or called too early.
    PollOrder,
    /// In the end everything that was processed is committed.
    CatchUp,
    /// At no time more is committed than was processed.
    EarlyCommit,
    /// A committed offset never goes back.
    CommitBack,
    /// The calls for a key follow its order, one at a time.
    KeyOrder,
    /// Two workers called the handler for one key at once.
    TwoOwners,
    /// Under exactly once an input has one output.
    ExactOutput,
    /// And outputs of a partition stand in its order.
    OutputOrder,
    /// A handler saw a record that was damaged on its way.
    Corrupt,
    /// In the end no transaction is open.
    OpenTransaction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.text)
    }
}

/// What a run amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) records: usize,
    pub(crate) lost: usize,
    /// Outputs beyond one per record.
    pub(crate) duplicates: usize,
    /// Records of the load that stand at two places.
    pub(crate) resent: usize,
    /// Calls that ended well beyond one per record.
    pub(crate) reruns: usize,
    pub(crate) violations: Vec<Violation>,
}

impl Verdict {
    fn add(&mut self, invariant: Invariant, text: String) {
        self.violations.push(Violation { invariant, text });
    }
}

/// Judges a history.
pub(crate) fn check(history: &History, rules: Rules) -> Verdict {
    let mut verdict = Verdict {
        records: history.input.len(),
        ..Verdict::default()
    };
    agreement(history, &mut verdict);
    writes(history, rules, &mut verdict);
    reads(history, rules, &mut verdict);
    commits(history, rules, &mut verdict);
    let records = worker::by_key(history);
    for journal in &history.journals {
        worker::check(&records, journal, &mut verdict);
    }
    if rules.exclusive {
        worker::two_owners(history, &mut verdict);
    }
    if rules.exactly_once {
        exactly_once(history, &mut verdict);
    }
    verdict
}

/// Input records of each partition by offset.
fn by_partition(history: &History) -> BTreeMap<i32, BTreeSet<i64>> {
    let mut partitions: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
    for input in &history.input {
        let Place { partition, offset } = input.place;
        partitions.entry(partition).or_default().insert(offset);
    }
    partitions
}

fn agreement(history: &History, verdict: &mut Verdict) {
    let mut inputs: BTreeMap<Place, (Id, &str)> = BTreeMap::new();
    let mut see = |inputs: &mut BTreeMap<Place, (Id, &'static str)>,
                   place,
                   id,
                   who: &'static str| match inputs.entry(place) {
        Slot::Vacant(slot) => {
            slot.insert((id, who));
        }
        Slot::Occupied(slot) if slot.get().0 == id => {}
        Slot::Occupied(slot) => {
            let (other, first) = slot.get();
            verdict.add(
                Invariant::Agreement,
                format!("{place:?} is {other:?} to {first}, {id:?} to {who}"),
            );
        }
    };
    let handled = history
        .journals
        .iter()
        .flatten()
        .filter_map(|entry| match entry.deed {
            Deed::Start(input) | Deed::Done(input) => Some(input),
            _ => None,
        });
    for (list, who) in [
        (history.input.clone(), "the reader at the end"),
        (
            history
                .sent
                .iter()
                .filter(|sent| sent.place.is_known())
                .copied()
                .collect(),
            "the sender",
        ),
        (handled.collect(), "a handler"),
    ] {
        for input in list {
            see(&mut inputs, input.place, input.id, who);
        }
    }
    let mut outputs = BTreeMap::new();
    for output in &history.outputs {
        see(
            &mut outputs,
            output.place,
            output.id,
            "the reader at the end",
        );
    }
    for glimpse in &history.glimpses {
        see(
            &mut outputs,
            glimpse.output.place,
            glimpse.output.id,
            "the reader meanwhile",
        );
    }
}

fn writes(history: &History, rules: Rules, verdict: &mut Verdict) {
    let places: BTreeSet<Place> = history.input.iter().map(|input| input.place).collect();
    let ids: BTreeSet<Id> = history.input.iter().map(|input| input.id).collect();
    let is_there = |sent: &Input| match sent.place.is_known() {
        true => places.contains(&sent.place),
        false => ids.contains(&sent.id),
    };
    let kept = |place: &Place| {
        history
            .low
            .get(&place.partition)
            .is_none_or(|low| place.offset >= *low)
    };
    for sent in &history.sent {
        if kept(&sent.place) && !is_there(sent) {
            verdict.lost += 1;
            verdict.add(
                Invariant::LostWrite,
                format!(
                    "{:?} was acknowledged at {:?}; there is nothing",
                    sent.id, sent.place
                ),
            );
        }
    }
    let mut seen: BTreeMap<Id, Place> = BTreeMap::new();
    for input in &history.input {
        let Some(first) = seen.insert(input.id, input.place) else {
            continue;
        };
        verdict.resent += 1;
        if !rules.resends {
            verdict.add(
                Invariant::DuplicateSend,
                format!("{:?} stands at {first:?} and {:?}", input.id, input.place),
            );
        }
    }
    let mut out: BTreeMap<Id, usize> = BTreeMap::new();
    for output in &history.outputs {
        *out.entry(output.id).or_default() += 1;
    }
    // One output for each time it went in.
    let outputs: usize = out.values().map(|count| count - 1).sum();
    verdict.duplicates = outputs.saturating_sub(verdict.resent);
    if rules.complete {
        for input in history
            .input
            .iter()
            .filter(|input| !out.contains_key(&input.id))
        {
            verdict.lost += 1;
            verdict.add(
                Invariant::LostWrite,
                format!("{:?} at {:?} has no output", input.id, input.place),
            );
        }
    }
}

fn reads(history: &History, rules: Rules, verdict: &mut Verdict) {
    let committed: BTreeSet<Place> = history.outputs.iter().map(|output| output.place).collect();
    // Until when each source partition was committed, by time.
    let mut until: BTreeMap<i32, Vec<(u64, i64)>> = BTreeMap::new();
    for commit in &history.commits {
        until
            .entry(commit.partition)
            .or_default()
            .push((commit.time, commit.next));
    }
    for Glimpse { output, time } in &history.glimpses {
        if !committed.contains(&output.place) {
            verdict.add(
                Invariant::AbortedRead,
                format!(
                    "{:?} was seen at {:?}, where nothing is committed",
                    output.id, output.place
                ),
            );
        } else if rules.exactly_once {
            let source = output.source;
            let mut commits = until.get(&source.partition).into_iter().flatten();
            if !commits.any(|(at, next)| *next > source.offset && *at <= time + TICK) {
                verdict.add(
                    Invariant::EarlyRead,
                    format!("{:?} was seen before {source:?} was committed", output.id),
                );
            }
        }
    }
}

fn commits(history: &History, rules: Rules, verdict: &mut Verdict) {
    let mut done: BTreeMap<Place, u64> = BTreeMap::new();
    let mut calls = 0;
    for entry in history.journals.iter().flatten() {
        if let Deed::Done(input) = &entry.deed {
            calls += 1;
            let first = done.entry(input.place).or_insert(entry.time);
            *first = entry.time.min(*first);
        }
    }
    verdict.reruns = calls - done.len();
    let partitions = by_partition(history);
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    for commit in &history.commits {
        let before = last
            .insert(commit.partition, commit.next)
            .unwrap_or(i64::MIN);
        if commit.next < before {
            verdict.add(
                Invariant::CommitBack,
                format!(
                    "partition {} went from {before} to {}",
                    commit.partition, commit.next
                ),
            );
        }
        // What an earlier commit covered was looked at then.
        let offsets = partitions
            .get(&commit.partition)
            .into_iter()
            .flat_map(|all| all.range(before.min(commit.next)..commit.next));
        let early: Vec<i64> = offsets
            .filter(|offset| {
                done.get(&Place::new(commit.partition, **offset))
                    .is_none_or(|time| *time > commit.time + TICK)
            })
            .copied()
            .collect();
        if let (Some(first), count) = (early.first(), early.len()) {
            verdict.add(Invariant::EarlyCommit, format!("partition {} was committed to {}, but {count} records from {first} on were not processed", commit.partition, commit.next));
        }
    }
    if rules.settled {
        for (partition, offsets) in &partitions {
            let end = offsets.last().map_or(0, |offset| offset + 1);
            let committed = last.get(partition).copied().unwrap_or(0);
            if committed != end {
                verdict.add(
                    Invariant::CatchUp,
                    format!("partition {partition} is committed to {committed}, its end is {end}"),
                );
            }
        }
    }
}

fn exactly_once(history: &History, verdict: &mut Verdict) {
    let mut first: BTreeMap<Id, Place> = BTreeMap::new();
    // Outputs of one source partition in one output partition.
    let mut order: BTreeMap<(i32, i32), Place> = BTreeMap::new();
    let mut outputs = history.outputs.clone();
    outputs.sort_by_key(|output| output.place);
    for output in &outputs {
        if let Some(place) = first.insert(output.id, output.place) {
            verdict.add(
                Invariant::ExactOutput,
                format!(
                    "{:?} came out at {place:?} and {:?}",
                    output.id, output.place
                ),
            );
        }
        let pair = (output.source.partition, output.place.partition);
        if let Some(before) = order
            .insert(pair, output.source)
            .filter(|before| *before > output.source)
        {
            verdict.add(
                Invariant::OutputOrder,
                format!("{:?} came out after {before:?}", output.source),
            );
        }
    }
    let known: BTreeSet<Id> = history.input.iter().map(|input| input.id).collect();
    for output in outputs
        .iter()
        .filter(|output| history.low.is_empty() && !known.contains(&output.id))
    {
        verdict.add(
            Invariant::ExactOutput,
            format!("{:?} came out but never went in", output.id),
        );
    }
    for end in &history.ends {
        if end.stable != end.high {
            verdict.add(
                Invariant::OpenTransaction,
                format!(
                    "partition {} of the output is readable to {}, written to {}",
                    end.partition, end.stable, end.high
                ),
            );
        }
    }
}
