//! Topics, and the cluster itself.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_admin_op_t as Op;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::client::Client;
use super::super::conf::{c_text, millis};
use super::super::error;
use super::calls::{Wishes, array};
use super::{KafkaAdmin, blocking};
use crate::admin::{
    AdminReply, BrokerNode, ClusterDescription, Each, NewTopic, PartitionDescription,
    TopicDescription,
};
use crate::transport::TransportError;

/// A request object of librdkafka's, destroyed when the request has left.
pub(super) struct Owned<T>(pub(super) *mut T, pub(super) unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: made by us, destroyed once, by the function that belongs to it.
        unsafe { (self.1)(self.0) }
    }
}

/// What was asked for, in the order of the request.
pub(super) fn in_order<T>(
    names: &[String],
    mut found: BTreeMap<String, Result<T, TransportError>>,
) -> Each<T> {
    let missing = |name: &String| {
        let message = "the broker did not answer for it";
        let code = Code::RD_KAFKA_RESP_ERR__BAD_MSG;
        Err(error::with_message(name.as_str(), code, message))
    };
    names
        .iter()
        .map(|name| found.remove(name).unwrap_or_else(|| missing(name)))
        .collect()
}

/// Names as librdkafka takes them; the pointers live as long as the texts.
pub(super) struct Names {
    _texts: Vec<CString>,
    pub(super) pointers: Vec<*const c_char>,
}

impl Names {
    pub(super) fn of(names: &[String]) -> Self {
        let texts: Vec<CString> = names.iter().map(|name| c_text(name)).collect();
        // A text's bytes stay where they are when the vector moves.
        let pointers = texts.iter().map(|text| text.as_ptr()).collect();
        Self {
            _texts: texts,
            pointers,
        }
    }
}

/// # Safety
/// `node` is null or a living node.
unsafe fn node_id(node: *const rd::rd_kafka_Node_t) -> Option<i32> {
    if node.is_null() {
        return None;
    }
    // SAFETY: by the caller's promise.
    let id = unsafe { rd::rd_kafka_Node_id(node) };
    (id >= 0).then_some(id)
}

/// # Safety
/// `raw` is null or a terminated text.
pub(super) unsafe fn some_text(raw: *const c_char) -> Option<String> {
    // SAFETY: by the caller's promise.
    (!raw.is_null()).then(|| unsafe { error::text(raw) })
}

/// # Safety
/// `raw` is a living description.
unsafe fn description(raw: *const rd::rd_kafka_TopicDescription_t) -> TopicDescription {
    // SAFETY: everything hangs on the description, which lives by the caller's promise.
    unsafe {
        let ids = |nodes: &[*const rd::rd_kafka_Node_t]| -> Vec<i32> {
            nodes.iter().filter_map(|node| node_id(*node)).collect()
        };
        let partitions = array(|count| rd::rd_kafka_TopicDescription_partitions(raw, count));
        let mut partitions: Vec<_> = partitions
            .iter()
            .map(|partition| PartitionDescription {
                partition: rd::rd_kafka_TopicPartitionInfo_partition(*partition),
                leader: node_id(rd::rd_kafka_TopicPartitionInfo_leader(*partition)),
                replicas: ids(array(|count| {
                    rd::rd_kafka_TopicPartitionInfo_replicas(*partition, count)
                })),
                in_sync: ids(array(|count| {
                    rd::rd_kafka_TopicPartitionInfo_isr(*partition, count)
                })),
            })
            .collect();
        partitions.sort_by_key(|partition| partition.partition);
        let id = rd::rd_kafka_TopicDescription_topic_id(raw);
        let id = (!id.is_null())
            .then(|| error::text(rd::rd_kafka_Uuid_base64str(id)))
            // All zeros: the broker gave none.
            .filter(|id| id.chars().any(|c| c != 'A' && c != '='));
        TopicDescription {
            name: error::text(rd::rd_kafka_TopicDescription_name(raw)),
            id,
            internal: rd::rd_kafka_TopicDescription_is_internal(raw) != 0,
            partitions,
        }
    }
}

/// The result of the one topic that a request was about.
///
/// # Safety
/// `ask` answers the results of a living event.
unsafe fn only_topic(
    context: &str,
    ask: impl FnOnce(*mut usize) -> *mut *const rd::rd_kafka_topic_result_t,
) -> Result<(), TransportError> {
    // SAFETY: by the caller's promise; texts of results are terminated.
    unsafe {
        for result in array(ask) {
            let code = rd::rd_kafka_topic_result_error(*result);
            if code != error::OK {
                let text = error::text(rd::rd_kafka_topic_result_error_string(*result));
                return Err(error::with_message(context, code, text));
            }
        }
    }
    Ok(())
}

const CHANGE: Wishes = Wishes {
    validate_only: false,
    wait_for_effect: true,
    settled: false,
};

