//! Errors of one expansion.
//!
//! In: faults found by parsers and checks, in any order, as many as there are. Out: one
//! `compile_error!` per fault. Nothing returns early because of a fault elsewhere, so that a user sees
//! the attribute's and the signature's faults in one compile.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// What is wrong with one use of an attribute.
#[derive(Default)]
pub(crate) struct Report {
    errors: Vec<syn::Error>,
}

impl Report {
    /// Adds a fault at one token.
    pub(crate) fn at(&mut self, span: Span, fault: impl Display) -> &mut Self {
        self.errors.push(syn::Error::new(span, fault));
        self
    }

    /// Adds a fault that underlines all of `tokens`.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, fault: impl Display) -> &mut Self {
        self.errors.push(syn::Error::new_spanned(tokens, fault));
        self
    }

    /// Adds a fault with a `help:` line.
    pub(crate) fn at_with_help(&mut self, span: Span, fault: impl Display, help: impl Display) {
        self.at(span, with_help(fault, help));
    }

    /// [`Report::on`] with a `help:` line.
    pub(crate) fn on_with_help(
        &mut self,
        tokens: impl ToTokens,
        fault: impl Display,
        help: impl Display,
    ) {
        self.on(tokens, with_help(fault, help));
    }

    /// Takes over an error of a parser.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// The faults as code that makes rustc print them.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.errors
            .into_iter()
            .map(|error| error.into_compile_error())
            .collect()
    }
}

/// A fault and what to type instead.
pub(crate) fn with_help(fault: impl Display, help: impl Display) -> String {
    format!("{fault}\nhelp: {help}")
}
