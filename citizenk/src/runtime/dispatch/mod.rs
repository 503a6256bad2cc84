//! The polling thread's side of a group: which lanes there are, what they get, what is committed.
//!
//! In: chunks and rebalances from the transport, positions from lanes' trackers. Out: chunks to
//! inboxes, commands to the consumer. Runs on the polling thread alone and never blocks it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ack::next_offset;
use super::commit::CommitPace;
use super::lane::LaneFactory;
use super::lane::inbox::{Closing, Poller};
use super::lane::shipping::Outlet;
use super::limits::Limits;
use super::plan::AgentPlan;
use super::read::Reads;
use super::seat::Seat;
use super::start;
use super::status::GroupStatus;
use super::supervisor::Supervisor;
use super::transact::book::Book;
use super::worker::Executor;
use crate::error::RunError;
use crate::extract::{Env, Partitions};
use crate::lifecycle::PartitionHooks;
use crate::record::{Chunk, TopicPartition};
use crate::telemetry::{CommitResult, ConsumerMetrics, Quiet};
use crate::transport::{ConsumerEvents, Control, Drain, Pace, Start, TransportError};

mod look;
mod open;
pub(crate) mod orders;
mod partition;
mod probe;
mod tail;

use self::open::list;
use self::orders::{AgentNumber, Leaving, Orders};
use self::partition::{Lane, Partition};
use self::probe::Probes;
use self::tail::Tail;

/// A full lane waits this long before its partition is paused for the sake of the others: a pause
/// throws away what was fetched.
const PATIENCE: Duration = Duration::from_millis(20);
/// The same while nobody is known to be hungry: what is not taken may hide that others are, and what is taken now and
/// then to stay in the group would fill memory.
const LONG_PATIENCE: Duration = Duration::from_secs(1);
/// How often lag and stalls are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// One agent of a group.
pub(crate) struct GroupAgent {
    pub(crate) number: AgentNumber,
    pub(crate) seat: Arc<Seat>,
    /// It is paused: it has partitions and no lanes.
    pub(crate) held: bool,
    /// It has never begun: a position of its own comes.
    pub(crate) unplaced: bool,
    pub(crate) plan: Arc<AgentPlan>,
    pub(crate) factory: Arc<dyn LaneFactory>,
    pub(crate) outlet: Option<Outlet>,
    /// Opened once this agent has reached the end it saw at start.
    pub(crate) caught_up: Option<watch::Sender<bool>>,
    pub(crate) gates: Vec<watch::Receiver<bool>>,
}

/// What a dispatcher works with.
pub(crate) struct GroupContext {
    pub(crate) cluster: &'static str,
    pub(crate) group: Option<String>,
    pub(crate) agents: Vec<GroupAgent>,
    pub(crate) env: Env,
    pub(crate) executor: Executor,
    pub(crate) supervisor: Supervisor,
    pub(crate) hooks: PartitionHooks,
    pub(crate) status: Arc<GroupStatus>,
    pub(crate) commit_every: Duration,
    pub(crate) limits: Limits,
    pub(crate) poller: Arc<Poller>,
    pub(crate) orders: Arc<Orders>,
    /// With exactly once: what is settled is committed by a transactor and not here.
    pub(crate) book: Option<Arc<Book>>,
    /// Looks into partitions of which nothing comes, on `handle`.
    pub(crate) reads: Reads,
    pub(crate) handle: Handle,
}

pub(crate) struct Dispatcher {
    cx: GroupContext,
    metrics: ConsumerMetrics,
    agents: BTreeMap<AgentNumber, GroupAgent>,
    partitions: HashMap<TopicPartition, Partition>,
    /// Agents whose lanes are ending.
    leaving: Vec<Leaving>,
    commits: CommitPace,
    look_due: Instant,
    waiting_for_ends: bool,
    probes: Probes,
    /// What the client complained of, without numbers.
    complaints: Quiet<String>,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("group", &self.cx.group)
            .finish_non_exhaustive()
    }
}

impl Dispatcher {
    pub(crate) fn new(mut cx: GroupContext) -> Self {
        let now = Instant::now();
        let waiting_for_ends = cx.agents.iter().any(|agent| agent.caught_up.is_some());
        let agents = std::mem::take(&mut cx.agents);
        Self {
            agents: agents.into_iter().map(|a| (a.number, a)).collect(),
            leaving: Vec::new(),
            commits: match (&cx.group, &cx.book) {
                (Some(_), None) => CommitPace::new(cx.commit_every, now),
                _ => CommitPace::never(),
            },
            look_due: now,
            partitions: HashMap::new(),
            waiting_for_ends,
            probes: Probes::new(
                cx.cluster,
                cx.reads.clone(),
                cx.handle.clone(),
                cx.poller.clone(),
            ),
            complaints: Quiet::default(),
            metrics: cx
                .env
                .metrics
                .consumer(cx.cluster, cx.group.as_deref().unwrap_or_default()),
            cx,
        }
    }

