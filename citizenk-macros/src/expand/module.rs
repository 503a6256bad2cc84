//! `#[module]` to code.
//!
//! In: an inline module. Out: the same with a function `module()` that registers what its items'
//! attributes say, in the order of the source.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Path, Token, Visibility};

use super::policy;
use crate::attr::keys;
use crate::attr::module::ModuleArgs;
use crate::attr::policy::Policy;
use crate::check::{self, is_component_name, name_fault};
use crate::item::Item;
use crate::paths::{Paths, generated, local};
use crate::report::Report;

/// A module's head and content.
struct InlineMod {
    ident: Ident,
    cfgs: Vec<Attribute>,
    /// Everything before the braces.
    before: TokenStream,
    /// `None`: the module is in a file of its own.
    content: Option<Group>,
}

impl Parse for InlineMod {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let unsafety: Option<Token![unsafe]> = input.parse()?;
        let keyword: Token![mod] = input.parse()?;
        let ident = input.call(Ident::parse_any)?;
        let content = match input.parse::<TokenTree>()? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
            _ => None,
        };
        let before = quote!(#(#attrs)* #vis #unsafety #keyword #ident);
        let cfgs = attrs.into_iter().filter(|attr| attr.path().is_ident("cfg"));
        Ok(Self {
            ident,
            cfgs: cfgs.collect(),
            before,
            content,
        })
    }
}

/// What is registered for one item.
enum Entry {
    Component(Ident),
    Module(Ident),
}

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut report = Report::default();
    let args: ModuleArgs = keys::parse(args, &mut report);
    let found = module(&item, &args, &mut report);
    let (Some(found), true) = (found, report.is_clean()) else {
        let errors = report.into_compile_errors();
        return quote!(#item #errors);
    };
    complete(&args, &found)
}

fn module(item: &TokenStream, args: &ModuleArgs, report: &mut Report) -> Option<InlineMod> {
    let wrong = match Item::parse(item.clone()) {
        Item::Other(_, "a module") => None,
        Item::Other(span, what) => Some((span, what)),
        Item::Function(function) => Some((function.sig.fn_token.span, "a function")),
        Item::Unknown(error) => {
            report.push(error);
            return None;
        }
    };
    if let Some((span, what)) = wrong {
        report.at(span, format!("`#[module]` goes on a module, not on {what}"));
        return None;
    }
    let found: InlineMod = match syn::parse2(item.clone()) {
        Ok(found) => found,
        Err(error) => {
            report.push(error);
            return None;
        }
    };
    let name = component_name(args, &found);
    if !is_component_name(&name) {
        let span = args
            .common
            .name
            .given()
            .map_or(found.ident.span(), |g| g.value.span());
        report.at(span, name_fault("module", &name));
    }
    let Some(content) = &found.content else {
        let name = found.ident.unraw();
        report.at_with_help(
            found.ident.span(),
            format!("`#[module]` sees nothing of module `{name}`, which is in a file of its own"),
            format!(
                "in that file write `pub fn module() -> citizenk::Module {{ citizenk::Module::new(\"{name}\").register::<..>() }}`"
            ),
        );
        return None;
    };
    if let Some(existing) = existing_function(content.stream()) {
        report.at_with_help(
            existing.span(),
            "`#[module]` adds a function `module` of its own",
            "rename this one",
        );
    }
    Some(found)
}

fn component_name(args: &ModuleArgs, found: &InlineMod) -> String {
    match args.common.name.value() {
        Some(name) => name.value(),
        None => found.ident.unraw().to_string(),
    }
}

