//! `#[repeat_every]` and `#[repeat_at]` to code.
//!
//! In: a validated [`Timer`]. Out: the body of its `describe`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::common::{self, Task, origin};
use super::policy::reference;
use crate::attr::timer::{AtArgs, EveryArgs, OnError, Placement};
use crate::check::{REPEAT_AT, REPEAT_EVERY};
use crate::model::{Schedule, Timer};
use crate::paths::{generated, local};

pub(crate) fn expand_every(args: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = proc_macro2::Span::call_site();
    common::on_function::<EveryArgs, _>(
        REPEAT_EVERY,
        args,
        item,
        |args, function, report| Timer::validate_every(args, function, attribute, report),
        glue,
    )
}

pub(crate) fn expand_at(args: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = proc_macro2::Span::call_site();
    common::on_function::<AtArgs, _>(
        REPEAT_AT,
        args,
        item,
        |args, function, report| Timer::validate_at(args, function, attribute, report),
        glue,
    )
}

fn glue(timer: &Timer) -> TokenStream {
    let function = &timer.function;
    let span = generated(function.ident.span());
    let builder = local("__b");
    let name = &function.name;
    let origin = origin(function);
    let schedule = match &timer.schedule {
        Schedule::Every(millis) => {
            quote_spanned!(span=> __citizenk::Schedule::every(__citizenk::millis(#millis)))
        }
        Schedule::Cron(expression, zone) => {
            let zone = match zone {
                Some(zone) => quote!(::core::option::Option::Some(#zone)),
                None => quote!(::core::option::Option::None),
            };
            quote_spanned!(span=> __citizenk::Schedule::cron(#expression, #zone))
        }
    };
    let wait_first = timer.wait_first.map(|wait| quote!(.wait_first(#wait)));
    let max_repetitions = timer.max_repetitions.as_ref().map(|count| {
        let count = count.value;
        quote!(.max_repetitions(#count))
    });
    let stop = match timer.on_error {
        Some(OnError::Stop) => Some(quote!(.stop_on_error())),
        Some(OnError::Log) | None => None,
    };
    let place = timer.on.as_ref().map(|place| match place {
        Placement::One => quote!(.on_one()),
        Placement::Owner(topic) => {
            let topic = reference(topic);
            quote!(.on_owner(#topic))
        }
    });
    let around = common::around(&timer.sends, &timer.wrap);
    let Task {
        requires,
        prepare,
        call,
    } = Task::of(function);
    quote_spanned! {span=>
        type __Mode = __citizenk::Tick;
        let #builder = __citizenk::timer(#name, #origin, #schedule)
            #wait_first #max_repetitions #stop #place;
        #around
        #requires
        <__citizenk::ComponentDef as ::core::convert::From<_>>::from(__citizenk::timer_handle(#builder, #prepare, #call))
    }
}
