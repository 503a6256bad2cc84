//! Arguments of `#[module]`.
//!
//! In: the attribute's tokens. Out: [`ModuleArgs`]; nothing here knows the module.

use syn::parse::ParseStream;
use syn::{LitStr, Path};

use super::keys::{Args, Common, Key, MODULE_KEYS, Table, ValueContext};
use super::policy::{self, Policy};
use super::slot::Slot;
use super::value::{Guarantee, List};
use super::{route, value};

#[derive(Default)]
pub(crate) struct ModuleArgs {
    pub(crate) prefix: Slot<LitStr>,
    pub(crate) on_decode_error: Slot<Policy>,
    pub(crate) on_error: Slot<Policy>,
    pub(crate) on_produce_error: Slot<Policy>,
    pub(crate) guarantee: Slot<Guarantee>,
    pub(crate) wrap: Slot<List<Path>>,
    pub(crate) common: Common,
}

impl Args for ModuleArgs {
    const TABLE: Table<Self> = Table {
        attribute: "module",
        positional: None,
        keys: KEYS,
        common: MODULE_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

const KEYS: &[Key<ModuleArgs>] = &[
    Key {
        name: "prefix",
        example: r#"prefix = "/billing""#,
        doc: "put in front of the paths of the module's routes",
        read: |args, entry| entry.read(&mut args.prefix, prefix),
    },
    Key {
        name: "on_decode_error",
        example: "on_decode_error = dead_letter(BILLING_DLQ)",
        doc: "for agents that have none of their own",
        read: |args, entry| entry.read(&mut args.on_decode_error, policy::decode_policy),
    },
    Key {
        name: "on_error",
        example: "on_error = retry(5, then = dead_letter(BILLING_DLQ))",
        doc: "for agents that have none of their own",
        read: |args, entry| entry.read(&mut args.on_error, policy::policy),
    },
    Key {
        name: "on_produce_error",
        example: "on_produce_error = stop",
        doc: "for agents that have none of their own",
        read: |args, entry| entry.read(&mut args.on_produce_error, policy::produce_policy),
    },
    Key {
        name: "guarantee",
        example: "guarantee = exactly_once",
        doc: "for agents that have none of their own",
        read: |args, entry| entry.read(&mut args.guarantee, value::guarantee),
    },
    Key {
        name: "wrap",
        example: "wrap = timing",
        doc: "middleware around each call of its agents, timers and hooks, the outermost first; several: `[timing, tenants]`",
        read: |args, entry| entry.read(&mut args.wrap, value::middlewares),
    },
];

fn prefix(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let literal = value::text(cx, input)?;
    let text = literal.value();
    let fault = if text.ends_with('/') {
        Some("a prefix does not end with `/`".to_owned())
    } else {
        route::check_path(&text)
            .err()
            .map(|text| text.replacen("a route", "a prefix", 1))
    };
    match fault {
        Some(text) => Err(syn::Error::new(literal.span(), text)),
        None => Ok(literal),
    }
}
