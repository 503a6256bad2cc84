//! The item under an attribute.
//!
//! In: the item's tokens. Out: a [`HandlerFn`], or what it is instead. The body stays raw tokens: code
//! that does not parse is rustc's to report, and while somebody types, the rest keeps working.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Signature, Token, Visibility};

/// A function, without its body.
pub(crate) struct HandlerFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// Set when there is no body.
    pub(crate) semicolon: Option<Span>,
}

/// What an attribute stands on.
pub(crate) enum Item {
    Function(Box<HandlerFn>),
    /// A keyword such as `struct`, and how a text calls the item.
    Other(Span, &'static str),
    /// Not a function as far as syn knows the language; rustc may know more.
    Unknown(syn::Error),
}

impl Item {
    pub(crate) fn parse(tokens: TokenStream) -> Self {
        match syn::parse2::<Self>(tokens) {
            Ok(item) => item,
            Err(error) => Self::Unknown(error),
        }
    }
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        if let Some(other) = other_item(input) {
            input.parse::<TokenStream>()?;
            return Ok(other);
        }
        let sig: Signature = input.parse()?;
        let semicolon: Option<Token![;]> = input.parse()?;
        input.parse::<TokenStream>()?;
        Ok(Self::Function(Box::new(HandlerFn {
            attrs,
            vis,
            sig,
            semicolon: semicolon.map(|token| token.span),
        })))
    }
}

fn other_item(input: ParseStream<'_>) -> Option<Item> {
    let ahead = input.fork();
    let keyword: Ident = syn::ext::IdentExt::parse_any(&ahead).ok()?;
    let next = syn::ext::IdentExt::parse_any(&ahead)
        .map(|ident: Ident| ident.to_string())
        .unwrap_or_default();
    let what = match keyword.to_string().as_str() {
        "struct" => "a struct",
        "enum" => "an enum",
        "union" => "a union",
        "trait" => "a trait",
        "impl" => "an `impl` block",
        "mod" => "a module",
        "type" => "a type alias",
        "use" => "a `use`",
        "static" => "a static",
        "macro_rules" => "a macro",
        "const" if !matches!(next.as_str(), "fn" | "async" | "unsafe" | "extern") => "a constant",
        "unsafe" if next == "impl" => "an `impl` block",
        "unsafe" if next == "trait" => "a trait",
        "extern" if next == "crate" => "an `extern crate`",
        _ => return None,
    };
    Some(Item::Other(keyword.span(), what))
}

impl HandlerFn {
    /// Attributes that decide whether the function exists.
    pub(crate) fn cfgs(&self) -> Vec<Attribute> {
        let cfgs = self.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
        cfgs.cloned().collect()
    }

    /// The doc comment, as its author sees it.
    pub(crate) fn doc(&self) -> String {
        doc(&self.attrs)
    }
}

/// The text of `///` lines, without the blank that follows the slashes.
pub(crate) fn doc(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> = lines
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    lines.join("\n").trim().to_owned()
}

/// Tokens as one would write them: `Batch<Event<Order>>`, not `Batch < Event < Order > >`.
pub(crate) fn text_of(tokens: &impl ToTokens) -> String {
    let mut text = String::new();
    write(&mut text, tokens.to_token_stream());
    text
}

fn write(text: &mut String, tokens: TokenStream) {
    let mut after_lifetime_tick = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => (" { ", " }"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                if text.ends_with([',', '=']) {
                    text.push(' ');
                }
                text.push_str(open);
                write(text, group.stream());
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                let punct = punct.as_char();
                let arrow = punct == '>' && text.ends_with('-');
                let spaced = match punct {
                    '=' | '+' => true,
                    '-' => !text.is_empty(),
                    '&' | '\'' => text.ends_with([',', '=', '+']),
                    _ => false,
                };
                if spaced {
                    text.push(' ');
                }
                text.push(punct);
                if arrow {
                    text.push(' ');
                }
                after_lifetime_tick = punct == '\'';
                continue;
            }
            word => {
                let glued = text.ends_with(|c: char| {
                    !(c.is_alphanumeric() || matches!(c, '_' | ',' | '=' | '+' | '"' | ')'))
                });
                if !(text.is_empty() || glued || after_lifetime_tick) {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
        after_lifetime_tick = false;
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn texts_read_as_written() {
        let table = [
            (quote!(Batch<Event<Order>>), "Batch<Event<Order>>"),
            (
                quote!(std::collections::HashMap<u32, String>),
                "std::collections::HashMap<u32, String>",
            ),
            (
                quote!(State<(u32, &'static str)>),
                "State<(u32, &'static str)>",
            ),
            (quote!(&mut Order), "&mut Order"),
            (
                quote!(Box<dyn Fn(u32) -> bool + Send>),
                "Box<dyn Fn(u32) -> bool + Send>",
            ),
            (
                quote!([ORDERS, REFUNDS.as_input::<Change>()]),
                "[ORDERS, REFUNDS.as_input::<Change>()]",
            ),
            (
                quote!(retry(5, backoff = "100ms..10s", then = dead_letter(DLQ))),
                r#"retry(5, backoff = "100ms..10s", then = dead_letter(DLQ))"#,
            ),
        ];
        for (tokens, text) in table {
            assert_eq!(text_of(&tokens), text);
        }
    }

    #[test]
    fn other_items_are_named_by_their_keyword() {
        let table = [
            (
                quote!(
                    pub struct A;
                ),
                Some("a struct"),
            ),
            (quote!(impl A { fn f() {} }), Some("an `impl` block")),
            (
                quote!(
                    const A: u32 = 1;
                ),
                Some("a constant"),
            ),
            (
                quote!(
                    const async unsafe fn f() {}
                ),
                None,
            ),
            (
                quote!(
                    #[doc = " x"]
                    pub(crate) extern "C" fn f(a: u32, ...) {}
                ),
                None,
            ),
            (
                quote!(
                    unsafe trait A {}
                ),
                Some("a trait"),
            ),
        ];
        for (tokens, expected) in table {
            match Item::parse(tokens) {
                Item::Other(_, what) => assert_eq!(Some(what), expected),
                Item::Function(_) => assert_eq!(None, expected),
                Item::Unknown(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn bodies_are_not_looked_at() {
        let item = Item::parse(quote!(async fn f() { let = 1 + ; } ));
        assert!(matches!(item, Item::Function(_)));
    }

    #[test]
    fn doc_lines_are_joined() {
        let Item::Function(function) = Item::parse(quote! {
            /// How many.
            ///
            /// More.
            async fn f() {}
        }) else {
            panic!("a function")
        };
        assert_eq!(function.doc(), "How many.\n\nMore.");
    }
}
