//! Which topics of a group other workers read.
//!
//! In: a group's description, and what this worker is called in it. Out: the topics.

use std::collections::BTreeSet;

use crate::admin::{GroupDescription, GroupState, MemberDescription};

/// What this worker is called in a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// By the coordinator, now.
    pub(super) members: BTreeSet<String>,
    /// As static members, also before this start.
    pub(super) instances: BTreeSet<String>,
}

/// Topics of which other members have partitions and this worker has none; `None`: the group is dealing them, and does
/// not tell of anybody's meanwhile.
pub(super) fn elsewhere(group: &GroupDescription, own: &Own) -> Option<BTreeSet<String>> {
    let (mine, others): (Vec<_>, Vec<_>) = group
        .members
        .iter()
        .partition(|member| own.members.contains(&member.member_id));
    // What a static member had before it was started anew stays listed until it joins again. It reads nothing, and
    // nobody else reads it meanwhile.
    let gone = |member: &MemberDescription| {
        let instance = member.instance_id.as_ref();
        instance.is_some_and(|instance| own.instances.contains(instance))
    };
    let others: Vec<_> = others.into_iter().filter(|other| !gone(other)).collect();
    if group.state == GroupState::Rebalancing && !others.is_empty() {
        return None;
    }
    let mine = topics(mine);
    let mut elsewhere = topics(others);
    elsewhere.retain(|topic| !mine.contains(topic));
    Some(elsewhere.into_iter().map(str::to_owned).collect())
}

fn topics(members: Vec<&MemberDescription>) -> BTreeSet<&str> {
    let partitions = members.into_iter().flat_map(|member| {
        let target = member.target.iter().flatten();
        member.partitions.iter().chain(target)
    });
    partitions
        .map(|partition| partition.topic.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{GroupProtocol, PartitionId};

    fn member(id: &str, instance: Option<&str>, topics: &[&str]) -> MemberDescription {
        let partition = |topic: &&str| PartitionId::new(*topic, 0);
        MemberDescription {
            member_id: id.to_owned(),
            client_id: "worker".to_owned(),
            instance_id: instance.map(str::to_owned),
            host: "here".to_owned(),
            partitions: topics.iter().map(partition).collect(),
            target: None,
        }
    }

    fn group(state: GroupState, members: Vec<MemberDescription>) -> GroupDescription {
        GroupDescription {
            group: "g".to_owned(),
            state,
            protocol: GroupProtocol::Classic,
            assignor: "cooperative-sticky".to_owned(),
            coordinator: Some(0),
            members,
        }
    }

    fn own(members: &[&str], instances: &[&str]) -> Own {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Own {
            members: names(members),
            instances: names(instances),
        }
    }

    fn found(topics: &[&str]) -> Option<BTreeSet<String>> {
        Some(topics.iter().map(|topic| (*topic).to_owned()).collect())
    }

    #[test]
    fn topics_that_this_worker_has_no_partition_of_are_elsewhere() {
        let mut joining = member("c", None, &[]);
        joining.target = Some(vec![PartitionId::new("w", 3)]);
        let members = vec![
            member("a", None, &["t", "u"]),
            member("b", None, &["u", "v"]),
            joining,
        ];
        let group = group(GroupState::Stable, members);
        assert_eq!(elsewhere(&group, &own(&["b"], &[])), found(&["t", "w"]));
        assert_eq!(
            elsewhere(&group, &own(&[], &["x"])),
            found(&["t", "u", "v", "w"])
        );
    }

    #[test]
    fn a_group_that_deals_its_partitions_is_waited_for_unless_nobody_else_is_in_it() {
        let members = || vec![member("a", None, &[]), member("b", None, &[])];
        let of = |state| group(state, members());
        let dealing = of(GroupState::Rebalancing);
        assert_eq!(elsewhere(&dealing, &own(&["a"], &[])), None);
        assert_eq!(elsewhere(&dealing, &own(&["a", "b"], &[])), found(&[]));
        let stable = of(GroupState::Stable);
        assert_eq!(elsewhere(&stable, &own(&["a"], &[])), found(&[]));
    }

    #[test]
    fn a_static_member_that_comes_back_is_not_somebody_else() {
        let own = own(&[], &["worker-1"]);
        let before = || member("old", Some("worker-1"), &["t"]);
        let lone = group(GroupState::Stable, vec![before()]);
        assert_eq!(elsewhere(&lone, &own), found(&[]));
        let lone = group(GroupState::Rebalancing, vec![before()]);
        assert_eq!(elsewhere(&lone, &own), found(&[]));
        // Others have begun to read the topic, whatever it had of it.
        let other = member("other", Some("worker-2"), &["t"]);
        let shared = group(GroupState::Stable, vec![before(), other]);
        assert_eq!(elsewhere(&shared, &own), found(&["t"]));
    }
}
