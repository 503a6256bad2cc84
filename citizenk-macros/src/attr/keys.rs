//! Tables of arguments.
//!
//! In: an attribute's tokens and its [`Table`]. Out: its arguments struct, filled, and a report. The
//! table is the only place that knows which arguments there are: parsing, the "supported:" list, the
//! suggestions, the example in a missing-value error and the documentation read it.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};

use super::slot::{KeyToken, Slot};
use super::{suggest, value};
use crate::report::Report;

/// One argument of an attribute.
pub(crate) struct Key<A> {
    pub(crate) name: &'static str,
    /// The argument as one writes it: `batch_size = 100`.
    pub(crate) example: &'static str,
    /// One line for the documentation, which a test compares with the table.
    pub(crate) doc: &'static str,
    pub(crate) read: fn(&mut A, Entry<'_>),
}

/// Something before the named arguments: the interval of a timer, the event of a hook.
pub(crate) struct Positional<A> {
    /// Reads it, or reports it; gets everything up to the next comma.
    pub(crate) read: fn(&mut A, TokenStream, &mut Report),
    /// Whether it is a literal (an interval) or a word (an event).
    pub(crate) literal: bool,
    /// Whether brackets may follow the word.
    pub(crate) brackets: bool,
}

/// The arguments of one attribute.
pub(crate) struct Table<A: 'static> {
    /// Without `#[]`: `agent`.
    pub(crate) attribute: &'static str,
    pub(crate) positional: Option<Positional<A>>,
    pub(crate) keys: &'static [Key<A>],
    pub(crate) common: &'static [Key<Common>],
}

/// Arguments that several attributes share.
#[derive(Default)]
pub(crate) struct Common {
    pub(crate) name: Slot<syn::LitStr>,
    pub(crate) handle: Slot<Ident>,
    pub(crate) krate: Slot<syn::Path>,
    /// What misspelled or unfinished arguments were meant to be: not to be missed on top.
    pub(crate) misspelled: Vec<&'static str>,
    /// Whether there was any argument that there is not.
    pub(crate) unknown: bool,
}

impl Common {
    /// Whether an argument was meant to be given, under a name that has been reported.
    pub(crate) fn meant(&self, name: &str) -> bool {
        self.misspelled.contains(&name)
    }
}

/// Arguments structs.
pub(crate) trait Args: Default + 'static {
    const TABLE: Table<Self>;

    fn common(&mut self) -> &mut Common;
}

const NAME: Key<Common> = Key {
    name: "name",
    example: r#"name = "orders""#,
    doc: "the name in listings, logs, metrics and paths; default: the function's",
    read: |args, entry| entry.read(&mut args.name, value::name),
};
const HANDLE: Key<Common> = Key {
    name: "handle",
    example: "handle = OrdersAgent",
    doc: "the name of the type to register; default: the function's",
    read: |args, entry| entry.read(&mut args.handle, value::ident),
};
const CRATE: Key<Common> = Key {
    name: "crate",
    example: "crate = ::citizenk",
    doc: "where this library is, if not at `::citizenk`",
    read: |args, entry| entry.read(&mut args.krate, value::module_path),
};
pub(crate) const FUNCTION_KEYS: &[Key<Common>] = &[NAME, HANDLE, CRATE];
pub(crate) const MODULE_KEYS: &[Key<Common>] = &[NAME, CRATE];
pub(crate) const MESSAGE_KEYS: &[Key<Common>] = &[CRATE];

/// One `key = value`, ready to be read into its slot.
pub(crate) struct Entry<'a> {
    pub(crate) key: KeyToken,
    pub(crate) example: &'static str,
    value: TokenStream,
    report: &'a mut Report,
}

/// What a value's parser may say about its key.
pub(crate) struct ValueContext<'a> {
    pub(crate) key: &'a str,
    pub(crate) example: &'a str,
}

impl Entry<'_> {
    /// Parses the value into `slot`, or reports why not.
    pub(crate) fn read<T>(
        self,
        slot: &mut Slot<T>,
        parse: fn(&ValueContext<'_>, ParseStream<'_>) -> syn::Result<T>,
    ) {
        let Self {
            key,
            example,
            value,
            report,
        } = self;
        if slot.was_given() {
            return slot.set(&key, None, report);
        }
        let cx = ValueContext {
            key: &key.name,
            example,
        };
        let parsed = (|input: ParseStream<'_>| {
            let parsed = parse(&cx, input)?;
            if input.is_empty() {
                Ok(parsed)
            } else {
                Err(input.error("expected `,`"))
            }
        })
        .parse2(value);
        let parsed = parsed.map_err(|error| report.push(error)).ok();
        slot.set(&key, parsed, report);
    }
}

/// Reads the arguments of an attribute.
pub(crate) fn parse<A: Args>(tokens: TokenStream, report: &mut Report) -> A {
    let mut args = A::default();
    let mut first = true;
    for argument in split(tokens, report) {
        read_argument(&mut args, argument, first, report);
        first = false;
    }
    args
}

