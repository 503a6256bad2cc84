//! Settings of the Kafka client library.
//!
//! In: `key=value` pairs from flags, environment and file. Out: one checked map per side, consumer and
//! producer. What the runtime owns is refused with the reason; keys librdkafka does not know pass, and
//! it names them when it starts. Owned by [`Settings`](super::Settings), which hands out the maps.
//!
//! Some settings are dangerous: they read files (`ssl.*.location`, `sasl.kerberos.keytab`), reach URLs
//! (`sasl.oauthbearer.token.endpoint.url`), start a shell (`sasl.kerberos.kinit.cmd`), weaken checks
//! (`enable.ssl.certificate.verification=false`, `enable.sasl.oauthbearer.unsecure.jwt=true`) or send
//! client metrics to the cluster (`enable.metrics.push`, on unless switched off). They are accepted
//! here, from the operator's own static settings (the weak ones with a warning); settings that arrive by
//! HTTP or Kafka must never reach a client.

pub(super) mod group;
mod keys;
mod owned;

use std::borrow::Cow;
use std::collections::BTreeMap;

use keys::Shown;
pub(crate) use keys::Side;

use super::source::Setting;
use crate::suggest::did_you_mean;

/// Settings of one side, checked; keys as given.
pub(crate) type ClientSettings = BTreeMap<String, Setting<String>>;

/// Checks one pair for clients of this side ([`Side::Both`]: the shared table).
///
/// # Errors
/// What is wrong and what to do.
pub(crate) fn check(side: Side, key: &str, value: &str) -> Result<(), String> {
    if let Some(reason) = owned::reason(key) {
        return Err(format!("`{key}` cannot be set: {reason}"));
    }
    if let Some(known) = keys::find(key)
        && known.side != Side::Both
        && known.side != side
    {
        let right = known.side.name();
        return Err(format!(
            "`{key}` is a {right} setting: give it to `--{right}`, KAFKA_{}_{} or `[kafka.{right}]`",
            right.to_ascii_uppercase(),
            env_suffix(key),
        ));
    }
    if key.is_empty() {
        return Err("a setting needs a name, as in `fetch.wait.max.ms=100`".to_owned());
    }
    if let Some(c) = key
        .chars()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')))
    {
        return Err(format!(
            "`{}` contains {c:?}; names of client settings are lower case letters, digits and `.`{}",
            key.escape_debug(),
            did_you_mean(key, keys::names(side)),
        ));
    }
    if value.trim().is_empty() {
        return Err(format!("`{key}` has no value"));
    }
    // Certificates and keys given inline are the only texts of several lines.
    let lines = key.ends_with(".pem");
    if value.contains('\0') || (!lines && value.contains(['\n', '\r'])) {
        return Err(format!("the value of `{key}` contains a line break or NUL"));
    }
    if matches!(key, "acks" | "request.required.acks") && value.trim() == "0" {
        return Err(format!(
            "`{key}=0` cannot be set: records would count as delivered without the broker's answer"
        ));
    }
    Ok(())
}

/// The known key that a key unknown to us probably means. The client decides whether it exists.
pub(crate) fn suggestion(side: Side, key: &str) -> Option<&'static str> {
    if keys::find(key).is_some() {
        return None;
    }
    crate::suggest::nearest(key, keys::names(side))
}

/// Whether librdkafka 2.12.1 knows the key and the runtime leaves it to the operator.
pub(super) fn given_by_operator(key: &str) -> bool {
    keys::find(key).is_some() && owned::reason(key).is_none()
}

/// The names of the settings an operator may give to every client.
pub(super) fn operator_keys() -> impl Iterator<Item = &'static str> {
    keys::names(Side::Both).filter(|key| owned::reason(key).is_none())
}

/// Whether the value is never printed.
pub(super) fn is_hidden(key: &str) -> bool {
    keys::find(key).is_none_or(|known| known.shown == Shown::Hidden)
}

/// Whether librdkafka 2.12.1 knows the key.
pub(super) fn known(key: &str) -> bool {
    keys::find(key).is_some() || owned::reason(key).is_some()
}

/// `fetch.wait.max.ms` → `FETCH_WAIT_MAX_MS`.
pub(super) fn env_suffix(key: &str) -> String {
    key.replace('.', "_").to_ascii_uppercase()
}

/// `FETCH_WAIT_MAX_MS` → `fetch.wait.max.ms`.
pub(super) fn from_env_suffix(suffix: &str) -> String {
    suffix.replace('_', ".").to_ascii_lowercase()
}

/// What an accepted setting gives up, if anything: to be said at start.
pub(super) fn weakness(key: &str, value: &str) -> Option<&'static str> {
    let value = value.trim().to_ascii_lowercase();
    match (key, value.as_str()) {
        ("enable.ssl.certificate.verification", "false" | "f" | "0") => {
            Some("anybody can pose as the broker: its certificate is not verified")
        }
        ("ssl.endpoint.identification.algorithm", "none") => {
            Some("any certified host can pose as the broker: its name is not verified")
        }
        ("enable.sasl.oauthbearer.unsecure.jwt", "true" | "t" | "1") => {
            Some("tokens are not signed: use it for development only")
        }
        _ => None,
    }
}

/// The value as it may be printed: `***` unless the key is known to be harmless.
pub(crate) fn printable<'a>(key: &str, value: &'a str) -> Cow<'a, str> {
    match keys::find(key) {
        Some(known) if known.shown == Shown::Printed => super::printable::mask_userinfo(value),
        _ => Cow::Borrowed(super::printable::MASK),
    }
}