fn complete(args: &ModuleArgs, found: &InlineMod) -> TokenStream {
    let InlineMod {
        ident,
        cfgs,
        before,
        content,
    } = found;
    let Some(content) = content else {
        return TokenStream::new();
    };
    let inner = content.stream();
    let krate = args.common.krate.value();
    let paths = Paths::new(krate);
    let private = paths.private();
    let span = generated(ident.span());
    let module = local("__module");
    let name = component_name(args, found);
    let prefix = args.prefix.value().map(|prefix| quote!(.prefix(#prefix)));
    let policies = policies(args);
    let (defaults_type, defaults_impl, defaults_call) = if policies.is_empty() {
        Default::default()
    } else {
        // Topics of policies and middlewares are named outside of the module, so their code must stand there too.
        let import = paths.import();
        (
            quote_spanned!(span=> pub(super) enum __CitizenkDefaults {}),
            quote_spanned! {span=>
                #(#cfgs)*
                const _: () = {
                    #import
                    impl #ident::__CitizenkDefaults {
                        fn apply(#module: __citizenk::Module) -> __citizenk::Module {
                            #module #policies
                        }
                    }
                };
            },
            quote_spanned!(span=> let #module = __CitizenkDefaults::apply(#module);),
        )
    };
    let registrations = entries(inner.clone(), krate)
        .into_iter()
        .map(|(cfgs, entry)| {
            let call = match entry {
                Entry::Component(handle) => {
                    quote_spanned!(handle.span()=> #module.register::<#handle>())
                }
                Entry::Module(inner) => {
                    quote_spanned!(inner.span()=> #module.include(#inner::module()))
                }
            };
            quote!(#(#cfgs)* let #module = #call;)
        });
    let doc = format!("Registers what is annotated in module `{}`.", ident.unraw());
    let function = quote_spanned! {span=>
        #[doc = #doc]
        #[must_use]
        #[allow(unreachable_pub)]
        pub fn module() -> #private::Module {
            use #private as __citizenk;
            let #module = __citizenk::Module::new(#name) #prefix;
            #defaults_call
            #(#registrations)*
            #module
        }
    };
    let mut body = Group::new(Delimiter::Brace, quote!(#inner #defaults_type #function));
    body.set_span(content.span());
    quote!(#before #body #defaults_impl)
}

/// What stands at the module itself: policies and middlewares.
fn policies(args: &ModuleArgs) -> TokenStream {
    let span = Span::mixed_site();
    let expression = |policy: &Policy| policy::expression(policy, span);
    let given = [
        ("on_decode_error", args.on_decode_error.value()),
        ("on_error", args.on_error.value()),
        ("on_produce_error", args.on_produce_error.value()),
    ];
    let policies = given.into_iter().filter_map(|(key, policy)| {
        let method = Ident::new(key, span);
        let policy = expression(policy?);
        Some(quote!(.#method(#policy)))
    });
    let guarantee = args.guarantee.value().map(|guarantee| {
        let guarantee = policy::guarantee(*guarantee, span);
        quote!(.guarantee(#guarantee))
    });
    let wraps = args.wrap.value().into_iter().flat_map(|wrap| &wrap.items);
    let wraps = wraps.map(|path| quote_spanned!(path.span()=> .wrap(#path)));
    policies.chain(guarantee).chain(wraps).collect()
}

/// One item of a module: its attributes and the tokens up to its end.
struct Tokens {
    attrs: Vec<TokenTree>,
    item: Vec<TokenTree>,
}

/// Cuts a module's content into items, without looking into them: whatever rustc can parse, also what
/// syn does not know yet, passes. An item that has a block in its middle comes as two; only the first
/// has attributes, and only those count.
fn cut(content: TokenStream) -> Vec<Tokens> {
    let mut found = Vec::new();
    let mut attrs = Vec::new();
    let mut item = Vec::new();
    let mut tokens = content.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '#' && item.is_empty() => {
                // `#!` is the module's own.
                let own = matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '!');
                if own {
                    tokens.next();
                }
                let brackets = tokens.next();
                if !own {
                    attrs.push(token);
                    attrs.extend(brackets);
                }
                continue;
            }
            _ => {}
        }
        let ends = match &token {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            _ => false,
        };
        item.push(token);
        if ends {
            found.push(Tokens {
                attrs: std::mem::take(&mut attrs),
                item: std::mem::take(&mut item),
            });
        }
    }
    found
}

impl Tokens {
    /// The name behind a keyword.
    fn named(&self, keyword: &str) -> Option<Ident> {
        let at = self
            .item
            .iter()
            .position(|token| matches!(token, TokenTree::Ident(ident) if ident == keyword))?;
        match self.item.get(at + 1) {
            Some(TokenTree::Ident(name)) => Some(name.clone()),
            _ => None,
        }
    }

    fn attributes(&self) -> Vec<Attribute> {
        let tokens: TokenStream = self.attrs.iter().cloned().collect();
        let parse = |input: ParseStream<'_>| input.call(Attribute::parse_outer);
        syn::parse::Parser::parse2(parse, tokens).unwrap_or_default()
    }

    fn has_body(&self) -> bool {
        matches!(self.item.last(), Some(TokenTree::Group(_)))
    }
}

fn existing_function(content: TokenStream) -> Option<Ident> {
    cut(content)
        .iter()
        .filter_map(|item| item.named("fn"))
        .find(|name| name.unraw() == "module")
}

fn entries(content: TokenStream, krate: Option<&Path>) -> Vec<(Vec<Attribute>, Entry)> {
    let mut entries = Vec::new();
    for item in cut(content) {
        if item.attrs.is_empty() {
            continue;
        }
        let attrs = item.attributes();
        let ours = attrs
            .iter()
            .find_map(|attr| Some((attr, check::our_attribute(attr.path(), krate)?)));
        let Some((attr, name)) = ours else {
            continue;
        };
        let entry = if name == "module" {
            item.named("mod")
                .filter(|_| item.has_body())
                .map(Entry::Module)
        } else {
            item.named("fn")
                .map(|function| Entry::Component(handle(attr).unwrap_or(function)))
        };
        let cfgs = attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
        let cfgs: Vec<Attribute> = cfgs.cloned().collect();
        entries.extend(entry.map(|entry| (cfgs, entry)));
    }
    entries
}

/// `handle = X` among an attribute's arguments.
fn handle(attr: &Attribute) -> Option<Ident> {
    let syn::Meta::List(list) = &attr.meta else {
        return None;
    };
    let arguments = keys::split(list.tokens.clone(), &mut Report::default());
    arguments
        .into_iter()
        .find_map(|argument| match &argument[..] {
            [
                TokenTree::Ident(key),
                TokenTree::Punct(_),
                TokenTree::Ident(value),
            ] if key == "handle" => Some(value.clone()),
            _ => None,
        })
}
