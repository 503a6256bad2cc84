//! Consumer groups.

use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_admin_op_t as Op;
use rdkafka::bindings::rd_kafka_consumer_group_state_t as State;
use rdkafka::bindings::rd_kafka_consumer_group_type_t as Type;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::conf::c_text;
use super::super::error;
use super::super::list::{List, entries, partition_of};
use super::KafkaAdmin;
use super::calls::{Wishes, array};
use super::topics::{Names, in_order, some_text};
use crate::admin::{
    AdminReply, Each, GroupDescription, GroupListing, GroupProtocol, GroupState, MemberDescription,
    PartitionId,
};
use crate::record::TopicPartition;
use crate::transport::TransportError;

fn state(state: State) -> GroupState {
    match state {
        State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE
        | State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => GroupState::Rebalancing,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => GroupState::Stable,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => GroupState::Dead,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => GroupState::Empty,
        _ => GroupState::Unknown,
    }
}

fn protocol(kind: Type) -> GroupProtocol {
    match kind {
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => GroupProtocol::Consumer,
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => GroupProtocol::Classic,
        _ => GroupProtocol::Unknown,
    }
}

/// # Safety
/// `raw` is null or a living assignment.
unsafe fn assigned(raw: *const rd::rd_kafka_MemberAssignment_t) -> Option<Vec<PartitionId>> {
    if raw.is_null() {
        return None;
    }
    // SAFETY: the list hangs on the assignment, which lives by the caller's promise.
    unsafe {
        let list = entries(rd::rd_kafka_MemberAssignment_partitions(raw));
        Some(
            list.iter()
                .map(|entry| PartitionId::new(error::text(entry.topic), entry.partition))
                .collect(),
        )
    }
}

/// # Safety
/// `raw` is a living description.
unsafe fn member(raw: *const rd::rd_kafka_MemberDescription_t) -> MemberDescription {
    // SAFETY: everything hangs on the description, which lives by the caller's promise.
    unsafe {
        MemberDescription {
            member_id: error::text(rd::rd_kafka_MemberDescription_consumer_id(raw)),
            client_id: error::text(rd::rd_kafka_MemberDescription_client_id(raw)),
            instance_id: some_text(rd::rd_kafka_MemberDescription_group_instance_id(raw)),
            // Java writes an address with a slash in front.
            host: error::text(rd::rd_kafka_MemberDescription_host(raw))
                .trim_start_matches('/')
                .to_owned(),
            partitions: assigned(rd::rd_kafka_MemberDescription_assignment(raw))
                .unwrap_or_default(),
            target: assigned(rd::rd_kafka_MemberDescription_target_assignment(raw)),
        }
    }
}

/// # Safety
/// `raw` is a living description.
unsafe fn description(raw: *const rd::rd_kafka_ConsumerGroupDescription_t) -> GroupDescription {
    // SAFETY: everything hangs on the description, which lives by the caller's promise; members are
    // asked for below their number.
    unsafe {
        let coordinator = rd::rd_kafka_ConsumerGroupDescription_coordinator(raw);
        let coordinator = (!coordinator.is_null()).then(|| rd::rd_kafka_Node_id(coordinator));
        GroupDescription {
            group: error::text(rd::rd_kafka_ConsumerGroupDescription_group_id(raw)),
            state: state(rd::rd_kafka_ConsumerGroupDescription_state(raw)),
            protocol: protocol(rd::rd_kafka_ConsumerGroupDescription_type(raw)),
            assignor: error::text(rd::rd_kafka_ConsumerGroupDescription_partition_assignor(
                raw,
            )),
            coordinator: coordinator.filter(|id| *id >= 0),
            members: (0..rd::rd_kafka_ConsumerGroupDescription_member_count(raw))
                .map(|index| member(rd::rd_kafka_ConsumerGroupDescription_member(raw, index)))
                .collect(),
        }
    }
}

