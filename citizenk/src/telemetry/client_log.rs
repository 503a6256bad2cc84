//! Lines of librdkafka as `tracing` events.

/// Writes a line of the client library under the target `librdkafka`, so that `--log librdkafka=debug`
/// chooses how much of them is seen. `level` is syslog's (0 emergency .. 7 debug); `client` is the name
/// of the consumer or producer.
pub(crate) fn client_line(level: i32, client: &str, facility: &str, message: &str) {
    const TARGET: &str = "librdkafka";
    match level {
        ..=3 => tracing::error!(target: TARGET, client, facility, "{message}"),
        4 => tracing::warn!(target: TARGET, client, facility, "{message}"),
        5 | 6 => tracing::info!(target: TARGET, client, facility, "{message}"),
        _ => tracing::debug!(target: TARGET, client, facility, "{message}"),
    }
}
