//! `#[topic_router]` and `#[broadcast_router]` to code.
//!
//! In: a validated router. Out: the body of its `describe`: the route it is, and whose requests are answered
//! where.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::{LitStr, Path};

use super::common::{self, return_span};
use super::policy::reference;
use super::route::definition;
use crate::attr::router::{BroadcastRouterArgs, RouterKey, TopicRouterArgs};
use crate::check::{BROADCAST_ROUTER, TOPIC_ROUTER};
use crate::paths::generated;
use crate::routers::{BroadcastRouter, TopicRouter};

pub(crate) fn expand_topic(args: TokenStream, item: TokenStream) -> TokenStream {
    common::on_function::<TopicRouterArgs, _>(
        TOPIC_ROUTER,
        args,
        item,
        |args, function, report| TopicRouter::validate(&args, function, report),
        topic,
    )
}

pub(crate) fn expand_broadcast(args: TokenStream, item: TokenStream) -> TokenStream {
    common::on_function::<BroadcastRouterArgs, _>(
        BROADCAST_ROUTER,
        args,
        item,
        |args, function, report| BroadcastRouter::validate(&args, function, report),
        broadcast,
    )
}

fn topic(router: &TopicRouter) -> TokenStream {
    let span = generated(router.route.function.ident.span());
    let route = definition(&router.route);
    let topic = reference(&router.topic);
    let key = match &router.key {
        RouterKey::Parameter(name) => quote_spanned! {span=>
            __citizenk::web::KeyPlace::Parameter(::core::convert::From::from(#name))
        },
        RouterKey::Body(field) => quote_spanned! {span=>
            __citizenk::web::KeyPlace::Body(::core::convert::From::from(#field))
        },
    };
    let (agent, headers) = (
        agent(router.agent.as_ref(), span),
        headers(&router.headers, span),
    );
    quote_spanned! {span=>
        <__citizenk::ComponentDef as ::core::convert::From<_>>::from(
            __citizenk::web::topic_router(#route, #topic, #key, #agent, #headers)
        )
    }
}

fn broadcast(router: &BroadcastRouter) -> TokenStream {
    let function = &router.route.function;
    let span = generated(function.ident.span());
    let route = definition(&router.route);
    let merge = match &router.merged {
        None => quote_spanned!(span=> ::core::option::Option::None),
        Some(returned) => {
            let at = return_span(function);
            quote_spanned! {at=>
                ::core::option::Option::Some(__citizenk::web::merging::<
                    <#returned as __citizenk::web::JointAnswer>::Part
                >())
            }
        }
    };
    let (agent, headers) = (
        agent(router.agent.as_ref(), span),
        headers(&router.headers, span),
    );
    quote_spanned! {span=>
        <__citizenk::ComponentDef as ::core::convert::From<_>>::from(
            __citizenk::web::broadcast_router(#route, #merge, #agent, #headers)
        )
    }
}

fn agent(agent: Option<&Path>, span: proc_macro2::Span) -> TokenStream {
    match agent {
        None => quote_spanned!(span=> ::core::option::Option::None),
        Some(agent) => {
            let at = agent.span();
            quote_spanned! {at=>
                ::core::option::Option::Some(<#agent as __citizenk::AgentHandle>::NAME)
            }
        }
    }
}

fn headers(names: &[LitStr], span: proc_macro2::Span) -> TokenStream {
    quote_spanned!(span=> &[#(#names),*])
}
