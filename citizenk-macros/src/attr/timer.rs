//! Arguments of `#[repeat_every]` and `#[repeat_at]`.
//!
//! In: the attribute's tokens. Out: [`EveryArgs`] or [`AtArgs`]; nothing here knows the function.

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::ParseStream;
use syn::{LitStr, Path, parenthesized};

use super::duration::{self, Fault};
use super::keys::{Args, Common, FUNCTION_KEYS, Key, Positional, Table, ValueContext};
use super::slot::{KeyToken, Slot};
use super::value::{self, List, Millis, Number};
use crate::report::{Report, with_help};

/// Which workers run a timer.
#[derive(Clone)]
pub(crate) enum Placement {
    One,
    Owner(Path),
}

/// What an error of a timer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Log,
    Stop,
}

/// What both attributes take.
#[derive(Default)]
pub(crate) struct TimerArgs {
    pub(crate) wait_first: Slot<bool>,
    pub(crate) max_repetitions: Slot<Number>,
    pub(crate) on_error: Slot<OnError>,
    pub(crate) on: Slot<Placement>,
    pub(crate) sends: Slot<List<Path>>,
    pub(crate) wrap: Slot<List<Path>>,
    pub(crate) common: Common,
}

#[derive(Default)]
pub(crate) struct EveryArgs {
    pub(crate) interval: Slot<Millis>,
    pub(crate) timer: TimerArgs,
}

#[derive(Default)]
pub(crate) struct AtArgs {
    pub(crate) cron: Slot<LitStr>,
    pub(crate) tz: Slot<LitStr>,
    pub(crate) timer: TimerArgs,
}

impl Args for EveryArgs {
    const TABLE: Table<Self> = Table {
        attribute: "repeat_every",
        positional: Some(Positional {
            read: interval,
            literal: true,
            brackets: false,
        }),
        keys: EVERY_KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.timer.common
    }
}

impl Args for AtArgs {
    const TABLE: Table<Self> = Table {
        attribute: "repeat_at",
        positional: Some(Positional {
            read: cron,
            literal: true,
            brackets: false,
        }),
        keys: AT_KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.timer.common
    }
}

/// The keys of [`TimerArgs`], for an arguments struct that has them as `timer`.
macro_rules! timer_keys {
    ($($own:expr),*) => {
        &[
            $($own,)*
            Key {
                name: "wait_first",
                example: "wait_first = true",
                doc: "waits one interval before the first call; default false",
                read: |args, entry| entry.read(&mut args.timer.wait_first, value::flag),
            },
            Key {
                name: "max_repetitions",
                example: "max_repetitions = 10",
                doc: "ends after this many calls; default: never",
                read: |args, entry| entry.read(&mut args.timer.max_repetitions, value::count),
            },
            Key {
                name: "on_error",
                example: "on_error = stop",
                doc: "what an error does: `log` it, or `stop` the service; default `log`",
                read: |args, entry| entry.read(&mut args.timer.on_error, on_error),
            },
            Key {
                name: "on",
                example: "on = one",
                doc: "runs on one worker: the owner of partition 0 of the app's first topic (`one`) or of a topic (`owner(ORDERS)`); default: every worker",
                read: |args, entry| entry.read(&mut args.timer.on, placement),
            },
            Key {
                name: "sends",
                example: "sends = [ALERTS]",
                doc: "the topics the `Outbox` may send to",
                read: |args, entry| entry.read(&mut args.timer.sends, value::paths),
            },
            Key {
                name: "wrap",
                example: "wrap = timing",
                doc: "middleware around each call, the outermost first; several: `[timing, tenants]`",
                read: |args, entry| entry.read(&mut args.timer.wrap, value::middlewares),
            },
        ]
    };
}

const EVERY_KEYS: &[Key<EveryArgs>] = timer_keys!();
const AT_KEYS: &[Key<AtArgs>] = timer_keys!(Key {
    name: "tz",
    example: r#"tz = "Europe/Rome""#,
    doc: "the time zone of the expression; default UTC",
    read: |args: &mut AtArgs, entry| entry.read(&mut args.tz, value::text),
});

