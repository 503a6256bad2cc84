//! Agents that are started, paused and stopped while the app runs.
//!
//! In: agents built by hand. Out: handles to them. What is checked for agents of the app itself when it is
//! built is checked here when one is started.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::crew::{Crew, Member, answered, made};
use super::dispatch::orders::{Ending, Order};
use super::engine::PlannedAgent;
use super::lane::AgentDef;
use super::place::Place;
pub use super::seat::AgentState;
use crate::admin::AdminError;
use crate::error::{AgentError, BuildError, BuildIssue, RunError, TransportError};
use crate::extract::{Call, Extract, Mode, PrepareContext};
use crate::policy::Guarantee;
use crate::record::TopicPartition;

mod begin;
mod elsewhere;

#[cfg(test)]
mod tests;

pub(super) use begin::Inquiries;

/// Where an agent reads on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFrom {
    /// Where it stopped: the group's committed offset. Without one, as the agent says for new groups.
    #[default]
    Committed,
    /// The first record that is kept.
    Earliest,
    /// Behind the last record, as of this call.
    Latest,
    /// These next offsets; partitions that are not named go on where they stopped.
    Offsets(Vec<(TopicPartition, i64)>),
    /// The first record of this time or later, in milliseconds since the Unix epoch. Not on the embedded
    /// broker.
    Timestamp(i64),
}

/// Why an agent was not started, paused, resumed or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentsError {
    /// The agent itself is wrong; every mistake.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An agent of this name runs.
    #[error("an agent `{agent}` runs already; stop it first, or give this one another name")]
    NameTaken {
        /// The name.
        agent: String,
    },
    /// The group's assignor takes all partitions from all members whenever its topics change.
    #[error(
        "changing the topics of `{group}` would stop all its agents for a rebalance: \
         `partition.assignment.strategy` is `{strategy}`; use `cooperative-sticky`, a group of its own or none, \
         or confirm with `Agents::allow_rebalance`"
    )]
    Eager {
        /// The group.
        group: String,
        /// The setting.
        strategy: String,
    },
    /// Another agent of the group reads the topic, and offsets are committed once for both.
    #[error(
        "agent `{agent}`: topic `{topic}` is read in group `{group}` {reason}; give the agent a group of its own"
    )]
    Shared {
        /// The agent.
        agent: String,
        /// The topic.
        topic: String,
        /// The group.
        group: String,
        /// What does not go together.
        reason: String,
    },
    /// What an agent that commits in transactions cannot do while it runs.
    #[error(
        "agent `{agent}` commits exactly once, and so can be started and stopped, but not {verb}"
    )]
    ExactlyOnce {
        /// The agent.
        agent: String,
        /// What was asked for.
        verb: &'static str,
    },
    /// Calls did not end within the drain time and were cut off; the agent is paused or stopped all the same.
    #[error(
        "agent `{agent}`: calls were still running after {after:?} and were cut off; their records are not settled"
    )]
    CutOff {
        /// The agent.
        agent: String,
        /// The drain time.
        after: Duration,
    },
    /// Nobody says who reads with the group, and so whether it has begun already.
    #[error(transparent)]
    Group(AdminError),
    /// The cluster or its client failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The agent, or the service, has stopped; or the service has not started yet.
    #[error("the agent or the service is not running")]
    Ended,
}

impl AgentsError {
    /// For agents of the app itself.
    pub(super) fn into_run(self) -> RunError {
        match self {
            Self::Build(error) => error.into(),
            Self::Transport(error) => error.into(),
            other => BuildError::from(BuildIssue::new("app", other.to_string())).into(),
        }
    }
}

type Planner = dyn Fn(AgentDef) -> Result<PlannedAgent, BuildError> + Send + Sync;

