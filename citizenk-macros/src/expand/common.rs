//! What every attribute on a function emits: the function, its handle, the block with its glue.
//!
//! In: the item's tokens, and either glue or faults. Out: the expansion. With faults the handle is still
//! there, with a `describe` that is never called, so that code which registers it has no error of its
//! own.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Index, Path, Type, Visibility};

use super::policy::reference;
use crate::attr::keys::{self, Args};
use crate::check::{self, Function, Kind};
use crate::item::{HandlerFn, Item};
use crate::paths::{Paths, generated, local};
use crate::report::Report;

/// Arguments and the function they stand on, with what is wrong with either.
pub(crate) struct Parsed<A> {
    pub(crate) args: A,
    pub(crate) function: Function,
    /// The arguments as they were written, for the handle's documentation.
    settings: Vec<(String, String)>,
}

/// Runs an attribute on a function: parse, check, validate, expand.
pub(crate) fn on_function<A: Args, M>(
    kind: Kind,
    args: TokenStream,
    item: TokenStream,
    validate: impl FnOnce(A, Function, &mut Report) -> Option<M>,
    glue: impl FnOnce(&M) -> TokenStream,
) -> TokenStream {
    let mut report = Report::default();
    let settings = settings(args.clone());
    let mut args: A = keys::parse(args, &mut report);
    let paths = Paths::new(args.common().krate.value());
    let found = match Item::parse(item.clone()) {
        Item::Function(found) => found,
        Item::Other(span, what) => {
            let text = format!(
                "`#[{}]` goes on an `async fn`, not on {what}",
                kind.attribute
            );
            report.at(span, text);
            return refused(item, report);
        }
        Item::Unknown(error) => {
            report.push(error);
            return refused(item, report);
        }
    };
    let function = check::function(kind, &found, args.common(), &mut report);
    // A handle named as a primitive type would break whatever else is in scope.
    if check::is_associated(&found) || check::is_primitive(&function.handle) {
        return refused(item, report);
    }
    let parsed = Parsed {
        args,
        function,
        settings,
    };
    let shape = Shape::new(&parsed);
    let model = validate(parsed.args, parsed.function, &mut report);
    match model {
        Some(model) if report.is_clean() => shape.complete(item, &paths, glue(&model)),
        _ => shape.stub(without_ours(item, &found), &paths, report),
    }
}

