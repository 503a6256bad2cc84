//! Arguments of `#[on_event]`.
//!
//! In: the attribute's tokens. Out: [`HookArgs`]; nothing here knows the function.

use proc_macro2::{TokenStream, TokenTree};
use syn::Path;

use super::keys::{Args, Common, FUNCTION_KEYS, Key, Positional, Table};
use super::slot::{KeyToken, Slot};
use super::value::{self, List};
use crate::report::Report;

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Startup,
    Shutdown,
    Assigned,
    Revoked,
}

impl Event {
    const ALL: [(&'static str, Self); 4] = [
        ("startup", Self::Startup),
        ("shutdown", Self::Shutdown),
        ("assigned", Self::Assigned),
        ("revoked", Self::Revoked),
    ];

    /// Whether hooks of this event may take `Partitions`.
    pub(crate) fn has_partitions(self) -> bool {
        matches!(self, Self::Assigned | Self::Revoked)
    }
}

/// How a text lists the events.
pub(crate) const EVENTS: &str = "`startup`, `shutdown`, `assigned` or `revoked`";

#[derive(Default)]
pub(crate) struct HookArgs {
    pub(crate) event: Slot<Event>,
    pub(crate) sends: Slot<List<Path>>,
    pub(crate) wrap: Slot<List<Path>>,
    pub(crate) common: Common,
}

impl Args for HookArgs {
    const TABLE: Table<Self> = Table {
        attribute: "on_event",
        positional: Some(Positional {
            read: event,
            literal: false,
            brackets: false,
        }),
        keys: KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

const KEYS: &[Key<HookArgs>] = &[
    Key {
        name: "sends",
        example: "sends = [ALERTS]",
        doc: "the topics the `Outbox` may send to",
        read: |args, entry| entry.read(&mut args.sends, value::paths),
    },
    Key {
        name: "wrap",
        example: "wrap = timing",
        doc: "middleware around each call, the outermost first; several: `[timing, tenants]`",
        read: |args, entry| entry.read(&mut args.wrap, value::middlewares),
    },
];

fn event(args: &mut HookArgs, tokens: TokenStream, report: &mut Report) {
    let ident = match tokens.into_iter().next() {
        Some(TokenTree::Ident(ident)) => ident,
        Some(token) => {
            report.at_with_help(
                token.span(),
                format!("an event is one of {EVENTS}, without quotes"),
                "`#[on_event(startup)]`",
            );
            let key = KeyToken {
                name: "the event".to_owned(),
                span: token.span(),
            };
            return args.event.set(&key, None, report);
        }
        None => return,
    };
    let word = ident.to_string();
    let known = Event::ALL.into_iter().find(|(name, _)| *name == word);
    match known {
        Some((_, event)) => {
            // Another event than before is not "given twice".
            if let Some(first) = args.event.value()
                && *first != event
            {
                report.at_with_help(
                    ident.span(),
                    "a hook has one event",
                    "write one function per event",
                );
                return;
            }
            let key = KeyToken::new(&ident);
            args.event.set(&key, Some(event), report);
        }
        None => {
            let names = Event::ALL.map(|(name, _)| name);
            report.push(value::unknown_word(
                "event",
                &word,
                ident.span(),
                &names,
                EVENTS,
            ));
            if !args.event.was_given() {
                let key = KeyToken::new(&ident);
                args.event.set(&key, None, report);
            }
        }
    }
}
