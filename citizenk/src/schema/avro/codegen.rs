//! From the text of a schema to the source of a Rust type.
//!
//! In: a schema. Out: structs and enums for `#[citizenk::message(avro)]`, whose own schema is that one again; or
//! everything that no Rust type says, with the field. Nothing is guessed: what has two forms in Rust gets the plainer.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::model::{Field, Id, Kind, Logical, Model, Name};
use super::resolve::{Mismatch, listed};
use crate::schema::SchemaText;

/// The source of the types of a schema, for a file of its own.
///
/// ```
/// let source = citizenk::avro::rust_source(r#"{"type": "record", "name": "Ride", "namespace": "city", "fields": [
///     {"name": "zone", "type": "int"}, {"name": "note", "type": ["null", "string"], "default": null}]}"#)?;
/// assert!(source.contains("#[citizenk::message(avro(namespace = \"city\"))]"));
/// assert!(source.contains("pub note: Option<String>,"));
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// What is wrong with the schema, or has no Rust type, with the fields at fault.
pub fn rust_source(schema: &str) -> Result<String, String> {
    let model = Model::parse(&SchemaText::avro(schema)).map_err(|error| error.to_string())?;
    let mut source = Source {
        model: &model,
        names: HashMap::new(),
        taken: USED.map(str::to_owned).to_vec(),
        open: Vec::new(),
        types: Vec::new(),
        functions: Vec::new(),
        path: Vec::new(),
        problems: Vec::new(),
    };
    if model.kind(model.root).name().is_none() {
        return Err("only a schema with a name (a record, an enum) has a Rust type".to_owned());
    }
    source.named(model.root, "");
    if !source.problems.is_empty() {
        return Err(listed(&source.problems));
    }
    Ok(source.text())
}

/// What the source itself refers to: a type of such a name would take its place.
const USED: [&str; 16] = [
    "String",
    "Option",
    "Some",
    "None",
    "Vec",
    "Box",
    "Default",
    "BTreeMap",
    "DateTime",
    "Utc",
    "NaiveDate",
    "NaiveTime",
    "NaiveDateTime",
    "Uuid",
    "Decimal",
    "Micros",
];

struct Source<'a> {
    model: &'a Model,
    /// The Rust names of named types.
    names: HashMap<Id, String>,
    taken: Vec<String>,
    /// Types that are being written: one that contains itself needs a box.
    open: Vec<Id>,
    /// In the order of the schema.
    types: Vec<String>,
    /// What stands for fields that are missing.
    functions: Vec<String>,
    path: Vec<String>,
    problems: Vec<Mismatch>,
}

/// A Rust type, and how it is written where that is not its own way.
struct Typed {
    rust: String,
    with: Option<String>,
}

impl Typed {
    fn own(rust: impl Into<String>) -> Self {
        Self {
            rust: rust.into(),
            with: None,
        }
    }

    fn with(rust: &str, with: impl Into<String>) -> Self {
        Self {
            rust: rust.to_owned(),
            with: Some(with.into()),
        }
    }
}

