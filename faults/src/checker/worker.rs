//! What one worker did within its assignments, and what two did at once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Verdict};
use crate::history::{Deed, Entry, History, Input, Place};

/// A partition as a worker sees it since it was assigned.
#[derive(Debug, Default)]
struct Owned {
    done: BTreeSet<i64>,
    keys: BTreeMap<u32, Lane>,
}

/// The calls for one key.
#[derive(Debug, Default)]
struct Lane {
    furthest: Option<i64>,
    open: Option<i64>,
    last: Option<i64>,
}

/// Input records by partition, key and offset.
pub(super) fn by_key(history: &History) -> BTreeMap<i32, BTreeSet<(u32, i64)>> {
    let mut partitions: BTreeMap<i32, BTreeSet<(u32, i64)>> = BTreeMap::new();
    for Input { place, key, .. } in &history.input {
        let records = partitions.entry(place.partition).or_default();
        records.insert((*key, place.offset));
    }
    partitions
}

pub(super) fn check(
    records: &BTreeMap<i32, BTreeSet<(u32, i64)>>,
    journal: &[Entry],
    verdict: &mut Verdict,
) {
    let none = BTreeSet::new();
    let mut owned: BTreeMap<i32, Owned> = BTreeMap::new();
    for entry in journal {
        match &entry.deed {
            Deed::Assigned(list) => {
                for partition in list {
                    owned.insert(*partition, Owned::default());
                }
            }
            Deed::Start(input) => {
                let partition = owned.entry(input.place.partition).or_default();
                let records = records.get(&input.place.partition).unwrap_or(&none);
                partition.start(input, records, verdict);
            }
            Deed::Done(input) => owned.entry(input.place.partition).or_default().done(input),
            Deed::Corrupt(place) => verdict.add(
                Invariant::Corrupt,
                format!("a handler got {place:?} damaged"),
            ),
            Deed::Revoked(_) | Deed::Mark(_) => {}
        }
    }
}

impl Owned {
    fn start(&mut self, input: &Input, records: &BTreeSet<(u32, i64)>, verdict: &mut Verdict) {
        let Place { offset, .. } = input.place;
        if self.done.contains(&offset) {
            verdict.add(
                Invariant::PollOrder,
                format!("{:?} was called again after it was done", input.place),
            );
        }
        let lane = self.keys.entry(input.key).or_default();
        // Keys may overtake one another, so what is left out shows at the next record of its key.
        if let Some(furthest) = lane.furthest.filter(|furthest| offset > *furthest) {
            let next = records
                .range((input.key, furthest + 1)..)
                .next()
                .filter(|(key, _)| *key == input.key);
            if next.is_some_and(|(_, next)| *next < offset) {
                verdict.add(
                    Invariant::PollOrder,
                    format!(
                        "{:?} was called after {furthest}: records between them were left out",
                        input.place
                    ),
                );
            }
        }
        lane.furthest = lane.furthest.max(Some(offset));
        if let Some(open) = lane.open.filter(|open| *open != offset) {
            verdict.add(
                Invariant::KeyOrder,
                format!(
                    "key {}: {:?} was called while {open} was not done",
                    input.key, input.place
                ),
            );
        }
        if let Some(last) = lane.last.filter(|last| *last > offset) {
            verdict.add(
                Invariant::KeyOrder,
                format!(
                    "key {}: {:?} was called after {last}",
                    input.key, input.place
                ),
            );
        }
        lane.open = Some(offset);
    }

    fn done(&mut self, input: &Input) {
        self.done.insert(input.place.offset);
        let lane = self.keys.entry(input.key).or_default();
        // A call of an earlier assignment may end in this one.
        if lane.open == Some(input.place.offset) {
            lane.open = None;
            lane.last = lane.last.max(Some(input.place.offset));
        }
    }
}

/// A call, from its start to its end; one that never ended counts as a moment.
struct Call {
    owner: usize,
    place: Place,
    from: u64,
    to: u64,
}

pub(super) fn two_owners(history: &History, verdict: &mut Verdict) {
    let mut keys: BTreeMap<(i32, u32), Vec<Call>> = BTreeMap::new();
    for (owner, journal) in history.journals.iter().enumerate() {
        for entry in journal {
            match &entry.deed {
                Deed::Start(input) => keys
                    .entry((input.place.partition, input.key))
                    .or_default()
                    .push(Call {
                        owner,
                        place: input.place,
                        from: entry.time,
                        to: entry.time,
                    }),
                Deed::Done(input) => {
                    let calls = keys.entry((input.place.partition, input.key)).or_default();
                    let call = calls
                        .iter_mut()
                        .rev()
                        .find(|call| call.owner == owner && call.place == input.place);
                    if let Some(call) = call {
                        call.to = entry.time;
                    }
                }
                _ => {}
            }
        }
    }
    for ((partition, key), mut calls) in keys {
        calls.sort_by_key(|call| call.from);
        let mut latest: Option<&Call> = None;
        for call in &calls {
            if let Some(other) =
                latest.filter(|other| other.owner != call.owner && call.from < other.to)
            {
                verdict.add(Invariant::TwoOwners, format!("partition {partition}, key {key}: {:?} was called while another worker was at {:?}", call.place, other.place));
            }
            if latest.is_none_or(|other| call.to > other.to) {
                latest = Some(call);
            }
        }
    }
}
