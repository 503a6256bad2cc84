//! Placeholder until merged.
pub(crate) fn app_settings<S: serde::de::DeserializeOwned>(
    value: &serde_json::Value,
) -> Result<S, crate::ConfigError> {
    serde_json::from_value(value.clone()).map_err(|e| crate::ConfigError::new("app", e.to_string()))
}
