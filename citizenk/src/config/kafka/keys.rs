//! The settings librdkafka knows (2.12.1, `CONFIGURATION.md`): who takes each, and whether its value may
//! be printed.
//!
//! Keys of newer versions are missing here: they pass to the client, which names them if it does not
//! know them either, and their values are never printed.

use Shown::{Hidden, Printed};
use Side::{Both, Consumer, Producer};

/// Which client takes a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Every client.
    Both,
    /// Consumers only.
    Consumer,
    /// Producers only.
    Producer,
}

impl Side {
    /// As written in messages, `[kafka.NAME]` and `--NAME`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Both => "kafka",
            Consumer => "consumer",
            Producer => "producer",
        }
    }

    fn takes(self, key: Side) -> bool {
        key == Both || key == self
    }
}

/// Whether a value may leave the process. Numbers, switches and names of algorithms do; texts do not
/// unless each value they can have is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Printed,
    Hidden,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) side: Side,
    pub(super) shown: Shown,
}

/// Sorted by name; callbacks and other things only code can set are in `owned.rs`.
static KEYS: [Key; 164] = [
    key("acks", Producer, Printed),
    key("allow.auto.create.topics", Both, Printed),
    key("api.version.fallback.ms", Both, Printed),
    key("api.version.request", Both, Printed),
    key("api.version.request.timeout.ms", Both, Printed),
    key("auto.commit.enable", Consumer, Printed),
    key("auto.commit.interval.ms", Consumer, Printed),
    key("auto.offset.reset", Consumer, Printed),
    key("batch.num.messages", Producer, Printed),
    key("batch.size", Producer, Printed),
    key("bootstrap.servers", Both, Printed),
    key("broker.address.family", Both, Printed),
    key("broker.address.ttl", Both, Printed),
    key("broker.version.fallback", Both, Printed),
    key("builtin.features", Both, Printed),
    key("check.crcs", Consumer, Printed),
    key("client.dns.lookup", Both, Printed),
    key("client.id", Both, Printed),
    key("client.rack", Both, Printed),
    key("compression.codec", Producer, Printed),
    key("compression.level", Producer, Printed),
    key("compression.type", Producer, Printed),
    key("connections.max.idle.ms", Both, Printed),
    key("consume.callback.max.messages", Consumer, Printed),
    key("coordinator.query.interval.ms", Consumer, Printed),
    key("debug", Both, Printed),
    key("delivery.report.only.error", Producer, Printed),
    key("delivery.timeout.ms", Producer, Printed),
    key("enable.auto.commit", Consumer, Printed),
    key("enable.auto.offset.store", Consumer, Printed),
    key("enable.gapless.guarantee", Producer, Printed),
    key("enable.idempotence", Producer, Printed),
    key("enable.metrics.push", Both, Printed),
    key("enable.partition.eof", Consumer, Printed),
    key("enable.random.seed", Both, Printed),
    key("enable.sasl.oauthbearer.unsecure.jwt", Both, Printed),
    key("enable.ssl.certificate.verification", Both, Printed),
    key("enabled_events", Both, Printed),
    key("fetch.error.backoff.ms", Consumer, Printed),
    key("fetch.max.bytes", Consumer, Printed),
    key("fetch.message.max.bytes", Consumer, Printed),
    key("fetch.min.bytes", Consumer, Printed),
    key("fetch.queue.backoff.ms", Consumer, Printed),
    key("fetch.wait.max.ms", Consumer, Printed),
    key("group.id", Consumer, Printed),
    key("group.instance.id", Consumer, Printed),
    key("group.protocol", Consumer, Printed),
    key("group.protocol.type", Consumer, Printed),
    key("group.remote.assignor", Consumer, Printed),
    key("heartbeat.interval.ms", Consumer, Printed),
    key("https.ca.location", Both, Printed),
    key("https.ca.pem", Both, Hidden),
    key("internal.termination.signal", Both, Printed),
    key("isolation.level", Consumer, Printed),
    key("linger.ms", Producer, Printed),
    key("log.connection.close", Both, Printed),
    key("log.queue", Both, Printed),
    key("log.thread.name", Both, Printed),
    key("log_level", Both, Printed),
    key("max.in.flight", Both, Printed),
    key("max.in.flight.requests.per.connection", Both, Printed),
    key("max.partition.fetch.bytes", Consumer, Printed),
    key("max.poll.interval.ms", Consumer, Printed),
    key("message.copy.max.bytes", Both, Printed),
    key("message.max.bytes", Both, Printed),
    key("message.send.max.retries", Producer, Printed),
    key("message.timeout.ms", Producer, Printed),
    key("metadata.broker.list", Both, Printed),
    key("metadata.max.age.ms", Both, Printed),
    key("metadata.recovery.rebootstrap.trigger.ms", Both, Printed),
    key("metadata.recovery.strategy", Both, Printed),
    key("offset.store.method", Consumer, Printed),
    key("offset.store.path", Consumer, Hidden),
    key("offset.store.sync.interval.ms", Consumer, Printed),
    key("partition.assignment.strategy", Consumer, Printed),
    key("partitioner", Producer, Hidden),
    key("plugin.library.paths", Both, Hidden),
    key("produce.offset.report", Producer, Printed),
    key("queue.buffering.backpressure.threshold", Producer, Printed),
    key("queue.buffering.max.kbytes", Producer, Printed),
    key("queue.buffering.max.messages", Producer, Printed),
    key("queue.buffering.max.ms", Producer, Printed),
    key("queued.max.messages.kbytes", Consumer, Printed),
    key("queued.min.messages", Consumer, Printed),
    key("queuing.strategy", Producer, Printed),
    key("receive.message.max.bytes", Both, Printed),
    key("reconnect.backoff.jitter.ms", Both, Printed),
    key("reconnect.backoff.max.ms", Both, Printed),
    key("reconnect.backoff.ms", Both, Printed),
    key("request.required.acks", Producer, Printed),
    key("request.timeout.ms", Producer, Printed),
    key("retries", Producer, Printed),
    key("retry.backoff.max.ms", Both, Printed),
    key("retry.backoff.ms", Both, Printed),
    key("sasl.kerberos.keytab", Both, Hidden),
    key("sasl.kerberos.kinit.cmd", Both, Hidden),
    key("sasl.kerberos.min.time.before.relogin", Both, Printed),
    key("sasl.kerberos.principal", Both, Hidden),
    key("sasl.kerberos.service.name", Both, Printed),
    key("sasl.mechanism", Both, Printed),
    key("sasl.mechanisms", Both, Printed),
    key("sasl.oauthbearer.assertion.algorithm", Both, Printed),
    key("sasl.oauthbearer.assertion.claim.aud", Both, Hidden),
    key(
        "sasl.oauthbearer.assertion.claim.exp.seconds",
        Both,
        Printed,
    ),
    key("sasl.oauthbearer.assertion.claim.iss", Both, Hidden),
    key(
        "sasl.oauthbearer.assertion.claim.jti.include",
        Both,
        Printed,
    ),
    key(
        "sasl.oauthbearer.assertion.claim.nbf.seconds",
        Both,
        Printed,
    ),
    key("sasl.oauthbearer.assertion.claim.sub", Both, Hidden),
    key("sasl.oauthbearer.assertion.file", Both, Hidden),
    key("sasl.oauthbearer.assertion.jwt.template.file", Both, Hidden),
    key("sasl.oauthbearer.assertion.private.key.file", Both, Hidden),
    key(
        "sasl.oauthbearer.assertion.private.key.passphrase",
        Both,
        Hidden,
    ),
    key("sasl.oauthbearer.assertion.private.key.pem", Both, Hidden),
    key(
        "sasl.oauthbearer.client.credentials.client.id",
        Both,
        Hidden,
    ),
    key(
        "sasl.oauthbearer.client.credentials.client.secret",
        Both,
        Hidden,
    ),
    key("sasl.oauthbearer.client.id", Both, Hidden),
    key("sasl.oauthbearer.client.secret", Both, Hidden),
    key("sasl.oauthbearer.config", Both, Hidden),
    key("sasl.oauthbearer.extensions", Both, Hidden),
    key("sasl.oauthbearer.grant.type", Both, Printed),
    key(
        "sasl.oauthbearer.metadata.authentication.type",
        Both,
        Printed,
    ),
    key("sasl.oauthbearer.method", Both, Printed),
    key("sasl.oauthbearer.scope", Both, Hidden),
    key("sasl.oauthbearer.token.endpoint.url", Both, Hidden),
    key("sasl.password", Both, Hidden),
    key("sasl.username", Both, Hidden),
    key("security.protocol", Both, Printed),
    key("session.timeout.ms", Consumer, Printed),
    key("socket.blocking.max.ms", Both, Printed),
    key("socket.connection.setup.timeout.ms", Both, Printed),
    key("socket.keepalive.enable", Both, Printed),
    key("socket.max.fails", Both, Printed),
    key("socket.nagle.disable", Both, Printed),
    key("socket.receive.buffer.bytes", Both, Printed),
    key("socket.send.buffer.bytes", Both, Printed),
    key("socket.timeout.ms", Both, Printed),
    key("ssl.ca.certificate.stores", Both, Printed),
    key("ssl.ca.location", Both, Printed),
    key("ssl.ca.pem", Both, Hidden),
    key("ssl.certificate.location", Both, Printed),
    key("ssl.certificate.pem", Both, Hidden),
    key("ssl.cipher.suites", Both, Printed),
    key("ssl.crl.location", Both, Printed),
    key("ssl.curves.list", Both, Printed),
    key("ssl.endpoint.identification.algorithm", Both, Printed),
    key("ssl.engine.id", Both, Printed),
    key("ssl.engine.location", Both, Hidden),
    key("ssl.key.location", Both, Hidden),
    key("ssl.key.password", Both, Hidden),
    key("ssl.key.pem", Both, Hidden),
    key("ssl.keystore.location", Both, Hidden),
    key("ssl.keystore.password", Both, Hidden),
    key("ssl.providers", Both, Printed),
    key("ssl.sigalgs.list", Both, Printed),
    key("statistics.interval.ms", Both, Printed),
    key("sticky.partitioning.linger.ms", Producer, Printed),
    key("topic.blacklist", Both, Printed),
    key("topic.metadata.propagation.max.ms", Both, Printed),
    key("topic.metadata.refresh.fast.cnt", Both, Printed),
    key("topic.metadata.refresh.fast.interval.ms", Both, Printed),
    key("topic.metadata.refresh.interval.ms", Both, Printed),
    key("topic.metadata.refresh.sparse", Both, Printed),
    key("transaction.timeout.ms", Producer, Printed),
    key("transactional.id", Producer, Printed),
];

