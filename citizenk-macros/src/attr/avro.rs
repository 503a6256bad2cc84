//! Options of a message's Avro form: `avro(..)` of the attribute, `#[avro(..)]` and `#[serde(..)]` below it.
//!
//! In: attributes. Out: what they say about names, defaults and forms. What serde means and Avro cannot say is
//! a fault here, at the word that means it.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, Type};

use super::suggest;
use crate::report::{Report, with_help};

/// `avro(..)` of `#[message]`.
#[derive(Default)]
pub(crate) struct AvroOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) namespace: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
}

const OPTIONS: [&str; 3] = ["name", "namespace", "alias"];

impl AvroOptions {
    pub(crate) fn parse(tokens: TokenStream, report: &mut Report) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            match word(&meta).as_str() {
                "name" => options.name = Some(name_text(&meta)?),
                "namespace" => options.namespace = Some(name_text(&meta)?),
                "alias" => options.aliases.push(name_text(&meta)?),
                other => return Err(unknown(&meta, "avro(..)", other, &OPTIONS)),
            }
            Ok(())
        });
        if let Err(error) = parser.parse2(tokens) {
            report.push(error);
        }
        options
    }
}

fn word(meta: &ParseNestedMeta<'_>) -> String {
    meta.path
        .get_ident()
        .map_or_else(String::new, |ident| ident.unraw().to_string())
}

fn unknown(
    meta: &ParseNestedMeta<'_>,
    place: &str,
    word: &str,
    known: &[&'static str],
) -> syn::Error {
    let help = match suggest::nearest(word, known.iter().copied()) {
        Some(meant) => format!("help: did you mean `{meant}`?\n"),
        None => String::new(),
    };
    meta.error(format!(
        "unknown option `{word}` of `{place}`\n{help}supported: {}",
        known.join(", ")
    ))
}

/// A text that is an Avro name, or several joined by dots.
fn name_text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let text: LitStr = meta.value()?.parse()?;
    match bad_name(&text.value()) {
        Some(fault) => Err(syn::Error::new(text.span(), fault)),
        None => Ok(text),
    }
}

/// What is wrong with an Avro name.
pub(crate) fn bad_name(name: &str) -> Option<String> {
    let good = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    (!name.split('.').all(good)).then(|| {
        with_help(
            format!("`{name}` is no Avro name"),
            "letters, digits and `_` are allowed, not beginning with a digit",
        )
    })
}

/// What stands for a missing field.
#[derive(Clone)]
pub(crate) enum FieldDefault {
    /// `Default::default()`.
    Type,
    /// A function.
    Path(Path),
}

/// What `#[serde(..)]` and `#[avro(..)]` say of a type, a variant or a field.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) rename: Option<LitStr>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) default: Option<FieldDefault>,
    pub(crate) skip: bool,
    /// The symbol that stands for those the reader does not know.
    pub(crate) other: bool,
    pub(crate) with: Option<Type>,
    pub(crate) doc: String,
}

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Type,
    Variant,
    Field,
}

impl Said {
    pub(crate) fn of(attrs: &[Attribute], level: Level, report: &mut Report) -> Self {
        let mut said = Self::default();
        for attr in attrs {
            let parsed = if attr.path().is_ident("serde") {
                attr.parse_nested_meta(|meta| said.serde(&meta, level))
            } else if attr.path().is_ident("avro") {
                attr.parse_nested_meta(|meta| said.avro(&meta, level))
            } else {
                said.doc_line(attr);
                Ok(())
            };
            if let Err(error) = parsed {
                report.push(error);
            }
        }
        said
    }

