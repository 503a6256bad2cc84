//! Where an agent that is started from a position begins, also where its partitions come late.
//!
//! In: the position, who else reads the group's topics. Out: the offsets of the position as of the call, taken
//! before the agent joins; where they count is settled when it has partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::elsewhere::{Own, elsewhere};
use super::{ASK, AgentHandle, AgentsError, ReadFrom};
use crate::admin::{AdminError, AdminErrorKind, GroupDescription};
use crate::error::TransportError;
use crate::runtime::crew::Crew;
use crate::runtime::crew::consumer::own_instances;
use crate::runtime::joint::Joint;
use crate::runtime::place::{self, Ends, Offsets, Place, Then};
use crate::runtime::plan::AgentPlan;
use crate::transport::BrokerKind;

/// How long a group may deal its partitions before an agent begins without knowing who had them; then the group is
/// followed wherever it is.
const REBALANCE: Duration = Duration::from_secs(10);
const LOOKS: Duration = Duration::from_millis(200);

/// What agents that start at once ask their clusters together.
#[derive(Default)]
pub(in crate::runtime) struct Inquiries(Mutex<BTreeMap<&'static str, Arc<Inquiry>>>);

#[derive(Default)]
struct Inquiry {
    /// By topic.
    ends: Joint<String, Option<Result<Ends, TransportError>>>,
    /// By group.
    groups: Joint<String, Arc<BTreeMap<String, Described>>>,
}

/// A group, and what this worker is called in it; `None`: the app has ended.
type Described = Option<Result<(GroupDescription, Own), AdminError>>;

impl fmt::Debug for Inquiries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inquiries(..)")
    }
}

impl Inquiries {
    fn on(&self, cluster: &'static str) -> Arc<Inquiry> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(cluster).or_default().clone()
    }
}

impl Crew {
    /// The ends of the agent's topics as of now, and those that another member reads: there the group has begun, and
    /// what waits is nobody's to skip.
    pub(super) async fn ends(self: &Arc<Self>, plan: &AgentPlan) -> Result<Then, AgentsError> {
        let topics = place::own_topics(plan, self.topics_wanted(plan));
        // First: who begins between the two is one of those that read it, and what comes after is not skipped.
        let ends = self.ends_of(plan, &topics).await?;
        let until = Instant::now() + REBALANCE;
        let begun = loop {
            match self.read_elsewhere(plan).await? {
                Some(elsewhere) => break elsewhere,
                None if Instant::now() >= until => {
                    tracing::warn!(
                        agent = plan.spec.name,
                        group = plan.group,
                        after = ?REBALANCE,
                        "the group still deals its partitions, and who had them is not known; the agent goes on where the group is"
                    );
                    break topics;
                }
                None => tokio::time::sleep(LOOKS).await,
            }
        };
        Ok(Then { ends, begun })
    }

    /// The ends of these topics as of now, asked for with those of all agents that start meanwhile.
    async fn ends_of(
        self: &Arc<Self>,
        plan: &AgentPlan,
        topics: &BTreeSet<String>,
    ) -> Result<Offsets, AgentsError> {
        let transport = self.spec.clusters.of(plan.cluster)?.transport.clone();
        let handle = self.spec.handle.clone();
        let ask = |topics: BTreeSet<String>| async move {
            let ask = move || Ends::ask(&topics, &*transport);
            handle.spawn_blocking(ask).await.ok()
        };
        let asked = self.inquiries.on(plan.cluster);
        let asked = asked.ends.ask(&self.spec.handle, topics.clone(), ask);
        let ends = asked.await.flatten().ok_or(AgentsError::Ended)??;
        match ends.of(topics)? {
            Some(ends) => Ok(ends),
            None => {
                self.everywhere(ReadFrom::Latest, plan, topics.clone())
                    .await
            }
        }
    }

    /// The offsets of a position on all partitions there are, as of now.
    async fn everywhere(
        &self,
        from: ReadFrom,
        plan: &AgentPlan,
        topics: BTreeSet<String>,
    ) -> Result<Offsets, AgentsError> {
        let topics = place::own_topics(plan, topics);
        let transport = self.spec.clusters.of(plan.cluster)?.transport.clone();
        let find = move || place::everywhere(&from, &topics, &*transport);
        let found = self.spec.handle.spawn_blocking(find).await;
        Ok(found.map_err(|_| AgentsError::Ended)??)
    }

