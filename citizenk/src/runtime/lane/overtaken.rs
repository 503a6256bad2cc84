//! Which outputs go again when some were refused.
//!
//! In: shipments in the order they were sent, with what the broker refused of each. Out: what is to be sent again, in
//! the same order: the refused records, and those that followed one of them to the same place. Whoever reads a key then has its
//! last word last, at the price of records that stand there twice.

use std::collections::HashSet;

use crate::staging::{Staged, StagedBatch};

/// The places whose order is at stake.
#[derive(Debug, Default)]
pub(super) struct Overtaken {
    places: HashSet<Place>,
}

/// Where readers count on an order.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Place {
    Partition(usize, i32),
    Key(usize, Box<[u8]>),
}

impl Place {
    /// `None`: without a key a record goes to any partition.
    fn of(record: &Staged<'_>) -> Option<Self> {
        match (record.partition, record.key) {
            (Some(partition), _) => Some(Self::Partition(record.topic, partition)),
            (None, Some(key)) => Some(Self::Key(record.topic, key.into())),
            (None, None) => None,
        }
    }
}

impl Overtaken {
    /// Which records of the next shipment go again; `failures` are in its order.
    pub(super) fn choose<E>(&mut self, batch: &StagedBatch, failures: &[(usize, E)]) -> Vec<usize> {
        if failures.is_empty() && self.places.is_empty() {
            return Vec::new();
        }
        let mut failures = failures.iter().map(|(index, _)| *index).peekable();
        let mut chosen = Vec::new();
        for (index, record) in batch.iter().enumerate() {
            let place = Place::of(&record);
            if failures.next_if_eq(&index).is_some() {
                self.places.extend(place);
                chosen.push(index);
            } else if place.is_some_and(|place| self.places.contains(&place)) {
                chosen.push(index);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Topic, partition, key.
    type Output = (usize, Option<i32>, Option<u8>);

    fn batch(outputs: &[Output]) -> StagedBatch {
        let mut batch = StagedBatch::default();
        for (topic, partition, key) in outputs {
            let mut record = batch.record(*topic);
            record.partition(*partition);
            if let Some(key) = key {
                record.key_bytes(&[*key]);
            }
            record.finish(None);
        }
        batch
    }

    fn outputs() -> impl Strategy<Value = Vec<(Output, bool)>> {
        let output = (
            0..2usize,
            prop::option::weighted(0.3, 0..2),
            prop::option::weighted(0.8, 0..3u8),
        );
        prop::collection::vec((output, prop::bool::weighted(0.2)), 0..20)
    }

    proptest! {
        #[test]
        fn every_place_ends_with_what_was_sent_last(shipments in prop::collection::vec(outputs(), 1..5)) {
            let mut overtaken = Overtaken::default();
            let mut sent: HashMap<Place, Vec<usize>> = HashMap::new();
            let mut first: HashMap<String, usize> = HashMap::new();
            let mut log: HashMap<Place, Vec<usize>> = HashMap::new();
            let mut again = Vec::new();
            for (number, shipment) in shipments.iter().enumerate() {
                let staged = batch(&shipment.iter().map(|(output, _)| *output).collect::<Vec<_>>());
                let failures: Vec<_> = (0..shipment.len())
                    .filter(|index| shipment[*index].1)
                    .map(|index| (index, ()))
                    .collect();
                let chosen = overtaken.choose(&staged, &failures);
                for (index, record) in staged.iter().enumerate() {
                    let id = number * 100 + index;
                    let (failed, place) = (shipment[index].1, Place::of(&record));
                    prop_assert!(!failed || chosen.contains(&index), "what was refused goes again");
                    let Some(place) = place else {
                        prop_assert_eq!(chosen.contains(&index), failed);
                        continue;
                    };
                    if failed {
                        first.entry(format!("{place:?}")).or_insert(id);
                    } else {
                        log.entry(Place::of(&record).unwrap()).or_default().push(id);
                    }
                    let follows = first.get(&format!("{place:?}")).is_some_and(|first| id >= *first);
                    prop_assert_eq!(chosen.contains(&index), follows, "nothing else does");
                    if chosen.contains(&index) {
                        again.push((Place::of(&record).unwrap(), id));
                    }
                    sent.entry(place).or_default().push(id);
                }
            }
            for (place, id) in again {
                log.entry(place).or_default().push(id);
            }
            for (place, sent) in sent {
                let mut log = log.remove(&place).unwrap_or_default();
                // Its last occurrences are in the order they were sent.
                let mut seen = HashSet::new();
                log.reverse();
                log.retain(|id| seen.insert(*id));
                log.reverse();
                prop_assert_eq!(log, sent);
            }
        }
    }
}
