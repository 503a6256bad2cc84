//! What librdkafka calls while the consumer is polled. Callbacks only post what they heard: it is
//! acted on after the poll returned, when nothing of librdkafka is on the stack.

use std::ffi::{c_char, c_int, c_void};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::client::{Hooks, Mail};
use super::super::conf::Conf;
use super::super::error;
use super::super::list;
use super::super::security;

pub(super) fn install(conf: &Conf) {
    // SAFETY: the configuration is alive; the callbacks get the client's `Hooks` as their opaque,
    // which outlives the client.
    unsafe {
        rd::rd_kafka_conf_set_rebalance_cb(conf.raw(), Some(on_rebalance));
        rd::rd_kafka_conf_set_error_cb(conf.raw(), Some(on_error));
        rd::rd_kafka_conf_set_stats_cb(conf.raw(), Some(on_statistics));
    }
}

unsafe extern "C" fn on_rebalance(
    _rk: *mut rd::rd_kafka_t,
    code: Code,
    partitions: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque is the client's `Hooks`; the list lives during the call and is copied. The
    // group waits until the polling thread answers with an assign or unassign.
    unsafe {
        let partitions = list::entries(partitions)
            .iter()
            .map(|entry| list::partition_of(entry))
            .collect();
        (*opaque.cast::<Hooks>()).post(Mail::Rebalance(code, partitions));
    }
}

unsafe extern "C" fn on_error(
    rk: *mut rd::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque is the client's `Hooks`; the text is terminated. The number is one of
    // librdkafka's own codes, handed over as an int; the code is found again by asking what is fatal
    // and otherwise by comparing numbers, never by reinterpreting it.
    unsafe {
        let hooks = &*opaque.cast::<Hooks>();
        let context = format!("consumer `{}` at {}", hooks.name, hooks.servers);
        let mut buffer = [0 as c_char; 512];
        let error = if code == Code::RD_KAFKA_RESP_ERR__FATAL as c_int {
            let cause = rd::rd_kafka_fatal_error(rk, buffer.as_mut_ptr(), buffer.len());
            let mut error = error::with_message(context, cause, error::text(buffer.as_ptr()));
            (error.fatal, error.retriable) = (true, false);
            error
        } else {
            security::raised(hooks, context, known(code), error::text(reason))
        };
        hooks.post(Mail::Error(error));
    }
}

/// The codes that reach an error callback; others are told as "failed" with librdkafka's text.
pub(in super::super) fn known(code: c_int) -> Code {
    const CODES: [Code; 14] = [
        Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT,
        Code::RD_KAFKA_RESP_ERR__RESOLVE,
        Code::RD_KAFKA_RESP_ERR__SSL,
        Code::RD_KAFKA_RESP_ERR__AUTHENTICATION,
        Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
        Code::RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED,
        Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
        Code::RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE,
        Code::RD_KAFKA_RESP_ERR__INVALID_ARG,
        Code::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    ];
    CODES
        .into_iter()
        .find(|known| *known as c_int == code)
        .unwrap_or(Code::RD_KAFKA_RESP_ERR__FAIL)
}

unsafe extern "C" fn on_statistics(
    _rk: *mut rd::rd_kafka_t,
    json: *mut c_char,
    len: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: the opaque is the client's `Hooks`; `len` bytes are readable during the call.
    unsafe {
        let bytes = std::slice::from_raw_parts(json.cast::<u8>(), len);
        let json = String::from_utf8_lossy(bytes).into_owned();
        (*opaque.cast::<Hooks>()).post(Mail::Statistics(json));
    }
    // librdkafka frees the text.
    0
}

/// The answer to an asynchronous commit.
pub(super) unsafe extern "C" fn on_committed(
    _rk: *mut rd::rd_kafka_t,
    code: Code,
    offsets: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque is the client's `Hooks`; the list lives during the call and is copied.
    unsafe {
        let entries = list::entries(offsets);
        let committed = entries
            .iter()
            .map(|entry| (list::partition_of(entry), entry.offset))
            .collect();
        (*opaque.cast::<Hooks>()).post(Mail::Committed(committed, commit_result(code, entries)));
    }
}

/// A commit failed when it failed as a whole or for one of its partitions.
pub(super) fn commit_result(
    code: Code,
    entries: &[rd::rd_kafka_topic_partition_t],
) -> Result<(), crate::transport::TransportError> {
    error::check(code, || "committing offsets".to_owned())?;
    for entry in entries {
        // SAFETY: the entry belongs to a living list.
        error::check(entry.err, || {
            format!("committing the offset of {}", unsafe {
                list::partition_of(entry)
            })
        })?;
    }
    Ok(())
}