    /// Topics of which other members of the agent's group have partitions and this worker has none; `None`: the group
    /// is dealing them, and does not tell of anybody's meanwhile.
    async fn read_elsewhere(
        self: &Arc<Self>,
        plan: &AgentPlan,
    ) -> Result<Option<BTreeSet<String>>, AgentsError> {
        let transport = &self.spec.clusters.of(plan.cluster)?.transport;
        // A broker inside the process describes no groups, and has no other members.
        let lone = transport.kind() == BrokerKind::Embedded;
        let Some(group) = plan.group.as_ref().filter(|_| !lone) else {
            return Ok(Some(BTreeSet::new()));
        };
        let (crew, cluster) = (self.clone(), plan.cluster);
        let ask = move |groups: BTreeSet<String>| async move {
            let described = groups.iter().map(|group| crew.describe(cluster, group));
            let described = join_all(described).await;
            Arc::new(groups.into_iter().zip(described).collect())
        };
        let asked = self.inquiries.on(cluster);
        let asked = asked.groups.ask(&self.spec.handle, [group.clone()], ask);
        let described = asked.await.ok_or(AgentsError::Ended)?;
        // Whoever waits for a request is in it.
        let described = described.get(group).and_then(Option::as_ref);
        match described.ok_or(AgentsError::Ended)? {
            Ok((described, own)) => Ok(elsewhere(described, own)),
            Err(error) if error.kind == AdminErrorKind::NotFound => Ok(Some(BTreeSet::new())),
            // A start is not refused for what an older broker cannot tell.
            Err(error) if error.kind == AdminErrorKind::Unsupported => {
                tracing::warn!(group, %error, "who else is in the group is not known; the agent begins at the end as of its start");
                Ok(Some(BTreeSet::new()))
            }
            Err(error) => Err(AgentsError::Group(error.clone())),
        }
    }

    /// `None`: the app has ended.
    async fn describe(self: &Arc<Self>, cluster: &'static str, group: &str) -> Described {
        // There is such a cluster: it was found when the agent was planned.
        let admin = self.spec.env.admin.on(cluster).ok()?;
        let described = match admin.timeout(ASK).describe_group(group).await {
            Ok(described) => described,
            Err(error) => return Some(Err(error)),
        };
        let (crew, name) = (self.clone(), group.to_owned());
        // The clients are asked, which may take them a while.
        let named = move || Own {
            members: crew.member_ids(cluster, &name),
            instances: crew.instances(cluster),
        };
        let own = self.spec.handle.spawn_blocking(named).await.ok()?;
        Some(Ok((described, own)))
    }

    /// The static members that this worker is on the cluster, if it is one.
    fn instances(&self, cluster: &str) -> BTreeSet<String> {
        let cluster = self.spec.clusters.of(cluster);
        cluster.map_or_else(
            |_| BTreeSet::new(),
            |cluster| own_instances(&cluster.consumer_settings),
        )
    }
}

impl AgentHandle {
    /// Begins with the partitions that are there. `since`: the ends when it was started.
    pub(super) async fn begin(
        &self,
        from: ReadFrom,
        since: Option<Then>,
    ) -> Result<(), AgentsError> {
        let place = since.map_or(Place::At(from), Place::Since);
        self.go_on(place).await
    }

    /// Begins when the first partitions come, which others of the group may have read meanwhile.
    pub(super) async fn come_late(
        &self,
        from: ReadFrom,
        mut since: Option<Then>,
    ) -> Result<(), AgentsError> {
        loop {
            let ended = match &since {
                None => {
                    let (plan, topics) = (&self.member.plan, self.crew.topics_of(&self.member));
                    let found = self.crew.everywhere(from.clone(), plan, topics).await;
                    found.map(|ends| {
                        let begun = BTreeSet::new();
                        since = Some(Then { ends, begun });
                    })
                }
                Some(then) => {
                    self.member.seat.until_owning(true).await;
                    match self.go_on(Place::Since(then.clone())).await {
                        Ok(()) => return Ok(()),
                        Err(error) => Err(error),
                    }
                }
            };
            match ended {
                Ok(()) => {}
                Err(AgentsError::Transport(error)) => {
                    tracing::warn!(agent = self.name(), %error, "asking where to begin; it is tried again");
                    tokio::time::sleep(ASK).await;
                }
                Err(AgentsError::Ended) => return Err(AgentsError::Ended),
                Err(error) => {
                    tracing::error!(agent = self.name(), %error, "it has partitions now and cannot begin; it stays paused");
                    return Err(error);
                }
            }
        }
    }
}
