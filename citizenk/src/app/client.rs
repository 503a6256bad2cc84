//! Settings of the Kafka client, shown to the client library before anything is started.
//!
//! In: the settings of all clusters, both sides. Out: every one that librdkafka refuses, by its source, with a likely
//! right name. Owned by `App::check_settings`.

use crate::config::Settings;
use crate::config::kafka::{self, ClientSettings, Side};
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
    let refused = settings.iter().filter_map(|(key, setting)| {
        let error = check_setting(side.name(), key, &setting.value).err()?;
        let hint = kafka::suggestion(side, key)
            .map(|known| format!("; did you mean `{known}`?"))
            .unwrap_or_default();
        let message = format!("`{key}`: {}{hint}", error.message);
        Some(setting.source.error(key, message))
    });
    refused.collect()
}
