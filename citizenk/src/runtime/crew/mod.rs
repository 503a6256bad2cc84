//! Which agents run in which groups, while the app runs.
//!
//! In: planned agents, at the start and at any later time. Out: one consumer per group (and one or more
//! that read without a group), each told of agents that come and go ([`Orders`]) and of the topics it is to
//! read. Changes of topics within [`WINDOW`] become one subscription. Agents that are there from the start
//! take the same way, without the window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::error::{BuildError, RunError};
use crate::lifecycle::PartitionHooks;
use crate::policy::Guarantee;
use crate::runtime::agents::{AgentsError, Inquiries};
use crate::runtime::dispatch::GroupAgent;
use crate::runtime::dispatch::orders::{Order, Orders};
use crate::runtime::engine::{EngineSpec, Group, PlannedAgent, on_cluster};
use crate::runtime::plan::AgentPlan;
use crate::runtime::produce::Sender;
use crate::runtime::seat::{AgentState, Seat};
use crate::runtime::status::GroupStatus;
use crate::transport::{ConsumerHandle, TransportError};

pub(in crate::runtime) mod consumer;
mod look;
mod team;

pub(in crate::runtime) use self::team::Member;
use self::team::{Key, Known, Team, eager, topics};

/// Changes of the topics of one group that come within this time become one subscription: each moves partitions.
const WINDOW: Duration = Duration::from_millis(100);
/// Without a group nothing moves; only that many changes at once need not be many.
const LONE_WINDOW: Duration = Duration::from_millis(5);
const ASK: Duration = Duration::from_secs(5);
/// How long the start waits for the first look: a cluster that is down must not hold up the others.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// How a change of topics ended; `None`: not yet.
pub(in crate::runtime) type Change = watch::Receiver<Option<Result<(), TransportError>>>;

#[derive(Default)]
struct Inner {
    teams: Vec<Team>,
    agents: usize,
    made: usize,
    known: Known,
    /// The clusters on which topics are looked for that match a pattern.
    looking: BTreeSet<&'static str>,
    /// Those without agents whose consumer has not left yet.
    leaving: Vec<Group>,
    over: bool,
}

pub(crate) struct Crew {
    inner: Mutex<Inner>,
    pub(in crate::runtime) spec: Arc<EngineSpec>,
    sender: Arc<Sender>,
    hooks: PartitionHooks,
    gates: BTreeMap<String, watch::Sender<bool>>,
    pub(in crate::runtime) inquiries: Inquiries,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew")
            .field("groups", &self.groups())
            .finish_non_exhaustive()
    }
}

/// What follows from an agent's enlisting.
pub(in crate::runtime) struct Enlisted {
    pub(in crate::runtime) member: Member,
    pub(in crate::runtime) attached: Option<oneshot::Receiver<()>>,
    pub(in crate::runtime) change: Option<Change>,
}