/// Starts agents while the app runs; an argument of routes, hooks, timers and agents.
///
/// Agents with the same group share one consumer. With the default assignor, or without a group, an agent
/// that comes or goes takes nothing from the others: none of their partitions is revoked, paused, skipped or
/// read again. Starts and stops within 100 ms become one change of the subscription.
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::{Agent, Agents, testing::TestApp};
///
/// const COPY: Topic<RawBytes> = Topic::raw("copy");
///
/// fn copy(source: &str) -> citizenk::AgentDef {
///     Agent::builder::<Event<RawBytes>>(&format!("copy-{source}"))
///         .topic(&COPY.named(source))
///         .sends(&COPY)
///         .handle(async |event: Event<RawBytes>, out: Outbox| -> citizenk::Result<()> {
///             out.record(&COPY).send(event.value.clone())?;
///             Ok(())
///         })
/// }
///
/// # citizenk::testing::block_on(async {
/// let app = TestApp::new(App::new("copies").topic(&COPY)).start().await?;
/// let agents: Agents = app.agents();
/// let running = agents.start(copy("orders")).await.unwrap();
/// app.topic(&COPY.named("orders")).push(&"k".to_owned(), RawBytes::from(b"x".to_vec()));
/// app.settle().await;
/// assert_eq!(app.topic(&COPY).sent().len(), 1);
/// running.stop().await.unwrap();
/// # app.stop().await }).unwrap();
/// ```
#[derive(Clone)]
pub struct Agents {
    inner: Arc<Inner>,
    confirmed: bool,
}

struct Inner {
    planner: Box<Planner>,
    /// The engine's own: it has this value as well, and would never end.
    crew: OnceLock<Weak<Crew>>,
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agents")
    }
}

