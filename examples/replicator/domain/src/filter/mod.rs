//! Which records a mapping takes: a JMESPath expression over the record.
//!
//! ```text
//! { key, value, headers, topic, partition, offset, timestamp } ─▶ expression ─▶ truthy: taken
//! ```
//!
//! The crate `jmespath` is what expressions mean (`reference`). Common forms are compiled from its syntax tree to
//! an evaluator over the record's bytes (`fast`) that answers the same; `tests` prove it.

mod fast;
mod reference;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::sync::Arc;

use jmespath::Expression;

use crate::issue::Place;
use crate::json::{Found, ScanError};
use crate::record::Record;

/// A compiled expression.
#[derive(Clone)]
pub struct Filter {
    expression: Arc<Expression<'static>>,
    fast: Option<fast::Program>,
    needs_value: bool,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.text())
    }
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Keep,
    /// It is not.
    Drop,
    /// The value is no JSON, but the expression asks for it.
    Undecodable(ScanError),
    /// The expression has no answer for this record, e.g. `contains` of a number.
    Failed(String),
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Where in the text.
    pub place: Place,
    /// Why.
    pub reason: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl std::error::Error for FilterError {}

/// Memory that evaluations share.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) found: Vec<Found>,
}

impl Filter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is no JMESPath, calls a function that does not exist, or one with too few or too many arguments.
    pub fn compile(text: &str) -> Result<Self, FilterError> {
        let expression = reference::compile(text).map_err(|error| {
            let reason = error.reason.to_string();
            let reason = words::of(reason.strip_prefix("Parse error: ").unwrap_or(&reason));
            FilterError {
                place: Place {
                    line: error.line + 1,
                    column: error.column + 1,
                },
                reason,
            }
        })?;
        let ast = expression.as_ast();
        reference::check(ast).map_err(|(offset, reason)| {
            let at = text
                .char_indices()
                .nth(offset)
                .map_or(text.len(), |(at, _)| at);
            FilterError {
                place: Place::of(text, at),
                reason,
            }
        })?;
        Ok(Self {
            fast: fast::compile(ast),
            needs_value: reference::needs_value(ast),
            expression: Arc::new(expression),
        })
    }

    /// The expression's text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.expression.as_str()
    }

    /// Whether it is evaluated on the bytes, without building the value.
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// Whether it looks into the value, which must be JSON then.
    #[must_use]
    pub fn needs_value(&self) -> bool {
        self.needs_value
    }

    /// What becomes of a record.
    #[must_use]
    pub fn judge(&self, record: &Record<'_>, scratch: &mut Scratch) -> Verdict {
        match &self.fast {
            Some(program) => program
                .judge(record, self.needs_value, scratch)
                .unwrap_or_else(|| self.judge_slowly(record)),
            None => self.judge_slowly(record),
        }
    }

    /// [`Filter::judge`] by the reference alone.
    #[must_use]
    pub fn judge_slowly(&self, record: &Record<'_>) -> Verdict {
        reference::judge(&self.expression, record, self.needs_value)
    }
}