fn interval(args: &mut EveryArgs, tokens: TokenStream, report: &mut Report) {
    let parsed = literal(tokens.clone(), |literal| {
        match duration::millis(&literal.value()) {
            Ok(0) => Err("the interval must be longer than zero".to_owned()),
            Ok(value) => Ok(Millis {
                value,
                span: literal.span(),
            }),
            Err(Fault::NoUnit) => Err(no_unit()),
            Err(Fault::Invalid) => Err(with_help(
                format!("invalid duration `{}`", literal.value()),
                duration::FORMS,
            )),
        }
    });
    let parsed = parsed.unwrap_or_else(|| Err(syn::Error::new_spanned(&tokens, no_unit())));
    store(&mut args.interval, "the interval", parsed, tokens, report);
}

fn no_unit() -> String {
    with_help("an interval needs a unit", r#"`"5s"`"#)
}

fn cron(args: &mut AtArgs, tokens: TokenStream, report: &mut Report) {
    let form = r#"`#[repeat_at("0 6 * * *")]`"#;
    let parsed = literal(tokens.clone(), |literal| {
        let fields = literal.value().split_whitespace().count();
        if fields == 5 || fields == 6 {
            return Ok(literal.clone());
        }
        let fault = format!("a cron expression has five or six fields, this one has {fields}");
        Err(with_help(fault, form))
    });
    let parsed = parsed.unwrap_or_else(|| {
        let text = with_help("a cron expression stands in quotes", form);
        Err(syn::Error::new_spanned(&tokens, text))
    });
    store(&mut args.cron, "the expression", parsed, tokens, report);
}

/// Reads a string literal; `None` when the tokens are something else.
fn literal<T>(
    tokens: TokenStream,
    read: impl FnOnce(&LitStr) -> Result<T, String>,
) -> Option<syn::Result<T>> {
    let literal: LitStr = syn::parse2(tokens).ok()?;
    Some(read(&literal).map_err(|text| syn::Error::new(literal.span(), text)))
}

fn store<T>(
    slot: &mut Slot<T>,
    what: &str,
    parsed: syn::Result<T>,
    source: TokenStream,
    report: &mut Report,
) {
    let span = source
        .into_iter()
        .next()
        .map_or_else(proc_macro2::Span::call_site, |token: TokenTree| {
            token.span()
        });
    let key = KeyToken {
        name: what.to_owned(),
        span,
    };
    let value = parsed.map_err(|error| report.push(error)).ok();
    slot.set(&key, value, report);
}

fn on_error(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<OnError> {
    let expected = "`log` or `stop`";
    let (word, span) = value::word(cx, input, expected)?;
    match word.as_str() {
        "log" => Ok(OnError::Log),
        "stop" => Ok(OnError::Stop),
        _ => Err(value::unknown_word(
            "error policy of a timer",
            &word,
            span,
            &["log", "stop"],
            expected,
        )),
    }
}

fn placement(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Placement> {
    let expected = "`one` or `owner(TOPIC)`";
    let (word, span) = value::word(cx, input, expected)?;
    match word.as_str() {
        "one" => Ok(Placement::One),
        "owner" => {
            let missing = "`owner` needs a topic, e.g. `owner(ORDERS)`";
            if !input.peek(syn::token::Paren) {
                return Err(syn::Error::new(span, missing));
            }
            let content;
            let parens = parenthesized!(content in input);
            if content.is_empty() {
                return Err(syn::Error::new(parens.span.join(), missing));
            }
            let cx = ValueContext {
                key: "owner",
                example: "owner(ORDERS)",
            };
            let topic = value::topic(&cx, &content)?;
            if content.is_empty() {
                Ok(Placement::Owner(topic))
            } else {
                Err(content.error("`owner` takes one topic"))
            }
        }
        _ => Err(value::unknown_word(
            "place",
            &word,
            span,
            &["one", "owner"],
            expected,
        )),
    }
}