impl Agents {
    pub(crate) fn new(
        planner: impl Fn(AgentDef) -> Result<PlannedAgent, BuildError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                planner: Box::new(planner),
                crew: OnceLock::new(),
            }),
            confirmed: false,
        }
    }

    /// Called once, when the engine starts.
    pub(super) fn connect(&self, crew: &Arc<Crew>) {
        // A second engine for one app is never made.
        let _ = self.inner.crew.set(Arc::downgrade(crew));
    }

    fn crew(&self) -> Result<Arc<Crew>, AgentsError> {
        let crew = self.inner.crew.get().and_then(Weak::upgrade);
        crew.ok_or(AgentsError::Ended)
    }

    /// Lets an agent start or stop also where its group's assignor (`range`, `roundrobin`) takes all
    /// partitions from all members for it. By default that is refused.
    #[must_use]
    pub fn allow_rebalance(&self) -> Self {
        Self {
            confirmed: true,
            ..self.clone()
        }
    }

    /// Starts an agent. It reads from the group's committed offsets, in a new group from where the agent
    /// says. On a topic that another agent of its group reads already it begins where the group is.
    ///
    /// Answers once its topics are subscribed; partitions come as the group deals them.
    ///
    /// # Errors
    /// [`AgentsError`]: the agent is wrong, its name is taken, it would stop others, or the client fails.
    pub async fn start(&self, agent: AgentDef) -> Result<AgentHandle, AgentsError> {
        let planned = self.plan(agent).await?;
        self.enlist(&planned, false).await
    }

    /// Starts an agent from a position, whatever its group has committed. It applies to the partitions
    /// this worker is given first; such as come later go on from the group's committed offsets.
    ///
    /// [`ReadFrom::Latest`] is the end as of this call, however long it takes until partitions come, or what the
    /// group has committed by then where that is ahead. Where another worker reads the topic with the group and this
    /// one does not yet, the group has begun: this agent goes on where it is and skips nothing. What a static member
    /// (`group.instance.id`) left listed when it was stopped is no other worker. While the group deals its partitions
    /// this is not known, and waited for, ten seconds at most; then the group is followed. Positions that the
    /// group did not have are committed before this answers, those of all partitions.
    ///
    /// # Errors
    /// As [`Agents::start`] and [`AgentHandle::resume`]; the agent does not run then. A worker that has no
    /// partitions of it within ten seconds answers all the same. What comes later, perhaps from a worker that
    /// failed, goes on from the group's committed offsets, or from the position as of then where that is ahead.
    pub async fn start_from(
        &self,
        agent: AgentDef,
        from: ReadFrom,
    ) -> Result<AgentHandle, AgentsError> {
        if from == ReadFrom::Committed {
            return self.start(agent).await;
        }
        if agent.spec.guarantee == Some(Guarantee::ExactlyOnce) {
            return Err(AgentsError::ExactlyOnce {
                agent: agent.spec.name,
                verb: "started from a position",
            });
        }
        let planned = self.plan(agent).await?;
        let since = match (&from, &planned.plan.group) {
            (ReadFrom::Latest, Some(_)) => Some(self.crew()?.ends(&planned.plan).await?),
            _ => None,
        };
        let handle = self.enlist(&planned, true).await?;
        let later = handle.clone();
        // Partitions come from the group, which may have none for this worker.
        let waiting = async move {
            let first = later.member.seat.until_owning(true);
            match tokio::time::timeout(FIRST_PARTITIONS, first).await {
                Ok(()) => later.begin(from, since).await,
                Err(_) => later.come_late(from, since).await,
            }
        };
        let mut waiting = self.crew()?.spec.handle.spawn(waiting);
        match tokio::time::timeout(FIRST_PARTITIONS, &mut waiting).await {
            Ok(Ok(Ok(()))) => Ok(handle),
            Ok(Ok(Err(error))) => {
                // What has failed to start leaves nothing behind, its name least of all.
                if let Err(left) = handle.stop().await {
                    tracing::warn!(agent = handle.name(), error = %left, "stopping an agent that could not start");
                }
                Err(error)
            }
            Ok(Err(_)) => Err(AgentsError::Ended),
            Err(_) => Ok(handle),
        }
    }

    /// What was checked, and knows the topics its patterns match.
    async fn plan(&self, agent: AgentDef) -> Result<PlannedAgent, AgentsError> {
        let crew = self.crew()?;
        let planned = (self.inner.planner)(agent)?;
        if planned.plan.patterns().next().is_some() {
            crew.look_for_topics(planned.plan.cluster).await?;
        }
        Ok(planned)
    }

    async fn enlist(&self, planned: &PlannedAgent, held: bool) -> Result<AgentHandle, AgentsError> {
        let crew = self.crew()?;
        let enlisted = crew.enlist(planned, held, self.confirmed)?;
        let handle = AgentHandle {
            member: enlisted.member,
            crew: crew.clone(),
            confirmed: self.confirmed,
        };
        if let Some(attached) = enlisted.attached {
            attached.await.map_err(|_| AgentsError::Ended)?;
        }
        if let Some(change) = enlisted.change
            && let Err(error) = made(change).await
        {
            handle.member.seat.enter(AgentState::Stopped);
            crew.dismiss(&handle.member);
            return Err(error);
        }
        tracing::info!(agent = handle.name(), "started");
        Ok(handle)
    }

    /// The agent of this name, also one of the app itself; `None` where none runs.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<AgentHandle> {
        self.all().into_iter().find(|agent| agent.name() == name)
    }

    /// All agents that run, those of the app itself first.
    #[must_use]
    pub fn all(&self) -> Vec<AgentHandle> {
        let Ok(crew) = self.crew() else {
            return Vec::new();
        };
        let handle = |member| AgentHandle {
            member,
            crew: crew.clone(),
            confirmed: self.confirmed,
        };
        crew.members().into_iter().map(handle).collect()
    }
}

/// How long a start from a position waits for the first partitions; then it goes on in the background.
const FIRST_PARTITIONS: Duration = Duration::from_secs(10);
const ASK: Duration = Duration::from_secs(5);
/// For a polling thread that drains others meanwhile.
const POLLING: Duration = Duration::from_secs(30);

/// A running agent. Dropping the handle changes nothing; [`Agents::get`] gives another.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    member: Member,
    crew: Arc<Crew>,
    confirmed: bool,
}

