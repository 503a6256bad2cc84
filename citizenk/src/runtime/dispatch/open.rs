//! Lanes for a partition that was given to this worker.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::look::Ages;
use super::orders::{AgentNumber, known};
use super::{Dispatcher, Lane, Partition};
use crate::error::RunError;
use crate::record::TopicPartition;
use crate::runtime::ack::LaneAck;
use crate::runtime::lane::LaneContext;
use crate::runtime::lane::inbox::Inbox;
use crate::runtime::seat::Spot;
use crate::runtime::stall::StallWatch;
use crate::runtime::start::Newcomer;
use crate::runtime::transact::book::Line;
use crate::telemetry::{ClusterLabel, LaneId};
use crate::transport::Start;

impl Dispatcher {
    /// Where a group begins that is new to a topic.
    pub(super) fn newcomer(&self, topic: &str) -> Newcomer {
        let mut readers = self.agents.values().filter_map(|agent| {
            let (_, stage) = agent.plan.reads(topic)?;
            Some((agent, stage))
        });
        Newcomer {
            latest: readers
                .clone()
                .any(|(agent, stage)| agent.plan.start_latest && stage == 0),
            unplaced: readers.all(|(agent, _)| agent.unplaced),
        }
    }

    pub(super) fn open(
        &mut self,
        partition: &TopicPartition,
        start: Start,
        hooks: Option<watch::Receiver<bool>>,
        target: Option<i64>,
    ) {
        let position = known(start);
        let mut lanes = Vec::new();
        let mut lines = Vec::new();
        let readers: Vec<AgentNumber> = self
            .agents
            .values()
            .filter(|agent| agent.plan.reads(&partition.topic).is_some())
            .map(|agent| agent.number)
            .collect();
        for number in readers {
            let held = self.agents.get(&number).filter(|agent| agent.held);
            if let Some(agent) = held {
                agent.seat.put(partition, Spot::Idle(position));
            } else if let Some((lane, line)) =
                self.new_lane(number, partition, position, hooks.clone())
            {
                lanes.push(lane);
                lines.extend(line);
            }
        }
        if let Some(book) = &self.cx.book {
            book.own(partition, position, lines);
        }
        let opened = Partition {
            lanes,
            next: position,
            paused: false,
            full_since: None,
            committed: position,
            settled: position,
            gate: hooks,
            target,
            stalls: StallWatch::new(self.cx.limits.stall_after, Instant::now()),
            known_end: None,
            read_to: None,
            quiet: None,
            ages: Ages::default(),
            metrics: self
                .metrics
                .partition(&partition.topic, partition.partition),
        };
        self.partitions.insert(partition.clone(), opened);
    }

    /// A lane of one agent on one partition; `None` where the agent does not read it.
    pub(super) fn new_lane(
        &self,
        number: AgentNumber,
        partition: &TopicPartition,
        position: Option<i64>,
        hooks: Option<watch::Receiver<bool>>,
    ) -> Option<(Lane, Option<Line>)> {
        let agent = self.agents.get(&number)?;
        let (input, stage) = agent.plan.reads(&partition.topic)?;
        let room = self.cx.limits.room(&agent.plan.spec, stage > 0);
        let inbox = Arc::new(Inbox::new(room, self.cx.poller.clone()));
        let metrics = self.cx.env.metrics.lane(&LaneId {
            agent: agent.plan.spec.name.clone(),
            topic: partition.topic.to_string(),
            partition: partition.partition,
            group: self.cx.group.clone().unwrap_or_default(),
            cluster: ClusterLabel(self.cx.cluster),
        });
        let line = self
            .cx
            .book
            .as_ref()
            .map(|book| book.line(position, &inbox, &agent.plan, &metrics));
        let ack = match &line {
            Some(line) => line.ack.clone(),
            None => Arc::new(LaneAck::at(position)),
        };
        let cx = LaneContext {
            plan: agent.plan.clone(),
            env: self.cx.env.clone(),
            input,
            stage,
            partition: partition.clone(),
            inbox: inbox.clone(),
            ack: ack.clone(),
            outlet: agent.outlet.clone(),
            ledger: line.as_ref().map(|line| line.ledger.clone()),
            supervisor: self.cx.supervisor.clone(),
            metrics,
            gates: agent.gates.iter().chain(&hooks).cloned().collect(),
        };
        match agent.factory.lane(cx) {
            Ok(lane) => self
                .cx
                .executor
                .spawn(&agent.plan.spec.name, inbox.clone(), lane),
            Err(issue) => self.cx.supervisor.fail(RunError::Build(issue.into())),
        }
        agent
            .seat
            .put(partition, Spot::Lane(ack.clone(), inbox.clone()));
        let lane = Lane {
            agent: number,
            batch_size: agent.plan.spec.tuning.batch_size,
            from: i64::MIN,
            first: None,
            handed: None,
            inbox,
            ack,
        };
        Some((lane, line))
    }
}

/// `videos/0, videos/1`.
pub(super) fn list(partitions: &[TopicPartition]) -> String {
    partitions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
