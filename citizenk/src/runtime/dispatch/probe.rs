//! Whether there are records where the client of a group delivers none.
//!
//! In: a partition, the next offset and the end. Out, some looks later: a [`Finding`]. Behind the last record may
//! stand marks of transactions and aborted records, for ever, and a member of a group cannot be asked to tell of
//! the ends it reaches (`ConsumerSpec::ends`). So a consumer of its own, without a group, reads the range as the
//! member would. Few at a time; owned by the dispatcher, with which they end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Dispatcher, Lane, Partition};
use crate::error::RunError;
use crate::extract::{Begin, Counts, Found, Position, ReadError, ReadPort, ReadRequest};
use crate::record::TopicPartition;
use crate::runtime::lane::inbox::Poller;
use crate::runtime::read::Reads;
use crate::transport::Control;

/// Each is a client with connections of its own.
const AT_ONCE: usize = 4;
/// How long a probe waits for a record or the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// A partition that a gate waits for is looked into when nothing came for so long.
const QUIET: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) partition: TopicPartition,
    /// `None`: from the first record on.
    pub(super) next: Option<i64>,
    pub(super) end: i64,
    /// Everything else was tried: a record that is there ends the service.
    pub(super) last_resort: bool,
}

/// What a probe found from the next offset to the end.
#[derive(Debug)]
enum Finding {
    /// No record.
    Empty,
    /// There is a record, at this offset.
    Record(i64),
    /// The broker answers, but gives neither records nor the end.
    Silence,
    /// The broker could not be asked.
    Unknown(String),
}

struct Running {
    question: Question,
    answer: oneshot::Receiver<Finding>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The probes of one consumer.
pub(super) struct Probes {
    cluster: &'static str,
    reads: Reads,
    handle: Handle,
    poller: Arc<Poller>,
    running: Vec<Running>,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probes({} running)", self.running.len())
    }
}

impl Probes {
    pub(super) fn new(
        cluster: &'static str,
        reads: Reads,
        handle: Handle,
        poller: Arc<Poller>,
    ) -> Self {
        Self {
            cluster,
            reads,
            handle,
            poller,
            running: Vec::new(),
        }
    }

    /// Looks into a partition, unless enough is being looked into; then it is asked again later.
    fn ask(&mut self, question: Question) {
        let same = |running: &Running| running.question.partition == question.partition;
        if self.running.len() >= AT_ONCE || self.running.iter().any(same) {
            return;
        }
        let (give, answer) = oneshot::channel();
        let (reads, poller) = (self.reads.clone(), self.poller.clone());
        let request = request(self.cluster, &question);
        let task = self.handle.spawn(async move {
            let finding = look(&reads, request).await;
            // The dispatcher may have ended.
            let _ = give.send(finding);
            poller.wake();
        });
        self.running.push(Running {
            question,
            answer,
            task: task.abort_handle(),
        });
    }

    fn answered(&mut self) -> Option<(Running, Finding)> {
        let mut found = None;
        let place = self.running.iter_mut().position(|running| {
            found = match running.answer.try_recv() {
                Ok(finding) => Some(finding),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => {
                    Some(Finding::Unknown("the probe was cut off".to_owned()))
                }
            };
            found.is_some()
        })?;
        Some((self.running.swap_remove(place), found?))
    }

    pub(super) fn clear(&mut self) {
        self.running.clear();
    }
}

fn request(cluster: &'static str, question: &Question) -> ReadRequest {
    ReadRequest {
        cluster,
        topic: question.partition.topic.to_string(),
        on_broker: true,
        partitions: [question.partition.partition].into(),
        begin: Begin::At(question.next.map_or(Position::Earliest, Position::Offset)),
        to: Position::Offset(question.end),
        ends: None,
        follow: false,
        patience: PATIENCE,
        counts: Arc::<Counts>::default(),
    }
}

async fn look(reads: &Reads, request: ReadRequest) -> Finding {
    let mut found = reads.open(request);
    loop {
        match found.next().await {
            None => return Finding::Empty,
            Some(Ok(Found::Records(chunk, range))) if !range.is_empty() => {
                return Finding::Record(chunk.offset(range.start));
            }
            Some(Ok(_)) => {}
            Some(Err(ReadError::Silent { last: None, .. })) => return Finding::Silence,
            Some(Err(error)) => return Finding::Unknown(error.to_string()),
        }
    }
}

impl Partition {
    /// Nothing more can be done for the gate: what came is settled, and more is expected.
    fn lags_behind_gate(&self, waits: impl Fn(&Lane) -> bool) -> bool {
        let Some(target) = self.target else {
            return false;
        };
        let behind = |lane: &Lane| {
            waits(lane) && !self.is_settled_to(lane, target) && lane.ack.position() >= self.next
        };
        self.lanes.iter().any(behind)
    }
}

impl Dispatcher {
    /// Nothing else helped: is there anything to deliver at all?
    pub(super) fn probe(&mut self, partition: &TopicPartition, next: i64, end: i64) {
        self.probes.ask(Question {
            partition: partition.clone(),
            next: Some(next),
            end,
            last_resort: true,
        });
    }

    /// Looks into partitions that agents with `after` wait for and of which nothing comes any more.
    pub(super) fn probe_for_gates(&mut self, now: Instant) {
        // Without a group the client tells of ends.
        if self.cx.group.is_none() {
            return;
        }
        let closed = |lane: &Lane| {
            let agent = self.agents.get(&lane.agent);
            let gate = agent.and_then(|agent| agent.caught_up.as_ref());
            gate.is_some_and(|gate| !*gate.borrow())
        };
        for (id, state) in &mut self.partitions {
            if !state.lags_behind_gate(closed) {
                state.quiet = None;
                continue;
            }
            let next = state.next;
            match state.quiet {
                Some((at, since)) if at == next => {
                    if now.saturating_duration_since(since) < QUIET {
                        continue;
                    }
                    if let Some(end) = state.target {
                        self.probes.ask(Question {
                            partition: id.clone(),
                            next,
                            end,
                            last_resort: false,
                        });
                    }
                    state.quiet = Some((next, now));
                }
                _ => state.quiet = Some((next, now)),
            }
        }
    }

    /// Acts on what was found since the last look.
    pub(super) fn hear_probes(&mut self, control: &mut dyn Control) {
        while let Some((running, finding)) = self.probes.answered() {
            let question = &running.question;
            let (partition, end) = (&question.partition, question.end);
            let Some(state) = self.partitions.get_mut(partition) else {
                continue;
            };
            if state.next != question.next {
                // Records came meanwhile, or it is read from elsewhere.
                continue;
            }
            let group = self.cx.group.as_deref();
            if matches!(finding, Finding::Empty) {
                tracing::debug!(group, %partition, next = question.next, end, "no records up to the end: marks of transactions, or aborted");
                state.read_to = state.read_to.max(Some(end));
                state.stalls.alive(Some(end));
                continue;
            }
            let (true, Some(next)) = (question.last_resort, question.next) else {
                continue;
            };
            if state.stalls.stall().is_none() {
                continue;
            }
            if let Finding::Unknown(reason) = finding {
                tracing::warn!(group, %partition, next, reason, "cannot see whether there are records; fetching the partition anew");
                control.knock(partition, next, true);
                continue;
            }
            match finding {
                Finding::Record(offset) => {
                    tracing::error!(group, %partition, next, offset, "another client is given a record that this one does not deliver");
                }
                _ => {
                    tracing::error!(group, %partition, next, end, "another client is given neither records nor the end");
                }
            }
            self.cx.supervisor.fail(RunError::Stalled {
                partition: partition.to_string(),
                next,
            });
        }
    }
}
