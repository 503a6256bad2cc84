//! Where an agent that is started from a position begins, also where its partitions come late.
//!
//! In: the position, who else reads the group's topics. Out: the offsets of the position as of the call, taken
//! before the agent joins; where they count is settled when it has partitions.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{ASK, AgentHandle, AgentsError, ReadFrom};
use crate::admin::{AdminErrorKind, GroupState, MemberDescription};
use crate::runtime::crew::Crew;
use crate::runtime::place::{self, Offsets, Place, Then};
use crate::runtime::plan::AgentPlan;
use crate::transport::BrokerKind;

/// How long a group may deal its partitions before an agent begins without knowing who had them; then the group is
/// followed wherever it is.
const REBALANCE: Duration = Duration::from_secs(10);
const LOOKS: Duration = Duration::from_millis(200);

impl Crew {
    /// The ends of the agent's topics as of now, and those that another member reads: there the group has begun, and
    /// what waits is nobody's to skip.
    pub(super) async fn ends(&self, plan: &AgentPlan) -> Result<Then, AgentsError> {
        let topics = self.topics_wanted(plan);
        // First: who begins between the two is one of those that read it, and what comes after is not skipped.
        let ends = self
            .everywhere(ReadFrom::Latest, plan, topics.clone())
            .await?;
        let until = Instant::now() + REBALANCE;
        let begun = loop {
            match self.read_elsewhere(plan).await? {
                Some(elsewhere) => break elsewhere,
                None if Instant::now() >= until => break topics,
                None => tokio::time::sleep(LOOKS).await,
            }
        };
        Ok(Then { ends, begun })
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
        &self,
        plan: &AgentPlan,
    ) -> Result<Option<BTreeSet<String>>, AgentsError> {
        let transport = &self.spec.clusters.of(plan.cluster)?.transport;
        // A broker inside the process describes no groups, and has no other members.
        let lone = transport.kind() == BrokerKind::Embedded;
        let Some(group) = plan.group.as_ref().filter(|_| !lone) else {
            return Ok(Some(BTreeSet::new()));
        };
        let Ok(admin) = self.spec.env.admin.on(plan.cluster) else {
            // There is such a cluster: it was found above.
            return Ok(Some(BTreeSet::new()));
        };
        let described = match admin.timeout(ASK).describe_group(group).await {
            Ok(described) => described,
            Err(error) if error.kind == AdminErrorKind::NotFound => {
                return Ok(Some(BTreeSet::new()));
            }
            // A start is not refused for what an older broker cannot tell.
            Err(error) if error.kind == AdminErrorKind::Unsupported => {
                tracing::warn!(group, %error, "who else is in the group is not known; the agent begins at the end as of its start");
                return Ok(Some(BTreeSet::new()));
            }
            Err(error) => return Err(AgentsError::Group(error)),
        };
        let own = self.member_ids(plan.cluster, group);
        let (own, others): (Vec<_>, Vec<_>) = described
            .members
            .into_iter()
            .partition(|member| own.contains(&member.member_id));
        if described.state == GroupState::Rebalancing && !others.is_empty() {
            return Ok(None);
        }
        let topics = |members: Vec<MemberDescription>| -> BTreeSet<String> {
            let partitions = members.into_iter().flat_map(|member| {
                member
                    .partitions
                    .into_iter()
                    .chain(member.target.into_iter().flatten())
            });
            partitions.map(|partition| partition.topic).collect()
        };
        let own = topics(own);
        let mut elsewhere = topics(others);
        elsewhere.retain(|topic| !own.contains(topic));
        Ok(Some(elsewhere))
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
