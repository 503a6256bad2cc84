//! Rules of signatures that all attributes on functions share.
//!
//! In: a [`HandlerFn`] and what the attribute makes of it. Out: a [`Function`] that can be called with
//! one value per argument, and a report of every rule it breaks. Looking at a type's name here may
//! improve a text; what a type means is decided by rustc, through traits.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, GenericParam, Path, ReturnType, Type, Visibility};

use crate::attr::ON_FUNCTIONS;
use crate::attr::keys::Common;
use crate::item::{HandlerFn, text_of};
use crate::report::Report;

/// What an attribute makes of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// `agent`, as texts call it.
    pub(crate) noun: &'static str,
    /// Without `#[]`.
    pub(crate) attribute: &'static str,
    /// What `handle = ..` is suggested to end in.
    pub(crate) suffix: &'static str,
}

pub(crate) const AGENT: Kind = Kind {
    noun: "agent",
    attribute: "agent",
    suffix: "Agent",
};
pub(crate) const ROUTE: Kind = Kind {
    noun: "route",
    attribute: "route",
    suffix: "Route",
};
pub(crate) const TOPIC_ROUTER: Kind = Kind {
    noun: "topic router",
    attribute: "topic_router",
    suffix: "Router",
};
pub(crate) const BROADCAST_ROUTER: Kind = Kind {
    noun: "broadcast router",
    attribute: "broadcast_router",
    suffix: "Router",
};
pub(crate) const WEBSOCKET_IN: Kind = Kind {
    noun: "websocket",
    attribute: "websocket_in",
    suffix: "Websocket",
};
pub(crate) const REPEAT_EVERY: Kind = Kind {
    noun: "timer",
    attribute: "repeat_every",
    suffix: "Timer",
};
pub(crate) const REPEAT_AT: Kind = Kind {
    noun: "timer",
    attribute: "repeat_at",
    suffix: "Timer",
};
pub(crate) const ON_EVENT: Kind = Kind {
    noun: "hook",
    attribute: "on_event",
    suffix: "Hook",
};

/// A function that the glue can call.
pub(crate) struct Function {
    pub(crate) kind: Kind,
    pub(crate) ident: Ident,
    /// The type to register.
    pub(crate) handle: Ident,
    pub(crate) vis: Visibility,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) doc: String,
    /// The component's name.
    pub(crate) name: String,
    pub(crate) arguments: Vec<Type>,
    /// `None`: nothing is written, so `()`.
    pub(crate) returns: Option<Type>,
}

impl Function {
    /// "agent `orders`".
    pub(crate) fn title(&self) -> String {
        format!("{} `{}`", self.kind.noun, self.ident.unraw())
    }

    /// Whether the signature says that nothing is returned.
    pub(crate) fn returns_nothing(&self) -> bool {
        match &self.returns {
            None => true,
            Some(Type::Tuple(tuple)) => tuple.elems.is_empty(),
            Some(_) => false,
        }
    }
}

/// Whether the item stands in an `impl` or a `trait`, where no other items can be added.
pub(crate) fn is_associated(function: &HandlerFn) -> bool {
    function.sig.receiver().is_some() || function.semicolon.is_some()
}

/// Checks a signature; what is returned is only good if the report got no new faults.
pub(crate) fn function(
    kind: Kind,
    item: &HandlerFn,
    common: &Common,
    report: &mut Report,
) -> Function {
    let sig = &item.sig;
    let ident = &sig.ident;
    let title = format!("{} `{}`", kind.noun, ident.unraw());
    other_attributes(kind, item, common.krate.value(), report);
    qualifiers(&title, item, report);
    generics(&title, item, report);
    let arguments = arguments(&title, item, report);
    let handle = common.handle.value().unwrap_or(ident).clone();
    primitive(kind, &handle, report);
    let name = name(kind, ident, common, report);
    let returns = match &sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, returned) => Some((**returned).clone()),
    };
    Function {
        kind,
        ident: ident.clone(),
        handle,
        vis: item.vis.clone(),
        cfgs: item.cfgs(),
        doc: item.doc(),
        name,
        arguments,
        returns,
    }
}

/// Whether a path is one of the attributes' names, as far as a macro can see.
pub(crate) fn our_attribute(path: &Path, krate: Option<&Path>) -> Option<String> {
    let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
    let (name, qualifier) = names.split_last()?;
    let ours = ON_FUNCTIONS.contains(&name.as_str()) || name == "module";
    let krate_name = krate.and_then(|path| path.segments.last());
    let qualified = match qualifier {
        [] => true,
        [one] => one == "citizenk" || krate_name.is_some_and(|name| name.ident == one.as_str()),
        _ => false,
    };
    (ours && qualified).then(|| name.clone())
}

fn other_attributes(kind: Kind, item: &HandlerFn, krate: Option<&Path>, report: &mut Report) {
    for attr in &item.attrs {
        if our_attribute(attr.path(), krate).is_some() {
            let name = item.sig.ident.unraw();
            report.on(
                attr,
                format!(
                    "`{name}` already has `#[{}]`; one citizenk attribute per function",
                    kind.attribute
                ),
            );
        }
    }
}

fn qualifiers(title: &str, item: &HandlerFn, report: &mut Report) {
    let sig = &item.sig;
    if let Some(semicolon) = item.semicolon {
        report.at(semicolon, format!("{title} has no body"));
    }
    if let Some(receiver) = sig.receiver() {
        report.on_with_help(
            receiver,
            format!("{title} must be a free function"),
            "put shared data in `State<T>`",
        );
    }
    if let Some(token) = &sig.constness {
        report.on(token, format!("{title} must not be `const`"));
    } else if sig.asyncness.is_none() {
        report.on(sig.fn_token, format!("{title} must be an `async fn`"));
    }
    if let Some(token) = &sig.unsafety {
        report.on(token, format!("{title} must not be `unsafe`"));
    }
    if let Some(abi) = &sig.abi {
        report.on(abi, format!("{title} must not be `extern`"));
    }
    if let Some(variadic) = &sig.variadic {
        report.on(variadic, format!("{title} must not be variadic"));
    }
}

