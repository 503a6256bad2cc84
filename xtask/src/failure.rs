//! The one error type of the developer commands: a sentence for a human and an exit code.

use std::fmt;

/// Exit code of an ordinary failure.
const FAILED: u8 = 1;
/// Exit code after Ctrl-C or a request to terminate, as shells report SIGINT.
const INTERRUPTED: u8 = 130;

/// What a developer command answers.
pub type Result<T> = std::result::Result<T, Failure>;

/// What went wrong, which thing is the culprit and what to do about it.
#[derive(Clone, Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// An ordinary failure: exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: FAILED,
        }
    }

    /// Somebody asked us to stop: exit code 130.
    pub fn interrupted() -> Self {
        Self {
            message: "interrupted; what was started is stopped again".into(),
            code: INTERRUPTED,
        }
    }

    /// Whether somebody asked us to stop.
    pub fn is_interrupted(&self) -> bool {
        self.code == INTERRUPTED
    }

    /// The exit code of the command.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Names the culprit of a lower error: `fs::read(path).or_fail(|| format!("read {path}"))?`.
pub trait OrFail<T> {
    /// Adds what was being done to the error.
    ///
    /// # Errors
    /// The failure that names it, for every error.
    fn or_fail(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> OrFail<T> for std::result::Result<T, E> {
    /// Adds what was being done to the error.
    ///
    /// # Errors
    /// The failure that names it, for every error.
    fn or_fail(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::new(format!("cannot {}: {error}", doing())))
    }
}
