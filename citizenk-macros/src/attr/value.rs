//! Values of arguments.
//!
//! In: the tokens behind `key =`. Out: a typed value, or a fault at the token that is wrong, with what
//! to type instead.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, LitInt, LitStr, Path, Token, bracketed};

use super::duration::{self, Fault};
use super::keys::ValueContext;
use crate::report::with_help;

/// A whole number and where it stands.
#[derive(Clone)]
pub(crate) struct Number {
    pub(crate) value: u64,
    pub(crate) literal: LitInt,
}

/// A duration in milliseconds.
#[derive(Clone)]
pub(crate) struct Millis {
    pub(crate) value: u64,
    pub(crate) span: Span,
}

/// One of the topics an agent reads.
#[derive(Clone)]
pub(crate) enum TopicInput {
    /// The topic itself.
    Path(Path),
    /// Something that gives an `InputTopic`: `ORDERS.as_input::<In>()`.
    Expr(Expr),
}

impl ToTokens for TopicInput {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Path(path) => path.to_tokens(tokens),
            Self::Expr(expr) => expr.to_tokens(tokens),
        }
    }
}

/// A list and its brackets.
#[derive(Clone)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) brackets: Span,
}

/// Which consumer group an agent reads in.
#[derive(Clone)]
pub(crate) enum Group {
    Named(LitStr),
    None,
}

/// Where a new group starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    Latest,
}

/// What is promised when something fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

/// A fault at a whole value.
fn fault<T>(on: impl ToTokens, text: String) -> syn::Result<T> {
    Err(syn::Error::new_spanned(on, text))
}