/// What an agent does, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentStatus {
    /// What it does.
    pub state: AgentState,
    /// The cluster it reads; `default` is the one without a name.
    pub cluster: &'static str,
    /// `None`: it reads without a group.
    pub group: Option<String>,
    /// The partitions this worker has for it, with the next offset that is not settled, where it is known.
    pub partitions: BTreeMap<TopicPartition, Option<i64>>,
    /// Records it did not handle because other agents of its group read on without it.
    pub skipped: u64,
    /// Why the broker refuses outputs that are sent again until it takes them; of one partition, where it does of
    /// several. `None` with exactly once, whose transactions are tried again as a whole.
    pub refused: Option<String>,
}

impl AgentHandle {
    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.member.plan.spec.name
    }

    /// What the agent does.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        let seat = &self.member.seat;
        AgentStatus {
            state: seat.state(),
            cluster: self.member.plan.cluster,
            group: self.member.plan.group.clone(),
            partitions: seat.positions().into_iter().collect(),
            skipped: seat.skipped(),
            refused: seat.refusal(),
        }
    }

    fn refuse_exactly_once(&self, verb: &'static str) -> Result<(), AgentsError> {
        if self.member.plan.guarantee == Guarantee::ExactlyOnce {
            return Err(AgentsError::ExactlyOnce {
                agent: self.name().to_owned(),
                verb,
            });
        }
        Ok(())
    }

    /// Takes no more records. Started calls end and are committed; what waits is read again later. Its
    /// partitions stay. Where another agent of the group reads the topic, that one goes on, and what this
    /// one misses is counted ([`AgentStatus::skipped`]).
    ///
    /// # Errors
    /// [`AgentsError::CutOff`], [`AgentsError::ExactlyOnce`], [`AgentsError::Ended`].
    pub async fn pause(&self) -> Result<(), AgentsError> {
        self.refuse_exactly_once("paused")?;
        let _turn = self.member.seat.turn.lock().await;
        match self.member.seat.state() {
            AgentState::Paused => return Ok(()),
            AgentState::Stopped => return Err(AgentsError::Ended),
            AgentState::Running | AgentState::Draining => {}
        }
        self.member.seat.enter(AgentState::Paused);
        self.detach(Ending::Drain, false).await
    }

    /// Goes on, on all its partitions, from a position; later ones go on from the committed offset.
    /// An agent that runs is paused first.
    ///
    /// # Errors
    /// [`AgentsError::Shared`] where another agent of the group has read beyond the position: offsets are
    /// the group's. The agent stays paused then. Else as [`AgentHandle::pause`].
    pub async fn resume(&self, from: ReadFrom) -> Result<(), AgentsError> {
        self.refuse_exactly_once("resumed")?;
        self.go_on(Place::At(from)).await
    }

    async fn go_on(&self, place: Place) -> Result<(), AgentsError> {
        let _turn = self.member.seat.turn.lock().await;
        match self.member.seat.state() {
            AgentState::Stopped => return Err(AgentsError::Ended),
            AgentState::Running if place.is_here() => return Ok(()),
            AgentState::Running => {
                self.member.seat.enter(AgentState::Paused);
                self.detach(Ending::Drain, false).await?;
            }
            AgentState::Paused | AgentState::Draining => {}
        }
        let (orders, handle) = self
            .crew
            .consumer_of(&self.member)
            .ok_or(AgentsError::Ended)?;
        let plan = self.member.plan.clone();
        let standing = self.member.seat.positions();
        let shared = self.crew.shared(&self.member);
        let ends = place.yields();
        let find = move || place.offsets(&plan, standing, &*handle);
        let found = self.crew.spec.handle.spawn_blocking(find).await;
        let (positions, first) = found.map_err(|_| AgentsError::Ended)??;
        let (done, answer) = oneshot::channel();
        orders.post(Order::Resume {
            agent: self.member.number,
            positions,
            first,
            ends,
            done,
        });
        self.wake();
        let behind = match answered(answer, POLLING).await {
            Some(answer) => answer?,
            None => return Err(AgentsError::Ended),
        };
        behind.map_err(|behind| AgentsError::Shared {
            agent: self.name().to_owned(),
            topic: behind.partition.topic.to_string(),
            group: self.member.plan.group.clone().unwrap_or_default(),
            reason: format!(
                "by agent `{}`, which has read {} up to {} and not from {} on",
                shared.map_or_else(|| "?".to_owned(), |(_, other)| other),
                behind.partition,
                behind.next,
                behind.wanted
            ),
        })?;
        self.member.seat.enter(AgentState::Running);
        Ok(())
    }

    /// Handles what was handed over already, then stops. Takes as long as the handler needs.
    ///
    /// # Errors
    /// As [`AgentHandle::stop`].
    pub async fn drain(&self) -> Result<(), AgentsError> {
        self.refuse_exactly_once("drained; `stop` ends it between two transactions")?;
        self.leave(Ending::Finish).await
    }

    /// Stops the agent: started calls end and are committed, what waits is read by whoever comes next.
    /// Its topics are read no more, unless another agent of the group reads them; within 100 ms the group lets go
    /// of them. The last agent of a consumer waits until that has left.
    ///
    /// # Errors
    /// [`AgentsError::Eager`] before anything was done; [`AgentsError::CutOff`] where calls did not end
    /// within the drain time, and the agent is stopped all the same.
    pub async fn stop(&self) -> Result<(), AgentsError> {
        self.leave(Ending::Drain).await
    }

    async fn leave(&self, ending: Ending) -> Result<(), AgentsError> {
        let seat = &self.member.seat;
        let _turn = seat.turn.lock().await;
        if seat.state() == AgentState::Stopped {
            return Ok(());
        }
        self.crew.check_leave(&self.member, self.confirmed)?;
        let ended = if self.member.plan.guarantee == Guarantee::ExactlyOnce {
            // Lanes end with their partitions, so that their last transaction is theirs.
            seat.enter(AgentState::Stopped);
            if let Some(change) = self.crew.unsubscribe(&self.member) {
                made(change).await?;
            }
            let left = tokio::time::timeout(POLLING, seat.until_owning(false));
            let _ = left.await;
            self.detach(Ending::Drain, true).await
        } else {
            if ending == Ending::Finish {
                seat.enter(AgentState::Draining);
            }
            let ended = self.detach(ending, true).await;
            seat.enter(AgentState::Stopped);
            ended
        };
        let change = self.crew.dismiss(&self.member);
        if let Some(change) = change {
            made(change).await?;
        }
        tracing::info!(agent = self.name(), "stopped");
        ended
    }

    fn wake(&self) {
        if let Some((_, handle)) = self.crew.consumer_of(&self.member) {
            handle.wake();
        }
    }

    /// Ends the agent's lanes.
    async fn detach(&self, ending: Ending, forget: bool) -> Result<(), AgentsError> {
        let Some((orders, _)) = self.crew.consumer_of(&self.member) else {
            return Ok(());
        };
        let order = |ending| {
            let (done, answer) = oneshot::channel();
            orders.post(Order::Detach {
                agent: self.member.number,
                ending,
                forget,
                done,
            });
            self.wake();
            answer
        };
        let answer = order(ending);
        if ending == Ending::Finish {
            return answer.await.map_err(|_| AgentsError::Ended);
        }
        let after = self.crew.spec.drain;
        if let Some(ended) = answered(answer, after).await {
            return ended;
        }
        let answer = order(Ending::Abandon);
        let _ = answered(answer, POLLING).await;
        Err(AgentsError::CutOff {
            agent: self.name().to_owned(),
            after,
        })
    }
}

impl<M: Mode> Extract<M> for Agents {
    type Prepared = Self;

    fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
        cx.state::<Self>().ok_or_else(|| {
            BuildIssue::new(cx.component(), "takes `Agents` outside of a running app")
        })
    }

    fn extract(prepared: &Self, _: &Call<'_, M>) -> Result<Self, AgentError> {
        Ok(prepared.clone())
    }
}
