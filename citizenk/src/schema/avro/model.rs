//! An Avro schema as data: parsed once per schema, never per record.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::schema::SchemaText;

/// Where a node stands in its [`Model`].
pub(crate) type Id = usize;

/// How deep schemas may be nested as text: a schema from outside must not overflow the stack.
const MAX_NESTING: usize = 64;
/// How many nodes a schema may have.
const MAX_NODES: usize = 10_000;

/// A schema; the types it names are nodes, too, so that it may contain itself.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    nodes: Vec<Node>,
    pub(crate) root: Id,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) logical: Option<Logical>,
    pub(crate) doc: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
    Record(Name, Vec<Field>),
    Enum(Name, Vec<String>, Option<String>),
    Fixed(Name, usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// With the namespace.
    pub(crate) full: String,
    /// Full names.
    pub(crate) aliases: Vec<String>,
}

impl Name {
    pub(crate) fn short(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or_default()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) doc: Option<String>,
    pub(crate) default: Option<Value>,
    pub(crate) schema: Id,
}

/// What an underlying type stands for. Those that are not known are passed over, as the specification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logical {
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    LocalTimestampMillis,
    LocalTimestampMicros,
    Uuid,
    Decimal { precision: u32, scale: u32 },
    Duration,
}

impl fmt::Display for Logical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date => f.write_str("date"),
            Self::TimeMillis => f.write_str("time-millis"),
            Self::TimeMicros => f.write_str("time-micros"),
            Self::TimestampMillis => f.write_str("timestamp-millis"),
            Self::TimestampMicros => f.write_str("timestamp-micros"),
            Self::LocalTimestampMillis => f.write_str("local-timestamp-millis"),
            Self::LocalTimestampMicros => f.write_str("local-timestamp-micros"),
            Self::Uuid => f.write_str("uuid"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision}, {scale})"),
            Self::Duration => f.write_str("duration"),
        }
    }
}

impl Kind {
    pub(crate) fn name(&self) -> Option<&Name> {
        match self {
            Self::Record(name, _) | Self::Enum(name, ..) | Self::Fixed(name, _) => Some(name),
            _ => None,
        }
    }

    /// The kind's own word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(..) => "record",
            Self::Enum(..) => "enum",
            Self::Fixed(..) => "fixed",
        }
    }
}

/// What is wrong with a schema's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", place(path))]
pub(crate) struct ModelError {
    /// The field at fault, e.g. `items.price`; empty for the schema itself.
    path: String,
    reason: String,
}

fn place(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("field `{path}`: ")
    }
}

impl Model {
    /// Parses a schema; those it refers to are parsed before it.
    pub(crate) fn parse(schema: &SchemaText) -> Result<Self, ModelError> {
        let mut parser = Parser::default();
        for reference in &schema.references {
            parser.text(&reference.text)?;
        }
        let root = parser.text(&schema.text)?;
        Ok(Self {
            nodes: parser.nodes,
            root,
        })
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(crate) fn kind(&self, id: Id) -> &Kind {
        &self.nodes[id].kind
    }

    /// How the type is called in messages.
    pub(crate) fn title(&self, id: Id) -> String {
        let node = self.node(id);
        match (&node.kind, node.logical) {
            (kind, Some(logical)) => format!("{logical} ({})", kind.word()),
            (Kind::Union(branches), None) => {
                let titles: Vec<_> = branches.iter().map(|id| self.title(*id)).collect();
                format!("union of {}", titles.join(", "))
            }
            (Kind::Array(items), None) => format!("array of {}", self.short_title(*items)),
            (Kind::Map(values), None) => format!("map of {}", self.short_title(*values)),
            (kind, None) => match kind.name() {
                Some(name) => format!("{} `{}`", kind.word(), name.full),
                None => kind.word().to_owned(),
            },
        }
    }

    fn short_title(&self, id: Id) -> &str {
        self.kind(id).word()
    }

    /// Whether a value takes no bytes at all: many of them could be claimed by a few bytes.
    pub(crate) fn is_empty(&self, id: Id) -> bool {
        self.is_empty_within(id, &mut Vec::new())
    }

    fn is_empty_within(&self, id: Id, open: &mut Vec<Id>) -> bool {
        match self.kind(id) {
            Kind::Null => true,
            Kind::Fixed(_, size) => *size == 0,
            Kind::Record(_, fields) => {
                // A record that contains itself without a choice has no values.
                if open.contains(&id) {
                    return true;
                }
                open.push(id);
                let empty = fields
                    .iter()
                    .all(|field| self.is_empty_within(field.schema, open));
                open.pop();
                empty
            }
            _ => false,
        }
    }
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, Id>,
    path: Vec<String>,
    depth: usize,
}

impl Parser {
    fn wrong(&self, reason: impl Into<String>) -> ModelError {
        ModelError {
            path: self.path.join("."),
            reason: reason.into(),
        }
    }

