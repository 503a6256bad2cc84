//! The attributes as functions from tokens to tokens; what rustc says of them is in `ui-tests`.

use proc_macro2::{TokenStream, TokenTree};

use crate::Expand;

mod docs;
mod errors;
mod expansions;
mod hygiene;
mod property;

/// Every attribute, by name.
const ATTRIBUTES: [(&str, Expand); 10] = [
    ("agent", crate::expand::agent::expand),
    ("route", crate::expand::route::expand),
    ("topic_router", crate::expand::router::expand_topic),
    ("broadcast_router", crate::expand::router::expand_broadcast),
    ("websocket_in", crate::expand::websocket_in::expand),
    ("repeat_every", crate::expand::timer::expand_every),
    ("repeat_at", crate::expand::timer::expand_at),
    ("on_event", crate::expand::hook::expand),
    ("message", crate::expand::message::expand),
    ("module", crate::expand::module::expand),
];

fn attribute(name: &str) -> Expand {
    let found = ATTRIBUTES.iter().find(|(known, _)| *known == name);
    found.map(|(_, expand)| *expand).unwrap()
}

/// Splits `#[agent(args)] item` and expands it.
fn expand(source: &str) -> TokenStream {
    let mut tokens = source.parse::<TokenStream>().unwrap().into_iter();
    let (Some(TokenTree::Punct(_)), Some(TokenTree::Group(attr))) = (tokens.next(), tokens.next())
    else {
        panic!("starts with an attribute: {source}");
    };
    let mut attr = attr.stream().into_iter();
    let Some(TokenTree::Ident(name)) = attr.next() else {
        panic!("a plain attribute: {source}");
    };
    let args = match attr.next() {
        Some(TokenTree::Group(args)) => args.stream(),
        _ => TokenStream::new(),
    };
    attribute(&name.to_string())(args, tokens.collect())
}

/// The texts of all `compile_error!`s.
fn errors(tokens: TokenStream) -> Vec<String> {
    let mut texts = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "compile_error" => {
                tokens.next();
                if let Some(TokenTree::Group(group)) = tokens.next() {
                    let text: syn::LitStr = syn::parse2(group.stream()).unwrap();
                    texts.push(text.value());
                }
            }
            TokenTree::Group(group) => texts.extend(errors(group.stream())),
            _ => {}
        }
    }
    texts
}
