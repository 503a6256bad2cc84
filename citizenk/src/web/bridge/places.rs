//! Where a client is in a topic: what ids of events are made of.

use std::fmt;
use std::str::FromStr;

use crate::extract::Offsets;

/// The offset of each partition's next record; written `p0:17,p1:4`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(pub(super) Offsets);

/// A text that is no [`Places`].
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no id of this stream; ids are the next offset of each partition, e.g. p0:17,p1:4"
)]
pub(super) struct NoPlaces(String);

impl Places {
    /// The next record of a partition to give; 0 of one that is new.
    pub(super) fn of(&self, partition: i32) -> i64 {
        self.0.get(&partition).copied().unwrap_or(0)
    }

    /// The record at the offset was given.
    pub(super) fn passed(&mut self, partition: i32, offset: i64) {
        self.reach(partition, offset.saturating_add(1));
    }

    /// Nothing below the offset is to come.
    pub(super) fn reach(&mut self, partition: i32, next: i64) {
        let place = self.0.entry(partition).or_insert(next);
        *place = next.max(*place);
    }

    /// Whether nothing below `others` is to come.
    pub(super) fn reached(&self, others: &Self) -> bool {
        let mut others = others.0.iter();
        others.all(|(partition, next)| self.of(*partition) >= *next)
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (partition, next)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}p{partition}:{next}")?;
        }
        Ok(())
    }
}

impl FromStr for Places {
    type Err = NoPlaces;

    fn from_str(text: &str) -> Result<Self, NoPlaces> {
        let mut places = Self::default();
        for part in text.split(',') {
            let place = part.strip_prefix('p').and_then(|part| {
                let (partition, next) = part.split_once(':')?;
                Some((number::<i32>(partition)?, number::<i64>(next)?))
            });
            let twice =
                place.is_some_and(|(partition, next)| places.0.insert(partition, next).is_some());
            if place.is_none() || twice {
                let shown: String = text.chars().take(100).collect();
                return Err(NoPlaces(shown.escape_debug().to_string()));
            }
        }
        Ok(places)
    }
}

/// Digits and nothing else.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_read_as_they_are_written(
            offsets in prop::collection::btree_map(0..i32::MAX, 0..i64::MAX, 1..20)
        ) {
            let places = Places(offsets);
            prop_assert_eq!(places.to_string().parse::<Places>().unwrap(), places);
        }

        #[test]
        fn any_text_is_places_or_an_error(text in "[p0-9:,+ -]{0,40}") {
            if let Ok(places) = text.parse::<Places>() {
                prop_assert_eq!(places.to_string().parse::<Places>().unwrap(), places);
            }
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for wrong in [
            "",
            "p",
            "p0",
            "p0:",
            "p:1",
            "0:1",
            "p0:1,",
            "p0:1,p0:2",
            "p-1:0",
            "p0:-1",
            "p+1:0",
            "p0:99999999999999999999",
            "p2147483648:0",
            "p0:1 ,p1:2",
            "p0:1;p1:2",
        ] {
            assert!(wrong.parse::<Places>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_partition_without_a_place_is_new() {
        let mut here: Places = "p0:3".parse().unwrap();
        let there = "p0:3,p1:1".parse().unwrap();
        assert!(!here.reached(&there));
        here.passed(1, 0);
        assert!(here.reached(&there) && there.reached(&here));
        here.reach(0, 1);
        assert_eq!(here.of(0), 3, "it never goes back");
    }
}
