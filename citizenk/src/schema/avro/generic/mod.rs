//! Values of schemas that no Rust type stands for.
//!
//! In: bytes and the schemas they were written with and are to be read with, JSON, or an [`AvroValue`]. Out: an
//! [`AvroValue`], or the bytes of one. What two schemas have to do with each other is said by `resolve`, as for
//! typed values; here its answers are followed on the schemas themselves, since no type knows its fields.

mod json;
mod read;
mod write;

use std::fmt;

pub(super) use json::{Origin, from_json};
pub(super) use read::ValueReader;
pub(super) use write::write;

#[cfg(doc)]
use super::value::AvroValue;

/// How deep a value may be nested.
const MAX_DEPTH: usize = 64;

/// What does not fit, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// From the inside out.
    path: Vec<String>,
    pub(super) reason: String,
}

/// Boxed: faults are seldom, results are passed on at every level.
pub(super) type Fallible<T> = Result<T, Box<Fault>>;

pub(super) fn fault<T>(reason: impl Into<String>) -> Fallible<T> {
    Err(Box::new(Fault {
        path: Vec::new(),
        reason: reason.into(),
    }))
}

impl Fault {
    fn within(mut self: Box<Self>, step: impl Into<String>) -> Box<Self> {
        self.path.push(step.into());
        self
    }

    /// The field, e.g. `stops.zone`; `None`: the value itself.
    pub(super) fn field(&self) -> Option<String> {
        let parts: Vec<_> = self.path.iter().rev().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join("."))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field() {
            Some(field) => write!(f, "field `{field}`: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for Fault {}

/// One level further down.
fn deeper(depth: usize) -> Fallible<usize> {
    if depth >= MAX_DEPTH {
        return fault(format!("is nested more than {MAX_DEPTH} deep"));
    }
    Ok(depth + 1)
}