    /// Positions that moved since they were committed.
    fn committable<'a>(
        &self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Vec<(TopicPartition, i64)> {
        partitions
            .filter_map(|partition| {
                let state = self.partitions.get(partition)?;
                let position = state.position()?;
                state
                    .committed
                    .is_none_or(|committed| position > committed)
                    .then(|| (partition.clone(), position))
            })
            .collect()
    }

    fn commit_if_due(&mut self, control: &mut dyn Control, now: Instant) {
        if !self.commits.is_due(now) {
            return;
        }
        let offsets = self.committable(self.partitions.keys());
        if !offsets.is_empty() {
            self.commits.sent();
            control.commit(&offsets);
        }
    }

    fn resume_if_hungry(&mut self, control: &mut dyn Control) {
        for (partition, state) in &mut self.partitions {
            let room = state.lanes.iter().all(|lane| lane.inbox.has_room());
            if !state.paused || !room || state.is_unread() || state.is_overdrawn() {
                continue;
            }
            if let Some(next) = state.next {
                state.paused = false;
                state.full_since = None;
                control.resume(&[(partition.clone(), next)]);
            }
        }
    }

    /// Full lanes: wait for them a little, then pause their partitions where others are hungry.
    fn pace(&mut self, control: &mut dyn Control, now: Instant) -> Pace {
        let mut full = Vec::new();
        let mut at_once = Vec::new();
        let mut overdrawn = false;
        for (partition, state) in &mut self.partitions {
            overdrawn |= state.is_overdrawn();
            if state.paused {
                continue;
            }
            if state.is_full() && state.starves() {
                let since = *state.full_since.get_or_insert(now);
                // A lane that waits for the time of a record stays full for long. And every poll of a consumer that
                // fetches nothing may bring a record: behind a call that hangs they would fill memory.
                if state.is_resting() || state.is_overfull() {
                    at_once.push((partition.clone(), since));
                } else {
                    full.push((partition.clone(), since));
                }
            } else {
                state.full_since = None;
            }
        }
        let until_commit = self.commits.wait(now).unwrap_or(LOOK_EVERY);
        let mut wait = until_commit.min(LOOK_EVERY).max(Duration::from_millis(1));
        if overdrawn || !self.leaving.is_empty() {
            // Nothing wakes this thread when records settle or lanes end.
            wait = wait.min(PATIENCE);
        }
        if !at_once.is_empty() {
            self.pause(control, at_once);
        }
        if full.is_empty() {
            return Pace { wait, take: true };
        }
        let patient = now.checked_sub(self.patience(control));
        full.retain(|(_, since)| patient.is_some_and(|limit| *since <= limit));
        if !full.is_empty() {
            self.pause(control, full);
            return Pace { wait, take: true };
        }
        Pace {
            wait: wait.min(PATIENCE),
            take: false,
        }
    }

    /// How long full lanes may hold up the others: not long where one is hungry. An empty lane is hungry only where
    /// the broker has something for it. Asked only when a lane is full: each end is a search among the client's topics.
    fn patience(&self, control: &mut dyn Control) -> Duration {
        for (partition, state) in &self.partitions {
            if state.paused || state.full_since.is_some() || state.queued() > 0 {
                continue;
            }
            let end = state.end(partition, control);
            if end.is_some_and(|end| state.next.is_none_or(|next| end > next)) {
                return PATIENCE;
            }
        }
        LONG_PATIENCE
    }

    fn pause(&mut self, control: &mut dyn Control, full: Vec<(TopicPartition, Instant)>) {
        let names: Vec<_> = full.into_iter().map(|(partition, _)| partition).collect();
        control.pause(&names);
        for name in &names {
            if let Some(state) = self.partitions.get_mut(name) {
                state.stop_fetching();
            }
        }
    }

    fn open_gates(&mut self) {
        let mut all_open = true;
        for (&number, agent) in &self.agents {
            let Some(caught_up) = &agent.caught_up else {
                continue;
            };
            if *caught_up.borrow() {
                continue;
            }
            let reached = self.cx.status.is_assigned()
                && self.partitions.values().all(|state| {
                    state
                        .lanes
                        .iter()
                        .filter(|lane| lane.agent == number)
                        .all(|lane| {
                            state
                                .target
                                .is_none_or(|target| state.is_settled_to(lane, target))
                        })
                });
            if reached {
                tracing::info!(agent = agent.plan.spec.name, "caught up");
                caught_up.send_replace(true);
            } else {
                all_open = false;
            }
        }
        self.waiting_for_ends = !all_open;
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(book) = &self.cx.book {
                book.disown(partition);
            }
            self.unshow(partition);
            if let Some(state) = self.partitions.remove(partition) {
                for lane in &state.lanes {
                    lane.inbox.close(Closing::Abandon, None);
                }
            }
        }
    }

    fn count_commit(&self, succeeded: bool) {
        self.cx.status.committed(succeeded);
        let result = if succeeded {
            CommitResult::Ok
        } else {
            CommitResult::Failed
        };
        self.metrics.committed(result, self.cx.env.clock.millis());
    }

    fn named(&self, partitions: &[TopicPartition]) -> Partitions {
        Partitions::new(
            self.cx.group.as_deref().unwrap_or_default(),
            partitions.to_vec(),
        )
        .on(self.cx.cluster)
    }
}