    fn text(&mut self, text: &str) -> Result<Id, ModelError> {
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            // `string` without quotes is what people write for a schema of one type.
            Err(_) if primitive(text.trim()).is_some() => Value::String(text.trim().to_owned()),
            Err(error) => return Err(self.wrong(format!("not valid JSON: {error}"))),
        };
        self.value(&value, "")
    }

    fn add(&mut self, kind: Kind) -> Result<Id, ModelError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(self.wrong(format!("has more than {MAX_NODES} types")));
        }
        self.nodes.push(Node {
            kind,
            logical: None,
            doc: None,
        });
        Ok(self.nodes.len() - 1)
    }

    fn value(&mut self, value: &Value, namespace: &str) -> Result<Id, ModelError> {
        if self.depth >= MAX_NESTING {
            return Err(self.wrong(format!("is nested more than {MAX_NESTING} deep")));
        }
        self.depth += 1;
        let id = match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            other => Err(self.wrong(format!("`{other}` is no Avro schema"))),
        };
        self.depth -= 1;
        id
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<Id, ModelError> {
        if let Some(kind) = primitive(name) {
            return self.add(kind);
        }
        let full = qualified(name, namespace);
        match self.names.get(&full).or_else(|| self.names.get(name)) {
            Some(id) => Ok(*id),
            None => Err(self.wrong(format!("the type `{full}` is not defined"))),
        }
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<Id, ModelError> {
        let mut ids = Vec::with_capacity(branches.len());
        for branch in branches {
            let id = self.value(branch, namespace)?;
            if matches!(self.nodes[id].kind, Kind::Union(_)) {
                return Err(self.wrong("a union directly within a union (e.g. an `Option` of an `Option`) has no Avro form"));
            }
            let same = |other: &Id| {
                let (one, other) = (&self.nodes[id].kind, &self.nodes[*other].kind);
                match (one.name(), other.name()) {
                    (Some(one), Some(other)) => one.full == other.full,
                    (None, None) => one.word() == other.word(),
                    _ => false,
                }
            };
            if ids.iter().any(same) {
                return Err(self.wrong(format!(
                    "the union has `{}` twice",
                    self.nodes[id].kind.word()
                )));
            }
            ids.push(id);
        }
        self.add(Kind::Union(ids))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Id, ModelError> {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // `{"type": {"type": "array", ..}}` and `{"type": [..]}` stand for what is inside.
            Some(inner @ (Value::Object(_) | Value::Array(_))) => {
                return self.value(inner, namespace);
            }
            _ => return Err(self.wrong("the schema has no `type`")),
        };
        let id = match kind {
            "record" | "error" => self.record(object, namespace)?,
            "enum" => self.symbols(object, namespace)?,
            "fixed" => {
                let name = self.name(object, namespace)?;
                let size = object
                    .get("size")
                    .and_then(Value::as_u64)
                    .and_then(|size| usize::try_from(size).ok())
                    .ok_or_else(|| self.wrong("a `fixed` needs a `size`"))?;
                self.define(Kind::Fixed(name, size))?
            }
            "array" => {
                let items = self.part(object, "items", namespace)?;
                self.add(Kind::Array(items))?
            }
            "map" => {
                let values = self.part(object, "values", namespace)?;
                self.add(Kind::Map(values))?
            }
            name => self.named(name, namespace)?,
        };
        if let Some(Value::String(doc)) = object.get("doc") {
            self.nodes[id].doc = Some(doc.clone());
        }
        if let Some(Value::String(logical)) = object.get("logicalType") {
            self.nodes[id].logical = logical_type(logical, object, &self.nodes[id].kind);
        }
        Ok(id)
    }

    fn part(
        &mut self,
        object: &Map<String, Value>,
        part: &str,
        namespace: &str,
    ) -> Result<Id, ModelError> {
        match object.get(part) {
            Some(value) => self.value(value, namespace),
            None => Err(self.wrong(format!(
                "an array needs `items` and a map `values`; `{part}` is missing"
            ))),
        }
    }

    fn name(&self, object: &Map<String, Value>, outer: &str) -> Result<Name, ModelError> {
        let name = object
            .get("name")
            .and_then(Value::as_str)
            .ok_or_else(|| self.wrong("a named type needs a `name`"))?;
        let namespace = object
            .get("namespace")
            .and_then(Value::as_str)
            .unwrap_or(outer);
        let full = qualified(name, namespace);
        if let Some(reason) = bad_name(&full) {
            return Err(self.wrong(reason));
        }
        let own = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        Ok(Name {
            aliases: texts(object.get("aliases"))
                .map(|alias| qualified(alias, own))
                .collect(),
            full,
        })
    }

    fn define(&mut self, kind: Kind) -> Result<Id, ModelError> {
        let full = kind
            .name()
            .map(|name| name.full.clone())
            .unwrap_or_default();
        if self.names.contains_key(&full) {
            return Err(self.wrong(format!("the type `{full}` is defined twice")));
        }
        let id = self.add(kind)?;
        self.names.insert(full, id);
        Ok(id)
    }

    fn record(&mut self, object: &Map<String, Value>, outer: &str) -> Result<Id, ModelError> {
        let name = self.name(object, outer)?;
        let namespace = name
            .full
            .rsplit_once('.')
            .map_or("", |(namespace, _)| namespace)
            .to_owned();
        // Defined before its fields, which may name it.
        let id = self.define(Kind::Record(name.clone(), Vec::new()))?;
        let Some(Value::Array(values)) = object.get("fields") else {
            return Err(self.wrong(format!("record `{}` has no `fields`", name.full)));
        };
        let mut fields: Vec<Field> = Vec::with_capacity(values.len());
        for value in values {
            let field = value.get("name").and_then(Value::as_str);
            let field = field.ok_or_else(|| self.wrong("a field needs a `name`"))?;
            self.path.push(field.to_owned());
            if let Some(reason) = bad_name(field) {
                return Err(self.wrong(reason));
            }
            if fields.iter().any(|other| other.name == field) {
                return Err(self.wrong("the record has this field twice"));
            }
            let schema = value
                .get("type")
                .ok_or_else(|| self.wrong("the field has no `type`"))?;
            let schema = self.value(schema, &namespace)?;
            fields.push(Field {
                name: field.to_owned(),
                aliases: texts(value.get("aliases")).map(str::to_owned).collect(),
                doc: value.get("doc").and_then(Value::as_str).map(str::to_owned),
                default: value.get("default").cloned(),
                schema,
            });
            self.path.pop();
        }
        self.nodes[id].kind = Kind::Record(name, fields);
        Ok(id)
    }

    fn symbols(&mut self, object: &Map<String, Value>, outer: &str) -> Result<Id, ModelError> {
        let name = self.name(object, outer)?;
        let symbols: Vec<String> = texts(object.get("symbols")).map(str::to_owned).collect();
        if symbols.is_empty() {
            return Err(self.wrong(format!("enum `{}` has no `symbols`", name.full)));
        }
        for (index, symbol) in symbols.iter().enumerate() {
            if let Some(reason) = bad_name(symbol) {
                return Err(self.wrong(reason));
            }
            if symbols[..index].contains(symbol) {
                return Err(self.wrong(format!("enum `{}` has `{symbol}` twice", name.full)));
            }
        }
        let default = object.get("default").and_then(Value::as_str);
        if let Some(default) = default
            && !symbols.iter().any(|symbol| symbol == default)
        {
            return Err(self.wrong(format!("the default `{default}` is not one of the symbols")));
        }
        let default = default.map(str::to_owned);
        self.define(Kind::Enum(name, symbols, default))
    }
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

/// Letters, digits and `_`, not beginning with a digit; parts joined by dots.
pub(crate) fn bad_name(name: &str) -> Option<String> {
    let good = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    (!name.split('.').all(good)).then(|| {
        format!("`{name}` is no Avro name: letters, digits and `_` are allowed, not beginning with a digit")
    })
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn logical_type(logical: &str, object: &Map<String, Value>, kind: &Kind) -> Option<Logical> {
    let number = |name: &str| {
        let value = object.get(name).and_then(Value::as_u64);
        value.and_then(|value| u32::try_from(value).ok())
    };
    Some(match (logical, kind) {
        ("date", Kind::Int) => Logical::Date,
        ("time-millis", Kind::Int) => Logical::TimeMillis,
        ("time-micros", Kind::Long) => Logical::TimeMicros,
        ("timestamp-millis", Kind::Long) => Logical::TimestampMillis,
        ("timestamp-micros", Kind::Long) => Logical::TimestampMicros,
        ("local-timestamp-millis", Kind::Long) => Logical::LocalTimestampMillis,
        ("local-timestamp-micros", Kind::Long) => Logical::LocalTimestampMicros,
        ("uuid", Kind::String) => Logical::Uuid,
        ("uuid", Kind::Fixed(_, 16)) => Logical::Uuid,
        ("duration", Kind::Fixed(_, 12)) => Logical::Duration,
        ("decimal", Kind::Bytes | Kind::Fixed(..)) => Logical::Decimal {
            precision: number("precision")?,
            scale: number("scale").unwrap_or(0),
        },
        _ => return None,
    })
}