/// `list = [A, B]`.
fn list<T>(
    cx: &ValueContext<'_>,
    input: ParseStream<'_>,
    item: fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<List<T>> {
    if !input.peek(syn::token::Bracket) {
        let text = with_help(
            format!("`{}` takes a list", cx.key),
            format!("`{}`", cx.example),
        );
        return match input.parse::<TokenStream>() {
            Ok(rest) if !rest.is_empty() => fault(rest, text),
            _ => Err(input.error(text)),
        };
    }
    let content;
    let brackets = bracketed!(content in input).span.join();
    let items = Punctuated::<T, Token![,]>::parse_terminated_with(&content, item)?;
    Ok(List {
        items: items.into_iter().collect(),
        brackets,
    })
}

/// `topics = [ORDERS, REFUNDS.as_input::<Change>()]`.
pub(crate) fn topics(
    cx: &ValueContext<'_>,
    input: ParseStream<'_>,
) -> syn::Result<List<TopicInput>> {
    if input.peek(LitStr) {
        return Err(string_topic(&input.parse()?, cx.key));
    }
    let exprs = list(cx, input, |input| input.parse::<Expr>())?;
    let mut faults: Option<syn::Error> = None;
    let mut items = Vec::new();
    for expr in exprs.items {
        let item = match ungrouped(expr) {
            Expr::Path(path) if path.qself.is_none() && path.attrs.is_empty() => {
                Ok(TopicInput::Path(path.path))
            }
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Err(string_topic(&text, cx.key)),
            Expr::Reference(reference) => fault(
                &reference,
                with_help(
                    format!("`{}` takes topics by name", cx.key),
                    format!("write `{}`", source(&reference.expr)),
                ),
            ),
            literal @ Expr::Lit(_) => fault(
                literal,
                format!("`{}` takes `Topic` constants, not literals", cx.key),
            ),
            expr => Ok(TopicInput::Expr(expr)),
        };
        match item {
            Ok(item) => items.push(item),
            Err(error) => match &mut faults {
                Some(first) => first.combine(error),
                None => faults = Some(error),
            },
        }
    }
    match faults {
        Some(error) => Err(error),
        None => Ok(List {
            items,
            brackets: exprs.brackets,
        }),
    }
}

/// What `macro_rules!` passes on as an expression, without its invisible brackets.
fn ungrouped(mut expr: Expr) -> Expr {
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    expr
}

fn string_topic(text: &LitStr, key: &str) -> syn::Error {
    let name = text.value();
    syn::Error::new(
        text.span(),
        with_help(
            format!("`{key}` takes `Topic` constants, not strings"),
            format!(
                "`const {}: Topic<{}> = Topic::json({:?});`",
                constant_name(&name),
                type_name(&name),
                name
            ),
        ),
    )
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// `video-events` → `VIDEO_EVENTS`.
fn constant_name(topic: &str) -> String {
    let name = words(topic)
        .map(str::to_ascii_uppercase)
        .collect::<Vec<_>>()
        .join("_");
    match name.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => name,
        _ => format!("TOPIC_{name}"),
    }
}

/// `video-events` → `VideoEvent`.
fn type_name(topic: &str) -> String {
    let mut name: String = words(topic)
        .flat_map(|word| {
            let (first, rest) = word.split_at(1);
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect();
    if name.len() > 1 && name.ends_with('s') {
        name.pop();
    }
    match name.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => name,
        _ => format!("Topic{name}"),
    }
}

/// `sends = [A, B]`, `after = [cache]`.
pub(crate) fn paths(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<List<Path>> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Err(quoted_path(cx, &text));
    }
    let list = list(cx, input, |input| input.parse::<Expr>())?;
    let mut items = Vec::new();
    for expr in list.items {
        match ungrouped(expr) {
            Expr::Path(path) if path.qself.is_none() => items.push(path.path),
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => return Err(quoted_path(cx, &text)),
            other => {
                return fault(
                    other,
                    format!("`{}` takes names, e.g. `{}`", cx.key, cx.example),
                );
            }
        }
    }
    Ok(List {
        items,
        brackets: list.brackets,
    })
}

fn quoted_path(cx: &ValueContext<'_>, text: &LitStr) -> syn::Error {
    if cx.key == "after" {
        let fault = format!("`{}` takes agents by name, without quotes", cx.key);
        return syn::Error::new(text.span(), with_help(fault, format!("`{}`", cx.example)));
    }
    string_topic(text, cx.key)
}

/// `wrap = timing` or `wrap = [timing, tenants]`.
pub(crate) fn middlewares(
    cx: &ValueContext<'_>,
    input: ParseStream<'_>,
) -> syn::Result<List<Path>> {
    let given = if input.peek(syn::token::Bracket) {
        list(cx, input, |input| input.parse::<Expr>())?
    } else {
        let one: Expr = input.parse()?;
        List {
            brackets: one.span(),
            items: vec![one],
        }
    };
    let mut items = Vec::new();
    for expr in given.items {
        match ungrouped(expr) {
            Expr::Path(path) if path.qself.is_none() => items.push(path.path),
            other => {
                let text = format!("`{}` takes middlewares by name", cx.key);
                return fault(other, with_help(text, format!("`{}`", cx.example)));
            }
        }
    }
    Ok(List {
        items,
        brackets: given.brackets,
    })
}

/// `output = ALERTS`.
pub(crate) fn topic(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Path> {
    match ungrouped(input.parse()?) {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Err(syn::Error::new(
            text.span(),
            with_help(
                format!("`{}` takes a `Topic` constant, not a string", cx.key),
                format!("`{}`", cx.example),
            ),
        )),
        other => fault(
            other,
            format!(
                "`{}` takes a `Topic` constant, e.g. `{}`",
                cx.key, cx.example
            ),
        ),
    }
}

/// `batch_size = 100`.
pub(crate) fn count(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Number> {
    let text = match ungrouped(input.parse()?) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(literal),
            ..
        }) => return number(cx.key, literal),
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => {
            let digits = literal.value();
            let number = match digits.trim().parse::<u64>() {
                Ok(number) => format!("{} = {number}", cx.key),
                Err(_) => cx.example.to_owned(),
            };
            let text = format!("`{}` is a number, not a string", cx.key);
            return fault(literal, with_help(text, format!("`{number}`")));
        }
        other => (
            format!("`{}` is a whole number, e.g. `{}`", cx.key, cx.example),
            other,
        ),
    };
    fault(text.1, text.0)
}

/// A number of at least one.
pub(crate) fn number(key: &str, literal: LitInt) -> syn::Result<Number> {
    match literal.base10_parse::<u64>() {
        Ok(0) => fault(literal, format!("`{key}` must be at least 1")),
        Ok(value) if value <= u64::from(u32::MAX) => Ok(Number { value, literal }),
        _ => {
            let text = format!("`{key}` is a whole number of at most {}", u32::MAX);
            fault(literal, text)
        }
    }
}

