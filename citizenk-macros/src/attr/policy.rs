//! Error policies: `retry(5, backoff = "100ms..10s", then = dead_letter(DLQ))`,
//! `retry_topics(["30s", "10m"], then = ..)`, `skip`, `dead_letter(DLQ)`, `stop`.
//!
//! In: the tokens behind `on_error =`. Out: a [`Policy`] that can be carried out: a retry has a count, an
//! end that is no retry, a backoff that grows, and delays that differ.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{LitInt, LitStr, Path, Token, bracketed, parenthesized};

use super::duration::{self, Fault};
use super::keys::ValueContext;
use super::value::{self, Number};
use crate::report::with_help;

/// What to do with records that fail.
#[derive(Clone)]
pub(crate) enum Policy {
    Retry {
        count: Number,
        backoff: Option<Backoff>,
        then: Then,
    },
    Then(Then),
}

/// What follows the tries, or a failure at once.
#[derive(Clone)]
pub(crate) enum Then {
    /// The delays, in milliseconds.
    Topics {
        delays: Vec<u64>,
        then: End,
    },
    End(End),
}

/// What ends all tries.
#[derive(Clone)]
pub(crate) enum End {
    Skip,
    Stop,
    DeadLetter(Path),
}

/// The first and the longest pause, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) first: u64,
    pub(crate) longest: u64,
}

const WORDS: &[&str] = &["retry", "retry_topics", "skip", "dead_letter", "stop"];
const EXPECTED: &str = "`retry`, `retry_topics`, `skip`, `dead_letter(TOPIC)` or `stop`";

