//! `#[websocket_in]` to code.
//!
//! In: a validated [`WebsocketIn`]. Out: the body of its `describe`: the function behind one message and the
//! head of the request its websocket began with.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::common::{self, origin, return_span};
use super::policy::reference;
use super::route::description;
use crate::attr::stream::WebsocketInArgs;
use crate::check::{self, WEBSOCKET_IN};
use crate::model::WebsocketIn;
use crate::paths::{generated, local};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    common::on_function::<WebsocketInArgs, _>(
        WEBSOCKET_IN,
        args,
        item,
        |args, function, report| WebsocketIn::validate(&args, function, report),
        glue,
    )
}

fn glue(websocket: &WebsocketIn) -> TokenStream {
    let function = &websocket.function;
    let (Some((message, others)), Some(returns)) =
        (function.arguments.split_first(), &function.returns)
    else {
        return TokenStream::new();
    };
    let span = generated(function.ident.span());
    let (name, origin, path) = (&function.name, origin(function), &websocket.path);
    let topic = reference(&websocket.topic);
    let (incoming, parts) = (local("__message"), local("__parts"));
    let mut steps = TokenStream::new();
    let mut values = Vec::new();
    for (index, ty) in others.iter().enumerate() {
        let span = check::span_of(ty);
        let (value, good, answer) = (
            local(&format!("__a{index}")),
            local("__value"),
            local("__answer"),
        );
        steps.extend(quote_spanned! {span=>
            let #value = match __citizenk::web::part::<#ty>(&mut #parts).await {
                ::core::result::Result::Ok(#good) => #good,
                ::core::result::Result::Err(#answer) => return ::core::result::Result::Err(#answer),
            };
        });
        values.push(value);
    }
    let head = if others.is_empty() {
        quote_spanned!(span=> _)
    } else {
        quote_spanned!(span=> mut #parts)
    };
    let ident = &function.ident;
    let message_span = check::span_of(message);
    let message_type = quote_spanned!(message_span=> #message);
    let returned = return_span(function);
    let returned_type = quote_spanned!(returned=> #returns);
    // Nothing is returned to the client but what became of the record.
    let description = description(others, None, function);
    quote_spanned! {span=>
        <__citizenk::ComponentDef as ::core::convert::From<_>>::from(
            __citizenk::web::websocket_in::<#message_type, _, _, #returned_type, _, _>(
                #name, #origin, #path, #topic,
                |#incoming: #message, #head: __citizenk::web::Parts| async move {
                    #steps
                    ::core::result::Result::Ok(#ident(#incoming #(, #values)*).await)
                },
                #description,
            )
        )
    }
}
