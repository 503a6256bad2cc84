//! Starts the consumer of a team.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Crew;
use super::team::Team;
use crate::policy::Guarantee;
use crate::runtime::dispatch::{Dispatcher, GroupAgent, GroupContext};
use crate::runtime::engine::{Group, start_transactor};
use crate::runtime::heart::Heart;
use crate::runtime::lane::inbox::Poller;
use crate::runtime::read::Reads;
use crate::runtime::status::GroupStatus;
use crate::transport::{ConsumerSpec, TransportError};

const COMMIT_EVERY: Duration = Duration::from_secs(1);
const INSTANCE: &str = "group.instance.id";

impl Crew {
    /// The team's consumer, with the agents it begins with.
    pub(super) fn start_consumer(
        &self,
        team: &Team,
        agents: Vec<GroupAgent>,
        topics: Vec<String>,
    ) -> Result<Group, TransportError> {
        let spec = &self.spec;
        let group = team.key.group.clone();
        let cluster = spec.clusters.of(team.key.cluster)?;
        let metrics = spec
            .env
            .metrics
            .consumer(cluster.name, group.as_deref().unwrap_or_default());
        let heart = Heart::new(team.name.clone(), spec.limits.stall_after, metrics);
        let own = agents.iter().any(|agent| {
            let mut names = spec.agents.iter().map(|own| &own.plan.spec.name);
            names.any(|name| *name == agent.plan.spec.name)
        });
        let status = Arc::new(GroupStatus::new(
            Arc::new(heart),
            cluster.name,
            group.clone(),
            own,
        ));
        spec.executor.watch(&status.heart);
        let poller = Arc::new(Poller::default());
        let book = match team.key.guarantee {
            Guarantee::ExactlyOnce => Some(start_transactor(spec, cluster, &status, &poller)?),
            Guarantee::AtLeastOnce => None,
        };
        let dispatcher = Dispatcher::new(GroupContext {
            cluster: cluster.name,
            group: group.clone(),
            agents,
            env: spec.env.clone(),
            executor: spec.executor.clone(),
            supervisor: spec.supervisor.clone(),
            hooks: self.hooks.clone(),
            status: status.clone(),
            commit_every: spec.commit_every.unwrap_or(COMMIT_EVERY),
            limits: spec.limits,
            poller: poller.clone(),
            orders: team.orders.clone(),
            book,
            reads: Reads {
                transport: cluster.transport.clone(),
                settings: cluster.consumer_settings.clone(),
                client_id: format!("{}-probe", spec.app),
                names: spec.names.clone(),
            },
            handle: spec.handle.clone(),
        });
        let consumer = ConsumerSpec {
            name: team.name.clone(),
            // What a group's consumer cannot tell: see `dispatch::probe`.
            ends: group.is_none(),
            group,
            client_id: spec.client_id.clone(),
            topics,
            settings: member_settings(&cluster.consumer_settings, team.key.guarantee),
            max_chunk: spec.max_chunk,
            drain: spec.drain,
        };
        let handle = cluster
            .transport
            .start_consumer(consumer, Box::new(dispatcher))?;
        poller.set(handle.clone());
        Ok(Group { status, handle })
    }

    /// What the coordinator calls the consumers of a group that run here. Blocks: the client is asked.
    pub(in crate::runtime) fn member_ids(&self, cluster: &str, group: &str) -> BTreeSet<String> {
        let of_group =
            |team: &&Team| team.key.cluster == cluster && team.key.group.as_deref() == Some(group);
        let running: Vec<Group> = {
            let inner = self.lock();
            let teams = inner.teams.iter().filter(of_group);
            teams.filter_map(|team| team.running.clone()).collect()
        };
        let names = running.iter().map(|group| group.handle.member_id());
        names.flatten().collect()
    }
}

/// The static members that this worker is, if it is one.
pub(in crate::runtime) fn own_instances(settings: &BTreeMap<String, String>) -> BTreeSet<String> {
    let both = [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce].into_iter();
    both.filter_map(|guarantee| member_settings(settings, guarantee).remove(INSTANCE))
        .collect()
}

/// A static member's name is for one member: agents of both guarantees in one group have a consumer each, which would
/// fence one another.
fn member_settings(
    settings: &BTreeMap<String, String>,
    guarantee: Guarantee,
) -> BTreeMap<String, String> {
    let mut settings = settings.clone();
    if guarantee == Guarantee::ExactlyOnce
        && let Some(instance) = settings.get_mut(INSTANCE)
    {
        instance.push_str("-exactly-once");
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_members_of_both_guarantees_have_names_of_their_own() {
        let name = |guarantee| {
            let settings = [("group.instance.id", "worker-3"), ("client.rack", "a")];
            let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let settings = member_settings(&BTreeMap::from(settings), guarantee);
            assert_eq!(settings["client.rack"], "a");
            settings["group.instance.id"].clone()
        };
        assert_eq!(name(Guarantee::AtLeastOnce), "worker-3");
        assert_eq!(name(Guarantee::ExactlyOnce), "worker-3-exactly-once");
        let settings = [("group.instance.id".to_owned(), "worker-3".to_owned())];
        let both = ["worker-3", "worker-3-exactly-once"].map(str::to_owned);
        assert_eq!(own_instances(&settings.into()), both.into());
        assert_eq!(own_instances(&BTreeMap::new()), BTreeSet::new());
    }
}
