//! Pure: errors in the words of a real cluster.

use crate::transport::TransportError;

pub(super) fn error(
    context: impl Into<String>,
    code: &str,
    message: &str,
    retriable: bool,
) -> TransportError {
    TransportError {
        context: context.into(),
        code: code.to_owned(),
        message: message.to_owned(),
        retriable,
        fatal: false,
    }
}

pub(super) fn unknown_partition(topic: &str, partition: i32) -> TransportError {
    error(
        format!("{topic}/{partition}"),
        "_UNKNOWN_PARTITION",
        "Local: Unknown partition",
        false,
    )
}

pub(super) fn unknown_topic(topic: &str) -> TransportError {
    error(
        topic,
        "UNKNOWN_TOPIC_OR_PART",
        "Broker: Unknown topic or partition",
        true,
    )
}

pub(super) fn no_group(context: &str) -> TransportError {
    error(context, "_UNKNOWN_GROUP", "Local: Unknown group", false)
}

pub(super) fn all_down() -> TransportError {
    error(
        "memory cluster",
        "_ALL_BROKERS_DOWN",
        "Local: All broker connections are down",
        true,
    )
}
