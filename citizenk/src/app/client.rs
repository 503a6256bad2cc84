//! Settings of the Kafka client, shown to the client library before anything is started.
//!
//! In: the settings of all clusters, both sides. Out: every one that librdkafka refuses, by its source, with a likely
//! right name. Owned by `App::check_settings`.

use crate::config::Settings;
use crate::config::kafka::{self, ClientSettings, Side};
use crate::config::security;
use crate::error::ConfigError;
use crate::transport::rdkafka::check_setting;

/// What the client library does not know or take. What is given for several clients is named once.
pub(super) fn refused(settings: &Settings) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (_, cluster) in settings.clusters() {
        let found = [
            side(Side::Consumer, cluster.consumer),
            side(Side::Producer, cluster.producer),
        ];
        for error in found.into_iter().flatten() {
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
    }
    errors
}

fn side(side: Side, settings: &ClientSettings) -> Vec<ConfigError> {
    // What we do ourselves, as getting tokens, librdkafka is not given.
    let given = settings
        .iter()
        .filter(|(key, _)| security::for_client(settings, key));
    let refused = given.filter_map(|(key, setting)| {
        let error = check_setting(side.name(), key, &setting.value).err()?;
        let hint = kafka::suggestion(side, key)
            .map(|known| format!("; did you mean `{known}`?"))
            .unwrap_or_default();
        let message = format!("`{key}`: {}{hint}", error.message);
        Some(setting.source.error(key, message))
    });
    refused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;

    fn given(pairs: &[(&str, &str)]) -> ClientSettings {
        let setting = |value: &str| Setting {
            value: value.to_owned(),
            ..Setting::default()
        };
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), setting(value)))
            .collect()
    }

    #[test]
    fn what_the_client_refuses_is_named() {
        let settings = given(&[("linger.ms", "soon"), ("fetch.wait.max.sm", "5")]);
        let errors = side(Side::Consumer, &settings);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].contains("did you mean `fetch.wait.max.ms`?"));
        assert!(errors[1].contains("linger.ms"));
    }

    #[test]
    fn what_it_is_not_given_it_need_not_know() {
        let settings = given(&[
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.client.id", "billing"),
            ("sasl.oauthbearer.client.secret", "CANARY"),
            ("sasl.oauthbearer.token.endpoint.url", "https://login/token"),
            ("https.ca.pem", "not read here"),
        ]);
        assert_eq!(side(Side::Consumer, &settings), []);
    }
}
