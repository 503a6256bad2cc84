//! What became of records that were copied.
//!
//! In: the records of a source and of its target. Out: how many are lost, stand twice or changed places.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Id, Input};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) records: usize,
    pub(super) lost: usize,
    /// More often in the copy than in the source.
    pub(super) twice: u64,
    /// Keys whose records were first copied in another order.
    pub(super) disorder: usize,
    /// Keys whose records were copied for the last time in another order.
    pub(super) stale: usize,
}

pub(super) fn judge(input: &[Input], copied: &[Input]) -> Judged {
    let count = |records: &[Input]| {
        let mut counts: BTreeMap<Id, u64> = BTreeMap::new();
        for record in records {
            *counts.entry(record.id).or_default() += 1;
        }
        counts
    };
    let (from, to) = (count(input), count(copied));
    let order = |records: &[Input], last: bool| {
        let mut places: Vec<&Input> = records.iter().collect();
        places.sort_by_key(|record| (record.place.partition, record.place.offset));
        if last {
            places.reverse();
        }
        let mut seen = BTreeSet::new();
        places.retain(|record| seen.insert(record.id));
        if last {
            places.reverse();
        }
        let mut keys: BTreeMap<(i32, u32), Vec<Id>> = BTreeMap::new();
        for record in places {
            let key = (record.place.partition, record.key);
            keys.entry(key).or_default().push(record.id);
        }
        keys
    };
    let differs = |last| {
        let (from, to) = (order(input, last), order(copied, last));
        let other = from.iter().filter(|(key, ids)| to.get(key) != Some(ids));
        other.count()
    };
    Judged {
        records: to.len(),
        lost: from.keys().filter(|id| !to.contains_key(id)).count(),
        twice: to
            .iter()
            .map(|(id, count)| count.saturating_sub(from.get(id).copied().unwrap_or(0)))
            .sum(),
        disorder: differs(false),
        stale: differs(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Place;

    fn record(seq: u64, offset: i64) -> Input {
        let id = Id { producer: 0, seq };
        Input {
            place: Place::new(0, offset),
            id,
            key: 1,
        }
    }

    #[test]
    fn what_is_lost_twice_or_out_of_order_is_found() {
        let input = [record(1, 0), record(2, 1), record(3, 2)];
        let judged = |copied: &[Input]| {
            let Judged {
                lost,
                twice,
                disorder,
                stale,
                ..
            } = judge(&input, copied);
            (lost, twice, disorder, stale)
        };
        assert_eq!(judged(&input), (0, 0, 0, 0));
        assert_eq!(judged(&input[..2]), (1, 0, 1, 1));
        let again = [
            record(1, 0),
            record(2, 1),
            record(1, 2),
            record(2, 3),
            record(3, 4),
        ];
        assert_eq!(judged(&again), (0, 2, 0, 0));
        let swapped = [record(2, 0), record(1, 1), record(3, 2)];
        assert_eq!(judged(&swapped), (0, 0, 1, 1));
        let repeated = [record(2, 0), record(1, 1), record(2, 2), record(3, 3)];
        assert_eq!(judged(&repeated), (0, 1, 1, 0));
    }
}