fn read_argument<A: Args>(
    args: &mut A,
    argument: Vec<TokenTree>,
    first: bool,
    report: &mut Report,
) {
    let table = &A::TABLE;
    let mut tokens = argument.iter();
    let key = match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(key)), next) => {
            let assigned = matches!(next, Some(TokenTree::Punct(p)) if p.as_char() == '=');
            let value: TokenStream = tokens.cloned().collect();
            if assigned && !value.is_empty() {
                return read_key(args, key, value, report);
            }
            key
        }
        (Some(token), _) => {
            match &table.positional {
                Some(positional) if first => {
                    (positional.read)(args, argument.into_iter().collect(), report);
                }
                _ => {
                    let first = table.keys.first();
                    let example = first.map_or("crate = ::citizenk", |key| key.example);
                    report.at(
                        token.span(),
                        format!("expected an argument such as `{example}`"),
                    );
                    args.common().misspelled.extend(first.map(|key| key.name));
                }
            }
            return;
        }
        (None, _) => return,
    };
    let name = key.to_string();
    if let Some((known, example)) = table.example(&name) {
        args.common().misspelled.push(known);
        report.at(
            key.span(),
            format!("`{name}` needs a value, e.g. `{example}`"),
        );
    } else if let Some(positional) = &table.positional
        && (!positional.literal || first)
        && (argument.len() == 1
            || positional.brackets && matches!(argument.as_slice(), [_, TokenTree::Group(_)]))
    {
        (positional.read)(args, argument.into_iter().collect(), report);
    } else {
        let meant = unknown(table, key, report);
        args.common().unknown = true;
        args.common().misspelled.extend(meant);
    }
}

fn read_key<A: Args>(args: &mut A, key: &Ident, value: TokenStream, report: &mut Report) {
    let table = A::TABLE;
    let name = key.to_string();
    if let Some(found) = table.keys.iter().find(|k| k.name == name) {
        let entry = Entry {
            key: KeyToken::new(key),
            example: found.example,
            value,
            report,
        };
        (found.read)(args, entry);
    } else if let Some(found) = table.common.iter().find(|k| k.name == name) {
        let entry = Entry {
            key: KeyToken::new(key),
            example: found.example,
            value,
            report,
        };
        (found.read)(args.common(), entry);
    } else {
        let meant = unknown(&table, key, report);
        args.common().unknown = true;
        args.common().misspelled.extend(meant);
    }
}

/// Reports an argument there is not; returns what it was probably meant to be.
fn unknown<A>(table: &Table<A>, key: &Ident, report: &mut Report) -> Option<&'static str> {
    let name = key.to_string();
    let mut help = String::new();
    let meant = suggest::nearest(&name, table.names());
    if let Some(meant) = meant {
        help = format!("did you mean `{meant}`?\n");
    } else if let Some(owner) = super::owner_of(&name) {
        help = format!("`{name}` is an argument of `#[{owner}]`\n");
    }
    let supported: Vec<&str> = table.names().collect();
    let lead = if help.is_empty() { "" } else { "help: " };
    report.at(
        key.span(),
        format!(
            "unknown argument `{name}` for `#[{}]`\n{lead}{help}supported: {}",
            table.attribute,
            supported.join(", ")
        ),
    );
    meant
}

impl<A> Table<A> {
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let own = self.keys.iter().map(|key| key.name);
        own.chain(self.common.iter().map(|key| key.name))
    }

    fn example(&self, name: &str) -> Option<(&'static str, &'static str)> {
        let own = self.keys.iter().map(|key| (key.name, key.example));
        let common = self.common.iter().map(|key| (key.name, key.example));
        own.chain(common).find(|(key, _)| *key == name)
    }

    /// Name, example and explanation of every argument.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let own = self.keys.iter().map(|k| (k.name, k.example, k.doc));
        let common = self.common.iter().map(|k| (k.name, k.example, k.doc));
        own.chain(common).collect()
    }
}

/// Splits at commas that stand in no bracket; a path may have generic arguments (`A::<B, C>::T`).
pub(crate) fn split(tokens: TokenStream, report: &mut Report) -> Vec<Vec<TokenTree>> {
    let mut arguments = Vec::new();
    let mut current = Vec::new();
    let mut angles = 0_usize;
    for token in flatten(tokens) {
        let previous = match current.last() {
            Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
            _ => None,
        };
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' if angles > 0 || previous == Some(':') => angles += 1,
                '>' if previous != Some('-') => angles = angles.saturating_sub(1),
                ',' if angles == 0 => {
                    if current.is_empty() {
                        report.at(punct.span(), "expected an argument before `,`");
                    } else {
                        arguments.push(std::mem::take(&mut current));
                    }
                    continue;
                }
                _ => {}
            }
        }
        current.push(token);
    }
    if !current.is_empty() {
        arguments.push(current);
    }
    arguments
}

/// Removes the invisible brackets that `macro_rules!` puts around what it passes on.
fn flatten(tokens: TokenStream) -> Vec<TokenTree> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                let only = group.stream().into_iter().collect::<Vec<_>>();
                // An expression keeps its brackets, they hold its precedence.
                if only.len() == 1 {
                    only
                } else {
                    vec![TokenTree::Group(group)]
                }
            }
            token => vec![token],
        })
        .collect()
}