impl KafkaAdmin {
    pub(super) fn describe_cluster(&self, timeout: Duration) -> AdminReply<ClusterDescription> {
        if self.embedded.is_some() {
            return Self::not_embedded("describing the cluster");
        }
        self.calls.call(
            "describing the cluster".to_owned(),
            Op::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER,
            Wishes::default(),
            timeout,
            // SAFETY: everything is alive.
            |start| unsafe {
                rd::rd_kafka_DescribeCluster(start.rk, start.options, start.queue);
            },
            // SAFETY: the event is the result of this request and lives until this returns.
            |event| unsafe {
                let nodes = array(|count| rd::rd_kafka_DescribeCluster_result_nodes(event, count));
                let mut brokers: Vec<_> = nodes
                    .iter()
                    .map(|node| BrokerNode {
                        id: rd::rd_kafka_Node_id(*node),
                        host: error::text(rd::rd_kafka_Node_host(*node)),
                        port: rd::rd_kafka_Node_port(*node),
                        rack: some_text(rd::rd_kafka_Node_rack(*node)),
                    })
                    .collect();
                brokers.sort_by_key(|broker| broker.id);
                Ok(ClusterDescription {
                    id: error::text(rd::rd_kafka_DescribeCluster_result_cluster_id(event)),
                    controller: node_id(rd::rd_kafka_DescribeCluster_result_controller(event)),
                    brokers,
                })
            },
        )
    }

    pub(super) fn describe(
        &self,
        names: Vec<String>,
        timeout: Duration,
    ) -> AdminReply<Each<TopicDescription>> {
        if self.embedded.is_some() {
            // It names no controller, which the admin API would wait for.
            let client = self.calls.client().clone();
            return blocking("describing topics", move || {
                let found = by_metadata(&client, timeout)?;
                let describe = |name: &String| {
                    let unknown = Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
                    let found = found.iter().find(|topic| topic.name == *name).cloned();
                    found.ok_or_else(|| error::error(name.as_str(), unknown))
                };
                Ok(names.iter().map(describe).collect())
            });
        }
        self.calls.call(
            "describing topics".to_owned(),
            Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            Wishes::default(),
            timeout,
            |start| {
                let mut asked = Names::of(&names);
                let pointers = asked.pointers.as_mut_ptr();
                // SAFETY: everything is alive; names are copied twice, the collection destroyed once.
                unsafe {
                    let collection = Owned(
                        rd::rd_kafka_TopicCollection_of_topic_names(pointers, asked.pointers.len()),
                        rd::rd_kafka_TopicCollection_destroy,
                    );
                    rd::rd_kafka_DescribeTopics(start.rk, collection.0, start.options, start.queue);
                }
            },
            {
                let names = names.clone();
                move |event| {
                    // SAFETY: the event is the result of this request and lives until this returns.
                    let found = unsafe {
                        array(|count| rd::rd_kafka_DescribeTopics_result_topics(event, count))
                            .iter()
                            .map(|topic| {
                                let described = description(*topic);
                                let failed = rd::rd_kafka_TopicDescription_error(*topic);
                                let result = match rd::rd_kafka_error_code(failed) {
                                    error::OK => Ok(described.clone()),
                                    code => Err(error::error(described.name.as_str(), code)),
                                };
                                (described.name, result)
                            })
                            .collect()
                    };
                    Ok(in_order(&names, found))
                }
            },
        )
    }

    pub(super) fn create(
        &self,
        topic: &NewTopic,
        validate_only: bool,
        timeout: Duration,
    ) -> AdminReply<()> {
        let context = format!("creating topic `{}`", topic.name);
        if let Some(broker) = &self.embedded {
            if validate_only || topic.replication.is_some() || !topic.configs.is_empty() {
                return Self::not_embedded("replication, configs and dry runs of a new topic");
            }
            let partitions = topic
                .partitions
                .and_then(|count| usize::try_from(count).ok());
            let created = broker.create_topic(&topic.name, partitions.unwrap_or(1));
            return Box::pin(std::future::ready(created));
        }
        // −1: the broker's default.
        let or_default = |number: Option<i32>| number.unwrap_or(-1);
        let partitions = or_default(topic.partitions.and_then(|count| i32::try_from(count).ok()));
        let replicas = or_default(topic.replication.map(i32::from));
        let mut buffer = [0 as c_char; 256];
        let name = c_text(&topic.name);
        // SAFETY: the name is copied; the buffer has the given length; a null answer is an error, whose
        // text is terminated.
        let new = unsafe {
            let new = rd::rd_kafka_NewTopic_new(
                name.as_ptr(),
                partitions,
                replicas,
                buffer.as_mut_ptr(),
                buffer.len(),
            );
            if new.is_null() {
                let message = error::text(buffer.as_ptr());
                return Box::pin(std::future::ready(Err(error::invalid(context, message))));
            }
            Owned(new, rd::rd_kafka_NewTopic_destroy)
        };
        for (name, value) in &topic.configs {
            let (key, value) = (c_text(name), c_text(value));
            // SAFETY: the topic is alive; both texts are copied.
            let code =
                unsafe { rd::rd_kafka_NewTopic_set_config(new.0, key.as_ptr(), value.as_ptr()) };
            if let Err(error) = error::check(code, || format!("{context}: config `{name}`")) {
                return Box::pin(std::future::ready(Err(error)));
            }
        }
        let wishes = Wishes {
            validate_only,
            ..CHANGE
        };
        self.calls.call(
            context.clone(),
            Op::RD_KAFKA_ADMIN_OP_CREATETOPICS,
            wishes,
            timeout,
            |start| {
                let mut topics = [new.0];
                let first = topics.as_mut_ptr();
                // SAFETY: everything is alive; the topic is copied.
                unsafe {
                    rd::rd_kafka_CreateTopics(start.rk, first, 1, start.options, start.queue);
                }
            },
            // SAFETY: the event is the result of this request and lives until this returns.
            move |event| unsafe {
                only_topic(&context, |count| {
                    rd::rd_kafka_CreateTopics_result_topics(event, count)
                })
            },
        )
    }

