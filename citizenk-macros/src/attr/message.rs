//! Arguments of `#[message]`.
//!
//! In: the attribute's tokens. Out: [`MessageArgs`].

use proc_macro2::{TokenStream, TokenTree};

use super::avro::AvroOptions;
use super::keys::{Args, Common, MESSAGE_KEYS, Positional, Table};
use super::slot::{KeyToken, Slot};
use super::suggest;
use crate::report::Report;

#[derive(Default)]
pub(crate) struct MessageArgs {
    pub(crate) avro: Slot<AvroOptions>,
    pub(crate) common: Common,
}

impl Args for MessageArgs {
    const TABLE: Table<Self> = Table {
        attribute: "message",
        positional: Some(Positional {
            read: format,
            literal: false,
            brackets: true,
        }),
        keys: &[],
        common: MESSAGE_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

/// `avro`, or `avro(namespace = "shop")`.
fn format(args: &mut MessageArgs, tokens: TokenStream, report: &mut Report) {
    let mut tokens = tokens.into_iter();
    let Some(first) = tokens.next() else { return };
    let word = first.to_string();
    if word != "avro" {
        let mut help = String::new();
        if suggest::nearest(&word, ["avro"]).is_some() {
            help = "help: did you mean `avro`?\n".to_owned();
        }
        args.common.unknown = true;
        report.at(
            first.span(),
            format!("unknown argument `{word}` for `#[message]`\n{help}supported: avro, crate"),
        );
        return;
    }
    let options = match tokens.next() {
        Some(TokenTree::Group(group)) => AvroOptions::parse(group.stream(), report),
        _ => AvroOptions::default(),
    };
    let key = KeyToken {
        name: word,
        span: first.span(),
    };
    args.avro.set(&key, Some(options), report);
}
