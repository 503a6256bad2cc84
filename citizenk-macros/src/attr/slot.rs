//! Places for the values of an attribute's arguments.
//!
//! In: a key and a value, at most once. Out: the value with its spans. The "given twice" error is made
//! here and nowhere else.

use proc_macro2::{Ident, Span};

use crate::report::Report;

/// The key of an argument, as the user wrote it.
#[derive(Clone)]
pub(crate) struct KeyToken {
    pub(crate) name: String,
    pub(crate) span: Span,
}

impl KeyToken {
    pub(crate) fn new(ident: &Ident) -> Self {
        Self {
            name: ident.to_string(),
            span: ident.span(),
        }
    }
}

/// A value and where it was given.
#[derive(Clone)]
pub(crate) struct Given<T> {
    pub(crate) key: Span,
    pub(crate) value: T,
}

/// An argument that may be given once.
#[derive(Clone)]
pub(crate) struct Slot<T> {
    given: Option<Given<T>>,
    /// Given, but with a value that has been reported: missing-argument checks must stay quiet.
    spoiled: bool,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            given: None,
            spoiled: false,
        }
    }
}

impl<T> Slot<T> {
    /// Stores a value, `None` being one that was reported; a second one is a fault.
    pub(crate) fn set(&mut self, key: &KeyToken, value: Option<T>, report: &mut Report) {
        if self.was_given() {
            report.at(key.span, format!("`{}` is given twice", key.name));
            return;
        }
        match value {
            Some(value) => {
                self.given = Some(Given {
                    key: key.span,
                    value,
                });
            }
            None => self.spoiled = true,
        }
    }

    /// Whether the key was there, with a good value or not.
    pub(crate) fn was_given(&self) -> bool {
        self.spoiled || self.given.is_some()
    }

    pub(crate) fn given(&self) -> Option<&Given<T>> {
        self.given.as_ref()
    }

    pub(crate) fn value(&self) -> Option<&T> {
        self.given.as_ref().map(|given| &given.value)
    }
}
