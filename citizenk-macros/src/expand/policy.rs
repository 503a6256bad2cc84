//! Policies to code.
//!
//! In: a validated [`Policy`]. Out: an expression of the library's `Policy`.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::Path;
use syn::spanned::Spanned;

use crate::attr::policy::{End, Policy, Then};
use crate::attr::value::Guarantee;

/// `__citizenk::Guarantee::ExactlyOnce`.
pub(crate) fn guarantee(guarantee: Guarantee, span: Span) -> TokenStream {
    match guarantee {
        Guarantee::AtLeastOnce => quote_spanned!(span=> __citizenk::Guarantee::AtLeastOnce),
        Guarantee::ExactlyOnce => quote_spanned!(span=> __citizenk::Guarantee::ExactlyOnce),
    }
}

/// `__citizenk::Policy::retry(5).backoff(..).then_dead_letter(&DLQ)`.
pub(crate) fn expression(policy: &Policy, span: Span) -> TokenStream {
    match policy {
        Policy::Then(Then::End(End::Skip)) => quote_spanned!(span=> __citizenk::Policy::skip()),
        Policy::Then(Then::End(End::Stop)) => quote_spanned!(span=> __citizenk::Policy::stop()),
        Policy::Then(Then::End(End::DeadLetter(topic))) => {
            let topic = reference(topic);
            quote_spanned!(span=> __citizenk::Policy::dead_letter(#topic))
        }
        Policy::Then(Then::Topics { delays, then }) => {
            let (delays, then) = (durations(delays, span), behind(then, span));
            quote_spanned!(span=> __citizenk::Policy::retry_topics(#delays) #then)
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
                Then::End(end) => behind(end, span),
                Then::Topics { delays, then } => {
                    let (delays, then) = (durations(delays, span), behind(then, span));
                    quote_spanned!(span=> .then_retry_topics(#delays) #then)
                }
            };
            quote_spanned!(span=> __citizenk::Policy::retry(#count) #backoff #then)
        }
    }
}

/// What ends the tries: `.then_skip()`.
fn behind(end: &End, span: Span) -> TokenStream {
    match end {
        End::Skip => quote_spanned!(span=> .then_skip()),
        End::Stop => quote_spanned!(span=> .then_stop()),
        End::DeadLetter(topic) => {
            let topic = reference(topic);
            quote_spanned!(span=> .then_dead_letter(#topic))
        }
    }
}

/// `[__citizenk::millis(30000), ..]`.
fn durations(delays: &[u64], span: Span) -> TokenStream {
    quote_spanned!(span=> [#(__citizenk::millis(#delays)),*])
}

/// `&TOPIC`, all of it at the topic.
pub(crate) fn reference(topic: &Path) -> TokenStream {
    quote_spanned!(topic.span()=> &#topic)
}