/// `on_error`.
pub(crate) fn policy(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Policy> {
    let word = policy_word(cx, input)?;
    if word == "retry" {
        return retry(&word, input, then);
    }
    then(&word, input).map(Policy::Then)
}

/// `on_produce_error`: the same without `retry_topics`.
pub(crate) fn produce_policy(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Policy> {
    let word = policy_word(cx, input)?;
    if word == "retry" {
        return retry(&word, input, then_of_outputs);
    }
    then_of_outputs(&word, input).map(Policy::Then)
}

fn then(word: &Ident, input: ParseStream<'_>) -> syn::Result<Then> {
    if word == "retry_topics" {
        return retry_topics(word, input);
    }
    end(word, input).map(Then::End)
}

fn then_of_outputs(word: &Ident, input: ParseStream<'_>) -> syn::Result<Then> {
    if word == "retry_topics" {
        return Err(syn::Error::new(
            word.span(),
            with_help(
                "`on_produce_error` cannot use `retry_topics`: outputs are sent again, not their records",
                "use `retry(..)`, `skip`, `dead_letter(TOPIC)` or `stop`",
            ),
        ));
    }
    end(word, input).map(Then::End)
}

/// `on_decode_error`: without `retry` and `retry_topics`.
pub(crate) fn decode_policy(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Policy> {
    let word = policy_word(cx, input)?;
    if word == "retry" || word == "retry_topics" {
        return Err(syn::Error::new(
            word.span(),
            with_help(
                format!("`{}` cannot be `{word}`: the bytes will not change", cx.key),
                "use `skip`, `dead_letter(TOPIC)` or `stop`",
            ),
        ));
    }
    end(&word, input).map(|end| Policy::Then(Then::End(end)))
}

fn policy_word(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(syn::Ident::peek_any) {
        return input.call(Ident::parse_any);
    }
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Err(syn::Error::new(
            text.span(),
            with_help(
                format!("`{}` is written without quotes", cx.key),
                format!("`{}`", cx.example),
            ),
        ));
    }
    Err(input.error(format!("`{}` is {EXPECTED}", cx.key)))
}

fn end(word: &Ident, input: ParseStream<'_>) -> syn::Result<End> {
    match word.to_string().as_str() {
        "skip" => bare(word, input).map(|()| End::Skip),
        "stop" => bare(word, input).map(|()| End::Stop),
        "dead_letter" => dead_letter(word, input).map(End::DeadLetter),
        other => Err(value::unknown_word(
            "error policy",
            other,
            word.span(),
            WORDS,
            EXPECTED,
        )),
    }
}

fn bare(word: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(syn::token::Paren) {
        return Err(input.error(format!("`{word}` takes no arguments")));
    }
    Ok(())
}

fn dead_letter(word: &Ident, input: ParseStream<'_>) -> syn::Result<Path> {
    let missing = |span: Span| {
        let text = "`dead_letter` needs a topic, e.g. `dead_letter(ORDERS_DLQ)`";
        syn::Error::new(span, text)
    };
    if !input.peek(syn::token::Paren) {
        return Err(missing(word.span()));
    }
    let content;
    let parens = parenthesized!(content in input);
    if content.is_empty() {
        return Err(missing(parens.span.join()));
    }
    let cx = ValueContext {
        key: "dead_letter",
        example: "dead_letter(ORDERS_DLQ)",
    };
    let topic = value::topic(&cx, &content)?;
    closed(&content, "`dead_letter` takes one topic")?;
    Ok(topic)
}

fn closed(content: ParseStream<'_>, fault: &str) -> syn::Result<()> {
    let _: Option<Token![,]> = content.parse()?;
    if content.is_empty() {
        Ok(())
    } else {
        Err(content.error(fault))
    }
}

/// What may stand behind `then =` of a retry.
type ReadThen = fn(&Ident, ParseStream<'_>) -> syn::Result<Then>;

fn retry(word: &Ident, input: ParseStream<'_>, read: ReadThen) -> syn::Result<Policy> {
    let no_count = |span: Span| syn::Error::new(span, "`retry` needs a count, e.g. `retry(5)`");
    if !input.peek(syn::token::Paren) {
        return Err(no_count(word.span()));
    }
    let content;
    let parens = parenthesized!(content in input);
    if content.is_empty() {
        return Err(no_count(parens.span.join()));
    }
    if content.peek(syn::Ident::peek_any) {
        return Err(no_count(content.span()));
    }
    let count = retry_count(&content)?;
    let mut backoff = None;
    let mut then = None;
    while !content.is_empty() {
        content.parse::<Token![,]>()?;
        if content.is_empty() {
            break;
        }
        let key = content.call(Ident::parse_any)?;
        let name = key.to_string();
        let given = match name.as_str() {
            "backoff" => backoff.is_some(),
            "then" => then.is_some(),
            _ => {
                return Err(value::unknown_word(
                    "argument of `retry`",
                    &name,
                    key.span(),
                    &["backoff", "then"],
                    "`backoff` or `then`",
                ));
            }
        };
        if given {
            let text = format!("`{name}` is given twice");
            return Err(syn::Error::new(key.span(), text));
        }
        content.parse::<Token![=]>()?;
        if name == "backoff" {
            backoff = Some(content.call(parse_backoff)?);
        } else {
            then = Some(retry_then(&content, read)?);
        }
    }
    Ok(Policy::Retry {
        count,
        backoff,
        then: then.unwrap_or(Then::End(End::Stop)),
    })
}

/// `retry_topics(["30s", "10m"], then = dead_letter(DLQ))`.
fn retry_topics(word: &Ident, input: ParseStream<'_>) -> syn::Result<Then> {
    let form = r#"`retry_topics(["30s", "10m"], then = dead_letter(ORDERS_DLQ))`"#;
    let no_delays = |span: Span| {
        let fault = "`retry_topics` starts with a list of delays";
        syn::Error::new(span, with_help(fault, form))
    };
    if !input.peek(syn::token::Paren) {
        return Err(no_delays(word.span()));
    }
    let content;
    let parens = parenthesized!(content in input);
    if content.is_empty() {
        return Err(no_delays(parens.span.join()));
    }
    if !content.peek(syn::token::Bracket) {
        return Err(no_delays(content.span()));
    }
    let list;
    let brackets = bracketed!(list in content);
    let delays = delays(&list)?;
    if delays.is_empty() {
        let fault = "`retry_topics` needs at least one delay";
        return Err(syn::Error::new(
            brackets.span.join(),
            with_help(fault, form),
        ));
    }
    let _: Option<Token![,]> = content.parse()?;
    if content.is_empty() {
        return Ok(Then::Topics {
            delays,
            then: End::Stop,
        });
    }
    let key = content.call(Ident::parse_any)?;
    if key != "then" {
        return Err(value::unknown_word(
            "argument of `retry_topics`",
            &key.to_string(),
            key.span(),
            &["then"],
            "`then`",
        ));
    }
    content.parse::<Token![=]>()?;
    let then = last_end(&content)?;
    closed(&content, "`retry_topics` takes delays and `then`")?;
    Ok(Then::Topics { delays, then })
}

fn delays(list: ParseStream<'_>) -> syn::Result<Vec<u64>> {
    let mut delays: Vec<u64> = Vec::new();
    while !list.is_empty() {
        let span = list.span();
        let text: LitStr = list.parse().map_err(|_| {
            let fault = "a delay of `retry_topics` is a duration in quotes";
            syn::Error::new(span, with_help(fault, duration::FORMS))
        })?;
        let fault = |fault: String| syn::Error::new(text.span(), fault);
        let value = text.value();
        let millis = duration::millis(&value).map_err(|why| match why {
            Fault::NoUnit => fault(with_help(
                "a delay of `retry_topics` needs a unit",
                duration::FORMS,
            )),
            Fault::Invalid => fault(with_help(
                format!("invalid duration `{}`", value.trim()),
                duration::FORMS,
            )),
        })?;
        if millis == 0 {
            return Err(fault(
                "a delay of `retry_topics` must be above zero".to_owned(),
            ));
        }
        if delays.contains(&millis) {
            return Err(fault(format!(
                "`retry_topics` has the delay `{}` twice",
                value.trim()
            )));
        }
        delays.push(millis);
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    Ok(delays)
}

/// `then` of `retry_topics`: no more tries.
fn last_end(content: ParseStream<'_>) -> syn::Result<End> {
    let cx = ValueContext {
        key: "then",
        example: "then = dead_letter(ORDERS_DLQ)",
    };
    let word = policy_word(&cx, content)?;
    let help = match word.to_string().as_str() {
        "retry" => {
            r#"write the tries around it: `retry(3, then = retry_topics(["30s"], then = ..))`; they are made again each time a record comes back"#
        }
        "retry_topics" => r#"write all delays into one list: `retry_topics(["30s", "10m"])`"#,
        _ => return end(&word, content),
    };
    Err(syn::Error::new(
        word.span(),
        with_help(
            format!("`then` is what ends `retry_topics`, it cannot be `{word}`"),
            help,
        ),
    ))
}

fn retry_count(content: ParseStream<'_>) -> syn::Result<Number> {
    let fork_span = content.span();
    match content.parse::<LitInt>() {
        Ok(literal) => value::number("retry", literal),
        Err(_) => Err(syn::Error::new(
            fork_span,
            "`retry` starts with a count, e.g. `retry(5)`",
        )),
    }
}

fn retry_then(content: ParseStream<'_>, read: ReadThen) -> syn::Result<Then> {
    let cx = ValueContext {
        key: "then",
        example: "then = dead_letter(ORDERS_DLQ)",
    };
    let word = policy_word(&cx, content)?;
    if word == "retry" {
        return Err(syn::Error::new(
            word.span(),
            with_help(
                "`then` is what ends the retries, it cannot be `retry`",
                "use `skip`, `dead_letter(TOPIC)` or `stop`, and a greater count",
            ),
        ));
    }
    read(&word, content)
}

fn parse_backoff(input: ParseStream<'_>) -> syn::Result<Backoff> {
    let form = r#"`backoff = "100ms..10s"`"#;
    let span = input.span();
    let Ok(text) = input.parse::<LitStr>() else {
        let fault = "`backoff` is a range of two durations in quotes";
        return Err(syn::Error::new(span, with_help(fault, form)));
    };
    let value = text.value();
    let Some((first, longest)) = value.split_once("..") else {
        let fault = "`backoff` is a range of two durations";
        return Err(syn::Error::new(text.span(), with_help(fault, form)));
    };
    let read = |part: &str| {
        duration::millis(part).map_err(|fault| {
            let fault = match fault {
                Fault::NoUnit => "`backoff` needs units".to_owned(),
                Fault::Invalid => format!("invalid duration `{}`", part.trim()),
            };
            syn::Error::new(text.span(), with_help(fault, form))
        })
    };
    let backoff = Backoff {
        first: read(first)?,
        longest: read(longest)?,
    };
    if backoff.first == 0 {
        return Err(syn::Error::new(
            text.span(),
            "`backoff` must start above zero",
        ));
    }
    if backoff.first > backoff.longest {
        return Err(syn::Error::new(
            text.span(),
            "`backoff` must not end below its start",
        ));
    }
    Ok(backoff)
}
