//! Why a service ended.

use std::process::{ExitCode, Termination};

use super::{BuildError, TransportError};

/// A setting that is missing, unknown or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct ConfigError {
    /// The flag, variable or key at fault.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }
}

fn list(errors: &[ConfigError]) -> String {
    match errors {
        [one] => one.to_string(),
        many => many.iter().map(|error| format!("\n  - {error}")).fold(
            format!("{} mistakes in the settings:", many.len()),
            |text, line| text + &line,
        ),
    }
}

impl From<ConfigError> for RunError {
    fn from(error: ConfigError) -> Self {
        Self::Config(vec![error])
    }
}

impl From<Vec<ConfigError>> for RunError {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self::Config(errors)
    }
}

/// Why a service ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The app itself is wrong.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The settings are wrong; every mistake.
    #[error("{}", list(.0))]
    Config(Vec<ConfigError>),
    /// The cluster or its client failed for good.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A policy said `stop`.
    #[error("{component} stopped the service: {reason}")]
    Stopped {
        /// The component, e.g. "agent `orders`".
        component: String,
        /// The record and the error.
        reason: String,
    },
    /// A start-up hook or the making of a state value failed.
    #[error("{component} failed: {reason}")]
    Startup {
        /// The component, e.g. "hook `warm_up`".
        component: String,
        /// The error.
        reason: String,
    },
    /// The HTTP address cannot be used.
    #[error(
        "cannot listen on {address}: {source}; choose another with `--http ADDR` or CITIZENK_HTTP"
    )]
    Listen {
        /// The address asked for.
        address: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The client delivered nothing of a partition any more, and neither a seek nor fetching anew helped.
    #[error(
        "the Kafka client delivers nothing of {partition} from offset {next} on, though the broker has records there; \
         a seek and a new start of fetching did not help, so the process has to be started again"
    )]
    Stalled {
        /// Topic and partition.
        partition: String,
        /// The next offset.
        next: i64,
    },
    /// Started calls did not end within the drain deadline.
    #[error(
        "the drain deadline passed with {calls} calls and {outputs} outputs unfinished; their records will be processed \
         again, but what has no record, as what timers and tasks send, will not"
    )]
    Drain {
        /// Handler calls still running.
        calls: usize,
        /// Outputs without an acknowledgement.
        outputs: usize,
    },
}

/// How the program ends; implements [`Termination`], so `main` can return it.
///
/// | code | meaning |
/// |---|---|
/// | 0 | stopped cleanly |
/// | 1 | the cluster, the client or a start-up step failed |
/// | 2 | wrong usage, settings or app |
/// | 3 | a policy said `stop` |
/// | 4 | the drain deadline passed |
/// | 5 | the Kafka client delivers nothing any more; start the process again |
/// | 130 | a second signal ended the program at once |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "return it from `main`, otherwise the exit code is lost"]
pub struct Exit(u8);

impl Exit {
    /// Stopped cleanly.
    pub const OK: Self = Self(0);
    /// The cluster, the client or a start-up step failed.
    pub const FAILED: Self = Self(1);
    /// Wrong usage, settings or app.
    pub const USAGE: Self = Self(2);
    /// A policy said `stop`.
    pub const STOPPED: Self = Self(3);
    /// The drain deadline passed.
    pub const DRAIN: Self = Self(4);
    /// The Kafka client delivers nothing any more.
    pub const STALLED: Self = Self(5);
    /// A second signal.
    pub const KILLED: Self = Self(130);

    /// The number the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }
}

impl From<&RunError> for Exit {
    fn from(error: &RunError) -> Self {
        match error {
            RunError::Build(_) | RunError::Config(_) => Self::USAGE,
            RunError::Stopped { .. } => Self::STOPPED,
            RunError::Drain { .. } => Self::DRAIN,
            RunError::Stalled { .. } => Self::STALLED,
            RunError::Transport(_) | RunError::Startup { .. } | RunError::Listen { .. } => {
                Self::FAILED
            }
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.0)
    }
}
