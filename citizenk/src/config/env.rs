//! The environment variables of citizenk, and which others look like a slip.

use std::collections::BTreeMap;

use super::{kafka, registry, security};
use crate::suggest::nearest;

pub(super) const BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";
pub(super) const GROUP: &str = "CITIZENK_GROUP";
pub(super) const TOPICS: &str = "CITIZENK_TOPICS";
pub(super) const TOPIC_PREFIX: &str = "CITIZENK_TOPIC_PREFIX";
pub(super) const CREATE_TOPICS: &str = "CITIZENK_CREATE_TOPICS";
pub(super) const CHECK_TOPICS: &str = "CITIZENK_CHECK_TOPICS";
pub(super) const HTTP: &str = "CITIZENK_HTTP";
pub(super) const PREFIX: &str = "CITIZENK_PREFIX";
pub(super) const HTTP_TOKEN: &str = "CITIZENK_HTTP_TOKEN";
pub(super) const HTTP_OPEN: &str = "CITIZENK_HTTP_OPEN";
pub(super) const HTTP_CONNECTIONS: &str = "CITIZENK_HTTP_CONNECTIONS";
pub(super) const CLUSTER_SECRET: &str = "CITIZENK_CLUSTER_SECRET";
pub(super) const PEERS: &str = "CITIZENK_PEERS";
pub(super) const ADVERTISED_URL: &str = "CITIZENK_ADVERTISED_URL";
pub(super) const HTTP_HOSTS: &str = "CITIZENK_HTTP_HOSTS";
pub(super) const HTTP_ORIGINS: &str = "CITIZENK_HTTP_ORIGINS";
pub(super) const DRAIN: &str = "CITIZENK_DRAIN";
pub(super) const STALL_AFTER: &str = "CITIZENK_STALL_AFTER";
pub(super) const PARTITION_BUFFER_BYTES: &str = "CITIZENK_PARTITION_BUFFER_BYTES";
pub(super) const PROFILE: &str = "CITIZENK_PROFILE";
pub(super) const LOG: &str = "RUST_LOG";
pub(super) const LOG_FORMAT: &str = "CITIZENK_LOG_FORMAT";
pub(super) const CONFIG: &str = "CITIZENK_CONFIG";
pub(super) const CONSUMER: &str = "KAFKA_CONSUMER_";
pub(super) const PRODUCER: &str = "KAFKA_PRODUCER_";
pub(super) const APP: &str = "APP_";

const ALL: [&str; 23] = [
    BOOTSTRAP_SERVERS,
    GROUP,
    TOPICS,
    TOPIC_PREFIX,
    CREATE_TOPICS,
    CHECK_TOPICS,
    HTTP,
    PREFIX,
    HTTP_TOKEN,
    HTTP_OPEN,
    HTTP_CONNECTIONS,
    CLUSTER_SECRET,
    PEERS,
    ADVERTISED_URL,
    HTTP_HOSTS,
    HTTP_ORIGINS,
    DRAIN,
    STALL_AFTER,
    PARTITION_BUFFER_BYTES,
    PROFILE,
    LOG,
    LOG_FORMAT,
    CONFIG,
];

/// What other programs call [`BOOTSTRAP_SERVERS`].
const SERVER_SYNONYMS: [&str; 11] = [
    "BOOTSTRAP_SERVERS",
    "KAFKA_ADDRESS",
    "KAFKA_BOOTSTRAP",
    "KAFKA_BROKER",
    "KAFKA_BROKERS",
    "KAFKA_BROKER_LIST",
    "KAFKA_BROKER_URL",
    "KAFKA_HOST",
    "KAFKA_SERVER",
    "KAFKA_SERVERS",
    "KAFKA_URL",
];

/// The environment, as far as it concerns settings.
pub(super) type Env = BTreeMap<String, String>;

/// The variable's value; an empty one counts as unset, because `docker compose` and shells pass those on
/// for `${X:-}`.
pub(super) fn get<'a>(env: &'a Env, name: &str) -> Option<&'a str> {
    env.get(name)
        .map(String::as_str)
        .filter(|value| !value.trim().is_empty())
}

/// The variables that start with `prefix`: name, rest of the name, value.
pub(super) fn with_prefix<'a>(
    env: &'a Env,
    prefix: &'static str,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    env.range(prefix.to_owned()..)
        .take_while(move |(name, _)| name.starts_with(prefix))
        .map(move |(name, value)| (name.as_str(), &name[prefix.len()..], value.as_str()))
}

/// A variable that probably means `KAFKA_BOOTSTRAP_SERVERS`.
pub(super) fn mistaken_servers(env: &Env) -> Option<&str> {
    env.keys().map(String::as_str).find(|name| {
        SERVER_SYNONYMS.contains(name)
            || (*name != BOOTSTRAP_SERVERS && nearest(name, [BOOTSTRAP_SERVERS]).is_some())
    })
}

