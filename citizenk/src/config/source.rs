//! Where a value came from, so that every error can say it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::ConfigError;

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody set it.
    #[default]
    Default,
    /// A line of the settings file.
    #[cfg_attr(
        not(feature = "cli"),
        allow(
            dead_code,
            reason = "made by the parser of settings files, which is part of `cli`"
        )
    )]
    File { path: Arc<str>, line: usize },
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl Source {
    /// An error about a value from here; `key` is its name in the settings file.
    pub(crate) fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let culprit = match self {
            Self::Default => key.to_owned(),
            Self::File { .. } => format!("{key} ({self})"),
            Self::Env(name) => name.clone(),
            Self::Flag(name) => (*name).to_owned(),
        };
        ConfigError::new(culprit, message)
    }
}

/// A value and where it came from. No `Debug` of its own: the value may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

impl<T> Setting<T> {
    pub(crate) fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }

    pub(crate) fn default_of(value: T) -> Self {
        Self::new(value, Source::Default)
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> fmt::Debug for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setting(from {})", self.source)
    }
}
