//! The client settings all contestants share: citizenk's own defaults, given to each in words, so that
//! a change of a default does not make the comparison unfair.

/// Of consumers. A full queue is looked at again after 2 ms instead of librdkafka's 1000, and holds
/// 5,000 records instead of 100,000.
pub(crate) const CONSUMER: [(&str, &str); 3] = [
    ("fetch.queue.backoff.ms", "2"),
    ("queued.min.messages", "5000"),
    ("partition.assignment.strategy", "cooperative-sticky"),
];

/// Of producers.
pub(crate) const PRODUCER: [(&str, &str); 4] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "5"),
    ("message.timeout.ms", "120000"),
];

/// Records that may be under way at once, where the contestant keeps count. librdkafka's queue would take
/// 100,000, but those cost more: a record that is reported soon is still in the processor's cache.
pub(crate) const WINDOW: usize = 10_000;

/// librdkafka's mock broker answers an empty fetch only after the whole wait.
pub(crate) fn fetch_wait(embedded: bool) -> (&'static str, &'static str) {
    (FETCH_WAIT, if embedded { "10" } else { "100" })
}

pub(crate) const FETCH_WAIT: &str = "fetch.wait.max.ms";
pub(crate) const LINGER: &str = "linger.ms";

/// What citizenk's profile `latency` says, for those that have no profiles. The mock is another process
/// here, so citizenk takes it for a Kafka and is told the same.
pub(crate) fn latency_fetch_wait(embedded: bool) -> &'static str {
    if embedded { "1" } else { "10" }
}

/// The variables that give citizenk the same settings; how long a record may take stays its own default, which
/// is the same for one producer and shorter for one of transactions.
pub(crate) fn variables(embedded: bool) -> Vec<(String, &'static str)> {
    let name = |side: &str, key: &str| {
        format!(
            "KAFKA_{side}_{}",
            key.to_ascii_uppercase().replace('.', "_")
        )
    };
    let consumer = CONSUMER.into_iter().chain([fetch_wait(embedded)]);
    consumer
        .map(|(key, value)| (name("CONSUMER", key), value))
        .chain(
            PRODUCER
                .into_iter()
                .filter(|(key, _)| *key != "message.timeout.ms")
                .map(|(key, value)| (name("PRODUCER", key), value)),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_citizenk_reads_them() {
        let variables = variables(true);
        assert!(variables.contains(&("KAFKA_CONSUMER_FETCH_QUEUE_BACKOFF_MS".to_owned(), "2")));
        assert!(variables.contains(&("KAFKA_CONSUMER_FETCH_WAIT_MAX_MS".to_owned(), "10")));
        assert!(variables.contains(&("KAFKA_PRODUCER_LINGER_MS".to_owned(), "5")));
    }
}