fn generics(title: &str, item: &HandlerFn, report: &mut Report) {
    let generics = &item.sig.generics;
    let lifetime = |p: &&GenericParam| matches!(p, GenericParam::Lifetime(_));
    if let Some(parameter) = generics.params.iter().find(|p| !lifetime(p)) {
        report.on_with_help(
            parameter,
            format!("{title} cannot be generic"),
            "registration needs concrete types",
        );
    } else if let Some(parameter) = generics.params.iter().find(lifetime) {
        report.on(parameter, format!("{title} cannot use lifetime parameters"));
    }
    if let Some(clause) = &generics.where_clause {
        report.on(clause, format!("{title} cannot have a where clause"));
    }
}

fn arguments(title: &str, item: &HandlerFn, report: &mut Report) -> Vec<Type> {
    let mut types = Vec::new();
    // A borrowed argument needs its lifetime parameter; one of both faults is enough.
    let has_lifetimes = item.sig.generics.lifetimes().next().is_some();
    for argument in &item.sig.inputs {
        let FnArg::Typed(argument) = argument else {
            continue;
        };
        if let Some(attr) = argument
            .attrs
            .iter()
            .find(|attr| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr"))
        {
            report.on(attr, format!("arguments of {title} cannot be conditional"));
        }
        by_value(title, &argument.ty, has_lifetimes, report);
        types.push((*argument.ty).clone());
    }
    types
}

fn by_value(title: &str, ty: &Type, has_lifetimes: bool, report: &mut Report) {
    let mut bare = ty;
    while let Type::Group(group) = bare {
        bare = &group.elem;
    }
    match bare {
        Type::Reference(reference) if !has_lifetimes => report.on_with_help(
            ty,
            format!("arguments of {title} are passed by value"),
            format!("take `{}`", text_of(&reference.elem)),
        ),
        Type::ImplTrait(_) => {
            report.on(
                ty,
                format!("{title} cannot take `impl Trait`; name the type"),
            );
        }
        _ => match borrow_in(ty.to_token_stream()) {
            Some(Inner::Impl(span)) => {
                report.at(
                    span,
                    format!("{title} cannot take `impl Trait`; name the type"),
                );
            }
            Some(Inner::Borrow(span)) if !has_lifetimes => report.at_with_help(
                span,
                format!("arguments of {title} cannot borrow"),
                "use types that own their data",
            ),
            _ => {}
        },
    }
}

enum Inner {
    Borrow(Span),
    Impl(Span),
}

/// The first borrow that is not `'static`, or `impl`, inside a type. Function types may borrow: their
/// arguments come later.
fn borrow_in(tokens: TokenStream) -> Option<Inner> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let word = |index: usize| match tokens.get(index) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    let is_function = |word: &str| matches!(word, "fn" | "Fn" | "FnMut" | "FnOnce" | "for");
    if (0..tokens.len()).any(|index| is_function(&word(index))) {
        return None;
    }
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if ident == "impl" => return Some(Inner::Impl(ident.span())),
            TokenTree::Punct(punct) if punct.as_char() == '\'' && word(index + 1) != "static" => {
                return Some(Inner::Borrow(punct.span()));
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                let tick = matches!(tokens.get(index + 1), Some(TokenTree::Punct(p)) if p.as_char() == '\'');
                if !tick {
                    return Some(Inner::Borrow(punct.span()));
                }
            }
            TokenTree::Group(group) => {
                if let Some(inner) = borrow_in(group.stream()) {
                    return Some(inner);
                }
            }
            _ => {}
        }
    }
    None
}

const PRIMITIVES: &[&str] = &[
    "bool", "char", "f16", "f32", "f64", "f128", "i8", "i16", "i32", "i64", "i128", "isize", "str",
    "u8", "u16", "u32", "u64", "u128", "usize",
];

pub(crate) fn is_primitive(handle: &Ident) -> bool {
    PRIMITIVES.contains(&handle.to_string().as_str())
}

fn primitive(kind: Kind, handle: &Ident, report: &mut Report) {
    if !is_primitive(handle) {
        return;
    }
    let name = handle.to_string();
    let mut pascal = name.clone();
    if let Some(first) = pascal.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    report.at_with_help(
        handle.span(),
        format!(
            "{} name `{name}` would shadow the primitive type",
            kind.noun
        ),
        format!("rename it or set `handle = {pascal}{}`", kind.suffix),
    );
}

/// The component's name: the attribute's, or the function's.
fn name(kind: Kind, ident: &Ident, common: &Common, report: &mut Report) -> String {
    let (name, span) = match common.name.value() {
        Some(literal) => (literal.value(), literal.span()),
        None => (ident.unraw().to_string(), ident.span()),
    };
    if !is_component_name(&name) && !common.name.was_given() {
        report.at_with_help(span, name_fault(kind.noun, &name), r#"set `name = ".."`"#);
    } else if !is_component_name(&name) {
        report.at(span, name_fault(kind.noun, &name));
    }
    name
}

/// "agent name `my agent` may contain ..".
pub(crate) fn name_fault(noun: &str, name: &str) -> String {
    format!("{noun} name `{name}` may contain letters, digits, `-`, `_` and `.` only")
}

/// Names stand in paths, metrics and file names.
pub(crate) fn is_component_name(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The last segment of a type's path, for texts.
pub(crate) fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// The span of a type's glue.
pub(crate) fn span_of(ty: &Type) -> Span {
    ty.span()
}
