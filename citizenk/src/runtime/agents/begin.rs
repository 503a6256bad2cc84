//! Where an agent that is started from a position begins, also where its partitions come late.
//!
//! In: the position, who else reads the group's topics. Out: the offsets of the position as of the call, taken
//! before the agent joins; where they count is settled when it has partitions.

use std::collections::BTreeSet;

use super::{ASK, AgentHandle, AgentsError, ReadFrom};
use crate::admin::AdminErrorKind;
use crate::runtime::crew::Crew;
use crate::runtime::place::{self, Offsets, Place};
use crate::runtime::plan::AgentPlan;
use crate::transport::BrokerKind;

impl Crew {
    /// The ends of the topics that nobody else of the group reads, as of now. Where another member does, the group
    /// has begun, and what waits there is nobody's to skip.
    pub(super) async fn ends(&self, plan: &AgentPlan) -> Result<Offsets, AgentsError> {
        let mut topics = self.topics_wanted(plan);
        let elsewhere = self.read_elsewhere(plan).await?;
        topics.retain(|topic| !elsewhere.contains(topic));
        self.everywhere(ReadFrom::Latest, plan, topics).await
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

    /// Topics of which other members of the agent's group have partitions and this worker has none.
    async fn read_elsewhere(&self, plan: &AgentPlan) -> Result<BTreeSet<String>, AgentsError> {
        let transport = &self.spec.clusters.of(plan.cluster)?.transport;
        // A broker inside the process describes no groups, and has no other members.
        let lone = transport.kind() == BrokerKind::Embedded;
        let Some(group) = plan.group.as_ref().filter(|_| !lone) else {
            return Ok(BTreeSet::new());
        };
        let Ok(admin) = self.spec.env.admin.on(plan.cluster) else {
            // There is such a cluster: it was found above.
            return Ok(BTreeSet::new());
        };
        let described = match admin.timeout(ASK).describe_group(group).await {
            Ok(described) => described,
            Err(error) if error.kind == AdminErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(AgentsError::Group(error)),
        };
        let own = self.member_ids(plan.cluster, group);
        let (own, others): (Vec<_>, Vec<_>) = described
            .members
            .into_iter()
            .partition(|member| own.contains(&member.member_id));
        let topics = |members: Vec<crate::admin::MemberDescription>| -> BTreeSet<String> {
            let partitions = members.into_iter().flat_map(|member| member.partitions);
            partitions.map(|partition| partition.topic).collect()
        };
        let own = topics(own);
        Ok(topics(others)
            .into_iter()
            .filter(|topic| !own.contains(topic))
            .collect())
    }
}

impl AgentHandle {
    /// Begins with the partitions that are there. `since`: the ends when it was started.
    pub(super) async fn begin(
        &self,
        from: ReadFrom,
        since: Option<Offsets>,
    ) -> Result<(), AgentsError> {
        let place = since.map_or(Place::At(from), Place::Since);
        self.go_on(place).await
    }

    /// Begins when the first partitions come, which others of the group may have read meanwhile.
    pub(super) async fn come_late(
        &self,
        from: ReadFrom,
        mut since: Option<Offsets>,
    ) -> Result<(), AgentsError> {
        loop {
            let ended = match &since {
                None => {
                    let (plan, topics) = (&self.member.plan, self.crew.topics_of(&self.member));
                    let found = self.crew.everywhere(from.clone(), plan, topics).await;
                    found.map(|offsets| since = Some(offsets))
                }
                Some(offsets) => {
                    self.member.seat.until_owning(true).await;
                    match self.go_on(Place::Since(offsets.clone())).await {
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
