//! `#[agent]` to code.
//!
//! In: a validated [`Agent`]. Out: the body of its `describe`: settings on a builder, then the function
//! as a closure whose types are the check of the signature.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::common::{self, Extraction, origin, return_span};
use super::policy::{self, reference};
use crate::attr::agent::AgentArgs;
use crate::attr::stream::SlowClient;
use crate::attr::value::{Group, Start, TopicInput};
use crate::check::{self, AGENT};
use crate::model::Agent;
use crate::paths::{at, generated, local};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    common::on_function::<AgentArgs, _>(AGENT, args, item, Agent::validate, glue)
}

fn glue(agent: &Agent) -> TokenStream {
    let function = &agent.function;
    let Some((input, others)) = function.arguments.split_first() else {
        return TokenStream::new();
    };
    let span = generated(function.ident.span());
    let input_span = check::span_of(input);
    let name = &function.name;
    let origin = origin(function);
    let builder = local("__b");
    let settings = settings(agent);
    let mut others = others.to_vec();
    if agent.stream.is_some() {
        // An argument that the function does not see.
        let span = return_span(function);
        others.push(Type::Verbatim(quote_spanned!(span=> __citizenk::Clients)));
    }
    let Extraction {
        requires,
        prepare,
        extract,
        mut values,
    } = Extraction::of(&others, function);
    let clients = agent.stream.as_ref().and_then(|_| values.pop());
    let start = quote_spanned! {input_span=>
        type __In = #input;
        type __Mode = <__In as __citizenk::AgentInput>::Mode;
        let #builder = __citizenk::agent::<__In>(#name, #origin);
    };
    let (prepared, call, records) = (local("__p"), local("__call"), local("__in"));
    let (reply, outcome) = outcome(agent, &values, clients.as_ref());
    let call_type = quote_spanned!(input_span=> &__citizenk::Call<'_, __Mode>);
    let input_type = quote_spanned!(input_span=> __In);
    let handler = quote_spanned! {span=>
        |#prepared, #call: #call_type, #records: #input_type| {
            #extract
            #reply
            ::core::result::Result::Ok(async move { #outcome })
        }
    };
    let joined = quote_spanned! {input_span=>
        __citizenk::handle::<__In, _, _, _, _>(#builder, #prepare, #handler)
    };
    let returned = agent.stream.as_ref().and(function.returns.as_ref());
    let returned = returned.map(|returned| {
        let span = return_span(function);
        quote_spanned!(span=> type __Returned = #returned;)
    });
    quote_spanned! {span=>
        #returned
        #start
        #settings
        #requires
        <__citizenk::ComponentDef as ::core::convert::From<_>>::from(#joined)
    }
}

/// What happens to the returned value; statements before the call, and the call.
fn outcome(
    agent: &Agent,
    values: &[proc_macro2::Ident],
    clients: Option<&proc_macro2::Ident>,
) -> (TokenStream, TokenStream) {
    let function = &agent.function;
    let ident = &function.ident;
    let span = return_span(function);
    let (call, records) = (local("__call"), local("__in"));
    let returned = quote_spanned! {span=>
        __citizenk::agent_future_must_be_send(#ident(#records #(, #values)*)).await
    };
    if let (Some(stream), Some(clients)) = (&agent.stream, clients) {
        let value = at("__value", span);
        let keeps = if stream.filter.is_some() {
            quote_spanned!(span=> returned_kept)
        } else {
            quote_spanned!(span=> returned)
        };
        let outcome = quote_spanned! {span=>
            let #value = #returned;
            #clients.#keeps(#value)
        };
        return (TokenStream::new(), outcome);
    }
    match &agent.output {
        None => {
            let input = function.arguments.first().map_or(span, check::span_of);
            let mode = quote_spanned!(input=> __Mode);
            let outcome = quote_spanned!(span=> __citizenk::outcome::<#mode, _>(#returned));
            (TokenStream::new(), outcome)
        }
        Some(topic) => {
            let reply = local("__reply");
            let topic = reference(topic);
            let value = at("__value", span);
            let before = quote_spanned!(span=> let #reply = __citizenk::reply(#call););
            let outcome = quote_spanned! {span=>
                let #value = #returned;
                #reply.send(#topic, #value)
            };
            (before, outcome)
        }
    }
}

fn settings(agent: &Agent) -> TokenStream {
    let builder = local("__b");
    let function = generated(agent.function.ident.span());
    let mut code = TokenStream::new();
    let mut set = |span: Span, call: TokenStream| {
        code.extend(quote_spanned!(span=> let #builder = #builder.#call;));
    };
    for topic in &agent.topics {
        let span = topic.span();
        match topic {
            TopicInput::Path(path) => {
                let topic = reference(path);
                set(span, quote_spanned!(span=> topic(#topic)));
            }
            TopicInput::Expr(expr) => set(span, quote_spanned!(span=> input(#expr))),
        }
    }
    if let Some(timeout) = &agent.batch_timeout {
        let millis = timeout.value;
        set(
            timeout.span,
            quote!(batch_timeout(__citizenk::millis(#millis))),
        );
    }
    if let Some(topic) = &agent.output {
        let reference = reference(topic);
        set(
            topic.span(),
            quote_spanned!(topic.span()=> output(#reference)),
        );
    }
    for topic in &agent.sends {
        let reference = reference(topic);
        set(
            topic.span(),
            quote_spanned!(topic.span()=> sends(#reference)),
        );
    }
    let policies = [
        ("on_decode_error", &agent.on_decode_error),
        ("on_error", &agent.on_error),
        ("on_produce_error", &agent.on_produce_error),
    ];
    for (key, given) in policies {
        if let Some(given) = given {
            let policy = policy::expression(given, function);
            let method = format_ident!("{key}", span = function);
            set(function, quote!(#method(#policy)));
        }
    }
    if let Some(guarantee) = agent.guarantee {
        let guarantee = policy::guarantee(guarantee, function);
        set(function, quote!(guarantee(#guarantee)));
    }
    if let Some(timeout) = &agent.timeout {
        let millis = timeout.value;
        set(timeout.span, quote!(timeout(__citizenk::millis(#millis))));
    }
    if let Some(keys) = &agent.concurrency {
        let keys = count(keys);
        set(function, quote!(concurrency(#keys)));
    }
    if let Some(blocking) = agent.blocking {
        set(function, quote!(blocking(#blocking)));
    }
    match &agent.group {
        Some(Group::Named(name)) => set(function, quote!(group(#name))),
        Some(Group::None) => set(function, quote!(groupless())),
        None => {}
    }
    match agent.start {
        Some(Start::Earliest) => set(function, quote!(start_earliest())),
        Some(Start::Latest) => set(function, quote!(start_latest())),
        None => {}
    }
    if let Some(stream) = &agent.stream {
        if let Some(path) = &stream.websocket {
            set(path.span(), quote!(websocket(#path)));
        }
        if let Some(path) = &stream.events {
            set(path.span(), quote!(events(#path)));
        }
        if let Some(slow) = stream.slow_client {
            let slow = match slow {
                SlowClient::DropOldest(most) => quote!(DropOldest(#most)),
                SlowClient::Coalesce => quote!(Coalesce),
                SlowClient::Disconnect => quote!(Disconnect),
            };
            set(function, quote!(slow_client(__citizenk::SlowClient::#slow)));
        }
        // One token, so that a type that cannot go to clients is one error.
        let span = return_span(&agent.function);
        let alias = proc_macro2::Ident::new("__Returned", span);
        set(span, quote_spanned!(span=> streams::<#alias>()));
        if let Some(filter) = &stream.filter {
            let span = filter.span();
            set(
                span,
                quote_spanned! {span=>
                    stream_filter(__citizenk::web::stream_filter::<
                        <__Returned as __citizenk::IntoStream>::Item, _, _
                    >(#filter))
                },
            );
        }
    }
    for wrap in &agent.wrap {
        set(wrap.span(), quote_spanned!(wrap.span()=> wrap(#wrap)));
    }
    for other in &agent.after {
        set(
            other.span(),
            quote_spanned!(other.span()=> after::<#other>()),
        );
    }
    if let (Some(size), Some(input)) = (&agent.batch_size, agent.function.arguments.first()) {
        // At the input: that is what has to change when it is no batch.
        let span = check::span_of(input);
        let size = count(size);
        code.extend(quote_spanned! {span=>
            let #builder = __citizenk::batch_size::<__In>(#builder, #size);
        });
    }
    code
}

/// A number as the `usize` the library takes, on the user's literal.
fn count(number: &crate::attr::value::Number) -> proc_macro2::Literal {
    let mut literal =
        proc_macro2::Literal::usize_unsuffixed(usize::try_from(number.value).unwrap_or(usize::MAX));
    literal.set_span(number.literal.span());
    literal
}