/// # Safety
/// `raw` is null or a living error object, which stays its owner's.
unsafe fn failure(raw: *const rd::rd_kafka_error_t, context: &str) -> Result<(), TransportError> {
    if raw.is_null() {
        return Ok(());
    }
    // SAFETY: by the caller's promise; its texts are terminated.
    unsafe {
        match rd::rd_kafka_error_code(raw) {
            error::OK => Ok(()),
            code => {
                let text = error::text(rd::rd_kafka_error_string(raw));
                Err(error::with_message(context, code, text))
            }
        }
    }
}

impl KafkaAdmin {
    pub(super) fn list_groups(&self, timeout: Duration) -> AdminReply<Vec<GroupListing>> {
        if self.embedded.is_some() {
            return Self::not_embedded("listing groups");
        }
        self.calls.call(
            "listing groups".to_owned(),
            Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
            Wishes::default(),
            timeout,
            // SAFETY: everything is alive.
            |start| unsafe {
                rd::rd_kafka_ListConsumerGroups(start.rk, start.options, start.queue);
            },
            // SAFETY: the event is the result of this request and lives until this returns.
            |event| unsafe {
                // A list that lacks a broker's groups would pass for whole.
                for error in
                    array(|count| rd::rd_kafka_ListConsumerGroups_result_errors(event, count))
                {
                    failure(*error, "listing groups")?;
                }
                let groups =
                    array(|count| rd::rd_kafka_ListConsumerGroups_result_valid(event, count));
                Ok(groups
                    .iter()
                    .map(|group| GroupListing {
                        group: error::text(rd::rd_kafka_ConsumerGroupListing_group_id(*group)),
                        state: state(rd::rd_kafka_ConsumerGroupListing_state(*group)),
                        protocol: protocol(rd::rd_kafka_ConsumerGroupListing_type(*group)),
                    })
                    .collect())
            },
        )
    }

    pub(super) fn describe_one_group(
        &self,
        name: String,
        timeout: Duration,
    ) -> AdminReply<GroupDescription> {
        if self.embedded.is_some() {
            return Self::not_embedded("describing groups");
        }
        let names = vec![name];
        self.calls.call(
            "describing a group".to_owned(),
            Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
            Wishes::default(),
            timeout,
            |start| {
                let mut asked = Names::of(&names);
                // SAFETY: everything is alive; the names are copied.
                unsafe {
                    rd::rd_kafka_DescribeConsumerGroups(
                        start.rk,
                        asked.pointers.as_mut_ptr(),
                        asked.pointers.len(),
                        start.options,
                        start.queue,
                    );
                }
            },
            {
                let name = names[0].clone();
                move |event| {
                    // SAFETY: the event is the result of this request and lives until this returns.
                    unsafe {
                        let groups = array(|count| {
                            rd::rd_kafka_DescribeConsumerGroups_result_groups(event, count)
                        });
                        if let Some(group) = groups.first() {
                            let failed = rd::rd_kafka_ConsumerGroupDescription_error(*group);
                            return failure(failed, &name).map(|()| description(*group));
                        }
                    }
                    let code = Code::RD_KAFKA_RESP_ERR__BAD_MSG;
                    let message = "the broker did not answer for it";
                    Err(error::with_message(name, code, message))
                }
            },
        )
    }

    pub(super) fn remove_group(&self, name: &str, timeout: Duration) -> AdminReply<()> {
        if self.embedded.is_some() {
            return Self::not_embedded("deleting groups");
        }
        let context = format!("deleting group `{name}`");
        let c_name = c_text(name);
        self.calls.call(
            context.clone(),
            Op::RD_KAFKA_ADMIN_OP_DELETEGROUPS,
            Wishes::default(),
            timeout,
            |start| {
                // SAFETY: everything is alive; the name is copied, and copied again by the request.
                unsafe {
                    let group = rd::rd_kafka_DeleteGroup_new(c_name.as_ptr());
                    let mut groups = [group];
                    let first = groups.as_mut_ptr();
                    rd::rd_kafka_DeleteGroups(start.rk, first, 1, start.options, start.queue);
                    rd::rd_kafka_DeleteGroup_destroy(group);
                }
            },
            // SAFETY: the event is the result of this request and lives until this returns.
            move |event| unsafe {
                array(|count| rd::rd_kafka_DeleteGroups_result_groups(event, count))
                    .iter()
                    .try_for_each(|group| {
                        failure(rd::rd_kafka_group_result_error(*group), &context)
                    })
            },
        )
    }

