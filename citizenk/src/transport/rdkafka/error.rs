//! librdkafka's error codes as [`TransportError`]s.

use std::ffi::{CStr, c_char};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use crate::transport::TransportError;

pub(super) const OK: Code = Code::RD_KAFKA_RESP_ERR_NO_ERROR;

/// The error of a code, in librdkafka's words.
pub(super) fn error(context: impl Into<String>, code: Code) -> TransportError {
    // SAFETY: takes no pointer; answers a pointer to a static text.
    let message = unsafe { text(rd::rd_kafka_err2str(code)) };
    with_message(context, code, message)
}

/// The error of a code with a text that says more.
pub(super) fn with_message(
    context: impl Into<String>,
    code: Code,
    message: impl Into<String>,
) -> TransportError {
    let mut message = message.into();
    if let Some(advice) = super::security::advice(code, &message) {
        message.push_str("; ");
        message.push_str(advice);
    }
    TransportError {
        context: context.into(),
        code: name(code),
        message,
        retriable: is_retriable(code),
        fatal: is_fatal(code),
    }
}

/// The code's own name.
pub(super) fn name(code: Code) -> String {
    // SAFETY: takes no pointer; answers a pointer to a static text.
    unsafe { text(rd::rd_kafka_err2name(code)) }
}

/// An argument or setting that cannot be used.
pub(super) fn invalid(context: impl Into<String>, message: impl Into<String>) -> TransportError {
    with_message(context, Code::RD_KAFKA_RESP_ERR__INVALID_ARG, message)
}

/// `Ok` for "no error", else the error in the given context.
pub(super) fn check(code: Code, context: impl FnOnce() -> String) -> Result<(), TransportError> {
    if code == OK {
        Ok(())
    } else {
        Err(error(context(), code))
    }
}

/// Takes and destroys an error object; a null one is success.
///
/// # Safety
/// `raw` is null or an error object that nobody else destroys.
pub(super) unsafe fn take(
    raw: *mut rd::rd_kafka_error_t,
    context: impl FnOnce() -> String,
) -> Result<(), (Code, TransportError)> {
    if raw.is_null() {
        return Ok(());
    }
    // SAFETY: `raw` is a live error object by the caller's promise, and is destroyed after its
    // texts were copied.
    unsafe {
        let code = rd::rd_kafka_error_code(raw);
        let mut error = with_message(context(), code, text(rd::rd_kafka_error_string(raw)));
        error.retriable |= rd::rd_kafka_error_is_retriable(raw) != 0;
        error.fatal |= rd::rd_kafka_error_is_fatal(raw) != 0;
        rd::rd_kafka_error_destroy(raw);
        Err((code, error))
    }
}

/// A copy of a C text; empty for null.
///
/// # Safety
/// `raw` is null or points to a text that ends with a zero byte.
pub(super) unsafe fn text(raw: *const c_char) -> String {
    if raw.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises a terminated text.
    unsafe { CStr::from_ptr(raw) }
        .to_string_lossy()
        .into_owned()
}

fn is_fatal(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR__FATAL
            | Code::RD_KAFKA_RESP_ERR__FENCED
            | Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID
            | Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
            | Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    )
}

fn is_retriable(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT
            | Code::RD_KAFKA_RESP_ERR__RESOLVE
            | Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
            | Code::RD_KAFKA_RESP_ERR__TIMED_OUT
            | Code::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE
            | Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
            | Code::RD_KAFKA_RESP_ERR__QUEUE_FULL
            | Code::RD_KAFKA_RESP_ERR__WAIT_COORD
            | Code::RD_KAFKA_RESP_ERR__WAIT_CACHE
            | Code::RD_KAFKA_RESP_ERR__IN_PROGRESS
            | Code::RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS
            | Code::RD_KAFKA_RESP_ERR__INTR
            | Code::RD_KAFKA_RESP_ERR__RETRY
            | Code::RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED
            | Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
            | Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
            | Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
            | Code::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE
            | Code::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE
            | Code::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION
            | Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
            | Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
            | Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR
            | Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS
            | Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | Code::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS
            | Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR
            | Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH
            | Code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH
            | Code::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE
            | Code::RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT
    )
}
