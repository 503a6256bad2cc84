//! What a handler answers when it fails.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a handler failed, and what should happen to its records.
///
/// Takes any error through `?`; then the agent's `on_error` policy decides. A handler that knows better
/// says so: [`AgentError::retry`], [`AgentError::skip`], [`AgentError::dead_letter`],
/// [`AgentError::stop`], or [`ResultExt`] behind a result.
///
/// ```
/// use citizenk::prelude::*;
///
/// fn amount(text: &str) -> citizenk::Result<u32> {
///     let amount: u32 = text.parse().or_skip()?;       // bad input will not get better
///     if amount == 0 {
///         return Err(AgentError::stop("an amount of zero must never happen"));
///     }
///     Ok(amount)
/// }
/// assert!(amount("7").is_ok());
/// assert!(amount("x").is_err());
/// ```
pub struct AgentError(Box<Inner>);

struct Inner {
    source: Box<dyn Error + Send + Sync>,
    wish: Option<Wish>,
    kind: FailureKind,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// It returned an error, or its arguments could not be made.
    #[default]
    Error,
    /// It panicked.
    Panic,
    /// It was cut off by the agent's `timeout`.
    Timeout,
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(a payload that is not text)".to_owned())
}

/// What a handler asked for by its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Retry,
    Skip,
    DeadLetter,
    Stop,
}

impl AgentError {
    /// An error the policy decides about.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Inner {
            source: source.into(),
            wish: None,
            kind: FailureKind::Error,
        }))
    }

    fn of_kind(kind: FailureKind, text: String) -> Self {
        Self(Box::new(Inner {
            source: text.into(),
            wish: None,
            kind,
        }))
    }

    pub(crate) fn panicked(text: &str) -> Self {
        Self::of_kind(FailureKind::Panic, format!("panicked: {text}"))
    }

    pub(crate) fn timed_out(limit: Duration) -> Self {
        Self::of_kind(FailureKind::Timeout, format!("took longer than {limit:?}"))
    }

    /// How the call failed, as a [middleware](crate::middleware) sees it.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    fn wishing(wish: Wish, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Inner {
            source: source.into(),
            wish: Some(wish),
            kind: FailureKind::Error,
        }))
    }

    /// Try again as the agent's policy schedules retries.
    pub fn retry(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::wishing(Wish::Retry, source)
    }

    /// Count and log the records, then go on behind them; no retry.
    pub fn skip(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::wishing(Wish::Skip, source)
    }

    /// Send the records to the dead-letter topic of the agent's policy; no retry. Without such a topic
    /// the service stops, so that nothing is lost.
    pub fn dead_letter(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::wishing(Wish::DeadLetter, source)
    }

    /// Stop the service; the records are not committed.
    pub fn stop(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::wishing(Wish::Stop, source)
    }

    pub(crate) fn wish(&self) -> Option<Wish> {
        self.0.wish
    }

    /// The error itself.
    #[must_use]
    pub fn source(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.source
    }
}

impl fmt::Display for AgentError {
    /// The error and its sources, joined by `: `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.source)?;
        let mut last = self.0.source.to_string();
        let mut source = self.0.source.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Errors that print their source already would say it twice.
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentError")
            .field("source", &self.0.source)
            .field("wish", &self.0.wish)
            .finish()
    }
}

// No `impl Error for AgentError`: it would forbid this conversion, which is what `?` needs.
impl<E> From<E> for AgentError
where
    E: Error + Send + Sync + 'static,
{
    fn from(source: E) -> Self {
        Self::new(source)
    }
}

/// Errors a handler may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become an agent error",
    label = "not an error",
    note = "implement `std::error::Error` for it"
)]
pub trait IntoAgentError {
    #[doc(hidden)]
    fn into_agent_error(self) -> AgentError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<AgentError>> IntoAgentError for E {
    fn into_agent_error(self) -> AgentError {
        self.into()
    }
}

/// Chooses what an error does to its records, behind a result: `text.parse().or_skip()?`.
pub trait ResultExt<T> {
    /// See [`AgentError::skip`].
    ///
    /// # Errors
    /// The same error, marked.
    fn or_skip(self) -> Result<T, AgentError>;
    /// See [`AgentError::dead_letter`].
    ///
    /// # Errors
    /// The same error, marked.
    fn or_dead_letter(self) -> Result<T, AgentError>;
    /// See [`AgentError::stop`].
    ///
    /// # Errors
    /// The same error, marked.
    fn or_stop(self) -> Result<T, AgentError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> ResultExt<T> for Result<T, E> {
    fn or_skip(self) -> Result<T, AgentError> {
        self.map_err(AgentError::skip)
    }
    fn or_dead_letter(self) -> Result<T, AgentError> {
        self.map_err(AgentError::dead_letter)
    }
    fn or_stop(self) -> Result<T, AgentError> {
        self.map_err(AgentError::stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_converts_and_wishes_are_kept() {
        let plain: AgentError = "x".parse::<u8>().unwrap_err().into();
        assert_eq!(plain.wish(), None);
        let skip = "x".parse::<u8>().or_skip().unwrap_err();
        assert_eq!(skip.wish(), Some(Wish::Skip));
        assert_eq!(skip.to_string(), "invalid digit found in string");
        assert_eq!(AgentError::stop("never").wish(), Some(Wish::Stop));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn the_text_names_every_source_once() {
        let error = AgentError::new(Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(error.to_string(), "outer: invalid digit found in string");
    }
}