impl Source<'_> {
    fn problem(&mut self, reason: impl Into<String>) {
        self.problems.push(Mismatch {
            path: self.path.join("."),
            reason: reason.into(),
        });
    }

    fn text(self) -> String {
        let parts = self.types.iter().chain(&self.functions);
        let body = parts.cloned().collect::<Vec<_>>().join("\n");
        let mut text = String::from("// Written by `schemas codegen` from an Avro schema.\n\n");
        if body.contains("BTreeMap<") {
            text.push_str("use std::collections::BTreeMap;\n\n");
        }
        let chrono = ["NaiveDateTime", "NaiveDate", "NaiveTime"];
        let has = |name: &&&str| {
            let used = |end: char| body.contains(&format!("{name}{end}"));
            [',', '>', ':'].into_iter().any(used)
        };
        let mut used: Vec<&str> = chrono.iter().filter(has).copied().collect();
        used.sort_unstable();
        match used[..] {
            [] => {}
            [one] => {
                let _ = writeln!(text, "use chrono::{one};");
            }
            _ => {
                let _ = writeln!(text, "use chrono::{{{}}};", used.join(", "));
            }
        }
        let ways = ["Decimal", "Micros"];
        let ways = ways.into_iter().filter(|way| {
            let with = [format!("with = {way}"), format!("with = Option<{way}")];
            with.iter().any(|with| body.contains(with))
        });
        let ways: Vec<_> = ways.collect();
        match ways[..] {
            [] => {}
            [one] => {
                let _ = writeln!(text, "use citizenk::avro::{one};");
            }
            _ => {
                let _ = writeln!(text, "use citizenk::avro::{{{}}};", ways.join(", "));
            }
        }
        if body.contains("DateTime<Utc>") {
            text.push_str("use citizenk::prelude::{DateTime, Utc};\n");
        }
        if !text.ends_with("\n\n") {
            text.push('\n');
        }
        text.push_str(&body);
        text
    }

    fn free(&mut self, wanted: String) -> String {
        let mut name = wanted.clone();
        let mut number = 2;
        while self.taken.contains(&name) {
            name = format!("{wanted}{number}");
            number += 1;
        }
        self.taken.push(name.clone());
        name
    }

    /// The Rust name of a named type, which is written if it is not yet.
    fn named(&mut self, id: Id, outer: &str) -> String {
        if let Some(name) = self.names.get(&id) {
            return name.clone();
        }
        let (kind, doc) = (self.model.kind(id).clone(), self.model.node(id).doc.clone());
        let Some(name) = kind.name().cloned() else {
            return String::new();
        };
        let rust = self.free(camel(name.short()));
        self.names.insert(id, rust.clone());
        self.open.push(id);
        // Before those it names.
        let place = self.types.len();
        self.types.push(String::new());
        let namespace = name.full.rsplit_once('.').map_or("", |(space, _)| space);
        let text = match &kind {
            Kind::Record(_, fields) => self.record(&rust, fields, namespace),
            Kind::Enum(_, symbols, default) => self.symbols(&rust, symbols, default.as_deref()),
            _ => String::new(),
        };
        let options = self.options(&rust, &name, namespace, outer);
        let is_symbols = matches!(kind, Kind::Enum(..));
        let derives = match is_symbols {
            true => "Clone, Copy, Debug, PartialEq, Eq",
            false => "Clone, Debug, PartialEq",
        };
        self.types[place] = format!(
            "{}#[citizenk::message(avro{options})]\n#[derive({derives})]\n{text}",
            comment(doc.as_deref(), "")
        );
        self.open.pop();
        rust
    }

    fn options(&mut self, rust: &str, name: &Name, namespace: &str, outer: &str) -> String {
        let mut options = Vec::new();
        if rust != name.short() {
            options.push(format!("name = {:?}", name.short()));
        }
        if !namespace.is_empty() {
            options.push(format!("namespace = {namespace:?}"));
        } else if !outer.is_empty() {
            self.problem(format!(
                "type `{}` has no namespace within one that has; give it one",
                name.full
            ));
        }
        for alias in &name.aliases {
            let own = alias.strip_prefix(namespace);
            let own = own.and_then(|alias| alias.strip_prefix('.'));
            let short = own.filter(|alias| !alias.contains('.')).unwrap_or(alias);
            options.push(format!("alias = {short:?}"));
        }
        match options.is_empty() {
            true => String::new(),
            false => format!("({})", options.join(", ")),
        }
    }

    fn symbols(&mut self, rust: &str, symbols: &[String], default: Option<&str>) -> String {
        let mut text = format!("pub enum {rust} {{\n");
        for (symbol, variant) in symbols.iter().zip(variants(symbols)) {
            if default == Some(symbol) {
                text.push_str("    #[avro(default)]\n");
            }
            if variant != *symbol {
                let _ = writeln!(text, "    #[serde(rename = {symbol:?})]");
            }
            let _ = writeln!(text, "    {variant},");
        }
        text.push_str("}\n");
        text
    }

    fn record(&mut self, rust: &str, fields: &[Field], namespace: &str) -> String {
        let mut text = format!("pub struct {rust} {{\n");
        let mut idents: Vec<String> = Vec::new();
        for field in fields {
            self.path.push(field.name.clone());
            let mut ident = snake(&field.name);
            while idents.contains(&ident) {
                ident.push('_');
            }
            let typed = self.field(rust, field, namespace);
            text.push_str(&comment(field.doc.as_deref(), "    "));
            let mut serde = Vec::new();
            if ident != field.name {
                serde.push(format!("rename = {:?}", field.name));
            }
            for alias in &field.aliases {
                serde.push(format!("alias = {alias:?}"));
            }
            serde.extend(self.default(rust, &ident, field, &typed));
            if !serde.is_empty() {
                let _ = writeln!(text, "    #[serde({})]", serde.join(", "));
            }
            if let Some(with) = &typed.with {
                let _ = writeln!(text, "    #[avro(with = {with})]");
            }
            let _ = writeln!(text, "    pub {}: {},", escaped(&ident), typed.rust);
            idents.push(ident);
            self.path.pop();
        }
        text.push_str("}\n");
        text
    }

    fn field(&mut self, record: &str, field: &Field, namespace: &str) -> Typed {
        let name = format!("{record}{}", camel(&field.name));
        self.typed(field.schema, &name, namespace)
    }

    /// `name` is for an enum that the schema has no name for.
    fn typed(&mut self, id: Id, name: &str, namespace: &str) -> Typed {
        let node = self.model.node(id).clone();
        match (&node.kind, node.logical) {
            (Kind::Boolean, _) => Typed::own("bool"),
            (_, Some(Logical::Date)) => Typed::own("NaiveDate"),
            (_, Some(Logical::TimeMillis)) => Typed::own("NaiveTime"),
            (_, Some(Logical::TimeMicros)) => Typed::with("NaiveTime", "Micros"),
            (_, Some(Logical::TimestampMillis)) => Typed::own("DateTime<Utc>"),
            (_, Some(Logical::TimestampMicros)) => Typed::with("DateTime<Utc>", "Micros"),
            (_, Some(Logical::LocalTimestampMillis)) => Typed::own("NaiveDateTime"),
            (_, Some(Logical::LocalTimestampMicros)) => Typed::with("NaiveDateTime", "Micros"),
            (Kind::String, Some(Logical::Uuid)) => Typed::own("uuid::Uuid"),
            (Kind::Bytes, Some(Logical::Decimal { precision, scale })) if precision <= 28 => {
                Typed::with(
                    "rust_decimal::Decimal",
                    format!("Decimal<{precision}, {scale}>"),
                )
            }
            (_, Some(_)) => {
                let title = self.model.title(id);
                self.problem(format!("{title} has no Rust type; read it as `AvroValue`"));
                Typed::own("()")
            }
            (Kind::Null, _) => Typed::own("()"),
            (Kind::Int, _) => Typed::own("i32"),
            (Kind::Long, _) => Typed::own("i64"),
            (Kind::Float, _) => Typed::own("f32"),
            (Kind::Double, _) => Typed::own("f64"),
            (Kind::Bytes, _) => Typed::own("Vec<u8>"),
            (Kind::String, _) => Typed::own("String"),
            (Kind::Fixed(name, size), _) => {
                if name.short() != format!("Fixed{size}") || *size > 32 {
                    self.problem(format!(
                        "fixed `{}` has no Rust type: arrays of bytes are `Fixed{size}`, and of 32 bytes at most; read it as `AvroValue`",
                        name.full
                    ));
                }
                Typed::own(format!("[u8; {size}]"))
            }
            (Kind::Array(items), _) => {
                let items = self.inside(*items, name, namespace);
                Typed::own(format!("Vec<{items}>"))
            }
            (Kind::Map(values), _) => {
                let values = self.inside(*values, name, namespace);
                Typed::own(format!("BTreeMap<String, {values}>"))
            }
            (Kind::Record(..), _) if self.open.contains(&id) => {
                Typed::own(format!("Box<{}>", self.named(id, namespace)))
            }
            (Kind::Record(..) | Kind::Enum(..), _) => Typed::own(self.named(id, namespace)),
            (Kind::Union(branches), _) => self.union(id, branches, name, namespace),
        }
    }

    /// An item of a list or a value of a map, which is written its own way.
    fn inside(&mut self, id: Id, name: &str, namespace: &str) -> String {
        let open = std::mem::take(&mut self.open);
        let typed = self.typed(id, name, namespace);
        self.open = open;
        if let Some(with) = typed.with {
            self.problem(format!(
                "no list or map has items that are written with `{with}`; read it as `AvroValue`"
            ));
        }
        typed.rust
    }

    fn union(&mut self, id: Id, branches: &[Id], name: &str, namespace: &str) -> Typed {
        let model = self.model;
        let others = branches
            .iter()
            .copied()
            .filter(|id| !matches!(model.kind(*id), Kind::Null));
        let others: Vec<Id> = others.collect();
        let is_nullable = others.len() < branches.len();
        let inner = match others[..] {
            [only] if is_nullable => self.typed(only, name, namespace),
            _ if others.len() > 1
                && others
                    .iter()
                    .all(|id| matches!(model.kind(*id), Kind::Record(..))) =>
            {
                Typed::own(self.choice(&others, name, namespace))
            }
            _ => {
                let title = self.model.title(id);
                self.problem(format!("{title} has no Rust type; read it as `AvroValue`"));
                return Typed::own("()");
            }
        };
        match is_nullable {
            false => inner,
            true => Typed {
                rust: format!("Option<{}>", inner.rust),
                with: inner.with.map(|with| format!("Option<{with}>")),
            },
        }
    }

    /// An enum with data: one variant per record.
    fn choice(&mut self, records: &[Id], name: &str, namespace: &str) -> String {
        let rust = self.free(name.to_owned());
        let place = self.types.len();
        self.types.push(String::new());
        let mut text = format!(
            "#[citizenk::message(avro)]\n#[derive(Clone, Debug, PartialEq)]\npub enum {rust} {{\n"
        );
        for id in records {
            let typed = self.typed(*id, name, namespace);
            let variant = self.names.get(id).cloned().unwrap_or_default();
            let _ = writeln!(text, "    {variant}({}),", typed.rust);
        }
        text.push_str("}\n");
        self.types[place] = text;
        rust
    }

    /// What stands in `serde(..)` for a field that may be missing.
    fn default(&mut self, rust: &str, ident: &str, field: &Field, typed: &Typed) -> Option<String> {
        let default = field.default.as_ref()?;
        if default.is_null() {
            // An option that is missing is none without being told.
            return None;
        }
        let Some(value) = self.expression(field.schema, default) else {
            self.problem(format!(
                "the default {default} has no Rust value; leave it out of the schema, or read it as `AvroValue`"
            ));
            return None;
        };
        if [
            "false",
            "0",
            "0.0",
            "String::new()",
            "Vec::new()",
            "BTreeMap::new()",
        ]
        .contains(&value.as_str())
        {
            return Some("default".to_owned());
        }
        let function = self.free(format!("{}_{ident}", snake(rust)));
        self.functions.push(format!(
            "fn {function}() -> {} {{\n    {value}\n}}\n",
            typed.rust
        ));
        Some(format!("default = {function:?}"))
    }

    fn expression(&self, id: Id, default: &Value) -> Option<String> {
        let node = self.model.node(id);
        if node.logical.is_some() {
            return None;
        }
        Some(match &node.kind {
            Kind::Boolean => default.as_bool()?.to_string(),
            Kind::Int | Kind::Long => default.as_i64()?.to_string(),
            Kind::Float | Kind::Double => format!("{:?}", default.as_f64()?),
            Kind::String => match default.as_str()? {
                "" => "String::new()".to_owned(),
                text => format!("{text:?}.to_owned()"),
            },
            Kind::Array(_) if default.as_array()?.is_empty() => "Vec::new()".to_owned(),
            Kind::Array(items) => {
                let values = default.as_array()?.iter();
                let values = values.map(|value| self.expression(*items, value));
                format!("vec![{}]", values.collect::<Option<Vec<_>>>()?.join(", "))
            }
            Kind::Map(_) if default.as_object()?.is_empty() => "BTreeMap::new()".to_owned(),
            Kind::Map(values) => {
                let entries = default.as_object()?.iter();
                let entries = entries.map(|(key, value)| {
                    let value = self.expression(*values, value)?;
                    Some(format!("({key:?}.to_owned(), {value})"))
                });
                let entries = entries.collect::<Option<Vec<_>>>()?.join(", ");
                format!("BTreeMap::from([{entries}])")
            }
            Kind::Enum(_, symbols, _) => {
                let position = symbols.iter().position(|symbol| default == symbol)?;
                format!("{}::{}", self.names.get(&id)?, variants(symbols)[position])
            }
            Kind::Union(branches) => {
                let others = branches.iter();
                let mut others = others.filter(|id| !matches!(self.model.kind(**id), Kind::Null));
                match (others.next(), others.next()) {
                    (Some(only), None) => format!("Some({})", self.expression(*only, default)?),
                    _ => return None,
                }
            }
            Kind::Null | Kind::Bytes | Kind::Fixed(..) | Kind::Record(..) => return None,
        })
    }
}

