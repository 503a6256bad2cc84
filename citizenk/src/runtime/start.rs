//! Where a group starts reading partitions it has just been given.
//!
//! A new group's start position applies once, to the partitions that exist then, and is committed at
//! once; partitions that appear later are read from the beginning.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::record::TopicPartition;
use crate::transport::{Control, Start, TransportError};

const ASK: Duration = Duration::from_secs(5);

/// What the group has committed for one partition, and whether it has committed anything for the topic.
fn decide(committed: Option<i64>, topic_is_new: bool, latest: bool) -> Decision {
    match committed {
        Some(offset) => Decision::Resume(offset),
        None if topic_is_new && latest => Decision::FromEnd,
        None => Decision::FromBeginning,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Resume(i64),
    FromBeginning,
    FromEnd,
}

/// Decides for each partition, in the same order. `latest` answers by topic what a new group does.
pub(crate) fn starts(
    control: &mut dyn Control,
    partitions: &[TopicPartition],
    latest: impl Fn(&str) -> bool,
) -> Vec<Start> {
    match ask(control, partitions, latest) {
        Ok(starts) => starts,
        Err(error) => {
            // Guessing would skip or repeat records; the client asks the coordinator again by itself.
            tracing::warn!(%error, "cannot read committed offsets; leaving the start position to the client");
            partitions.iter().map(|_| Start::Committed).collect()
        }
    }
}

fn ask(
    control: &mut dyn Control,
    partitions: &[TopicPartition],
    latest: impl Fn(&str) -> bool,
) -> Result<Vec<Start>, TransportError> {
    let committed = control.committed(partitions, ASK)?;
    let mut topic_is_new: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    let mut starts = Vec::with_capacity(partitions.len());
    let mut first_commits = Vec::new();
    for (partition, committed) in partitions.iter().zip(committed) {
        let new = match (committed, topic_is_new.get(&partition.topic)) {
            (Some(_), _) => false,
            (None, Some(new)) => *new,
            (None, None) => {
                let new = nothing_committed(control, &partition.topic)?;
                topic_is_new.insert(partition.topic.clone(), new);
                new
            }
        };
        starts.push(match decide(committed, new, latest(&partition.topic)) {
            Decision::Resume(offset) => Start::Offset(offset),
            Decision::FromBeginning if !new => Start::Beginning,
            decision => {
                let marks = control.watermarks(partition, ASK)?;
                let offset = if decision == Decision::FromEnd {
                    marks.high
                } else {
                    marks.low
                };
                first_commits.push((partition.clone(), offset));
                Start::Offset(offset)
            }
        });
    }
    if !first_commits.is_empty()
        && let Err(error) = control.commit_now(&first_commits, ASK)
    {
        // The positions hold for this run; only a crash before the first commit would decide anew.
        tracing::warn!(%error, "cannot commit the start position of a new group yet");
    }
    Ok(starts)
}

fn nothing_committed(control: &mut dyn Control, topic: &Arc<str>) -> Result<bool, TransportError> {
    let count = control.partition_count(topic, ASK)?;
    let all: Vec<_> = (0..count)
        .map(|number| TopicPartition::new(topic.clone(), number as i32))
        .collect();
    Ok(control.committed(&all, ASK)?.iter().all(Option::is_none))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_counts_only_for_a_new_group() {
        assert_eq!(decide(Some(3), false, true), Decision::Resume(3));
        assert_eq!(decide(None, true, true), Decision::FromEnd);
        assert_eq!(decide(None, false, true), Decision::FromBeginning);
        assert_eq!(decide(None, true, false), Decision::FromBeginning);
    }
}
