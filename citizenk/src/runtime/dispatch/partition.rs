//! An assigned partition and its lanes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::look::Ages;
use super::orders::AgentNumber;
use crate::runtime::ack::{LaneAck, lowest};
use crate::runtime::lane::inbox::Inbox;
use crate::runtime::stall::StallWatch;
use crate::telemetry::PartitionMetrics;

pub(super) struct Lane {
    pub(super) agent: AgentNumber,
    pub(super) batch_size: usize,
    /// Records below are not handed over: the agent came later. The highest number: it takes no more.
    pub(super) from: i64,
    /// The first offset that was handed over, and the next one behind all that was.
    pub(super) first: Option<i64>,
    pub(super) handed: Option<i64>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) ack: Arc<LaneAck>,
}

pub(super) struct Partition {
    pub(super) lanes: Vec<Lane>,
    /// The next offset to hand over.
    pub(super) next: Option<i64>,
    pub(super) paused: bool,
    pub(super) full_since: Option<Instant>,
    pub(super) committed: Option<i64>,
    /// The position while there are no lanes.
    pub(super) settled: Option<i64>,
    /// Open when the hooks of its assignment have ended.
    pub(super) gate: Option<watch::Receiver<bool>>,
    /// The end when the partition was assigned: what `after` waits for.
    pub(super) target: Option<i64>,
    pub(super) metrics: PartitionMetrics,
    pub(super) stalls: StallWatch,
    /// What the broker answered when it was asked.
    pub(super) known_end: Option<i64>,
    /// The client has handed over all there was below; behind the last record may stand marks of
    /// transactions. Without a group the client tells it, else a probe found it.
    pub(super) read_to: Option<i64>,
    /// A gate waits for more: since when nothing came behind this next offset.
    pub(super) quiet: Option<(Option<i64>, Instant)>,
    pub(super) ages: Ages,
}

impl Lane {
    /// Everything below is settled. Where nothing is yet: the first record it was handed.
    pub(super) fn position(&self) -> Option<i64> {
        self.ack.position().or(self.first)
    }
}

impl Partition {
    /// Everything below is settled by all lanes.
    pub(super) fn position(&self) -> Option<i64> {
        let lanes = self.lanes.iter().map(|lane| lane.ack.position());
        lowest(lanes, self.next).unwrap_or(self.settled)
    }

    /// Whether the lane is done with all records below `end`.
    pub(super) fn is_settled_to(&self, lane: &Lane, end: i64) -> bool {
        let position = lane.ack.position();
        position >= Some(end) || (self.read_to >= Some(end) && position >= self.next)
    }

    pub(super) fn is_full(&self) -> bool {
        self.lanes.iter().any(|lane| lane.inbox.is_full()) || self.is_overdrawn()
    }

    /// A lane holds far more than it should.
    pub(super) fn is_overfull(&self) -> bool {
        self.lanes.iter().any(|lane| lane.inbox.is_overfull())
    }

    /// Whether it is still full once its lanes know that fetching waits for them.
    pub(super) fn starves(&self) -> bool {
        let starving = |lane: &Lane| lane.inbox.is_full() && lane.inbox.starve();
        self.lanes.iter().any(starving) || self.is_overdrawn()
    }

    /// A lane waits for the time of a record: no progress, and no stall.
    pub(super) fn is_resting(&self) -> bool {
        self.lanes.iter().any(|lane| lane.inbox.is_resting())
    }

    pub(super) fn queued(&self) -> usize {
        self.lanes
            .iter()
            .map(|lane| lane.inbox.queued())
            .max()
            .unwrap_or(0)
    }
}