/// The item as it was, and what is wrong with it.
fn refused(item: TokenStream, report: Report) -> TokenStream {
    let errors = report.into_compile_errors();
    quote!(#item #errors)
}

/// Removes a second citizenk attribute, which has been reported: expanded, it would add errors.
fn without_ours(item: TokenStream, found: &HandlerFn) -> TokenStream {
    let second = |attr: &Attribute| check::our_attribute(attr.path(), None).is_some();
    if !found.attrs.iter().any(second) {
        return item;
    }
    let kept = found.attrs.iter().filter(|attr| !second(attr));
    let mut rest = item.into_iter().peekable();
    while matches!(rest.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#') {
        rest.next();
        rest.next();
    }
    let rest: TokenStream = rest.collect();
    quote!(#(#kept)* #rest)
}

/// The arguments as written, for a table.
fn settings(args: TokenStream) -> Vec<(String, String)> {
    keys::split(args, &mut Report::default())
        .into_iter()
        .map(|argument| {
            let text = crate::item::text_of(&argument.into_iter().collect::<TokenStream>());
            match text.split_once(" = ") {
                Some((key, value)) if !key.contains(['(', '[', '"']) => {
                    (key.to_owned(), value.to_owned())
                }
                _ => (String::new(), text),
            }
        })
        .filter(|(key, _)| key != "crate" && key != "handle")
        .collect()
}

/// What the emitted items look like.
struct Shape {
    kind: Kind,
    name: String,
    function: Ident,
    handle: Ident,
    vis: Visibility,
    cfgs: Vec<Attribute>,
    doc: String,
}

impl Shape {
    fn new<A>(parsed: &Parsed<A>) -> Self {
        let function = &parsed.function;
        Self {
            kind: function.kind,
            name: function.name.clone(),
            function: function.ident.clone(),
            handle: function.handle.clone(),
            vis: function.vis.clone(),
            cfgs: function.cfgs.clone(),
            doc: handle_doc(function, &parsed.settings),
        }
    }

    fn handle_struct(&self) -> TokenStream {
        let Self {
            handle,
            vis,
            cfgs,
            doc,
            ..
        } = self;
        let item = generated(handle.span());
        let declaration = quote_spanned!(item=> struct #handle {});
        // A braced struct lives among the types only: `orders(..)` still calls the function.
        quote! {
            #(#cfgs)*
            #[doc = #doc]
            #[allow(
                non_camel_case_types,
                missing_debug_implementations,
                missing_copy_implementations,
                unreachable_pub
            )]
            #vis #declaration
        }
    }

    fn implementation(&self, paths: &Paths, describe: &TokenStream) -> TokenStream {
        let Self {
            handle, cfgs, name, ..
        } = self;
        let import = paths.import();
        let span = generated(self.function.span());
        // Others may wait for an agent by its type.
        let named = (self.kind.noun == check::AGENT.noun).then(|| {
            quote_spanned! {span=>
                #[automatically_derived]
                impl __citizenk::AgentHandle for #handle {
                    const NAME: &'static str = #name;
                }
            }
        });
        quote_spanned! {span=>
            #(#cfgs)*
            const _: () = {
                #import
                #[automatically_derived]
                impl __citizenk::Component for #handle {
                    fn describe() -> __citizenk::ComponentDef {
                        #describe
                    }
                }
                #named
            };
        }
    }

    fn complete(&self, item: TokenStream, paths: &Paths, glue: TokenStream) -> TokenStream {
        let handle = self.handle_struct();
        let implementation = self.implementation(paths, &glue);
        quote!(#item #handle #implementation)
    }

    fn stub(&self, item: TokenStream, paths: &Paths, report: Report) -> TokenStream {
        let handle = self.handle_struct();
        let span = generated(self.function.span());
        let broken = quote_spanned!(span=> __citizenk::ComponentDef::broken());
        let implementation = self.implementation(paths, &broken);
        let errors = report.into_compile_errors();
        quote!(#item #handle #implementation #errors)
    }
}

fn handle_doc(function: &Function, settings: &[(String, String)]) -> String {
    let title = function.title();
    let handle = &function.handle;
    let mut doc = format!("Registration handle of {title}: `.register::<{handle}>()`.");
    if !settings.is_empty() {
        doc.push_str("\n\n| setting | value |\n|---|---|");
        for (key, value) in settings {
            let value = value.replace('|', "\\|");
            doc.push_str(&format!("\n| {key} | `{value}` |"));
        }
    }
    doc
}

/// How the arguments behind the records are made, for agents, timers and hooks.
pub(crate) struct Extraction {
    /// Calls on the builder `__b`.
    pub(crate) requires: TokenStream,
    /// The closure that looks up what does not change.
    pub(crate) prepare: TokenStream,
    /// Statements in the call's closure, with `__p` and `__call`.
    pub(crate) extract: TokenStream,
    /// The arguments of the function.
    pub(crate) values: Vec<Ident>,
}

impl Extraction {
    /// For the given arguments in the mode `__Mode`.
    ///
    /// All tokens that concern an argument carry its type's span: rustc reports what is wrong with it
    /// once, there.
    pub(crate) fn of(arguments: &[Type], function: &Function) -> Self {
        let (builder, prepared, call) = (local("__b"), local("__p"), local("__call"));
        let cx = local("__cx");
        let mut requires = TokenStream::new();
        let mut prepares = TokenStream::new();
        let mut extract = TokenStream::new();
        let mut values = Vec::new();
        for (index, ty) in arguments.iter().enumerate() {
            let span = check::span_of(ty);
            let value = local(&format!("__a{index}"));
            // An alias is one token: all obligations of an argument stand at one span, and rustc prints
            // one error.
            let alias = Ident::new(&format!("__T{index}"), span);
            let place = Index {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                span,
            };
            requires.extend(quote_spanned! {span=>
                type #alias = #ty;
                let #builder = #builder.requires::<#alias>();
            });
            prepares.extend(quote_spanned! {span=>
                <#alias as __citizenk::Extract<__Mode>>::prepare(#cx)?,
            });
            extract.extend(quote_spanned! {span=>
                let #value = <#alias as __citizenk::Extract<__Mode>>::extract(&#prepared.#place, #call)?;
            });
            values.push(value);
        }
        let span = generated(function.ident.span());
        let prepare = quote_spanned! {span=>
            |#cx: &__citizenk::PrepareContext<'_>| ::core::result::Result::Ok((#prepares))
        };
        Self {
            requires,
            prepare,
            extract,
            values,
        }
    }
}

/// A function that is called without records: what timers and hooks emit alike.
pub(crate) struct Task {
    pub(crate) requires: TokenStream,
    pub(crate) prepare: TokenStream,
    pub(crate) call: TokenStream,
}

impl Task {
    pub(crate) fn of(function: &Function) -> Self {
        let Extraction {
            requires,
            prepare,
            extract,
            values,
        } = Extraction::of(&function.arguments, function);
        let (prepared, call) = (local("__p"), local("__call"));
        let ident = &function.ident;
        let returned = return_span(function);
        let outcome = quote_spanned! {returned=>
            __citizenk::task_outcome(
                __citizenk::agent_future_must_be_send(#ident(#(#values),*)).await
            )
        };
        let span = generated(ident.span());
        let call = quote_spanned! {span=>
            |#prepared, #call: &__citizenk::Call<'_, __Mode>| {
                #extract
                ::core::result::Result::Ok(async move { #outcome })
            }
        };
        Self {
            requires,
            prepare,
            call,
        }
    }
}

/// Calls on the builder `__b` of a timer or hook: where it may send, and what stands around its calls.
pub(crate) fn around(sends: &[Path], wraps: &[Path]) -> TokenStream {
    let builder = local("__b");
    let mut code = TokenStream::new();
    for topic in sends {
        let reference = reference(topic);
        code.extend(quote_spanned!(topic.span()=> let #builder = #builder.sends(#reference);));
    }
    for wrap in wraps {
        code.extend(quote_spanned!(wrap.span()=> let #builder = #builder.wrap(#wrap);));
    }
    code
}

/// The span of what is returned.
pub(crate) fn return_span(function: &Function) -> Span {
    match &function.returns {
        Some(ty) => check::span_of(ty),
        None => function.ident.span(),
    }
}

/// `__citizenk::Origin::new(file!(), line!(), "doc")`.
pub(crate) fn origin(function: &Function) -> TokenStream {
    let doc = &function.doc;
    let span = generated(function.ident.span());
    quote_spanned!(span=> __citizenk::Origin::new(::core::file!(), ::core::line!(), #doc))
}
