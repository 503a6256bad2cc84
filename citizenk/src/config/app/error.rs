//! What is wrong with a field, and which.

use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::error::ConfigError;
use crate::suggest::did_you_mean;

/// An error on its way up to the place that knows its key.
#[derive(Debug)]
pub(super) struct AppError {
    key: Option<String>,
    /// A field that is missing, until its key is known.
    missing: Option<&'static str>,
    message: String,
}

impl AppError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            key: None,
            missing: None,
            message: message.into(),
        }
    }

    /// Sets the key unless a place further down has done so.
    pub(super) fn at(mut self, key: impl FnOnce() -> String) -> Self {
        if self.missing.is_none() {
            self.key.get_or_insert_with(key);
        }
        self
    }

    /// Turns a missing field of the table at `path` into a full message.
    pub(super) fn below(mut self, path: &str) -> Self {
        if let Some(field) = self.missing.take() {
            let variable = format!("{path}.{field}")
                .replace('.', "__")
                .to_ascii_uppercase()
                // The first level is the prefix of all variables.
                .replacen("APP__", "APP_", 1);
            self.message =
                format!("is not set; write `{field} = ..` below `[{path}]` or set {variable}");
            self.key = Some(format!("{path}.{field}"));
        }
        self
    }

    pub(super) fn into_config(self) -> ConfigError {
        ConfigError::new(self.key.unwrap_or_else(|| "app".to_owned()), self.message)
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AppError {}

/// What was found, without the value.
fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) => "a text",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::StructVariant => "a table",
        _ => "something else",
    }
}

impl serde::de::Error for AppError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}, not {}", kind(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!(
            "must be {expected}; this is {} outside of that",
            kind(&found)
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        // Not quoted either: it may be a secret in the wrong place.
        Self::new(format!(
            "must be one of {}{}",
            expected.join(", "),
            did_you_mean(variant, expected.iter().copied())
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let hint = did_you_mean(field, expected.iter().copied());
        let hint = match hint.as_str() {
            "" => format!("; known are {}", expected.join(", ")),
            _ => hint,
        };
        Self::new(format!("unknown key `{}`{hint}", field.escape_debug()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            key: None,
            missing: Some(field),
            message: format!("`{field}` is not set"),
        }
    }
}
