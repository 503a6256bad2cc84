//! Arguments of `#[topic_router]` and `#[broadcast_router]`.
//!
//! In: the attributes' tokens. Out: [`TopicRouterArgs`], [`BroadcastRouterArgs`]: a route's, and whose requests
//! they are.

use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Expr, Lit, LitStr, Member, Path, Token, bracketed};

use super::keys::{Args, Common, FUNCTION_KEYS, Key, Table, ValueContext};
use super::route::{self, RouteArgs};
use super::slot::Slot;
use super::value;
use crate::report::with_help;

/// Where the key stands.
#[derive(Clone)]
pub(crate) enum RouterKey {
    /// A parameter of the path or the query.
    Parameter(LitStr),
    /// A field of the body, its names joined by dots.
    Body(String),
}

/// How answers of workers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MergeBy {
    /// As the type says.
    Type,
    /// One entry per worker.
    List,
}

#[derive(Default)]
pub(crate) struct TopicRouterArgs {
    pub(crate) topic: Slot<Path>,
    pub(crate) key: Slot<RouterKey>,
    pub(crate) agent: Slot<Path>,
    pub(crate) forward_headers: Slot<Vec<LitStr>>,
    /// Methods, tag and what is common.
    pub(crate) route: RouteArgs,
}

#[derive(Default)]
pub(crate) struct BroadcastRouterArgs {
    pub(crate) merge: Slot<MergeBy>,
    pub(crate) agent: Slot<Path>,
    pub(crate) forward_headers: Slot<Vec<LitStr>>,
    pub(crate) route: RouteArgs,
}

impl Args for TopicRouterArgs {
    const TABLE: Table<Self> = Table {
        attribute: "topic_router",
        positional: None,
        keys: TOPIC_KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.route.common
    }
}

impl Args for BroadcastRouterArgs {
    const TABLE: Table<Self> = Table {
        attribute: "broadcast_router",
        positional: None,
        keys: BROADCAST_KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.route.common
    }
}

/// The keys of a route, on arguments that hold one.
macro_rules! of_route {
    ($($name:literal $slot:ident $read:path: $example:literal $doc:literal;)*) => {
        [$(Key {
            name: $name,
            example: $example,
            doc: $doc,
            read: |args, entry| entry.read(&mut args.route.$slot, $read),
        },)*]
    };
}

macro_rules! keys {
    ($args:ty, $own:expr) => {{
        const OWN: &[Key<$args>] = &$own;
        const ROUTE: &[Key<$args>] = &of_route! {
            "get" get route::path: "get = \"/orders/{id}\"" "answers GET at this path";
            "post" post route::path: "post = \"/orders\"" "answers POST at this path";
            "put" put route::path: "put = \"/orders/{id}\"" "answers PUT at this path";
            "delete" delete route::path: "delete = \"/orders/{id}\"" "answers DELETE at this path";
            "patch" patch route::path: "patch = \"/orders/{id}\"" "answers PATCH at this path";
            "tag" tag value::text: "tag = \"orders\"" "groups endpoints in the documentation; default: the module's name";
        };
        const ALL: [Key<$args>; OWN.len() + ROUTE.len()] = joined(OWN, ROUTE);
        &ALL
    }};
}

const fn joined<A, const N: usize>(own: &[Key<A>], route: &[Key<A>]) -> [Key<A>; N] {
    let mut all = [const { nothing::<A>() }; N];
    let mut at = 0;
    while at < N {
        let key = if at < own.len() {
            &own[at]
        } else {
            &route[at - own.len()]
        };
        all[at] = Key {
            name: key.name,
            example: key.example,
            doc: key.doc,
            read: key.read,
        };
        at += 1;
    }
    all
}

const fn nothing<A>() -> Key<A> {
    Key {
        name: "",
        example: "",
        doc: "",
        read: |_, _| {},
    }
}