const fn key(name: &'static str, side: Side, shown: Shown) -> Key {
    Key { name, side, shown }
}

/// What is known about a key.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.binary_search_by(|key| key.name.cmp(name))
        .ok()
        .map(|index| &KEYS[index])
}

/// The names a client of this side takes.
pub(super) fn names(side: Side) -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter(move |key| side.takes(key.side))
        .map(|key| key.name)
}

/// Names of one setting; the first is librdkafka's own.
const ALIASES: [&[&str]; 11] = [
    &["metadata.broker.list", "bootstrap.servers"],
    &["max.in.flight.requests.per.connection", "max.in.flight"],
    &["sasl.mechanisms", "sasl.mechanism"],
    &["fetch.message.max.bytes", "max.partition.fetch.bytes"],
    &["queue.buffering.max.ms", "linger.ms"],
    &["message.send.max.retries", "retries"],
    &["compression.codec", "compression.type"],
    &["request.required.acks", "acks"],
    &["message.timeout.ms", "delivery.timeout.ms"],
    &[
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.client.credentials.client.id",
    ],
    &[
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.client.credentials.client.secret",
    ],
];

/// Every name of the setting that `name` names.
pub(super) fn spellings(name: &str) -> &'static [&'static str] {
    ALIASES
        .into_iter()
        .find(|names| names.contains(&name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_aliases_are_in_it() {
        assert!(KEYS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for names in ALIASES {
            let keys: Vec<_> = names.iter().map(|name| find(name).unwrap()).collect();
            assert!(
                keys.windows(2).all(|pair| pair[0].side == pair[1].side),
                "{names:?}"
            );
            assert!(
                keys.windows(2).all(|pair| pair[0].shown == pair[1].shown),
                "{names:?}"
            );
        }
    }

    #[test]
    fn nothing_that_sounds_secret_is_printed() {
        for key in &KEYS {
            let secret = [
                "password",
                "secret",
                "token",
                "pem",
                "private",
                "passphrase",
                "credential",
                "username",
            ]
            .iter()
            .any(|word| key.name.contains(word));
            assert!(!secret || key.shown == Hidden, "{}", key.name);
        }
    }
}