/// Puts a pair over those of weaker sources, whatever spelling those used.
pub(super) fn put(map: &mut ClientSettings, key: &str, value: Setting<String>) {
    for other in keys::spellings(key) {
        map.remove(*other);
    }
    map.insert(key.to_owned(), value);
}

/// What the client is given.
pub(super) fn plain(map: &ClientSettings) -> BTreeMap<String, String> {
    map.iter()
        .filter(|(key, _)| super::security::for_client(map, key))
        .map(|(key, setting)| (key.clone(), setting.value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_use_instead() {
        for (side, key, value, expected) in [
            (
                Side::Consumer,
                "enable.auto.commit",
                "true",
                "the runtime commits what is settled",
            ),
            (Side::Consumer, "group.id", "x", "use `--group`"),
            (
                Side::Consumer,
                "auto.offset.reset",
                "latest",
                "use `start = earliest`",
            ),
            (
                Side::Producer,
                "partitioner",
                "random",
                "it belongs to the topic",
            ),
            (
                Side::Producer,
                "transactional.id",
                "x",
                "guarantee = exactly_once",
            ),
            (
                Side::Both,
                "bootstrap.servers",
                "x",
                "use `--bootstrap-servers`",
            ),
            (Side::Both, "client.id", "x", "this worker's address"),
            (
                Side::Both,
                "plugin.library.paths",
                "x.so",
                "loads foreign code",
            ),
            (Side::Both, "test.mock.num.brokers", "3", "use `--embedded`"),
            (Side::Both, "rebalance_cb", "x", "only code can set"),
            (Side::Both, "ssl_key", "x", "only code can set"),
            (
                Side::Producer,
                "fetch.min.bytes",
                "1",
                "`fetch.min.bytes` is a consumer setting: give it to `--consumer`, KAFKA_CONSUMER_FETCH_MIN_BYTES or `[kafka.consumer]`",
            ),
            (
                Side::Consumer,
                "linger.ms",
                "1",
                "`linger.ms` is a producer setting",
            ),
            (
                Side::Both,
                "linger.ms",
                "1",
                "`linger.ms` is a producer setting",
            ),
            (Side::Producer, "acks", "0", "without the broker's answer"),
            (Side::Producer, "linger.ms", " ", "`linger.ms` has no value"),
            (Side::Both, "client.rack", "a\nb", "line break"),
            (Side::Both, "ssl.key.pem", "a\0b", "NUL"),
            (
                Side::Consumer,
                "Fetch.Min.Bytes",
                "1",
                "did you mean `fetch.min.bytes`?",
            ),
            (Side::Consumer, "", "1", "a setting needs a name"),
        ] {
            let message = check(side, key, value).unwrap_err();
            assert!(message.contains(expected), "{key}: {message}");
            assert!(!message.contains('\n'));
        }
    }

    #[test]
    fn everything_else_passes() {
        for (side, key, value) in [
            (Side::Consumer, "fetch.wait.max.ms", "100"),
            (Side::Producer, "linger.ms", "5"),
            (Side::Both, "security.protocol", "SASL_SSL"),
            (Side::Both, "ssl.key.pem", "-----BEGIN\nabc\n"),
            (Side::Both, "enable.ssl.certificate.verification", "false"),
            (Side::Consumer, "some.future.key", "x"),
            (Side::Producer, "acks", "all"),
        ] {
            assert_eq!(check(side, key, value), Ok(()), "{key}");
        }
    }

    #[test]
    fn slips_are_recognised_and_future_keys_are_not() {
        assert_eq!(
            suggestion(Side::Consumer, "fetch.wait.max.mss"),
            Some("fetch.wait.max.ms")
        );
        assert_eq!(suggestion(Side::Consumer, "some.future.key"), None);
        assert_eq!(suggestion(Side::Consumer, "fetch.wait.max.ms"), None);
    }

    #[test]
    fn environment_names_and_keys_translate() {
        assert_eq!(from_env_suffix("FETCH_WAIT_MAX_MS"), "fetch.wait.max.ms");
        assert_eq!(env_suffix("fetch.wait.max.ms"), "FETCH_WAIT_MAX_MS");
    }

    #[test]
    fn a_stronger_source_wins_over_another_spelling() {
        let mut map = ClientSettings::new();
        put(&mut map, "linger.ms", Setting::default_of("5".to_owned()));
        put(
            &mut map,
            "queue.buffering.max.ms",
            Setting::default_of("7".to_owned()),
        );
        assert_eq!(
            plain(&map),
            BTreeMap::from([("queue.buffering.max.ms".to_owned(), "7".to_owned())])
        );
    }

    #[test]
    fn only_harmless_values_are_printed() {
        assert_eq!(printable("fetch.wait.max.ms", "100"), "100");
        assert_eq!(printable("sasl.username", "bob"), "***");
        assert_eq!(printable("some.future.key", "x"), "***");
    }

    #[test]
    fn weaknesses_are_said() {
        for (key, value) in [
            ("enable.ssl.certificate.verification", "False"),
            ("ssl.endpoint.identification.algorithm", "none"),
            ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ] {
            assert_eq!(check(Side::Both, key, value), Ok(()));
            assert!(weakness(key, value).is_some(), "{key}");
        }
        assert_eq!(
            weakness("enable.ssl.certificate.verification", "true"),
            None
        );
    }
}
