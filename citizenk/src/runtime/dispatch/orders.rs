//! Agents that come, go, pause and go on while the group runs.
//!
//! In: orders from any thread, obeyed by the polling thread between two polls. Out: lanes opened and ended,
//! partitions paused and resumed. Who runs no lane on a partition holds back no commit of it; a partition
//! that nobody reads is paused and remembers how far it is settled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::look::Ages;
use super::{Dispatcher, GroupAgent, Partition};
use crate::record::TopicPartition;
use crate::runtime::lane::inbox::Closing;
use crate::runtime::seat::Spot;
use crate::runtime::stall::StallWatch;
use crate::runtime::start;
use crate::transport::{Control, Start};

type Positions = BTreeMap<TopicPartition, i64>;

/// An agent's number in its group; never used again.
pub(crate) type AgentNumber = usize;

/// How an agent's lanes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What was handed over is handled first.
    Finish,
    /// Started calls end, the rest stays unsettled.
    Drain,
    /// At once.
    Abandon,
}

/// Where a partition that others read on is to be read by one more agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) partition: TopicPartition,
    pub(crate) wanted: i64,
    pub(crate) next: i64,
}

pub(crate) enum Order {
    /// One more agent; it reads owned partitions of its topics on from where the group is.
    Attach(Box<GroupAgent>, oneshot::Sender<()>),
    /// The agent's lanes end; answered once none runs. `forget`: the agent is gone then, else it is paused.
    Detach {
        agent: AgentNumber,
        ending: Ending,
        forget: bool,
        done: oneshot::Sender<()>,
    },
    /// Reads on from these offsets; partitions not named go on where they stand. All or nothing.
    Resume {
        agent: AgentNumber,
        positions: Positions,
        /// Positions the group does not have yet: committed now, also of partitions that others read.
        first: Positions,
        /// They are the ends: where others have read beyond meanwhile, the agent begins there.
        ends: bool,
        done: oneshot::Sender<Result<(), Behind>>,
    },
}

/// Orders on their way to the polling thread, which is to be woken after each.
#[derive(Default)]
pub(crate) struct Orders(Mutex<VecDeque<Order>>);

impl std::fmt::Debug for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Orders")
    }
}

impl Orders {
    pub(crate) fn post(&self, order: Order) {
        self.lock().push_back(order);
    }

    fn take(&self) -> Option<Order> {
        self.lock().pop_front()
    }