/// `batch_timeout = "200ms"`.
pub(crate) fn millis(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Millis> {
    let expr = ungrouped(input.parse()?);
    let text = match &expr {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text,
        Expr::Lit(_) => {
            let text = format!("`{}` needs a unit", cx.key);
            return fault(expr, with_help(text, format!("`{}`", cx.example)));
        }
        _ => {
            let text = format!("`{}` is a duration in quotes", cx.key);
            return fault(expr, with_help(text, format!("`{}`", cx.example)));
        }
    };
    match duration::millis(&text.value()) {
        Ok(0) => fault(text, format!("`{}` must be longer than zero", cx.key)),
        Ok(value) => Ok(Millis {
            value,
            span: text.span(),
        }),
        Err(Fault::NoUnit) => {
            let message = format!("`{}` needs a unit", cx.key);
            fault(text, with_help(message, format!("`{}`", cx.example)))
        }
        Err(Fault::Invalid) => Err(invalid_duration(text)),
    }
}

pub(crate) fn invalid_duration(text: &LitStr) -> syn::Error {
    let fault = format!("invalid duration `{}`", text.value());
    syn::Error::new(text.span(), with_help(fault, duration::FORMS))
}

/// `blocking = true`.
pub(crate) fn flag(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<bool> {
    match ungrouped(input.parse()?) {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(flag),
            ..
        }) => Ok(flag.value),
        other => fault(other, format!("`{}` is `true` or `false`", cx.key)),
    }
}

/// `name = "orders"`; whether the text is a good name is checked with the function's name.
pub(crate) fn name(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<LitStr> {
    text(cx, input)
}

/// A text that is not empty.
pub(crate) fn text(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<LitStr> {
    match ungrouped(input.parse()?) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => {
            if text.value().trim().is_empty() {
                return fault(&text, format!("`{}` must not be empty", cx.key));
            }
            Ok(text)
        }
        other => fault(
            other,
            with_help(
                format!("`{}` is a text in quotes", cx.key),
                format!("`{}`", cx.example),
            ),
        ),
    }
}

/// `handle = OrdersAgent`.
pub(crate) fn ident(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Ident> {
    if let Ok(ident) = input.parse::<Ident>() {
        return Ok(ident);
    }
    let rest: TokenStream = input.parse()?;
    fault(
        rest,
        format!("`{}` is the name of a type, e.g. `{}`", cx.key, cx.example),
    )
}

/// `crate = ::citizenk`.
pub(crate) fn module_path(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Path> {
    if let Ok(path) = input.call(Path::parse_mod_style) {
        return Ok(path);
    }
    let rest: TokenStream = input.parse()?;
    fault(
        rest,
        format!(
            "`{}` is a path without quotes, e.g. `{}`",
            cx.key, cx.example
        ),
    )
}

/// `group = "x"` or `group = none`.
pub(crate) fn group(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Group> {
    if input.peek(syn::Ident::peek_any) {
        let ident = input.call(Ident::parse_any)?;
        if ident == "none" {
            return Ok(Group::None);
        }
        return fault(
            &ident,
            format!("`{}` is a name in quotes, or `none`", cx.key),
        );
    }
    text(cx, input).map(Group::Named)
}

/// `start = latest`.
pub(crate) fn start(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Start> {
    let (word, span) = word(cx, input, "`earliest` or `latest`")?;
    match word.as_str() {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        _ => Err(unknown_word(
            "start",
            &word,
            span,
            &["earliest", "latest"],
            "`earliest` or `latest`",
        )),
    }
}

/// `guarantee = exactly_once`.
pub(crate) fn guarantee(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Guarantee> {
    const EXPECTED: &str = "`at_least_once` or `exactly_once`";
    let (word, span) = word(cx, input, EXPECTED)?;
    match word.as_str() {
        "at_least_once" => Ok(Guarantee::AtLeastOnce),
        "exactly_once" => Ok(Guarantee::ExactlyOnce),
        _ => Err(unknown_word(
            "guarantee",
            &word,
            span,
            &["at_least_once", "exactly_once"],
            EXPECTED,
        )),
    }
}

/// A bare word; a quoted one gets told so.
pub(crate) fn word(
    cx: &ValueContext<'_>,
    input: ParseStream<'_>,
    expected: &str,
) -> syn::Result<(String, Span)> {
    if input.peek(syn::Ident::peek_any) {
        let ident = input.call(Ident::parse_any)?;
        return Ok((ident.to_string(), ident.span()));
    }
    let rest: TokenStream = input.parse()?;
    fault(
        rest,
        with_help(
            format!("`{}` is {expected}, without quotes", cx.key),
            format!("`{}`", cx.example),
        ),
    )
}

/// "unknown start `lates`; expected .." with a suggestion.
pub(crate) fn unknown_word(
    what: &str,
    word: &str,
    span: Span,
    known: &[&str],
    expected: &str,
) -> syn::Error {
    let fault = format!("unknown {what} `{word}`; expected {expected}");
    match super::suggest::nearest(word, known.iter().copied()) {
        Some(meant) => syn::Error::new(span, with_help(fault, format!("did you mean `{meant}`?"))),
        None => syn::Error::new(span, fault),
    }
}

/// Tokens as one would write them, for texts.
pub(crate) fn source(tokens: impl ToTokens) -> String {
    crate::item::text_of(&tokens.to_token_stream())
}