    fn doc_line(&mut self, attr: &Attribute) {
        if let Meta::NameValue(pair) = &attr.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(line),
                ..
            }) = &pair.value
        {
            if !self.doc.is_empty() {
                self.doc.push('\n');
            }
            self.doc.push_str(line.value().trim());
        }
    }

    fn serde(&mut self, meta: &ParseNestedMeta<'_>, level: Level) -> syn::Result<()> {
        let is_field = level == Level::Field;
        match word(meta).as_str() {
            "rename" => match both(meta)? {
                Some(name) => self.rename = Some(name),
                None => {
                    return Err(impossible(
                        meta,
                        "two names, one to write and one to read,",
                        "one name, and `alias` for the other",
                    ));
                }
            },
            "rename_all" => self.rename_all = case(both(meta)?)?,
            "rename_all_fields" => self.rename_all_fields = case(both(meta)?)?,
            "alias" => self.aliases.push(meta.value()?.parse()?),
            "default" => {
                self.default = Some(if meta.input.peek(syn::Token![=]) {
                    let path: LitStr = meta.value()?.parse()?;
                    FieldDefault::Path(path.parse()?)
                } else {
                    FieldDefault::Type
                });
            }
            "skip" if is_field => self.skip = true,
            "other" => self.other = true,
            "flatten" => {
                return Err(impossible(
                    meta,
                    "`flatten`",
                    "a field of its own for the inner type",
                ));
            }
            "skip_serializing" | "skip_deserializing" => {
                let word = word(meta);
                return Err(impossible(
                    meta,
                    &format!("`{word}`"),
                    "`skip` for both ways",
                ));
            }
            "skip" => {
                return Err(impossible(
                    meta,
                    "a variant that is skipped",
                    "a type without it",
                ));
            }
            "from" | "try_from" | "into" | "remote" | "transparent" if level == Level::Type => {
                let word = word(meta);
                if word != "transparent" {
                    return Err(impossible(
                        meta,
                        &format!("`{word}`"),
                        "`impl citizenk::avro::AvroType` by hand, or the other type as the message",
                    ));
                }
            }
            // How JSON is written, which Avro does not care about.
            _ => {
                if meta.input.peek(syn::Token![=]) {
                    meta.value()?.parse::<Expr>()?;
                } else if meta.input.peek(syn::token::Paren) {
                    let content;
                    syn::parenthesized!(content in meta.input);
                    content.parse::<TokenStream>()?;
                }
            }
        }
        Ok(())
    }

    fn avro(&mut self, meta: &ParseNestedMeta<'_>, level: Level) -> syn::Result<()> {
        match (word(meta).as_str(), level) {
            ("with", Level::Field) => {
                if self.with.is_some() {
                    return Err(meta.error("`with` is given twice"));
                }
                self.with = Some(meta.value()?.parse()?);
                Ok(())
            }
            ("alias", Level::Field) => {
                self.aliases.push(name_text(meta)?);
                Ok(())
            }
            ("default", Level::Variant) => {
                self.other = true;
                Ok(())
            }
            (other, Level::Field) => Err(unknown(meta, "#[avro(..)]", other, &["with", "alias"])),
            (other, Level::Variant) => Err(unknown(meta, "#[avro(..)]", other, &["default"])),
            (_, Level::Type) => Err(meta.error(with_help(
                "options of the type stand in the attribute",
                "`#[citizenk::message(avro(namespace = \"shop\"))]`",
            ))),
        }
    }
}

fn impossible(meta: &ParseNestedMeta<'_>, what: &str, instead: &str) -> syn::Error {
    meta.error(with_help(
        format!("{what} has no Avro form"),
        format!("use {instead}"),
    ))
}

/// `= "x"`, or `(serialize = "x", deserialize = "x")`; `None`: the two differ.
fn both(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<LitStr>> {
    if meta.input.peek(syn::Token![=]) {
        return Ok(Some(meta.value()?.parse()?));
    }
    let mut names: Vec<LitStr> = Vec::new();
    meta.parse_nested_meta(|inner| {
        names.push(inner.value()?.parse()?);
        Ok(())
    })?;
    let same = names.len() == 2 && names[0].value() == names[1].value();
    Ok(names.pop().filter(|_| same))
}

/// serde's rules for names.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab(Span),
}

fn case(text: Option<LitStr>) -> syn::Result<Option<Case>> {
    let Some(text) = text else { return Ok(None) };
    Ok(Some(match text.value().as_str() {
        "lowercase" => Case::Lower,
        "UPPERCASE" => Case::Upper,
        "PascalCase" => Case::Pascal,
        "camelCase" => Case::Camel,
        "snake_case" => Case::Snake,
        "SCREAMING_SNAKE_CASE" => Case::ScreamingSnake,
        "kebab-case" | "SCREAMING-KEBAB-CASE" => Case::Kebab(text.span()),
        // serde itself says what is wrong with others.
        _ => return Ok(None),
    }))
}

impl Case {
    /// Of a field, which is written in snake case.
    pub(crate) fn field(self, name: &str) -> String {
        match self {
            Self::Lower | Self::Snake | Self::Kebab(_) => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => pascal(name),
            Self::Camel => lower_first(&pascal(name)),
        }
    }

    /// Of a variant, which is written in Pascal case.
    pub(crate) fn variant(self, name: &str) -> String {
        match self {
            Self::Pascal | Self::Kebab(_) => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => lower_first(name),
            Self::Snake => snake(name),
            Self::ScreamingSnake => snake(name).to_ascii_uppercase(),
        }
    }

    pub(crate) fn check(self, report: &mut Report) {
        if let Self::Kebab(span) = self {
            report.at_with_help(
                span,
                "names with `-` are no Avro names",
                "`snake_case` or `camelCase`",
            );
        }
    }
}

fn pascal(name: &str) -> String {
    name.split('_')
        .map(|part| {
            let mut chars = part.chars();
            chars.next().map_or_else(String::new, |first| {
                first.to_ascii_uppercase().to_string() + chars.as_str()
            })
        })
        .collect()
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_ascii_lowercase().to_string() + chars.as_str()
    })
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for (index, c) in name.char_indices() {
        if index > 0 && c.is_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The name a field or variant has in Avro.
pub(crate) fn avro_name(
    ident: &Ident,
    said: &Said,
    made: impl FnOnce(&str) -> String,
    report: &mut Report,
) -> String {
    let (name, span) = match &said.rename {
        Some(rename) => (rename.value(), rename.span()),
        None => (made(&ident.unraw().to_string()), ident.span()),
    };
    if let Some(fault) = bad_name(&name).filter(|_| !name.contains('-') || said.rename.is_some()) {
        report.at(span, fault);
    }
    name
}
