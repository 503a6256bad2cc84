//! Attributes of the citizenk crate; use them from there.
//!
//! In: a user's item and an attribute's arguments. Out: the item untouched, and the code beside it. Each
//! attribute runs the same line: `attr` parses the arguments, `item` the item, `check` and
//! `model` find what is wrong with them, `expand` writes the code, `report` prints every fault at
//! once.

use proc_macro::TokenStream;

mod attr;
mod check;
mod expand;
mod item;
mod model;
mod paths;
mod report;
mod routers;
#[cfg(test)]
mod tests;

type Expand = fn(proc_macro2::TokenStream, proc_macro2::TokenStream) -> proc_macro2::TokenStream;

fn run(expand: Expand, args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = expand(args.into(), item.into());
    // Read while the user's crate compiles, so that `CITIZENK_MACROS_DEBUG=1 cargo check` shows it.
    if std::env::var_os("CITIZENK_MACROS_DEBUG").is_some_and(|value| value == "1") {
        eprintln!("{expanded}");
    }
    expanded.into()
}

#[doc = include_str!("../docs/agent.md")]
#[proc_macro_attribute]
pub fn agent(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::agent::expand, args, item)
}

#[doc = include_str!("../docs/route.md")]
#[proc_macro_attribute]
pub fn route(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::route::expand, args, item)
}

#[doc = include_str!("../docs/topic_router.md")]
#[proc_macro_attribute]
pub fn topic_router(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::router::expand_topic, args, item)
}

#[doc = include_str!("../docs/broadcast_router.md")]
#[proc_macro_attribute]
pub fn broadcast_router(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::router::expand_broadcast, args, item)
}

#[doc = include_str!("../docs/websocket_in.md")]
#[proc_macro_attribute]
pub fn websocket_in(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::websocket_in::expand, args, item)
}

#[doc = include_str!("../docs/repeat_every.md")]
#[proc_macro_attribute]
pub fn repeat_every(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::timer::expand_every, args, item)
}

#[doc = include_str!("../docs/repeat_at.md")]
#[proc_macro_attribute]
pub fn repeat_at(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::timer::expand_at, args, item)
}

#[doc = include_str!("../docs/on_event.md")]
#[proc_macro_attribute]
pub fn on_event(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::hook::expand, args, item)
}

#[doc = include_str!("../docs/message.md")]
#[proc_macro_attribute]
pub fn message(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::message::expand, args, item)
}

#[doc = include_str!("../docs/module.md")]
#[proc_macro_attribute]
pub fn module(args: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::module::expand, args, item)
}
