//! Settings that are refused because the runtime sets them itself, and what to use instead.

const COMMITS: &str =
    "the runtime commits what is settled, so that nothing is lost or committed too early";
const OFFSETS: &str = "offsets live in the consumer group on the broker";
const CODE: &str = "it is a callback or a pointer, which only code can set";
const SERVERS: &str =
    "use `--bootstrap-servers`, KAFKA_BOOTSTRAP_SERVERS or `bootstrap.servers` below `[kafka]`";
const REPORTS: &str = "the runtime counts every delivery with its offset";
const ORDER: &str = "records of a partition keep their order";

const OWNED: [(&str, &str); 47] = [
    ("auto.commit.enable", COMMITS),
    ("auto.commit.interval.ms", COMMITS),
    (
        "auto.offset.reset",
        "use `start = earliest` or `start = latest` on the agent",
    ),
    ("background_event_cb", CODE),
    ("bootstrap.servers", SERVERS),
    (
        "client.id",
        "it carries this worker's address, by which other workers find it",
    ),
    ("closesocket_cb", CODE),
    ("connect_cb", CODE),
    (
        "consume.callback.max.messages",
        "the runtime reads in batches, not by callback",
    ),
    ("consume_cb", CODE),
    ("default_topic_conf", CODE),
    ("delivery.report.only.error", REPORTS),
    ("dr_cb", CODE),
    ("dr_msg_cb", CODE),
    ("enable.auto.commit", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    (
        "enable.partition.eof",
        "the runtime compares positions with watermarks itself",
    ),
    ("enabled_events", CODE),
    ("error_cb", CODE),
    (
        "group.id",
        "use `--group`, or `group = \"..\"` on the agent",
    ),
    ("interceptors", CODE),
    (
        "internal.termination.signal",
        "signals belong to the runtime, which drains on them",
    ),
    (
        "log.queue",
        "the client's lines go through `tracing`: use `--log librdkafka=debug`",
    ),
    ("log_cb", CODE),
    ("metadata.broker.list", SERVERS),
    ("msg_order_cmp", ORDER),
    ("oauthbearer_token_refresh_cb", CODE),
    ("offset.store.method", OFFSETS),
    ("offset.store.path", OFFSETS),
    ("offset.store.sync.interval.ms", OFFSETS),
    ("offset_commit_cb", CODE),
    ("opaque", CODE),
    ("open_cb", CODE),
    (
        "partitioner",
        "it belongs to the topic: `Topic::json(\"..\").partitioner(..)`",
    ),
    ("partitioner_cb", CODE),
    (
        "plugin.library.paths",
        "it loads foreign code into this process; link what you need instead",
    ),
    ("produce.offset.report", REPORTS),
    ("queuing.strategy", ORDER),
    ("rebalance_cb", CODE),
    ("resolve_cb", CODE),
    ("socket_cb", CODE),
    ("ssl.certificate.verify_cb", CODE),
    ("ssl_engine_callback_data", CODE),
    ("stats_cb", CODE),
    ("throttle_cb", CODE),
    (
        "topic.blacklist",
        "a hidden topic would look as if it did not exist; list the topics you want",
    ),
    (
        "transactional.id",
        "use `guarantee = exactly_once` on the agent; the runtime names its transactions",
    ),
];

/// Why the runtime refuses a key, if it does.
pub(super) fn reason(key: &str) -> Option<&'static str> {
    if key.starts_with("test.mock.") {
        return Some("use `--embedded` for a broker inside the process");
    }
    if matches!(key, "ssl_key" | "ssl_certificate" | "ssl_ca") || key.starts_with("ut_") {
        return Some(CODE);
    }
    OWNED
        .binary_search_by(|(name, _)| (*name).cmp(key))
        .ok()
        .map(|index| OWNED[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(OWNED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
