//! The one error type of the developer commands: a sentence for a human and an exit code.

use std::fmt;

/// Exit code of an ordinary failure.
const FAILED: u8 = 1;
/// Exit code after Ctrl-C or a request to terminate, as shells report SIGINT.
const INTERRUPTED: u8 = 130;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// What went wrong, which thing is the culprit and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: FAILED,
        }
    }

    pub(crate) fn interrupted() -> Self {
        Self {
            message: "interrupted; what was started is stopped again".into(),
            code: INTERRUPTED,
        }
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.code == INTERRUPTED
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Names the culprit of a lower error: `fs::read(path).or_fail(|| format!("read {path}"))?`.
pub(crate) trait OrFail<T> {
    fn or_fail(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::new(format!("cannot {}: {error}", doing())))
    }
}
