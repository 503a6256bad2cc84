//! Where an agent reads on, as offsets.
//!
//! In: a position, the partitions this worker has, what broker and group know. Out: the next offset of each
//! partition; one that is not named stands where the dispatcher says. Everything here blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::agents::ReadFrom;
use super::plan::AgentPlan;
use crate::record::TopicPartition;
use crate::transport::{ConsumerHandle, Spot, Transport, TransportError};

pub(super) type Offsets = BTreeMap<TopicPartition, i64>;

const ASK: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// As of now.
    At(ReadFrom),
    /// As of a while ago, when the agent was to begin. Others may have read what comes only now: who reads
    /// it from the old place again does their work twice, who begins at today's end leaves a gap.
    Since(Offsets),
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

    /// The offsets on the partitions this worker has, `standing` with what is next on each.
    pub(super) fn offsets(
        self,
        plan: &AgentPlan,
        standing: Vec<(TopicPartition, Option<i64>)>,
        handle: &dyn ConsumerHandle,
    ) -> Result<Offsets, TransportError> {
        let standing: Vec<_> = standing
            .into_iter()
            .filter(|(id, _)| own(plan, &id.topic))
            .collect();
        let ids = || -> Vec<TopicPartition> { standing.iter().map(|(id, _)| id.clone()).collect() };
        match self {
            Self::At(ReadFrom::Offsets(offsets)) => Ok(offsets.into_iter().collect()),
            Self::At(from) => match spot(&from) {
                Some(spot) => {
                    let ids = ids();
                    let offsets = handle.offsets(&ids, spot, ASK)?;
                    Ok(ids.into_iter().zip(offsets).collect())
                }
                None => {
                    let known = standing.into_iter();
                    Ok(known.filter_map(|(id, at)| Some((id, at?))).collect())
                }
            },
            Self::Since(wanted) => {
                let ids = ids();
                let committed = match plan.group {
                    Some(_) => handle.committed(&ids, ASK)?,
                    None => vec![None; ids.len()],
                };
                let later = |(id, committed): (TopicPartition, Option<i64>)| {
                    let at = committed.max(wanted.get(&id).copied())?;
                    Some((id, at))
                };
                Ok(ids.into_iter().zip(committed).filter_map(later).collect())
            }
        }
    }
}

/// The offsets of a position on all partitions there are now, whoever has them.
pub(super) fn everywhere(
    from: &ReadFrom,
    plan: &AgentPlan,
    topics: &BTreeSet<String>,
    transport: &dyn Transport,
    handle: &dyn ConsumerHandle,
) -> Result<Offsets, TransportError> {
    if let ReadFrom::Offsets(offsets) = from {
        return Ok(offsets.iter().cloned().collect());
    }
    let Some(spot) = spot(from) else {
        return Ok(Offsets::new());
    };
    let mut ids = Vec::new();
    for topic in topics.iter().filter(|topic| own(plan, topic)) {
        for found in transport.topics(Some(topic), ASK)? {
            let count = i32::try_from(found.partitions).unwrap_or(i32::MAX);
            let name = found.name.as_str();
            ids.extend((0..count).map(|partition| TopicPartition::new(name, partition)));
        }
    }
    let offsets = handle.offsets(&ids, spot, ASK)?;
    Ok(ids.into_iter().zip(offsets).collect())
}
