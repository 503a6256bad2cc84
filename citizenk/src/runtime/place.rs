//! Where an agent reads on, as offsets.
//!
//! In: a position, the partitions this worker has, what broker and group know. Out: the next offset of each
//! partition; one that is not named stands where the dispatcher says. Everything here blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::agents::ReadFrom;
use super::plan::AgentPlan;
use crate::record::TopicPartition;
use crate::transport::{ConsumerHandle, Spot, TopicMetadata, Transport, TransportError};

pub(super) type Offsets = BTreeMap<TopicPartition, i64>;

const ASK: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// As of now.
    At(ReadFrom),
    /// As of a while ago, when the agent was to begin. Others may have read what comes only now: who reads
    /// it from the old place again does their work twice, who begins at today's end leaves a gap.
    Since(Then),
}

/// The ends when an agent was to begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Then {
    pub(super) ends: Offsets,
    /// Topics that others of the group read already, or may: what the group has committed there counts, also
    /// where it is behind.
    pub(super) begun: BTreeSet<String>,
}

fn spot(from: &ReadFrom) -> Option<Spot> {
    match from {
        ReadFrom::Committed | ReadFrom::Offsets(_) => None,
        ReadFrom::Earliest => Some(Spot::Beginning),
        ReadFrom::Latest => Some(Spot::End),
        ReadFrom::Timestamp(millis) => Some(Spot::Time(*millis)),
    }
}

fn own(plan: &AgentPlan, topic: &str) -> bool {
    matches!(plan.reads(topic), Some((_, 0)))
}

impl Place {
    /// An agent that runs is where it is to be.
    pub(super) fn is_here(&self) -> bool {
        matches!(self, Self::At(ReadFrom::Committed) | Self::Since(_))
    }

    /// Where others of the group have read beyond it, the agent begins with them.
    pub(super) fn yields(&self) -> bool {
        matches!(self, Self::At(ReadFrom::Latest) | Self::Since(_))
    }

    /// The offsets on the partitions this worker has, `standing` with what is next on each; and those the group has
    /// none for and is to have now, whoever reads there.
    pub(super) fn offsets(
        self,
        plan: &AgentPlan,
        standing: Vec<(TopicPartition, Option<i64>)>,
        handle: &dyn ConsumerHandle,
    ) -> Result<(Offsets, Offsets), TransportError> {
        let standing: Vec<_> = standing
            .into_iter()
            .filter(|(id, _)| own(plan, &id.topic))
            .collect();
        let ids = || -> Vec<TopicPartition> { standing.iter().map(|(id, _)| id.clone()).collect() };
        let offsets = match self {
            Self::At(ReadFrom::Offsets(offsets)) => offsets.into_iter().collect(),
            Self::At(from) => match spot(&from) {
                Some(spot) => {
                    let ids = ids();
                    let offsets = handle.offsets(&ids, spot, ASK)?;
                    ids.into_iter().zip(offsets).collect()
                }
                None => {
                    let known = standing.into_iter();
                    known.filter_map(|(id, at)| Some((id, at?))).collect()
                }
            },
            Self::Since(wanted) => {
                // Also such as come between this answer and the begin.
                let all: BTreeSet<TopicPartition> = ids()
                    .into_iter()
                    .chain(wanted.ends.keys().cloned())
                    .collect();
                let ids: Vec<TopicPartition> = all.into_iter().collect();
                let committed = match plan.group {
                    Some(_) => handle.committed(&ids, ASK)?,
                    None => vec![None; ids.len()],
                };
                return since(&wanted, ids, committed, |ids| {
                    handle.offsets(ids, Spot::End, ASK)
                });
            }
        };
        Ok((offsets, Offsets::new()))
    }
}

/// Where each partition begins, and which of that is new to the group.
fn since(
    then: &Then,
    ids: Vec<TopicPartition>,
    committed: Vec<Option<i64>>,
    ends: impl FnOnce(&[TopicPartition]) -> Result<Vec<i64>, TransportError>,
) -> Result<(Offsets, Offsets), TransportError> {
    let Then {
        ends: wanted,
        begun,
    } = then;
    let (mut at, mut first, mut ahead) = (Offsets::new(), Offsets::new(), Vec::new());
    let known = ids.iter().zip(&committed);
    let known = known.filter(|(_, committed)| committed.is_some());
    let known: BTreeSet<Arc<str>> = known.map(|(id, _)| id.topic.clone()).collect();
    for (id, committed) in ids.into_iter().zip(committed) {
        let begun = begun.contains(&*id.topic);
        match (wanted.get(&id).copied(), committed) {
            (Some(wanted), Some(committed)) if begun && committed <= wanted => {
                at.insert(id, committed);
            }
            // A partition that was added since.
            (Some(_), None) if begun && known.contains(&id.topic) => {}
            (Some(wanted), None) => {
                first.insert(id.clone(), wanted);
                at.insert(id, wanted);
            }
            (Some(wanted), Some(committed)) if committed > wanted => ahead.push((id, committed)),
            (Some(offset), Some(_)) | (None, Some(offset)) => {
                at.insert(id, offset);
            }
            (None, None) => {}
        }
    }
    if !ahead.is_empty() {
        let ids: Vec<TopicPartition> = ahead.iter().map(|(id, _)| id.clone()).collect();
        // What was committed beyond the end is of a topic that was there before this one.
        for ((id, committed), end) in ahead.into_iter().zip(ends(&ids)?) {
            let offset = match wanted.get(&id) {
                Some(wanted) if committed > end => *wanted,
                _ => committed,
            };
            at.insert(id, offset);
        }
    }
    Ok((at, first))
}

/// Those of the topics whose positions are the agent's to choose: what it tries again later goes on where it was.
pub(super) fn own_topics(plan: &AgentPlan, mut topics: BTreeSet<String>) -> BTreeSet<String> {
    topics.retain(|topic| own(plan, topic));
    topics
}