    /// Nobody obeys any more: who waits for an answer hears so.
    pub(super) fn refuse(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Order>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An agent whose lanes are ending.
pub(super) struct Leaving {
    agent: AgentNumber,
    finish: bool,
    forget: bool,
    done: oneshot::Sender<()>,
}

impl Dispatcher {
    /// Does what was ordered since the last look.
    pub(super) fn obey(&mut self, control: &mut dyn Control) {
        let (mut first_of, mut answers) = (Vec::new(), Vec::new());
        while let Some(order) = self.cx.orders.take() {
            match order {
                Order::Attach(agent, done) => {
                    let (number, held) = (agent.number, agent.held);
                    self.agents.insert(number, *agent);
                    self.show(number);
                    if !held {
                        // From where the group is, so nothing can be behind it.
                        let _ = self.resume_agent(control, number, &BTreeMap::new());
                    }
                    let _ = done.send(());
                }
                Order::Detach {
                    agent,
                    ending,
                    forget,
                    done,
                } => {
                    self.detach(control, agent, ending);
                    self.leaving.push(Leaving {
                        agent,
                        finish: ending == Ending::Finish,
                        forget,
                        done,
                    });
                }
                Order::Resume {
                    agent,
                    mut positions,
                    first,
                    ends,
                    done,
                } => {
                    if ends {
                        self.catch_up(&mut positions);
                    }
                    let resumed = self.resume_agent(control, agent, &positions);
                    if resumed.is_ok() {
                        first_of.push((agent, first));
                        // A crash finds the group where its agent began.
                        self.commits.hurry(Instant::now());
                    }
                    answers.push((done, resumed));
                }
            }
        }
        // Once for all: each is a request that this thread waits for.
        self.begin_group(control, first_of);
        for (done, resumed) in answers {
            let _ = done.send(resumed);
        }
        self.let_go(control);
    }

    /// The group begins here, on all partitions that no other agent of this worker reads already.
    fn begin_group(&mut self, control: &mut dyn Control, first: Vec<(AgentNumber, Positions)>) {
        if self.cx.group.is_none() {
            return;
        }
        let mut begun = Positions::new();
        for (agent, first) in first {
            let others = |id: &TopicPartition| {
                let state = self.partitions.get(id);
                state.is_some_and(|state| state.lanes.iter().any(|lane| lane.agent != agent))
            };
            begun.extend(first.into_iter().filter(|(id, _)| !others(id)));
        }
        start::begin(control, &begun);
    }

    /// Notes the partitions that are there already.
    fn show(&self, number: AgentNumber) {
        let Some(agent) = self.agents.get(&number) else {
            return;
        };
        for (partition, state) in &self.partitions {
            if agent.plan.reads(&partition.topic).is_some() {
                agent.seat.put(partition, Spot::Idle(state.next));
            }
        }
    }

    /// Stops the agent's intake and tells its lanes how to end.
    fn detach(&mut self, control: &mut dyn Control, number: AgentNumber, ending: Ending) {
        if let Some(agent) = self.agents.get_mut(&number) {
            agent.held = true;
        }
        let mut unread = Vec::new();
        for (id, state) in &mut self.partitions {
            let mut own = false;
            for lane in &mut state.lanes {
                if lane.agent != number {
                    continue;
                }
                own = true;
                lane.from = i64::MAX;
                match ending {
                    Ending::Finish => {}
                    Ending::Drain => lane.inbox.close(Closing::Drain, None),
                    Ending::Abandon => lane.inbox.close(Closing::Abandon, None),
                }
            }
            if own && !state.paused && state.is_unread() {
                state.stop_fetching();
                unread.push(id.clone());
            }
        }
        if !unread.is_empty() {
            control.pause(&unread);
        }
    }

    /// Takes lanes that have ended out of the books, and answers who waits for them.
    fn let_go(&mut self, control: &mut dyn Control) {
        for leaving in std::mem::take(&mut self.leaving) {
            let mut ended = true;
            for state in self.partitions.values() {
                for lane in state.lanes.iter().filter(|l| l.agent == leaving.agent) {
                    let handled = lane.handed.is_none() || lane.ack.position() >= lane.handed;
                    if leaving.finish && handled && !lane.inbox.is_closing() {
                        lane.inbox.close(Closing::Drain, None);
                    }
                    ended &= lane.inbox.is_over();
                }
            }
            if !ended {
                self.leaving.push(leaving);
                continue;
            }
            self.unseat(control, leaving.agent);
            if leaving.forget
                && let Some(agent) = self.agents.remove(&leaving.agent)
            {
                for partition in self.partitions.keys() {
                    agent.seat.remove(partition);
                }
            }
            // What is settled is committed now and not in a second.
            self.commits.hurry(Instant::now());
            let _ = leaving.done.send(());
        }
    }

    fn unseat(&mut self, control: &mut dyn Control, number: AgentNumber) {
        let Some(agent) = self.agents.get(&number) else {
            return;
        };
        let mut unread = Vec::new();
        for (id, state) in &mut self.partitions {
            let Some(index) = state.lanes.iter().position(|lane| lane.agent == number) else {
                continue;
            };
            let lane = state.lanes.remove(index);
            let settled = lane.position();
            if state.lanes.is_empty() {
                state.settled = settled;
                if !state.paused {
                    state.stop_fetching();
                    unread.push(id.clone());
                }
                agent.seat.put(id, Spot::Idle(settled));
            } else {
                // Others commit past what this one leaves behind.
                let left = lane.handed.zip(settled).map_or(0, |(next, at)| next - at);
                if left > 0 {
                    tracing::warn!(agent = agent.plan.spec.name, partition = %id, records = left, "left unhandled: other agents of the group read on");
                    agent.seat.skip(left);
                }
                agent.seat.put(id, Spot::Idle(state.next));
            }
        }
        if !unread.is_empty() {
            control.pause(&unread);
        }
    }

    /// An end that was asked for is a moment old: records that others were handed since then are behind it.
    fn catch_up(&self, positions: &mut BTreeMap<TopicPartition, i64>) {
        for (id, wanted) in positions {
            let state = self.partitions.get(id);
            let next = state
                .filter(|state| !state.lanes.is_empty())
                .and_then(|state| state.next);
            *wanted = next.map_or(*wanted, |next| next.max(*wanted));
        }
    }

    fn resume_agent(
        &mut self,
        control: &mut dyn Control,
        number: AgentNumber,
        positions: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), Behind> {
        let Some(agent) = self.agents.get_mut(&number) else {
            return Ok(());
        };
        let plan = agent.plan.clone();
        let reads = |id: &TopicPartition, state: &Partition| {
            plan.reads(&id.topic).is_some() && state.lanes.iter().all(|lane| lane.agent != number)
        };
        for (id, state) in &self.partitions {
            if let (Some(wanted), Some(next)) = (positions.get(id), state.next)
                && reads(id, state)
                && !state.lanes.is_empty()
                && *wanted < next
            {
                return Err(Behind {
                    partition: id.clone(),
                    wanted: *wanted,
                    next,
                });
            }
        }
        agent.held = false;
        let begins = std::mem::take(&mut agent.unplaced);
        let ids: Vec<TopicPartition> = self
            .partitions
            .iter()
            .filter(|(id, state)| reads(id, state))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.read_on(control, number, &id, positions.get(&id).copied(), begins);
        }
        Ok(())
    }

    /// A lane for a partition this consumer has already. `begins`: no position of it was committed for the agent.
    fn read_on(
        &mut self,
        control: &mut dyn Control,
        number: AgentNumber,
        id: &TopicPartition,
        wanted: Option<i64>,
        begins: bool,
    ) {
        let Some(state) = self.partitions.get(id) else {
            return;
        };
        let alone = state.lanes.is_empty();
        let stood = state.settled.or(state.next);
        let at = if alone {
            // A partition that appeared later and was never read starts at its first record.
            let mut first = || control.watermarks(id, super::COMMIT_TIMEOUT).ok();
            let at = wanted.or(stood).or_else(|| first().map(|marks| marks.low));
            Some(at.unwrap_or(0))
        } else {
            wanted.or(state.next)
        };
        let gate = state.gate.clone();
        let left = self
            .agents
            .get(&number)
            .and_then(|agent| agent.seat.position(id));
        let Some((mut lane, _)) = self.new_lane(number, id, at, gate) else {
            return;
        };
        let Some(state) = self.partitions.get_mut(id) else {
            return;
        };
        if let (false, Some(from)) = (alone, at) {
            lane.from = from;
            // Since it was paused, or since it came.
            let skipped = left.map_or(0, |left| from - left);
            if let Some(agent) = self.agents.get(&number) {
                agent.seat.skip(skipped);
            }
        }
        state.lanes.push(lane);
        if let (true, Some(at)) = (alone, at) {
            if begins || stood != Some(at) {
                // Another position than the one that was left: committed even where it is an earlier one.
                state.committed = None;
                state.ages = Ages::default();
            }
            (state.settled, state.next, state.read_to) = (None, Some(at), None);
            state.stalls = StallWatch::new(self.cx.limits.stall_after, Instant::now());
            (state.paused, state.full_since) = (false, None);
            control.resume(&[(id.clone(), at)]);
        }
    }

    /// Partitions that were just given to this consumer and that nobody reads for now.
    pub(super) fn pause_unread(
        &mut self,
        control: &mut dyn Control,
        partitions: &[TopicPartition],
    ) {
        let mut unread = Vec::new();
        for id in partitions {
            if let Some(state) = self.partitions.get_mut(id)
                && state.lanes.is_empty()
            {
                state.stop_fetching();
                unread.push(id.clone());
            }
        }
        if !unread.is_empty() {
            control.pause(&unread);
        }
    }

    /// The agents' partitions that went.
    pub(super) fn unshow(&self, partition: &TopicPartition) {
        for agent in self.agents.values() {
            if agent.plan.reads(&partition.topic).is_some() {
                agent.seat.remove(partition);
            }
        }
    }
}

impl Partition {
    pub(super) fn stop_fetching(&mut self) {
        self.paused = true;
        // What comes from here on is not handed over.
        self.read_to = None;
    }

    /// No lane takes what would be fetched.
    pub(super) fn is_unread(&self) -> bool {
        self.lanes.iter().all(|lane| lane.from == i64::MAX)
    }
}

/// The offset a start names by itself.
pub(super) fn known(start: Start) -> Option<i64> {
    match start {
        Start::Offset(offset) => Some(offset),
        Start::Committed | Start::Beginning | Start::End => None,
    }
}
