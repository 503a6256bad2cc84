//! `#[message]` to code.
//!
//! In: the tokens of a struct or an enum. Out: the same under serde's and schemars' derives, which are
//! told where this library re-exports them, and the marker.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Generics, Path, Token, Visibility};

use crate::attr::keys;
use crate::attr::message::MessageArgs;
use crate::item::{Item, text_of};
use crate::paths::{Paths, generated};
use crate::report::Report;

/// A type's head; its fields are serde's business.
struct Head {
    attrs: Vec<Attribute>,
    keyword: Span,
    is_union: bool,
    ident: Ident,
    generics: Generics,
}

impl Parse for Head {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        let keyword: Ident = syn::ext::IdentExt::parse_any(input)?;
        let ident = input.parse()?;
        let mut generics: Generics = input.parse()?;
        if input.peek(Token![where]) {
            generics.where_clause = input.parse()?;
        } else if input.peek(syn::token::Paren) {
            // Tuple structs have their bounds behind the fields.
            input.parse::<proc_macro2::TokenTree>()?;
            generics.where_clause = input.parse()?;
        }
        input.parse::<TokenStream>()?;
        Ok(Self {
            attrs,
            is_union: keyword == "union",
            keyword: keyword.span(),
            ident,
            generics,
        })
    }
}

const DERIVED: &[&str] = &["Serialize", "Deserialize", "JsonSchema"];

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut report = Report::default();
    let args: MessageArgs = keys::parse(args, &mut report);
    let paths = Paths::new(args.common.krate.value());
    let head = head(&item, &mut report);
    let (mut item, mut avro) = (item, TokenStream::new());
    if let (Some(options), Some(head)) = (args.avro.value(), &head)
        && !head.is_union
    {
        (item, avro) = super::avro::expand(item, options, &paths, &mut report);
    }
    match head {
        Some(head) if report.is_clean() => {
            let derived = derived(&head, item, &paths);
            quote!(#derived #avro)
        }
        // Without its derives the type would cause an error at every use.
        Some(head) if !head.is_union => {
            let errors = report.into_compile_errors();
            let item = derived(&head, without_derives(&item, &head), &paths);
            quote!(#item #errors)
        }
        _ => {
            let errors = report.into_compile_errors();
            quote!(#item #errors)
        }
    }
}

fn head(item: &TokenStream, report: &mut Report) -> Option<Head> {
    let not_a_type = match Item::parse(item.clone()) {
        Item::Other(_, "a struct" | "an enum" | "a union") => None,
        Item::Other(span, what) => Some((span, what)),
        Item::Function(function) => Some((function.sig.fn_token.span, "a function")),
        Item::Unknown(error) => {
            report.push(error);
            return None;
        }
    };
    if let Some((span, what)) = not_a_type {
        let text = format!("`#[message]` goes on a struct or an enum, not on {what}");
        report.at(span, text);
        return None;
    }
    let head: Head = match syn::parse2(item.clone()) {
        Ok(head) => head,
        Err(error) => {
            report.push(error);
            return None;
        }
    };
    check(&head, report);
    Some(head)
}

fn check(head: &Head, report: &mut Report) {
    if head.is_union {
        report.at(head.keyword, "a message cannot be a union");
    }
    if let Some(lifetime) = head.generics.lifetimes().next() {
        report.on_with_help(
            lifetime,
            format!("message `{}` cannot borrow", head.ident),
            "use types that own their data, e.g. `String` instead of `&str`",
        );
    }
    for path in derives(&head.attrs) {
        if let Some(name) = already(&path) {
            report.on(
                path,
                format!("`#[citizenk::message]` already derives `{name}`"),
            );
        }
    }
}

fn derives(attrs: &[Attribute]) -> impl Iterator<Item = Path> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("derive"))
        .filter_map(|attr| {
            attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
                .ok()
        })
        .flatten()
}

fn already(path: &Path) -> Option<&'static str> {
    let last = path.segments.last()?;
    DERIVED.iter().copied().find(|name| last.ident == name)
}

/// The item without the derives that have been reported.
fn without_derives(item: &TokenStream, head: &Head) -> TokenStream {
    let mut rest = item.clone().into_iter().peekable();
    while matches!(rest.peek(), Some(proc_macro2::TokenTree::Punct(punct)) if punct.as_char() == '#')
    {
        rest.next();
        rest.next();
    }
    let rest: TokenStream = rest.collect();
    let attrs = head.attrs.iter().map(|attr| {
        if !attr.path().is_ident("derive") {
            return attr.to_token_stream();
        }
        let kept = derives(std::slice::from_ref(attr)).filter(|path| already(path).is_none());
        quote!(#[derive(#(#kept),*)])
    });
    quote!(#(#attrs)* #rest)
}

fn derived(head: &Head, item: TokenStream, paths: &Paths) -> TokenStream {
    let private = paths.private();
    let serde = text_of(&quote!(#private::serde));
    let schemars = text_of(&quote!(#private::schemars));
    let Head {
        ident, generics, ..
    } = head;
    let cfgs = head.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    let import = paths.import();
    let span = generated(ident.span());
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let own = match (generics.params.is_empty(), where_clause) {
        (true, _) => quote!(#where_clause),
        (false, None) => quote!(where #ident #ty_generics: ::core::marker::Send + 'static),
        (false, Some(clause)) => {
            let predicates = clause.predicates.iter();
            quote!(where #(#predicates,)* #ident #ty_generics: ::core::marker::Send + 'static)
        }
    };
    let marker = quote_spanned! {span=>
        #(#cfgs)*
        const _: () = {
            #import
            #[automatically_derived]
            impl #impl_generics __citizenk::Message for #ident #ty_generics #own {}
        };
    };
    quote! {
        #[derive(
            #private::serde::Serialize,
            #private::serde::Deserialize,
            #private::schemars::JsonSchema
        )]
        #[serde(crate = #serde)]
        #[schemars(crate = #schemars)]
        #item
        #marker
    }
}