    pub(super) fn delete(&self, name: &str, timeout: Duration) -> AdminReply<()> {
        if self.embedded.is_some() {
            return Self::not_embedded("deleting topics");
        }
        let context = format!("deleting topic `{name}`");
        let c_name = c_text(name);
        self.calls.call(
            context.clone(),
            Op::RD_KAFKA_ADMIN_OP_DELETETOPICS,
            CHANGE,
            timeout,
            |start| {
                // SAFETY: everything is alive; the name is copied, and copied again by the request.
                unsafe {
                    let topic = Owned(
                        rd::rd_kafka_DeleteTopic_new(c_name.as_ptr()),
                        rd::rd_kafka_DeleteTopic_destroy,
                    );
                    let mut topics = [topic.0];
                    let first = topics.as_mut_ptr();
                    rd::rd_kafka_DeleteTopics(start.rk, first, 1, start.options, start.queue);
                }
            },
            // SAFETY: the event is the result of this request and lives until this returns.
            move |event| unsafe {
                only_topic(&context, |count| {
                    rd::rd_kafka_DeleteTopics_result_topics(event, count)
                })
            },
        )
    }

    pub(super) fn grow(&self, name: &str, total: usize, timeout: Duration) -> AdminReply<()> {
        if self.embedded.is_some() {
            return Self::not_embedded("adding partitions");
        }
        let context = format!("adding partitions to topic `{name}`");
        let c_name = c_text(name);
        let mut buffer = [0 as c_char; 256];
        // SAFETY: the name is copied; the buffer has the given length; a null answer is an error, whose
        // text is terminated.
        let new = unsafe {
            let text = buffer.as_mut_ptr();
            let new = rd::rd_kafka_NewPartitions_new(c_name.as_ptr(), total, text, buffer.len());
            if new.is_null() {
                let message = error::text(buffer.as_ptr());
                return Box::pin(std::future::ready(Err(error::invalid(context, message))));
            }
            Owned(new, rd::rd_kafka_NewPartitions_destroy)
        };
        self.calls.call(
            context.clone(),
            Op::RD_KAFKA_ADMIN_OP_CREATEPARTITIONS,
            CHANGE,
            timeout,
            |start| {
                let mut all = [new.0];
                let first = all.as_mut_ptr();
                // SAFETY: everything is alive; the request copies what it needs.
                unsafe {
                    rd::rd_kafka_CreatePartitions(start.rk, first, 1, start.options, start.queue);
                }
            },
            // SAFETY: the event is the result of this request and lives until this returns.
            move |event| unsafe {
                only_topic(&context, |count| {
                    rd::rd_kafka_CreatePartitions_result_topics(event, count)
                })
            },
        )
    }
}

/// All topics, as any client hears of them. Blocks.
fn by_metadata(
    client: &Client,
    timeout: Duration,
) -> Result<Vec<TopicDescription>, TransportError> {
    let mut raw = std::ptr::null();
    // SAFETY: the client is alive; `raw` is filled on success.
    let code = unsafe {
        let no_topic = std::ptr::null_mut();
        rd::rd_kafka_metadata(client.rk(), 1, no_topic, &raw mut raw, millis(timeout))
    };
    error::check(code, || "describing topics".to_owned())?;
    // SAFETY: filled: each array has as many entries as its count says, names are terminated; freed once,
    // after copying.
    unsafe {
        let topics = counted((*raw).topics, (*raw).topic_cnt)
            .iter()
            .map(|topic| TopicDescription {
                name: error::text(topic.topic),
                id: None,
                internal: false,
                partitions: counted(topic.partitions, topic.partition_cnt)
                    .iter()
                    .map(|partition| PartitionDescription {
                        partition: partition.id,
                        leader: (partition.leader >= 0).then_some(partition.leader),
                        replicas: counted(partition.replicas, partition.replica_cnt).to_vec(),
                        in_sync: counted(partition.isrs, partition.isr_cnt).to_vec(),
                    })
                    .collect(),
            })
            .collect();
        rd::rd_kafka_metadata_destroy(raw);
        Ok(topics)
    }
}

/// # Safety
/// `first` is null or the first of `count` entries that live for `'a`.
unsafe fn counted<'a, T>(first: *const T, count: i32) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: by the caller's promise.
        Ok(count) if count > 0 && !first.is_null() => unsafe {
            std::slice::from_raw_parts(first, count)
        },
        _ => &[],
    }
}
