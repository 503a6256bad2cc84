//! Lanes for a partition that was given to this worker.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::look::Ages;
use super::{Dispatcher, Lane, Partition};
use crate::error::RunError;
use crate::record::TopicPartition;
use crate::runtime::ack::LaneAck;
use crate::runtime::lane::LaneContext;
use crate::runtime::lane::inbox::Inbox;
use crate::runtime::stall::StallWatch;
use crate::telemetry::LaneId;
use crate::transport::Start;

impl Dispatcher {
    pub(super) fn open(
        &mut self,
        partition: &TopicPartition,
        start: Start,
        hooks: Option<watch::Receiver<bool>>,
        target: Option<i64>,
    ) {
        let position = match start {
            Start::Offset(offset) => Some(offset),
            Start::Committed | Start::Beginning | Start::End => None,
        };
        let mut lanes = Vec::new();
        let mut lines = Vec::new();
        for (number, agent) in self.cx.agents.iter().enumerate() {
            let Some((input, stage)) = agent.plan.reads(&partition.topic) else {
                continue;
            };
            let room = self.cx.limits.room(&agent.plan.spec, stage > 0);
            let inbox = Arc::new(Inbox::new(room, self.cx.poller.clone()));
            let metrics = self.cx.env.metrics.lane(&LaneId {
                agent: agent.plan.spec.name.clone(),
                topic: partition.topic.to_string(),
                partition: partition.partition,
                group: self.cx.group.clone().unwrap_or_default(),
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
            lanes.push(Lane {
                agent: number,
                batch_size: agent.plan.spec.tuning.batch_size,
                inbox,
                ack,
            });
            lines.extend(line);
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
            target,
            stalls: StallWatch::new(self.cx.limits.stall_after, Instant::now()),
            known_end: None,
            read_to: None,
            delivered: false,
            ages: Ages::default(),
            metrics: self
                .metrics
                .partition(&partition.topic, partition.partition),
        };
        self.partitions.insert(partition.clone(), opened);
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
