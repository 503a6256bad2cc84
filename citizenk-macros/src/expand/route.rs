//! `#[route]` to code.
//!
//! In: a validated [`Route`]. Out: the body of its `describe`: the function as an HTTP handler, argument
//! by argument, and the questions its OpenAPI description is made of.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Type;

use super::common::{self, origin, return_span};
use crate::attr::route::{Method, RouteArgs};
use crate::check::{self, Function, ROUTE};
use crate::model::{Route, is_nameless};
use crate::paths::{at, generated, local};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    common::on_function::<RouteArgs, _>(
        ROUTE,
        args,
        item,
        |args, function, report| Route::validate(&args, function, report),
        glue,
    )
}

fn glue(route: &Route) -> TokenStream {
    let span = generated(route.function.ident.span());
    let definition = definition(route);
    quote_spanned! {span=>
        <__citizenk::ComponentDef as ::core::convert::From<_>>::from(#definition)
    }
}

/// The endpoint itself.
pub(super) fn definition(route: &Route) -> TokenStream {
    let function = &route.function;
    let span = generated(function.ident.span());
    let name = &function.name;
    let origin = origin(function);
    let method = match route.method {
        Method::Get => quote_spanned!(span=> __citizenk::web::Method::GET),
        Method::Post => quote_spanned!(span=> __citizenk::web::Method::POST),
        Method::Put => quote_spanned!(span=> __citizenk::web::Method::PUT),
        Method::Delete => quote_spanned!(span=> __citizenk::web::Method::DELETE),
        Method::Patch => quote_spanned!(span=> __citizenk::web::Method::PATCH),
    };
    let path = &route.path;
    let tag = match &route.tag {
        Some(tag) => quote_spanned!(span=> ::core::option::Option::Some(#tag)),
        None => quote_spanned!(span=> ::core::option::Option::None),
    };
    let handler = handler(function);
    let description = description(&function.arguments, function.returns.as_ref(), function);
    quote_spanned! {span=>
        __citizenk::web::route(
            #name, #origin, #method, #path, #tag, #handler, #description,
        )
    }
}

/// The function behind its arguments: the last one may read the body, the others the head.
fn handler(function: &Function) -> TokenStream {
    let (request, parts, body) = (local("__request"), local("__parts"), local("__body"));
    let span = generated(function.ident.span());
    let mut steps = TokenStream::new();
    let mut values = Vec::new();
    let last = function.arguments.len().saturating_sub(1);
    for (index, ty) in function.arguments.iter().enumerate() {
        let span = check::span_of(ty);
        let value = local(&format!("__a{index}"));
        let (good, answer) = (local("__value"), local("__answer"));
        let taken = if index == last {
            quote_spanned!(span=> __citizenk::web::last::<#ty, _>(#parts, #body))
        } else {
            quote_spanned!(span=> __citizenk::web::part::<#ty>(&mut #parts))
        };
        steps.extend(quote_spanned! {span=>
            let #value = match #taken.await {
                ::core::result::Result::Ok(#good) => #good,
                ::core::result::Result::Err(#answer) => return #answer,
            };
        });
        values.push(value);
    }
    let split = match function.arguments.len() {
        0 => TokenStream::new(),
        1 => quote_spanned!(span=> let (#parts, #body) = #request.into_parts();),
        _ => quote_spanned!(span=> let (mut #parts, #body) = #request.into_parts();),
    };
    let ident = &function.ident;
    let returned = return_span(function);
    let value = at("__value", returned);
    let response = quote_spanned! {returned=>
        let #value = #ident(#(#values),*).await;
        __citizenk::web::respond(#value)
    };
    quote_spanned! {span=>
        |#request: __citizenk::web::Request| async move {
            #split
            #steps
            #response
        }
    }
}

/// Asks every type how it is documented.
pub(super) fn description(
    arguments: &[Type],
    returns: Option<&Type>,
    function: &Function,
) -> TokenStream {
    let operation = local("__operation");
    let span = generated(function.ident.span());
    let inputs = arguments.iter().map(|ty| {
        let span = generated(check::span_of(ty));
        quote_spanned!(span=> (&__citizenk::web::Probe::<#ty>::new()).input(#operation);)
    });
    let output = match returns {
        None => Some(quote_spanned! {span=>
            (&__citizenk::web::Probe::<()>::new()).output(#operation);
        }),
        // A type without a name cannot be asked.
        Some(ty) if is_nameless(ty) => None,
        Some(ty) => {
            let span = generated(check::span_of(ty));
            Some(quote_spanned!(span=> (&__citizenk::web::Probe::<#ty>::new()).output(#operation);))
        }
    };
    let inputs_in_scope = (!arguments.is_empty())
        .then(|| quote_spanned!(span=> use __citizenk::web::{InputProbe as _, NoInputProbe as _};));
    let output_in_scope = output.is_some().then(
        || quote_spanned!(span=> use __citizenk::web::{NoOutputProbe as _, OutputProbe as _};),
    );
    quote_spanned! {span=>
        |#operation: &mut __citizenk::web::Operation| {
            // Of each pair one is in use.
            #[allow(unused_imports)]
            {
                #inputs_in_scope
                #output_in_scope
                #(#inputs)*
                #output
            }
        }
    }
}
