//! What handlers return.

use crate::error::{AgentError, IntoAgentError};
use crate::extract::EventBatch;

/// What became of a record, as its handler says.
///
/// ```
/// use citizenk::prelude::*;
/// async fn handler(order: Event<String>) -> Outcome {
///     if order.value.is_empty() { return Outcome::skip("empty order"); }
///     Outcome::Done
/// }
/// ```
#[derive(Debug, Default)]
pub enum Outcome {
    /// Handled.
    #[default]
    Done,
    /// Failed; the error may wish what happens (see [`AgentError`]).
    Failed(AgentError),
}

impl Outcome {
    /// Count and log it, then go on.
    pub fn skip(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(AgentError::skip(reason))
    }

    /// Send it to the policy's dead-letter topic.
    pub fn dead_letter(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(AgentError::dead_letter(reason))
    }

    /// Try it again as the policy schedules.
    pub fn retry(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(AgentError::retry(reason))
    }
}

impl<T, E: IntoAgentError> From<Result<T, E>> for Outcome {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) => Self::Failed(error.into_agent_error()),
        }
    }
}

/// One outcome per record of a batch, in the batch's order.
///
/// ```
/// use citizenk::prelude::*;
/// async fn handler(rows: Batch<String>) -> BatchOutcome {
///     rows.iter().map(|row| row.parse::<u32>().or_skip()).collect()
/// }
/// ```
#[derive(Debug, Default)]
pub struct BatchOutcome {
    outcomes: Vec<Outcome>,
}

impl BatchOutcome {
    /// The outcomes.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }
}

impl<O: Into<Outcome>> FromIterator<O> for BatchOutcome {
    fn from_iter<I: IntoIterator<Item = O>>(outcomes: I) -> Self {
        Self {
            outcomes: outcomes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Vec<Outcome>> for BatchOutcome {
    fn from(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes }
    }
}

/// What an attempt came to.
#[derive(Debug)]
pub enum Verdict {
    /// All records handled.
    Done,
    /// The attempt failed as a whole.
    Failed(AgentError),
    /// One verdict per record, in order; `None` is handled.
    PerRecord(Vec<Option<AgentError>>),
}

/// Return types of handlers without `output`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an agent result",
    label = "not an agent result",
    note = "return `()`, `citizenk::Result<()>`, `Outcome` or `BatchOutcome`, or name a topic in `output = ..` (or `websocket = ..`) for returned values"
)]
pub trait IntoOutcome<M> {
    #[doc(hidden)]
    fn into_verdict(self) -> Verdict;
}

impl<M> IntoOutcome<M> for () {
    fn into_verdict(self) -> Verdict {
        Verdict::Done
    }
}

impl<M> IntoOutcome<M> for Outcome {
    fn into_verdict(self) -> Verdict {
        match self {
            Self::Done => Verdict::Done,
            Self::Failed(error) => Verdict::Failed(error),
        }
    }
}

/// Tells a per-record outcome on a single event from other wrong results.
#[diagnostic::on_unimplemented(
    message = "per-record outcomes need a batch",
    label = "not possible for one event",
    note = "return `Outcome`, or take `Batch<T>`"
)]
pub trait TakesBatch {}
impl TakesBatch for EventBatch {}

impl<M: TakesBatch> IntoOutcome<M> for BatchOutcome {
    fn into_verdict(self) -> Verdict {
        Verdict::PerRecord(
            self.outcomes
                .into_iter()
                .map(|outcome| match outcome {
                    Outcome::Done => None,
                    Outcome::Failed(error) => Some(error),
                })
                .collect(),
        )
    }
}

impl<M, T: IntoOutcome<M>, E: IntoAgentError> IntoOutcome<M> for Result<T, E> {
    fn into_verdict(self) -> Verdict {
        match self {
            Ok(value) => value.into_verdict(),
            Err(error) => Verdict::Failed(error.into_agent_error()),
        }
    }
}
