//! Arguments of agents whose values go to live clients, and of `#[websocket_in]`.
//!
//! In: the attribute's tokens. Out: typed values, or a fault at the token that is wrong.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, LitInt, LitStr, Path, parenthesized};

use super::keys::{Args, Common, FUNCTION_KEYS, Key, Table, ValueContext};
use super::route;
use super::slot::Slot;
use super::value;
use crate::report::with_help;

/// What happens to clients that fall behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlowClient {
    DropOldest(usize),
    Coalesce,
    Disconnect,
}

/// How many values the library keeps.
const MOST: usize = 1024;
const WORDS: &[&str] = &["drop_oldest", "coalesce", "disconnect"];
const EXPECTED: &str = "`drop_oldest(N)`, `coalesce` or `disconnect`";

/// `slow_client = drop_oldest(100)`.
pub(crate) fn slow_client(
    cx: &ValueContext<'_>,
    input: ParseStream<'_>,
) -> syn::Result<SlowClient> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let help = format!("`{}`", cx.example);
        let fault = with_help(format!("`{}` is written without quotes", cx.key), help);
        return Err(syn::Error::new(text.span(), fault));
    }
    if !input.peek(Ident::peek_any) {
        return Err(input.error(format!("`{}` is {EXPECTED}", cx.key)));
    }
    let word = input.call(Ident::parse_any)?;
    match word.to_string().as_str() {
        "drop_oldest" => drop_oldest(&word, input),
        "coalesce" => Ok(SlowClient::Coalesce),
        "disconnect" => Ok(SlowClient::Disconnect),
        other => Err(value::unknown_word(
            "way with slow clients",
            other,
            word.span(),
            WORDS,
            EXPECTED,
        )),
    }
}

fn drop_oldest(word: &Ident, input: ParseStream<'_>) -> syn::Result<SlowClient> {
    const FAULT: &str = "`drop_oldest` needs the number of values a client may have waiting, e.g. `drop_oldest(100)`";
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(word.span(), FAULT));
    }
    let content;
    let parens = parenthesized!(content in input);
    if content.is_empty() {
        return Err(syn::Error::new(parens.span.join(), FAULT));
    }
    let number: LitInt = content
        .parse()
        .map_err(|error| syn::Error::new(error.span(), FAULT))?;
    if !content.is_empty() {
        return Err(content.error("`drop_oldest` takes one number"));
    }
    match number.base10_parse::<usize>() {
        Ok(most) if (1..=MOST).contains(&most) => Ok(SlowClient::DropOldest(most)),
        _ => Err(syn::Error::new(
            number.span(),
            format!("`drop_oldest` keeps 1 to {MOST} values"),
        )),
    }
}

/// `filter = of_camera`.
pub(crate) fn filter(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Path> {
    match input.parse::<Expr>()? {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => Err(syn::Error::new_spanned(
            other,
            with_help(
                format!("`{}` takes a function by name", cx.key),
                format!(
                    "`{}`, with `fn of_camera(value: &V, query: &Q) -> bool`",
                    cx.example
                ),
            ),
        )),
    }
}

/// `#[websocket_in]`.
#[derive(Default)]
pub(crate) struct WebsocketInArgs {
    pub(crate) topic: Slot<Path>,
    pub(crate) route: Slot<LitStr>,
    pub(crate) common: Common,
}

impl Args for WebsocketInArgs {
    const TABLE: Table<Self> = Table {
        attribute: "websocket_in",
        positional: None,
        keys: KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

const KEYS: &[Key<WebsocketInArgs>] = &[
    Key {
        name: "topic",
        example: "topic = ORDERS",
        doc: "where the records go; required",
        read: |args, entry| entry.read(&mut args.topic, value::topic),
    },
    Key {
        name: "route",
        example: r#"route = "/ws/orders""#,
        doc: "the path of the websocket; required",
        read: |args, entry| entry.read(&mut args.route, route::path),
    },
];
