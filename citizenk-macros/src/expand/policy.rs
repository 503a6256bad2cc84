//! Policies to code.
//!
//! In: a validated [`Policy`]. Out: an expression of the library's `Policy`.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::Path;
use syn::spanned::Spanned;

use crate::attr::policy::{End, Policy};

/// `__citizenk::Policy::retry(5).backoff(..).then_dead_letter(&DLQ)`.
pub(crate) fn expression(policy: &Policy, span: Span) -> TokenStream {
    match policy {
        Policy::End(End::Skip) => quote_spanned!(span=> __citizenk::Policy::skip()),
        Policy::End(End::Stop) => quote_spanned!(span=> __citizenk::Policy::stop()),
        Policy::End(End::DeadLetter(topic)) => {
            let topic = reference(topic);
            quote_spanned!(span=> __citizenk::Policy::dead_letter(#topic))
        }
        Policy::Retry {
            count,
            backoff,
            then,
        } => {
            let count = u32::try_from(count.value).unwrap_or(u32::MAX);
            let backoff = backoff.map(|backoff| {
                let (first, longest) = (backoff.first, backoff.longest);
                quote_spanned! {span=>
                    .backoff(__citizenk::millis(#first), __citizenk::millis(#longest))
                }
            });
            let then = match then {
                End::Skip => quote_spanned!(span=> .then_skip()),
                End::Stop => quote_spanned!(span=> .then_stop()),
                End::DeadLetter(topic) => {
                    let topic = reference(topic);
                    quote_spanned!(span=> .then_dead_letter(#topic))
                }
            };
            quote_spanned!(span=> __citizenk::Policy::retry(#count) #backoff #then)
        }
    }
}

/// `&TOPIC`, all of it at the topic.
pub(crate) fn reference(topic: &Path) -> TokenStream {
    quote_spanned!(topic.span()=> &#topic)
}
