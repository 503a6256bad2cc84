//! Moving a group: what would change, before it does. Pure.

use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::PartitionId;

/// Where a group is to go on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetTo {
    /// The first record that is kept.
    Earliest,
    /// Behind the last record there is now.
    Latest,
    /// This offset, in every partition.
    Offset(i64),
    /// The first record of this time or a later one; behind the last record where there is none.
    Timestamp(DateTime<Utc>),
    /// As many offsets forward, or back where negative, from where the group stands.
    Shift(i64),
}

/// What would become of a group's offsets: made by [`Admin::plan_reset`](crate::Admin::plan_reset) or
/// [`Admin::plan_offsets`](crate::Admin::plan_offsets), shown (it is a table when printed), then given to
/// [`Admin::apply`](crate::Admin::apply). As JSON it may go to whoever has to agree, and come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct OffsetPlan {
    /// Whose offsets.
    pub group: String,
    /// How many members the group had: while it has any, the plan cannot be applied.
    pub members: usize,
    /// Every partition of the plan, those that stay included.
    pub changes: Vec<OffsetChange>,
}

/// What would become of one offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct OffsetChange {
    /// In which partition.
    #[serde(flatten)]
    pub partition: PartitionId,
    /// The committed offset as of the plan; `None`: nothing is committed.
    pub before: Option<i64>,
    /// The committed offset after it.
    pub after: i64,
    /// The first record that is kept.
    pub low: i64,
    /// The offset the next record will get.
    pub high: i64,
    /// What was asked for lies outside of what there is; `after` is the nearest end.
    pub clamped: bool,
}

impl OffsetChange {
    /// How many offsets would be read again.
    #[must_use]
    pub fn again(&self) -> i64 {
        let before = self.before.unwrap_or(self.after);
        (before.min(self.high) - self.after).max(0)
    }

    /// How many offsets would never be read. Where nothing is committed, those before `after`.
    #[must_use]
    pub fn skipped(&self) -> i64 {
        let before = self.before.unwrap_or(self.low).max(self.low);
        (self.after - before).max(0)
    }

    /// Whether it stays as it is.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.before == Some(self.after)
    }
}

impl OffsetPlan {
    /// Those that would move.
    pub fn moves(&self) -> impl Iterator<Item = &OffsetChange> {
        self.changes.iter().filter(|change| !change.stays())
    }

    /// Whether nothing would move.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moves().next().is_none()
    }
}