const TOPIC_KEYS: &[Key<TopicRouterArgs>] = keys!(
    TopicRouterArgs,
    [
        Key {
            name: "topic",
            example: "topic = ORDERS",
            doc: "the topic whose partitions the workers share; required",
            read: |args, entry| entry.read(&mut args.topic, value::topic),
        },
        Key {
            name: "key",
            example: "key = \"id\"",
            doc: "the path or query parameter that is the record's key, or a field of the JSON body: `key = body.order.id`; required",
            read: |args, entry| entry.read(&mut args.key, router_key),
        },
        Key {
            name: "agent",
            example: "agent = count",
            doc: "whose group counts, where agents of several groups read the topic",
            read: |args, entry| entry.read(&mut args.agent, value::topic),
        },
        Key {
            name: "forward_headers",
            example: "forward_headers = [\"authorization\"]",
            doc: "headers that go along to the other worker, beside `Accept`, `Accept-Language`, `Content-Type` and those of traces",
            read: |args, entry| entry.read(&mut args.forward_headers, headers),
        },
    ]
);

const BROADCAST_KEYS: &[Key<BroadcastRouterArgs>] = keys!(
    BroadcastRouterArgs,
    [
        Key {
            name: "merge",
            example: "merge = list",
            doc: "`list`: one entry per worker, with its address; default: as the returned type's `Merge` says",
            read: |args, entry| entry.read(&mut args.merge, merge),
        },
        Key {
            name: "agent",
            example: "agent = count",
            doc: "whose group's workers are asked, where there are several groups",
            read: |args, entry| entry.read(&mut args.agent, value::topic),
        },
        Key {
            name: "forward_headers",
            example: "forward_headers = [\"authorization\"]",
            doc: "headers that go along to the other workers, beside `Accept`, `Accept-Language`, `Content-Type` and those of traces",
            read: |args, entry| entry.read(&mut args.forward_headers, headers),
        },
    ]
);

/// `key = "id"` or `key = body.id`.
fn router_key(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<RouterKey> {
    let fault = |at: &Expr| {
        syn::Error::new_spanned(
            at,
            with_help(
                format!("`{}` is a parameter's name or a field of the body", cx.key),
                "`key = \"id\"` or `key = body.id`",
            ),
        )
    };
    let given: Expr = input.parse()?;
    if let Expr::Lit(literal) = &given
        && let Lit::Str(text) = &literal.lit
        && !text.value().is_empty()
    {
        return Ok(RouterKey::Parameter(text.clone()));
    }
    let (mut names, mut at) = (Vec::new(), &given);
    while let Expr::Field(field) = at {
        let Member::Named(name) = &field.member else {
            return Err(fault(&given));
        };
        names.push(name.to_string());
        at = &field.base;
    }
    let of_body = matches!(at, Expr::Path(path) if path.path.is_ident("body"));
    if !of_body || names.is_empty() {
        return Err(fault(&given));
    }
    names.reverse();
    Ok(RouterKey::Body(names.join(".")))
}

fn merge(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<MergeBy> {
    let word: syn::Ident = input.parse().map_err(|error| {
        syn::Error::new(error.span(), format!("`{}` is `list` or `by_type`", cx.key))
    })?;
    match word.to_string().as_str() {
        "list" => Ok(MergeBy::List),
        "by_type" => Ok(MergeBy::Type),
        other => Err(value::unknown_word(
            "way to merge",
            other,
            word.span(),
            &["list", "by_type"],
            "`list` or `by_type`",
        )),
    }
}

fn headers(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    if !input.peek(syn::token::Bracket) {
        let text = with_help(
            format!("`{}` takes a list", cx.key),
            format!("`{}`", cx.example),
        );
        return Err(input.error(text));
    }
    let content;
    bracketed!(content in input);
    let names = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    for name in &names {
        let text = name.value();
        let is_name = !text.is_empty()
            && text
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        if !is_name {
            return Err(syn::Error::new(
                name.span(),
                format!("`{text}` is not the name of a header"),
            ));
        }
        if matches!(
            text.to_ascii_lowercase().as_str(),
            "host"
                | "connection"
                | "content-length"
                | "transfer-encoding"
                | "upgrade"
                | "te"
                | "citizenk-hop"
        ) {
            return Err(syn::Error::new(
                name.span(),
                format!("`{text}` is of one connection and cannot be forwarded"),
            ));
        }
    }
    Ok(names.into_iter().collect())
}