fn comment(doc: Option<&str>, indent: &str) -> String {
    let lines = doc.unwrap_or_default().lines().map(str::trim);
    lines.fold(String::new(), |mut text, line| {
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(text, "{indent}///{space}{line}");
        text
    })
}

/// The names of an enum's variants, each another one.
fn variants(symbols: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for symbol in symbols {
        let mut name = camel(symbol);
        while names.contains(&name) {
            name.push('_');
        }
        names.push(name);
    }
    names
}

/// The words of a name: at `_`, and where a small letter is followed by a capital one, or a capital one by a word.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (index, c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| chars[before]);
        let after = chars.get(index + 1);
        let begins = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if *c == '_' || begins {
            words.push(String::new());
        }
        if *c != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn snake(name: &str) -> String {
    match words(name).join("_") {
        // Those that no `r#` makes a name of.
        text if ["self", "super", "crate"].contains(&text.as_str()) => format!("{text}_"),
        text if text.starts_with(|c: char| c.is_ascii_alphabetic()) => text,
        text => format!("_{text}"),
    }
}

fn camel(name: &str) -> String {
    let words = words(name).into_iter();
    let text: String = words
        .map(|word| {
            let mut chars = word.chars();
            let first = chars.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(chars).collect::<String>()
        })
        .collect();
    match text.as_str() {
        // The only names of that form that no type may have.
        "" | "Self" => format!("{text}_"),
        _ if text.starts_with(|c: char| c.is_ascii_alphabetic()) => text,
        _ => format!("_{text}"),
    }
}

const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

fn escaped(ident: &str) -> String {
    match ident {
        _ if KEYWORDS.contains(&ident) => format!("r#{ident}"),
        _ => ident.to_owned(),
    }
}