/// The offsets of a position on all partitions there are now, whoever has them.
pub(super) fn everywhere(
    from: &ReadFrom,
    topics: &BTreeSet<String>,
    transport: &dyn Transport,
) -> Result<Offsets, TransportError> {
    if let ReadFrom::Offsets(offsets) = from {
        return Ok(offsets.iter().cloned().collect());
    }
    let Some(spot) = spot(from) else {
        return Ok(Offsets::new());
    };
    at(&partitions(topics, transport)?, spot, transport)
}

/// All there are of the topics, in one request.
fn partitions(
    topics: &BTreeSet<String>,
    transport: &dyn Transport,
) -> Result<Vec<TopicPartition>, TransportError> {
    let only = match topics.len() {
        0 => return Ok(Vec::new()),
        1 => topics.first().map(String::as_str),
        _ => None,
    };
    let mut found = transport.topics(only, ASK)?;
    found.retain(|topic| topics.contains(&topic.name));
    let of = |topic: TopicMetadata| {
        let count = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        let name: Arc<str> = topic.name.into();
        (0..count).map(move |partition| TopicPartition::new(name.clone(), partition))
    };
    Ok(found.into_iter().flat_map(of).collect())
}

fn at(
    ids: &[TopicPartition],
    spot: Spot,
    transport: &dyn Transport,
) -> Result<Offsets, TransportError> {
    let offsets = transport.offsets(ids, spot, false, ASK)?;
    let found = ids.iter().zip(offsets);
    Ok(found
        .filter_map(|(id, offset)| Some((id.clone(), offset?)))
        .collect())
}

/// The ends of several agents' topics.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// How many topics were asked for.
    topics: usize,
    /// One topic that cannot be asked spoils it for all.
    ends: Result<Arc<Offsets>, TransportError>,
}

impl Ends {
    pub(super) fn ask(
        topics: &BTreeSet<String>,
        transport: &dyn Transport,
    ) -> Result<Self, TransportError> {
        let ids = partitions(topics, transport)?;
        Ok(Self {
            topics: topics.len(),
            ends: at(&ids, Spot::End, transport).map(Arc::new),
        })
    }

    /// Those of these topics; `None`: another topic than these may be why there is no answer.
    pub(super) fn of(&self, topics: &BTreeSet<String>) -> Result<Option<Offsets>, TransportError> {
        match &self.ends {
            Ok(ends) => {
                let of = |topic: &String| {
                    let name: Arc<str> = topic.as_str().into();
                    let all = TopicPartition::new(name.clone(), 0);
                    let all = all..=TopicPartition::new(name, i32::MAX);
                    ends.range(all).map(|(id, end)| (id.clone(), *end))
                };
                Ok(Some(topics.iter().flat_map(of).collect()))
            }
            Err(error) if self.topics == topics.len() => Err(error.clone()),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    #[test]
    fn it_begins_at_the_end_of_then_or_where_the_group_is_by_now() {
        // New to the group; behind; ahead; ahead of a topic that was made anew; joined; joined and new.
        let wanted = Offsets::from([(id(0), 5), (id(1), 5), (id(2), 5), (id(3), 5)]);
        let committed = vec![None, Some(3), Some(8), Some(90), Some(2), None];
        let asked = |ids: &[TopicPartition]| {
            assert_eq!(ids, [id(2), id(3)]);
            Ok(vec![9, 9])
        };
        let ids = (0..6).map(id).collect();
        let then = Then {
            ends: wanted,
            begun: BTreeSet::new(),
        };
        let (at, first) = since(&then, ids, committed, asked).unwrap();
        let places = [(id(0), 5), (id(1), 5), (id(2), 8), (id(3), 5), (id(4), 2)];
        assert_eq!(at, Offsets::from(places));
        assert_eq!(first, Offsets::from([(id(0), 5)]));
    }

    #[test]
    fn of_what_agents_asked_together_each_takes_its_own() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let at = |topic, partition| TopicPartition::new(topic, partition);
        let all = Offsets::from([(at("s", 0), 1), (at("t", 0), 2), (at("t", 1), 3)]);
        let asked = |ends| Ends { topics: 2, ends };
        let known = asked(Ok(Arc::new(all)));
        let own = Offsets::from([(at("t", 0), 2), (at("t", 1), 3)]);
        assert_eq!(known.of(&names(&["t"])), Ok(Some(own)));
        // Whose topic it was is not known: who asked for some of them asks again for these alone.
        let error = TransportError {
            context: "s".to_owned(),
            code: "LEADER_NOT_AVAILABLE".to_owned(),
            message: "no leader".to_owned(),
            retriable: true,
            fatal: false,
        };
        let failed = asked(Err(error.clone()));
        assert_eq!(failed.of(&names(&["t"])), Ok(None));
        assert_eq!(failed.of(&names(&["s", "t"])), Err(error));
    }

    #[test]
    fn where_others_have_begun_the_group_is_followed_also_behind_the_end() {
        let then = Then {
            ends: Offsets::from([(id(0), 5), (id(1), 5)]),
            begun: BTreeSet::from(["t".to_owned()]),
        };
        let never = |_: &[TopicPartition]| panic!("nothing is ahead");
        let decide = |committed| since(&then, vec![id(0), id(1)], committed, never).unwrap();
        // Behind, and a partition that was added.
        let (at, first) = decide(vec![Some(3), None]);
        assert_eq!((at, first), (Offsets::from([(id(0), 3)]), Offsets::new()));
        // They had partitions and have committed nothing: the group begins here.
        let (at, first) = decide(vec![None, None]);
        assert_eq!((&at, &first), (&then.ends, &then.ends));
    }
}