impl Crew {
    pub(in crate::runtime) fn new(
        spec: Arc<EngineSpec>,
        sender: Arc<Sender>,
        hooks: PartitionHooks,
    ) -> Self {
        let awaited = spec.agents.iter().flat_map(|agent| &agent.plan.spec.after);
        let gates = awaited
            .map(|name| (name.clone(), watch::channel(false).0))
            .collect();
        Self {
            inner: Mutex::default(),
            spec,
            sender,
            hooks,
            gates,
            inquiries: Inquiries::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The consumers that run.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.lock()
            .teams
            .iter()
            .filter_map(|team| team.running.clone())
            .collect()
    }

    /// Every agent, in the order they came.
    pub(in crate::runtime) fn members(&self) -> Vec<Member> {
        let inner = self.lock();
        let mut all: Vec<_> = inner.teams.iter().flat_map(|t| t.members.clone()).collect();
        all.sort_by_key(|member| member.number);
        all
    }

    /// Starts the agents of the app itself.
    pub(in crate::runtime) async fn start_all(self: &Arc<Self>) -> Result<(), RunError> {
        let plans = self.spec.agents.iter().map(|agent| &agent.plan);
        let looked_at: BTreeSet<&'static str> = plans
            .filter(|plan| plan.patterns().next().is_some())
            .map(|plan| plan.cluster)
            .collect();
        let looks = looked_at.into_iter().map(|cluster| {
            let crew = self.clone();
            self.spec
                .handle
                .spawn(async move { crew.look(cluster).await })
        });
        // What takes longer goes on and is heard of later.
        let _ = tokio::time::timeout(FIRST_LOOK, join_all(looks)).await;
        for agent in &self.spec.agents {
            self.enlist(agent, false, true)
                .map_err(AgentsError::into_run)?;
        }
        let teams: Vec<usize> = self.lock().teams.iter().map(|team| team.number).collect();
        for team in teams {
            self.flush(team)?;
        }
        Ok(())
    }

    /// Gives the agent its place. `confirmed`: others may stop for a rebalance.
    pub(in crate::runtime) fn enlist(
        self: &Arc<Self>,
        agent: &PlannedAgent,
        held: bool,
        confirmed: bool,
    ) -> Result<Enlisted, AgentsError> {
        let (plan, spec) = (&agent.plan, &self.spec);
        if let Some(error) = BuildError::from_issues(agent.factory.check(&spec.env, plan)) {
            return Err(error.into());
        }
        let outlet = if plan.guarantee == Guarantee::ExactlyOnce || plan.table.targets().is_empty()
        {
            None
        } else {
            Some(self.sender.outlet(&plan.table)?)
        };
        let mut inner = self.lock();
        if inner.over {
            return Err(AgentsError::Ended);
        }
        let name = &plan.spec.name;
        let mut all = inner.teams.iter().flat_map(|team| &team.members);
        if all.any(|member| member.plan.spec.name == *name) {
            return Err(AgentsError::NameTaken {
                agent: name.clone(),
            });
        }
        let wanted = topics(plan, &inner.known);
        self.check_guarantee(&inner, plan, &wanted)?;
        let number = inner.agents;
        inner.agents += 1;
        let team = self.team_for(&mut inner, plan, &wanted);
        let team = &mut inner.teams[team];
        let more = wanted.iter().any(|topic| !team.subscribed.contains(topic));
        if more && team.running.is_some() && !confirmed && team.key.group.is_some() {
            self.check_protocol(team)?;
        }
        let state = if held {
            AgentState::Paused
        } else {
            AgentState::Running
        };
        let seat = Arc::new(Seat::new(state));
        let member = GroupAgent {
            number,
            seat: seat.clone(),
            held,
            unplaced: held,
            plan: plan.clone(),
            factory: agent.factory.clone(),
            outlet,
            caught_up: self.gates.get(name).cloned(),
            gates: plan
                .spec
                .after
                .iter()
                .filter_map(|name| self.gates.get(name))
                .map(watch::Sender::subscribe)
                .collect(),
        };
        let mut attached = None;
        if let Some(group) = &team.running {
            let (done, answer) = oneshot::channel();
            team.orders.post(Order::Attach(Box::new(member), done));
            group.handle.wake();
            attached = Some(answer);
        } else {
            team.waiting.push(member);
        }
        let member = Member {
            number,
            plan: plan.clone(),
            seat,
        };
        team.members.push(member.clone());
        let change = (more || team.running.is_none()).then(|| self.change(team));
        if plan.patterns().next().is_some() && inner.looking.insert(plan.cluster) {
            self.keep_looking(plan.cluster);
        }
        Ok(Enlisted {
            member,
            attached,
            change,
        })
    }

    /// A record is committed once for all agents of a group.
    fn check_guarantee(
        &self,
        inner: &Inner,
        plan: &AgentPlan,
        wanted: &BTreeSet<String>,
    ) -> Result<(), AgentsError> {
        let Some(group) = &plan.group else {
            return Ok(());
        };
        for team in &inner.teams {
            if team.key.cluster != plan.cluster || team.key.group.as_ref() != Some(group) {
                continue;
            }
            let differs = team.key.guarantee != plan.guarantee;
            // Transactions take in partitions with all their lanes.
            let late = team.running.is_some() && plan.guarantee == Guarantee::ExactlyOnce;
            if (differs || late)
                && let Some(topic) = wanted.iter().find(|topic| team.reads(topic))
            {
                return Err(AgentsError::Shared {
                    agent: plan.spec.name.clone(),
                    topic: topic.clone(),
                    group: group.clone(),
                    reason: if differs {
                        format!("with the guarantee {}", team.key.guarantee)
                    } else {
                        "exactly once, where no agent can join while it runs".to_owned()
                    },
                });
            }
        }
        Ok(())
    }

    /// Whether a new subscription leaves other agents alone.
    fn check_protocol(&self, team: &Team) -> Result<(), AgentsError> {
        let cluster = self.spec.clusters.of(team.key.cluster)?;
        match eager(&cluster.consumer_settings) {
            Some(strategy) => Err(AgentsError::Eager {
                group: team.name.clone(),
                strategy,
            }),
            None => Ok(()),
        }
    }

    /// The consumer the agent shares, or a new one.
    fn team_for(&self, inner: &mut Inner, plan: &AgentPlan, wanted: &BTreeSet<String>) -> usize {
        let key = Key::of(plan);
        let found = inner.teams.iter().position(|team| {
            // Without a group a consumer of its own costs others nothing, so a topic has one reader.
            team.key == key
                && (key.group.is_some() || !wanted.iter().any(|topic| team.reads(topic)))
        });
        if let Some(found) = found {
            return found;
        }
        let mut name = match &key.group {
            Some(group) => group.clone(),
            None => format!(
                "{} (no group, {})",
                self.spec.app,
                if key.latest { "latest" } else { "earliest" }
            ),
        };
        name = on_cluster(&name, key.cluster);
        if inner.teams.iter().any(|team| team.name == name) {
            name = format!("{name} {}", plan.spec.name);
        }
        inner.made += 1;
        inner.teams.push(Team {
            number: inner.made,
            key,
            name,
            orders: Arc::default(),
            running: None,
            waiting: Vec::new(),
            members: Vec::new(),
            subscribed: BTreeSet::new(),
            change: None,
        });
        inner.teams.len() - 1
    }

    /// The change of topics that is coming; begins one where none is.
    fn change(self: &Arc<Self>, team: &mut Team) -> Change {
        if let Some(change) = &team.change {
            return change.clone();
        }
        let (done, change) = watch::channel(None);
        team.change = Some(change.clone());
        let (crew, number) = (Arc::downgrade(self), team.number);
        let window = if team.key.group.is_some() {
            WINDOW
        } else {
            LONE_WINDOW
        };
        self.spec.handle.spawn(async move {
            tokio::time::sleep(window).await;
            let Some(crew) = crew.upgrade() else { return };
            let result = match crew.flush(number) {
                Ok(Some(left)) => {
                    let closed = left.until_closed();
                    if tokio::time::timeout(crew.spec.drain + ASK, closed)
                        .await
                        .is_ok()
                    {
                        let leaving = &mut crew.lock().leaving;
                        leaving.retain(|group| !Arc::ptr_eq(&group.status, &left));
                    }
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(error) => {
                    // Not everyone whose change it is waits for it.
                    tracing::warn!(%error, "the subscription was not changed; the next change tries again");
                    Err(error)
                }
            };
            done.send_replace(Some(result));
        });
        change
    }

    /// Makes the consumer read what its agents want; answers whom to wait for when it leaves.
    fn flush(&self, number: usize) -> Result<Option<Arc<GroupStatus>>, TransportError> {
        let mut inner = self.lock();
        let Some(index) = inner.teams.iter().position(|team| team.number == number) else {
            return Ok(None);
        };
        let known = std::mem::take(&mut inner.known);
        let over = inner.over;
        let team = &mut inner.teams[index];
        team.change = None;
        let wanted: BTreeSet<String> = team
            .members
            .iter()
            .filter(|member| member.seat.state() != AgentState::Stopped)
            .flat_map(|member| topics(&member.plan, &known))
            .collect();
        let list: Vec<String> = wanted.iter().cloned().collect();
        let unchanged = wanted == team.subscribed;
        let all_stopped = team
            .members
            .iter()
            .all(|member| member.seat.state() == AgentState::Stopped);
        let result = match &team.running {
            Some(group) if all_stopped => {
                group.handle.close(self.spec.drain);
                let left = group.status.clone();
                let group = group.clone();
                inner.leaving.push(group);
                inner.teams.remove(index);
                Ok(Some(left))
            }
            None if team.members.is_empty() => {
                inner.teams.remove(index);
                Ok(None)
            }
            // A client must subscribe to something; a pattern may match nothing yet.
            _ if list.is_empty() || unchanged => Ok(None),
            // A client that begins is stopped by nobody, and one that runs is about to close.
            _ if over => Ok(None),
            Some(group) => {
                let subscribed = group.handle.subscribe(&list);
                if subscribed.is_ok() {
                    group.status.subscribed();
                    tracing::info!(
                        consumer = team.name,
                        topics = list.len(),
                        "subscription changed"
                    );
                    team.subscribed = wanted;
                }
                subscribed.map(|()| None)
            }
            None => {
                let agents = std::mem::take(&mut team.waiting);
                let started = self.start_consumer(team, agents, list);
                started.map(|group| {
                    team.running = Some(group);
                    team.subscribed = wanted;
                    None
                })
            }
        };
        inner.known = known;
        result
    }

    /// The agent's consumer, if it has started and the agent is there.
    pub(in crate::runtime) fn consumer_of(
        &self,
        member: &Member,
    ) -> Option<(Arc<Orders>, Arc<dyn ConsumerHandle>)> {
        let inner = self.lock();
        let team = inner.teams.iter().find(|team| team.has(member))?;
        let group = team.running.as_ref()?;
        Some((team.orders.clone(), group.handle.clone()))
    }

    /// The topics its consumer reads for the agent, as far as they are known.
    pub(in crate::runtime) fn topics_of(&self, member: &Member) -> BTreeSet<String> {
        self.topics_wanted(&member.plan)
    }

    /// As [`Crew::topics_of`], for an agent that is not there yet.
    pub(in crate::runtime) fn topics_wanted(&self, plan: &AgentPlan) -> BTreeSet<String> {
        topics(plan, &self.lock().known)
    }

    /// Another agent of the group that reads one of the agent's topics, and the topic.
    pub(in crate::runtime) fn shared(&self, member: &Member) -> Option<(String, String)> {
        let inner = self.lock();
        let team = inner.teams.iter().find(|team| team.has(member))?;
        team.shared(&member.plan, &inner.known)
    }

    /// Whether the agent's end changes what others of its group wait for; an error where it must not.
    pub(in crate::runtime) fn check_leave(
        &self,
        member: &Member,
        confirmed: bool,
    ) -> Result<(), AgentsError> {
        let inner = self.lock();
        let Some(team) = inner.teams.iter().find(|team| team.has(member)) else {
            return Ok(());
        };
        if member.plan.guarantee == Guarantee::ExactlyOnce
            && let Some((topic, other)) = team.shared(&member.plan, &inner.known)
        {
            return Err(AgentsError::Shared {
                agent: member.plan.spec.name.clone(),
                topic,
                group: team.name.clone(),
                reason: format!(
                    "exactly once by agent `{other}`, too, so that none can leave while it runs"
                ),
            });
        }
        // The last one takes its consumer with it; what all others read stays subscribed.
        let alone = team.members.len() == 1;
        let fewer = topics(&member.plan, &inner.known).into_iter().any(|topic| {
            let mut others = team.members.iter().filter(|m| m.number != member.number);
            !others.any(|other| other.plan.reads(&topic).is_some())
        });
        if !confirmed && !alone && fewer && team.running.is_some() && team.key.group.is_some() {
            return self.check_protocol(team);
        }
        Ok(())
    }

    /// Reads the agent's topics no more where nobody else does.
    pub(in crate::runtime) fn unsubscribe(self: &Arc<Self>, member: &Member) -> Option<Change> {
        let mut inner = self.lock();
        let team = inner.teams.iter_mut().find(|team| team.has(member))?;
        Some(self.change(team))
    }

    /// Takes the agent out of the books. Answers what the last one waits for: that its consumer leaves; of others
    /// the topics are let go in their time.
    pub(in crate::runtime) fn dismiss(self: &Arc<Self>, member: &Member) -> Option<Change> {
        let mut inner = self.lock();
        let known = std::mem::take(&mut inner.known);
        let team = inner.teams.iter_mut().find(|team| team.has(member));
        let leaves = team.and_then(|team| {
            team.waiting.retain(|agent| agent.number != member.number);
            team.members.retain(|other| other.number != member.number);
            let wanted: BTreeSet<String> = team
                .members
                .iter()
                .flat_map(|member| topics(&member.plan, &known))
                .collect();
            let alone = team.members.is_empty();
            let change = (wanted != team.subscribed || alone).then(|| self.change(team));
            change.filter(|_| alone)
        });
        inner.known = known;
        leaves
    }

    /// No agent starts any more; answers what runs, and what is about to end.
    pub(in crate::runtime) fn end(&self) -> Vec<Group> {
        let mut inner = self.lock();
        inner.over = true;
        let running = inner.teams.iter().filter_map(|team| team.running.clone());
        running.chain(inner.leaving.iter().cloned()).collect()
    }
}

/// Waits until the change is made.
pub(in crate::runtime) async fn made(mut change: Change) -> Result<(), AgentsError> {
    match change.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(Err(error))) => Err(error.clone().into()),
        Ok(_) => Ok(()),
        Err(_) => Err(AgentsError::Ended),
    }
}

/// Waits for the polling thread's answer, at most so long.
pub(in crate::runtime) async fn answered<T>(
    answer: oneshot::Receiver<T>,
    within: Duration,
) -> Option<Result<T, AgentsError>> {
    let answer = tokio::time::timeout_at(Instant::now() + within, answer).await;
    answer
        .ok()
        .map(|heard| heard.map_err(|_| AgentsError::Ended))
}