impl fmt::Display for OffsetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moving = self.moves().count();
        let total = self.changes.len();
        writeln!(
            f,
            "group `{}`: {moving} of {total} offsets move",
            self.group
        )?;
        if self.members > 0 {
            writeln!(
                f,
                "it has {} members; stop them before this is applied",
                self.members
            )?;
        }
        let width = self
            .changes
            .iter()
            .map(|change| change.partition.to_string().len())
            .max()
            .unwrap_or(0);
        for change in &self.changes {
            let before = change
                .before
                .map_or_else(|| "none".to_owned(), |offset| offset.to_string());
            // Padding applies to a text, not to what writes itself.
            let partition = change.partition.to_string();
            write!(f, "{partition:width$}  {before} -> {}", change.after)?;
            match (change.again(), change.skipped()) {
                (0, 0) => {}
                (again, 0) => write!(f, "  ({again} again)")?,
                (_, skipped) => write!(f, "  ({skipped} skipped)")?,
            }
            if change.clamped {
                write!(f, "  (only {}..{} are there)", change.low, change.high)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// What is known of a partition when its offset is planned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) before: Option<i64>,
    pub(super) low: i64,
    pub(super) high: i64,
    /// The first record of the asked time, where one was asked for.
    pub(super) at_time: Option<i64>,
}

/// The change of one partition; `None`: there is nothing to shift from.
pub(super) fn change(partition: PartitionId, to: ResetTo, known: Known) -> Option<OffsetChange> {
    let Known {
        before, low, high, ..
    } = known;
    let wanted = match to {
        ResetTo::Earliest => low,
        ResetTo::Latest => high,
        ResetTo::Offset(offset) => offset,
        ResetTo::Timestamp(_) => known.at_time.unwrap_or(high),
        ResetTo::Shift(by) => before?.saturating_add(by),
    };
    // Retention may move the start while the broker is asked.
    let after = wanted.min(high).max(low);
    Some(OffsetChange {
        partition,
        before,
        after,
        low,
        high,
        clamped: after != wanted,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan_of(to: ResetTo, known: Known) -> Option<OffsetChange> {
        change(PartitionId::new("t", 0), to, known)
    }

    fn known() -> impl Strategy<Value = Known> {
        (
            prop::option::of(-5..120i64),
            0..50i64,
            0..60i64,
            prop::option::of(0..60i64),
        )
            .prop_map(|(before, low, length, young)| Known {
                before,
                low,
                high: low + length,
                at_time: young.filter(|at| *at < length).map(|at| low + at),
            })
    }

    fn target() -> impl Strategy<Value = ResetTo> {
        prop_oneof![
            Just(ResetTo::Earliest),
            Just(ResetTo::Latest),
            any::<i64>().prop_map(ResetTo::Offset),
            (-10..130i64).prop_map(ResetTo::Offset),
            Just(ResetTo::Timestamp(DateTime::UNIX_EPOCH)),
            any::<i64>().prop_map(ResetTo::Shift),
            (-70..70i64).prop_map(ResetTo::Shift),
        ]
    }

    proptest! {
        /// Whatever is asked for, the group ends within what there is, as near as can be; a second reset
        /// to the same place moves nothing; what is read again and what is skipped never both happen.
        #[test]
        fn a_reset_ends_within_the_partition(known in known(), to in target()) {
            let Some(change) = plan_of(to, known) else {
                prop_assert!(matches!(to, ResetTo::Shift(_)) && known.before.is_none());
                return Ok(());
            };
            prop_assert!((change.low..=change.high).contains(&change.after));
            prop_assert!(change.again() == 0 || change.skipped() == 0);
            match to {
                ResetTo::Earliest => prop_assert_eq!(change.after, known.low),
                ResetTo::Latest => prop_assert_eq!(change.after, known.high),
                ResetTo::Offset(offset) => {
                    prop_assert_eq!(change.clamped, !(known.low..=known.high).contains(&offset));
                    prop_assert!(change.clamped || change.after == offset);
                }
                ResetTo::Timestamp(_) => {
                    prop_assert_eq!(change.after, known.at_time.unwrap_or(known.high));
                }
                ResetTo::Shift(by) => {
                    let from = known.before.unwrap();
                    prop_assert!(change.clamped || change.after == from + by);
                    let next = plan_of(ResetTo::Shift(by.saturating_add(1)), known).unwrap();
                    prop_assert!(next.after >= change.after);
                }
            }
            let done = Known { before: Some(change.after), ..known };
            if !matches!(to, ResetTo::Shift(_)) {
                prop_assert!(plan_of(to, done).unwrap().stays());
            }
        }
    }

    #[test]
    fn a_plan_is_a_table() {
        let known = |before, low, high| Known {
            before,
            low,
            high,
            at_time: None,
        };
        let change = |partition, to, known| {
            super::change(PartitionId::new("orders", partition), to, known).unwrap()
        };
        let plan = OffsetPlan {
            group: "shop".to_owned(),
            members: 2,
            changes: vec![
                change(0, ResetTo::Earliest, known(Some(40), 10, 50)),
                change(1, ResetTo::Latest, known(None, 10, 50)),
                change(2, ResetTo::Offset(7), known(Some(10), 10, 50)),
                change(10, ResetTo::Offset(60), known(Some(10), 10, 50)),
            ],
        };
        let text = "group `shop`: 3 of 4 offsets move\n\
            it has 2 members; stop them before this is applied\n\
            orders/0   40 -> 10  (30 again)\n\
            orders/1   none -> 50  (40 skipped)\n\
            orders/2   10 -> 10  (only 10..50 are there)\n\
            orders/10  10 -> 50  (40 skipped)  (only 10..50 are there)\n";
        assert_eq!(plan.to_string(), text);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<OffsetPlan>(&json).unwrap(), plan);
        assert!(!plan.is_empty());
    }
}