    /// Of all partitions, or of some, which then are asked for as settled: of all, the broker leaves out those
    /// that have no offset but in an open transaction.
    pub(super) fn committed_of(
        &self,
        group: &str,
        of: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> AdminReply<Vec<(TopicPartition, i64)>> {
        if self.embedded.is_some() {
            return Self::not_embedded("offsets of groups");
        }
        let calls = match self.calls_of(group) {
            Ok(calls) => calls,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let context = format!("asking for offsets of group `{group}`");
        let c_name = c_text(group);
        calls.call(
            context.clone(),
            Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
            Wishes {
                settled: of.is_some(),
                ..Wishes::default()
            },
            timeout,
            |start| {
                let list = of.map(List::of);
                let list = list
                    .as_ref()
                    .map_or(std::ptr::null(), |list| list.as_ptr().cast_const());
                // SAFETY: everything is alive; name and list are copied, and copied again by the request.
                // No list of partitions means all.
                unsafe {
                    let asked = rd::rd_kafka_ListConsumerGroupOffsets_new(c_name.as_ptr(), list);
                    let mut all = [asked];
                    let first = all.as_mut_ptr();
                    rd::rd_kafka_ListConsumerGroupOffsets(
                        start.rk,
                        first,
                        1,
                        start.options,
                        start.queue,
                    );
                    rd::rd_kafka_ListConsumerGroupOffsets_destroy(asked);
                }
            },
            move |event| {
                // SAFETY: the event is the result of this request and lives until this returns.
                unsafe {
                    let groups = array(|count| {
                        rd::rd_kafka_ListConsumerGroupOffsets_result_groups(event, count)
                    });
                    let mut offsets = Vec::new();
                    for group in groups {
                        failure(rd::rd_kafka_group_result_error(*group), &context)?;
                        for entry in entries(rd::rd_kafka_group_result_partitions(*group)) {
                            let partition = partition_of(entry);
                            error::check(entry.err, || format!("{context}: {partition}"))?;
                            if entry.offset >= 0 {
                                offsets.push((partition, entry.offset));
                            }
                        }
                    }
                    Ok(offsets)
                }
            },
        )
    }

    pub(super) fn set_offsets(
        &self,
        group: &str,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> AdminReply<Each<()>> {
        if self.embedded.is_some() {
            return Self::not_embedded("moving groups");
        }
        let context = format!("moving group `{group}`");
        let c_name = c_text(group);
        let list = List::at(&offsets);
        self.calls.call(
            context.clone(),
            Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
            Wishes::default(),
            timeout,
            |start| {
                // SAFETY: everything is alive; name and list are copied, and copied again by the request.
                unsafe {
                    let asked =
                        rd::rd_kafka_AlterConsumerGroupOffsets_new(c_name.as_ptr(), list.as_ptr());
                    let mut all = [asked];
                    let first = all.as_mut_ptr();
                    rd::rd_kafka_AlterConsumerGroupOffsets(
                        start.rk,
                        first,
                        1,
                        start.options,
                        start.queue,
                    );
                    rd::rd_kafka_AlterConsumerGroupOffsets_destroy(asked);
                }
            },
            move |event| {
                let mut found = std::collections::BTreeMap::new();
                // SAFETY: the event is the result of this request and lives until this returns.
                unsafe {
                    let groups = array(|count| {
                        rd::rd_kafka_AlterConsumerGroupOffsets_result_groups(event, count)
                    });
                    for group in groups {
                        failure(rd::rd_kafka_group_result_error(*group), &context)?;
                        for entry in entries(rd::rd_kafka_group_result_partitions(*group)) {
                            let partition = partition_of(entry).to_string();
                            let result = error::check(entry.err, || context.clone());
                            found.insert(partition, result);
                        }
                    }
                }
                let names: Vec<_> = offsets.iter().map(|(p, _)| p.to_string()).collect();
                Ok(in_order(&names, found))
            },
        )
    }
}