/// Warnings about variables that have no effect though they look as if they should. Only names are
/// printed, never values.
pub(super) fn warnings(env: &Env) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in env.keys().map(String::as_str) {
        let known = ALL.contains(&name)
            || name.starts_with(CONSUMER)
            || name.starts_with(PRODUCER)
            || security::is_variable(name)
            || registry::is_variable(name);
        if known {
            continue;
        }
        let has_no_effect = |hint: String| format!("{name} has no effect; {hint}");
        if SERVER_SYNONYMS.contains(&name) && get(env, BOOTSTRAP_SERVERS).is_none() {
            warnings.push(has_no_effect(format!("did you mean {BOOTSTRAP_SERVERS}?")));
        } else if name.starts_with("CITIZENK_") {
            // The whole name space is ours, so anything unknown in it is a mistake.
            warnings.push(has_no_effect(match nearest(name, ALL) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the variables are {}", ALL.join(", ")),
            }));
        } else if let Some(rest) = name.strip_prefix(registry::PREFIX) {
            // The registry's own programs have variables too, so only slips are named.
            let ours: Vec<String> = registry::suffixes().collect();
            if let Some(near) = nearest(rest, ours.iter().map(String::as_str)) {
                warnings.push(has_no_effect(format!(
                    "did you mean {}{near}?",
                    registry::PREFIX
                )));
            }
        } else if let Some(rest) = name.strip_prefix("KAFKA_") {
            // Kafka's own programs have variables too (KAFKA_HEAP_OPTS), so only slips are named.
            let key = kafka::from_env_suffix(rest);
            let of_security: Vec<String> = security::variables().collect();
            if security::is_security(&key)
                && let Some(near) = nearest(name, of_security.iter().map(String::as_str))
            {
                warnings.push(has_no_effect(format!("did you mean {near}?")));
            } else if let Some(near) = nearest(name, ALL) {
                warnings.push(has_no_effect(format!("did you mean {near}?")));
            } else if kafka::known(&key) {
                warnings.push(has_no_effect(format!(
                    "set {CONSUMER}{rest} and {PRODUCER}{rest}, or `{key}` below `[kafka]` of the settings file"
                )));
            } else if let Some((side, key)) = rest.split_once('_')
                && let Some(near) = nearest(side, ["CONSUMER", "PRODUCER"])
            {
                warnings.push(has_no_effect(format!("did you mean KAFKA_{near}_{key}?")));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(names: &[&str]) -> Env {
        names
            .iter()
            .map(|name| ((*name).to_owned(), "hunter2".to_owned()))
            .collect()
    }

    #[test]
    fn slips_are_named_and_strangers_left_alone() {
        for (name, expected) in [
            (
                "KAFKA_BOOTSTRAP_SERVER",
                "KAFKA_BOOTSTRAP_SERVER has no effect; did you mean KAFKA_BOOTSTRAP_SERVERS?",
            ),
            ("KAFKA_BROKERS", "did you mean KAFKA_BOOTSTRAP_SERVERS?"),
            ("CITIZENK_HTPP", "did you mean CITIZENK_HTTP?"),
            (
                "CITIZENK_SOMETHING",
                "the variables are KAFKA_BOOTSTRAP_SERVERS,",
            ),
            (
                "KAFKA_CLIENT_RACK",
                "set KAFKA_CONSUMER_CLIENT_RACK and KAFKA_PRODUCER_CLIENT_RACK, or `client.rack` below",
            ),
            ("KAFKA_SASL_PASWORD", "did you mean KAFKA_SASL_PASSWORD?"),
            (
                "KAFKA_CONSUMMER_DEBUG",
                "did you mean KAFKA_CONSUMER_DEBUG?",
            ),
        ] {
            let warnings = warnings(&env(&[name]));
            assert_eq!(warnings.len(), 1, "{name}");
            assert!(warnings[0].contains(expected), "{}", warnings[0]);
            assert!(!warnings[0].contains("hunter2"));
        }
        for name in [
            "KAFKA_HEAP_OPTS",
            "KAFKA_HOME",
            "KAFKA_OPTS",
            "PATH",
            "APP_X",
            "KAFKA_CONSUMER_X_Y",
            "RUST_LOG",
            "KAFKA_SASL_PASSWORD",
            "KAFKA_SASL_PASSWORD_FILE",
            "KAFKA_SSL_CA_PEM",
        ] {
            assert!(warnings(&env(&[name])).is_empty(), "{name}");
        }
        // With the right one set, others are somebody else's.
        assert!(warnings(&env(&["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"])).is_empty());
    }

    #[test]
    fn empty_variables_count_as_unset() {
        let env = Env::from([
            ("A".to_owned(), " ".to_owned()),
            ("B".to_owned(), "x".to_owned()),
        ]);
        assert_eq!(get(&env, "A"), None);
        assert_eq!(get(&env, "B"), Some("x"));
        assert_eq!(get(&env, "C"), None);
    }

    #[test]
    fn prefixed_variables_are_found() {
        let env = env(&[
            "KAFKA_CONSUMER",
            "KAFKA_CONSUMER_A",
            "KAFKA_CONSUMER_B",
            "KAFKA_CONSUMES",
        ]);
        let found: Vec<_> = with_prefix(&env, CONSUMER)
            .map(|(_, rest, _)| rest)
            .collect();
        assert_eq!(found, ["A", "B"]);
    }
}
