//! Configs of topics.

use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_ConfigSource_t as Source;
use rdkafka::bindings::rd_kafka_admin_op_t as Op;

use super::super::conf::c_text;
use super::super::error;
use super::KafkaAdmin;
use super::calls::{Wishes, array};
use super::topics::{Owned, in_order, some_text};
use crate::admin::{AdminReply, ConfigChange, ConfigEntry, ConfigSource, Each};
use crate::transport::TransportError;

/// # Safety
/// `raw` is a living entry.
unsafe fn entry(raw: *const rd::rd_kafka_ConfigEntry_t) -> ConfigEntry {
    // SAFETY: everything hangs on the entry, which lives by the caller's promise.
    unsafe {
        ConfigEntry {
            name: error::text(rd::rd_kafka_ConfigEntry_name(raw)),
            value: some_text(rd::rd_kafka_ConfigEntry_value(raw)),
            source: match rd::rd_kafka_ConfigEntry_source(raw) {
                Source::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG => ConfigSource::Topic,
                Source::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG
                | Source::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG
                | Source::RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG => ConfigSource::Broker,
                Source::RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG => ConfigSource::Default,
                _ => ConfigSource::Unknown,
            },
            read_only: rd::rd_kafka_ConfigEntry_is_read_only(raw) == 1,
            sensitive: rd::rd_kafka_ConfigEntry_is_sensitive(raw) == 1,
        }
    }
}

impl KafkaAdmin {
    pub(super) fn configs(
        &self,
        names: Vec<String>,
        timeout: Duration,
    ) -> AdminReply<Each<Vec<ConfigEntry>>> {
        if self.embedded.is_some() {
            return Self::not_embedded("reading configs");
        }
        let resources: Vec<_> = names.iter().map(|name| resource(name)).collect();
        self.calls.call(
            "reading configs".to_owned(),
            Op::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
            Wishes::default(),
            timeout,
            |start| {
                let mut all: Vec<_> = resources.iter().map(|resource| resource.0).collect();
                // SAFETY: everything is alive; the resources are copied.
                unsafe {
                    rd::rd_kafka_DescribeConfigs(
                        start.rk,
                        all.as_mut_ptr(),
                        all.len(),
                        start.options,
                        start.queue,
                    );
                }
            },
            move |event| {
                // SAFETY: the event is the result of this request and lives until this returns.
                let found = unsafe {
                    array(|count| rd::rd_kafka_DescribeConfigs_result_resources(event, count))
                        .iter()
                        .map(|resource| {
                            let (name, result) = outcome(*resource);
                            let entries = |()| {
                                array(|count| rd::rd_kafka_ConfigResource_configs(*resource, count))
                                    .iter()
                                    .map(|raw| entry(*raw))
                                    .collect()
                            };
                            (name, result.map(entries))
                        })
                        .collect()
                };
                Ok(in_order(&names, found))
            },
        )
    }

    pub(super) fn alter(
        &self,
        topic: &str,
        changes: &[ConfigChange],
        timeout: Duration,
    ) -> AdminReply<()> {
        use rd::rd_kafka_AlterConfigOpType_t::{
            RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE as RESET, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET as SET,
        };
        if self.embedded.is_some() {
            return Self::not_embedded("changing configs");
        }
        let context = format!("changing configs of topic `{topic}`");
        let resource = resource(topic);
        for change in changes {
            let (name, op, value) = match change {
                ConfigChange::Set(name, value) => (name, SET, Some(c_text(value))),
                ConfigChange::Reset(name) => (name, RESET, None),
            };
            let key = c_text(name);
            let value = value
                .as_ref()
                .map_or(std::ptr::null(), |value| value.as_ptr());
            // SAFETY: the resource is alive; texts are copied; an error object is ours to destroy.
            let added = unsafe {
                let error = rd::rd_kafka_ConfigResource_add_incremental_config(
                    resource.0,
                    key.as_ptr(),
                    op,
                    value,
                );
                error::take(error, || format!("{context}: `{name}`"))
            };
            if let Err((_, error)) = added {
                return Box::pin(std::future::ready(Err(error)));
            }
        }
        self.calls.call(
            context,
            Op::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
            Wishes::default(),
            timeout,
            |start| {
                let mut all = [resource.0];
                // SAFETY: everything is alive; the resource is copied.
                unsafe {
                    rd::rd_kafka_IncrementalAlterConfigs(
                        start.rk,
                        all.as_mut_ptr(),
                        1,
                        start.options,
                        start.queue,
                    );
                }
            },
            |event| {
                // SAFETY: the event is the result of this request and lives until this returns.
                unsafe {
                    array(|count| {
                        rd::rd_kafka_IncrementalAlterConfigs_result_resources(event, count)
                    })
                    .iter()
                    .try_for_each(|resource| outcome(*resource).1)
                }
            },
        )
    }
}

fn resource(topic: &str) -> Owned<rd::rd_kafka_ConfigResource_t> {
    let name = c_text(topic);
    let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
    // SAFETY: the name is not empty (checked where it enters) and copied, so the answer is no null.
    let raw = unsafe { rd::rd_kafka_ConfigResource_new(kind, name.as_ptr()) };
    Owned(raw, rd::rd_kafka_ConfigResource_destroy)
}

/// # Safety
/// `raw` is a living resource of a result.
unsafe fn outcome(
    raw: *const rd::rd_kafka_ConfigResource_t,
) -> (String, Result<(), TransportError>) {
    // SAFETY: by the caller's promise; its texts are terminated.
    unsafe {
        let name = error::text(rd::rd_kafka_ConfigResource_name(raw));
        let result = match rd::rd_kafka_ConfigResource_error(raw) {
            error::OK => Ok(()),
            code => {
                let text = error::text(rd::rd_kafka_ConfigResource_error_string(raw));
                Err(error::with_message(name.as_str(), code, text))
            }
        };
        (name, result)
    }
}