impl ConsumerEvents for Dispatcher {
    fn assigned(&mut self, control: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start> {
        // Agents that came before their partitions did.
        self.obey(control);
        self.cx.status.rebalanced();
        self.metrics.rebalanced();
        let starts = if self.cx.group.is_some() {
            start::starts(control, partitions, |topic| self.newcomer(topic))
        } else {
            // For all of them: this thread polls nothing meanwhile.
            let until = Instant::now() + COMMIT_TIMEOUT;
            let start = |partition: &TopicPartition| {
                // What was written to a partition that was added meanwhile is new.
                let added = || {
                    let mut open = self.partitions.keys();
                    open.any(|open| open.topic == partition.topic)
                };
                if !self.newcomer(&partition.topic).latest || added() {
                    return Start::Beginning;
                }
                // An end the client looks for by itself may be found after a seek, and passes it.
                let left = until.saturating_duration_since(Instant::now());
                let end = control.watermarks(partition, left);
                end.map_or(Start::End, |marks| Start::Offset(marks.high))
            };
            partitions.iter().map(start).collect()
        };
        let gate = if partitions.is_empty() {
            None
        } else {
            self.cx.hooks.assigned(self.named(partitions))
        };
        for (partition, start) in partitions.iter().zip(&starts) {
            // Who comes after an agent does not wait for what that tries again later.
            let own = |agent: &GroupAgent| {
                let reads = agent.plan.reads(&partition.topic);
                reads.is_some_and(|(_, stage)| stage == 0)
            };
            let target = if self.waiting_for_ends && self.agents.values().any(own) {
                control
                    .watermarks(partition, COMMIT_TIMEOUT)
                    .ok()
                    .filter(|marks| marks.high > marks.low)
                    .map(|marks| marks.high)
            } else {
                None
            };
            self.open(partition, *start, gate.clone(), target);
        }
        self.pause_unread(control, partitions);
        if !partitions.is_empty() {
            tracing::info!(group = self.cx.group, partitions = %list(partitions), "assigned");
        }
        self.cx.status.assigned(partitions);
        self.look_due = Instant::now();
        starts
    }

    fn revoke_begin(&mut self, partitions: &[TopicPartition], lost: bool) -> Drain {
        self.cx.status.rebalanced();
        self.metrics.rebalanced();
        self.cx.status.revoked(partitions);
        let lanes = Drain::default();
        let how = if lost {
            Closing::Abandon
        } else {
            Closing::Drain
        };
        for partition in partitions {
            let Some(state) = self.partitions.get(partition) else {
                continue;
            };
            for lane in &state.lanes {
                lane.inbox.close(how, Some(lanes.add()));
            }
        }
        if partitions.is_empty() {
            return lanes;
        }
        tracing::info!(group = self.cx.group, partitions = %list(partitions), lost, "revoked");
        let drain = match &self.cx.book {
            Some(book) if lost => {
                partitions
                    .iter()
                    .for_each(|partition| book.disown(partition));
                lanes
            }
            Some(book) => {
                let committed = Drain::default();
                book.flush(lanes, committed.add());
                committed
            }
            None => lanes,
        };
        self.cx.hooks.revoked(self.named(partitions), drain)
    }

    fn revoke_end(&mut self, control: &mut dyn Control, partitions: &[TopicPartition], lost: bool) {
        // Before the commit, which may take longer than who stops the service waits.
        if !lost {
            let cut_off = partitions
                .iter()
                .filter_map(|partition| self.partitions.get(partition))
                .flat_map(|state| &state.lanes)
                .filter(|lane| !lane.inbox.is_over())
                .count();
            self.cx.status.cut_off(cut_off);
        }
        if !lost && self.cx.group.is_some() && self.cx.book.is_none() {
            let offsets = self.committable(partitions.iter());
            if !offsets.is_empty() {
                let result = control.commit_now(&offsets, COMMIT_TIMEOUT);
                if let Err(error) = &result {
                    tracing::warn!(group = self.cx.group, %error, "the last commit failed; records since the one before will be processed again");
                }
                self.count_commit(result.is_ok());
            }
        }
        self.forget(partitions);
    }

    fn records(&mut self, _: &mut dyn Control, chunk: Chunk) {
        let Some(last) = chunk.len().checked_sub(1) else {
            return;
        };
        let key = TopicPartition::new(chunk.topic().clone(), chunk.partition());
        let Some(state) = self.partitions.get_mut(&key) else {
            return;
        };
        let next = next_offset(chunk.offset(last));
        state.next = Some(next);
        state.ages.push(&chunk, next);
        let (first, bytes) = (chunk.offset(0), chunk.bytes());
        for lane in &mut state.lanes {
            if lane.from <= first {
                lane.inbox.push(chunk.clone(), bytes);
            } else if lane.from < next {
                // Made once per lane: where an agent begins in the middle.
                let tail: Chunk = Arc::new(Tail::new(chunk.clone(), lane.from));
                let bytes = tail.bytes();
                lane.inbox.push(tail, bytes);
            } else {
                continue;
            }
            lane.first.get_or_insert(first.max(lane.from));
            lane.handed = Some(next);
        }
    }

    fn tick(&mut self, control: &mut dyn Control) -> Pace {
        let now = Instant::now();
        self.cx.status.heart.beat(now);
        self.obey(control);
        self.commit_if_due(control, now);
        self.resume_if_hungry(control);
        self.look(control, now);
        self.pace(control, now)
    }

    fn committed(&mut self, offsets: &[(TopicPartition, i64)], result: Result<(), TransportError>) {
        self.commits.ended(result.is_ok(), Instant::now());
        self.count_commit(result.is_ok());
        match result {
            Ok(()) => {
                for (partition, offset) in offsets {
                    // What was on its way when the partition was set back, or its topic created
                    // anew, does not count any more.
                    if let Some(state) = self.partitions.get_mut(partition)
                        && state.position() >= Some(*offset)
                    {
                        state.committed = state.committed.max(Some(*offset));
                    }
                }
            }
            // Positions stay uncommitted and go with the next commit.
            Err(error) => {
                tracing::warn!(group = self.cx.group, %error, "commit failed; trying again")
            }
        }
    }

    fn error(&mut self, mut error: TransportError) {
        if matches!(
            &*error.code,
            "FENCED_INSTANCE_ID" | "UNRELEASED_INSTANCE_ID" | "_FENCED"
        ) {
            error.message.push_str(
                "; another member has the same `group.instance.id`: every worker needs one of its own",
            );
            error.fatal = true;
        }
        if error.fatal {
            self.cx.supervisor.fail(RunError::Transport(error));
        } else {
            self.cx.status.error(&error);
            // A client that reaches no broker says so twenty times a second.
            let mut kind = error.to_string();
            kind.retain(|c| !c.is_ascii_digit());
            if let Some(held_back) = self.complaints.admit(kind, Instant::now().into_std()) {
                tracing::warn!(group = self.cx.group, held_back, %error, "consumer");
            }
        }
    }

    fn reached_end(&mut self, partition: &TopicPartition, next: i64) {
        if let Some(state) = self.partitions.get_mut(partition)
            && !state.paused
        {
            state.read_to = Some(next);
        }
    }

    fn ends(&mut self, ends: &[(TopicPartition, i64)]) {
        for (partition, end) in ends {
            if let Some(state) = self.partitions.get_mut(partition) {
                state.known_end = state.known_end.max(Some(*end));
            }
        }
    }

    fn skipped(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        // A look back for a sign of life may begin before what was read already.
        let read = self.partitions.get(partition).and_then(|state| state.next);
        let from = read.map_or(from, |next| from.max(next));
        let count = to - from;
        if count <= 0 {
            return;
        }
        self.cx.status.skipped(count);
        if let Some(state) = self.partitions.get(partition) {
            state.metrics.lost(count.unsigned_abs());
        }
        tracing::error!(%partition, from, to, count, "records were deleted by retention before they were read");
    }

    fn created_anew(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        tracing::error!(%partition, from, to, "the topic ends before the offset to read next: it was deleted and created anew, or cut; reading goes on at its first record");
        // Offsets begin anew: nothing of what was read before may settle or be committed.
        let paused = self.partitions.get(partition).map(|state| {
            state.metrics.created_anew();
            state.paused
        });
        self.forget(std::slice::from_ref(partition));
        self.open(partition, Start::Offset(to), None, None);
        if let (Some(paused), Some(state)) = (paused, self.partitions.get_mut(partition)) {
            state.paused = paused;
        }
    }

    fn statistics(&mut self, json: &str) {
        self.cx.status.statistics(json);
    }

    fn closed(&mut self) {
        let partitions: Vec<_> = self.partitions.keys().cloned().collect();
        self.forget(&partitions);
        self.leaving.clear();
        self.probes.clear();
        self.cx.orders.refuse();
        if let Some(book) = &self.cx.book {
            book.close();
        }
        self.cx.status.closed();
    }
}
