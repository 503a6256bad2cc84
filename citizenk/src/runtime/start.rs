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

/// What the agents of a topic say of a group that is new to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newcomer {
    /// It begins at the end.
    pub(crate) latest: bool,
    /// A position of their own comes for all its agents: what is decided here is not committed.
    pub(crate) unplaced: bool,
}

/// Decides for each partition, in the same order. `newcomer` answers by topic.
pub(crate) fn starts(
    control: &mut dyn Control,
    partitions: &[TopicPartition],
    newcomer: impl Fn(&str) -> Newcomer,
) -> Vec<Start> {
    match ask(control, partitions, newcomer) {
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
    newcomer: impl Fn(&str) -> Newcomer,
) -> Result<Vec<Start>, TransportError> {
    let committed = control.committed(partitions, ASK)?;
    let mut new_topics: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    let mut decisions = Vec::with_capacity(partitions.len());
    let mut begun = BTreeMap::new();
    for (partition, committed) in partitions.iter().zip(committed) {
        let topic = &partition.topic;
        let Newcomer { latest, unplaced } = newcomer(topic);
        let new = match (committed, new_topics.get(topic)) {
            (Some(_), _) => false,
            (None, Some(new)) => *new,
            (None, None) => {
                let all = all(control, topic)?;
                let new = control.committed(&all, ASK)?.iter().all(Option::is_none);
                new_topics.insert(topic.clone(), new);
                if new && !unplaced {
                    // Those of other members, too: who finds some of the topic committed takes the others for
                    // partitions that were added, and reads them from their first record.
                    for other in all {
                        match edge(control, &other, latest) {
                            Ok(offset) => {
                                begun.insert(other, offset);
                            }
                            Err(error) if partitions.contains(&other) => return Err(error),
                            Err(error) => {
                                tracing::warn!(partition = %other, %error, "the start position of a new group on a partition of another member is not known; that member decides")
                            }
                        }
                    }
                }
                new
            }
        };
        decisions.push((new, latest, decide(committed, new, latest)));
    }
    let quicker = begin(control, &begun);
    let mut starts = Vec::with_capacity(partitions.len());
    for (partition, (new, latest, decision)) in partitions.iter().zip(decisions) {
        let known = quicker.get(partition).or_else(|| begun.get(partition));
        starts.push(match decision {
            Decision::Resume(offset) => Start::Offset(offset),
            Decision::FromBeginning if !new => Start::Beginning,
            _ => Start::Offset(match known {
                Some(offset) => *offset,
                None => edge(control, partition, latest)?,
            }),
        });
    }
    Ok(starts)
}

/// Commits where a group begins; answers what another member, which begins at the same time, has committed first. That
/// one may have read on from there already, and must not be set back. What cannot be committed holds for this run; only
/// a crash before the first commit would decide anew.
pub(super) fn begin(
    control: &mut dyn Control,
    begun: &BTreeMap<TopicPartition, i64>,
) -> BTreeMap<TopicPartition, i64> {
    if begun.is_empty() {
        return BTreeMap::new();
    }
    let ids: Vec<TopicPartition> = begun.keys().cloned().collect();
    let mut quicker = BTreeMap::new();
    let committed = control.committed(&ids, ASK).and_then(|committed| {
        let known = ids.into_iter().zip(committed);
        quicker.extend(known.filter_map(|(id, offset)| Some((id, offset?))));
        let mut first = begun.clone();
        first.retain(|id, _| !quicker.contains_key(id));
        let first: Vec<_> = first.into_iter().collect();
        if first.is_empty() {
            return Ok(());
        }
        control.commit_now(&first, ASK)
    });
    if let Err(error) = committed {
        tracing::warn!(%error, "cannot commit the start position of a new group yet");
    }
    quicker
}

fn edge(
    control: &mut dyn Control,
    partition: &TopicPartition,
    end: bool,
) -> Result<i64, TransportError> {
    let marks = control.watermarks(partition, ASK)?;
    Ok(if end { marks.high } else { marks.low })
}

fn all(control: &mut dyn Control, topic: &Arc<str>) -> Result<Vec<TopicPartition>, TransportError> {
    let count = control.partition_count(topic, ASK)?;
    Ok((0..count)
        .map(|number| TopicPartition::new(topic.clone(), number as i32))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Watermarks;

    /// Topic `t` with three partitions, which hold 2, 4 and 6 records.
    #[derive(Default)]
    struct Fake(BTreeMap<TopicPartition, i64>);

    type Answer<T> = Result<T, TransportError>;

    impl Control for Fake {
        fn pause(&mut self, _: &[TopicPartition]) {}
        fn resume(&mut self, _: &[(TopicPartition, i64)]) {}
        fn seek(&mut self, _: &[(TopicPartition, i64)]) {}
        fn knock(&mut self, _: &TopicPartition, _: i64, _: bool) {}
        fn answered(&mut self, _: &TopicPartition) -> bool {
            false
        }
        fn ask_ends(&mut self, _: &[TopicPartition]) {}
        fn commit(&mut self, _: &[(TopicPartition, i64)]) {}
        fn commit_now(&mut self, offsets: &[(TopicPartition, i64)], _: Duration) -> Answer<()> {
            self.0.extend(offsets.iter().cloned());
            Ok(())
        }
        fn committed(
            &mut self,
            partitions: &[TopicPartition],
            _: Duration,
        ) -> Answer<Vec<Option<i64>>> {
            let known = partitions.iter().map(|id| self.0.get(id).copied());
            Ok(known.collect())
        }
        fn watermarks(&mut self, id: &TopicPartition, _: Duration) -> Answer<Watermarks> {
            let high = i64::from(id.partition + 1) * 2;
            Ok(Watermarks { low: 0, high })
        }
        fn cached_high_watermark(&mut self, _: &TopicPartition) -> Option<i64> {
            None
        }
        fn partition_count(&mut self, _: &str, _: Duration) -> Answer<usize> {
            Ok(3)
        }
    }

    fn id(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    #[test]
    fn members_that_begin_at_once_begin_at_the_end_of_all_partitions() {
        let mut control = Fake::default();
        let latest = |_: &str| Newcomer {
            latest: true,
            unplaced: false,
        };
        let first = starts(&mut control, &[id(0), id(1)], latest);
        assert_eq!(first, [Start::Offset(2), Start::Offset(4)]);
        // Another member asks a moment later.
        assert_eq!(
            starts(&mut control, &[id(2)], latest),
            [Start::Offset(6)],
            "it is no partition that was added"
        );
    }

    #[test]
    fn who_is_quicker_is_not_set_back() {
        let mut control = Fake::default();
        let begun = BTreeMap::from([(id(0), 0), (id(1), 0)]);
        // It has begun and read on since this member looked.
        control.0.insert(id(0), 1_000);
        let quicker = begin(&mut control, &begun);
        assert_eq!(quicker, BTreeMap::from([(id(0), 1_000)]));
        assert_eq!(control.0, BTreeMap::from([(id(0), 1_000), (id(1), 0)]));
    }

    #[test]
    fn what_an_agent_with_a_position_of_its_own_will_not_use_is_not_committed() {
        let mut control = Fake::default();
        let unplaced = |_: &str| Newcomer {
            latest: false,
            unplaced: true,
        };
        let first = starts(&mut control, &[id(1)], unplaced);
        assert_eq!(
            (first, control.0),
            (vec![Start::Offset(0)], BTreeMap::new())
        );
    }

    #[test]
    fn latest_counts_only_for_a_new_group() {
        assert_eq!(decide(Some(3), false, true), Decision::Resume(3));
        assert_eq!(decide(None, true, true), Decision::FromEnd);
        assert_eq!(decide(None, false, true), Decision::FromBeginning);
        assert_eq!(decide(None, true, false), Decision::FromBeginning);
    }
}
