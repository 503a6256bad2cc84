//! What retention deleted before a run has read it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::Ends;
use super::run::{Run, lock};

/// What retention may have taken before it was read.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Where a partition went on after a restart, until its first record is read.
    pub(super) resumed: BTreeMap<i32, i64>,
    /// Partition, first and end of offsets that were expected and did not come.
    pub(super) missing: Vec<(i32, i64, i64)>,
    /// Up to where a partition's losses are counted.
    counted: BTreeMap<i32, i64>,
}

impl Losses {
    fn count(&mut self, partition: i32, first: i64, end: i64) -> u64 {
        let counted = self.counted.entry(partition).or_insert(first);
        let lost = end.saturating_sub(first.max(*counted)).max(0);
        *counted = end.max(*counted);
        lost.unsigned_abs()
    }
}

impl Run {
    /// The group's offsets when it went on after a restart.
    pub(crate) fn resumes(&self, offsets: impl Iterator<Item = (i32, i64)>) {
        lock(&self.losses).resumed = offsets.collect();
    }

    /// Counts what was deleted before it was read: what lies below the first offset that is kept and either is
    /// still to be read or did not come.
    pub(crate) fn lose(&self, kept: &Ends, positions: &BTreeMap<i32, Option<i64>>) {
        let mut losses = lock(&self.losses);
        let first_kept = |partition: &i32| kept.get(partition).map_or(0, |(low, _)| *low);
        let read = lock(&self.next).clone();
        let mut lost = 0;
        for (partition, first, end) in std::mem::take(&mut losses.missing) {
            let end = end.min(first_kept(&partition));
            lost += losses.count(partition, first, end.max(first));
        }
        for (partition, next) in positions {
            let low = first_kept(partition);
            // What was read is not lost, even if the target has not acknowledged it.
            let next = (*next).max(read.get(partition).copied().filter(|_| next.is_some()));
            if let Some(next) = next.filter(|next| *next < low) {
                lost += losses.count(*partition, next, low);
            }
        }
        drop(losses);
        if lost > 0 {
            let rules = self.rules();
            tracing::warn!(
                mapping = rules.mapping.name,
                source = self.pair.source,
                lost,
                "retention was quicker: records were deleted before they were read"
            );
            self.counters.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::run;
    use super::*;

    #[test]
    fn what_was_read_is_not_lost_before_it_is_acknowledged() {
        let run = run();
        let lost = || run.counters.lost.load(Ordering::Relaxed);
        lock(&run.next).insert(0, 10);
        let positions = BTreeMap::from([(0, Some(3)), (1, None)]);
        run.lose(&Ends::from([(0, (8, 20)), (1, (5, 20))]), &positions);
        assert_eq!(lost(), 0);
        run.lose(&Ends::from([(0, (12, 20)), (1, (5, 20))]), &positions);
        assert_eq!(lost(), 2, "10 and 11");
    }
}
