//! What one schema wrote, as another one reads it.
//!
//! In: the writer's schema and the reader's. Out: a schema for the bytes as they are, in which fields, symbols
//! and branches carry the reader's positions as names (`f3`, `s0`, `b1`), so that decoding a record compares
//! no names; or everything that does not fit, before anything is decoded. Logical types are left to the types
//! that read them, which see the underlying values.

use std::collections::HashMap;
use std::fmt;

use serde_avro_fast::Schema;
use serde_avro_fast::schema::{
    Array, Enum, Fixed, Map, Name, Record, RecordField, RegularType, SchemaKey, SchemaMut,
    SchemaNode, Union,
};

use super::model::{self, Field, Id, Kind, Model};

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The reader's field, e.g. `items.price`; empty for the value itself.
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "field `{}`: {}", self.path, self.reason)
        }
    }
}

/// Everything that does not fit, on one line.
pub(crate) fn listed(mismatches: &[Mismatch]) -> String {
    let texts: Vec<_> = mismatches.iter().map(Mismatch::to_string).collect();
    texts.join("; ")
}

/// The schema to decode with.
pub(crate) fn resolve(writer: &Model, reader: &Model) -> Result<Schema, Vec<Mismatch>> {
    let mut resolver = Resolver {
        writer,
        reader,
        nodes: Vec::new(),
        known: HashMap::new(),
        path: Vec::new(),
        mismatches: Vec::new(),
    };
    resolver.matched(writer.root, reader.root, Label::Plain);
    if !resolver.mismatches.is_empty() {
        return Err(resolver.mismatches);
    }
    freeze(resolver.nodes)
}

/// The schema to encode with: a schema read as itself.
pub(crate) fn own(model: &Model) -> Result<Schema, Vec<Mismatch>> {
    resolve(model, model)
}

fn freeze(nodes: Vec<SchemaNode>) -> Result<Schema, Vec<Mismatch>> {
    SchemaMut::from_nodes(nodes).freeze().map_err(|error| {
        vec![Mismatch {
            path: String::new(),
            reason: error.to_string(),
        }]
    })
}

/// What a node is called: where it is a branch, its position among the reader's branches but `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Label {
    Plain,
    Branch(usize),
}

impl Label {
    fn name(self) -> Name {
        Name::from_fully_qualified_name(match self {
            Self::Plain => "r".to_owned(),
            Self::Branch(index) => format!("b{index}"),
        })
    }
}

struct Resolver<'a> {
    writer: &'a Model,
    reader: &'a Model,
    nodes: Vec<SchemaNode>,
    /// Types that have names, which may contain themselves; without a reader, they are passed over.
    known: HashMap<(Id, Option<Id>, Label), SchemaKey>,
    path: Vec<String>,
    mismatches: Vec<Mismatch>,
}

impl Resolver<'_> {
    fn mismatch(&mut self, reason: impl Into<String>) {
        self.mismatches.push(Mismatch {
            path: self.path.join("."),
            reason: reason.into(),
        });
    }

    /// A place for a node that is known only after those below it.
    fn reserve(&mut self) -> usize {
        self.nodes.push(RegularType::Null.into());
        self.nodes.len() - 1
    }

    fn set(&mut self, at: usize, node: RegularType) -> SchemaKey {
        self.nodes[at] = node.into();
        SchemaKey::from_idx(at)
    }

    /// The writer's node as the reader's reads it.
    fn matched(&mut self, writer: Id, reader: Id, label: Label) -> SchemaKey {
        if let Some(key) = self.known.get(&(writer, Some(reader), label)) {
            return *key;
        }
        let is_union = |kind: &Kind| matches!(kind, Kind::Union(_));
        if is_union(self.reader.kind(reader)) && !is_union(self.writer.kind(writer)) {
            // One of the reader's branches: the value itself, without a discriminant.
            return self.branch(writer, reader);
        }
        let at = self.reserve();
        let (from, to) = (
            self.writer.kind(writer).clone(),
            self.reader.kind(reader).clone(),
        );
        if from.name().is_some() {
            self.known
                .insert((writer, Some(reader), label), SchemaKey::from_idx(at));
        }
        let node = match (from, to) {
            (Kind::Union(branches), _) => {
                let mut keys = Vec::with_capacity(branches.len());
                for branch in branches {
                    keys.push(self.branch(branch, reader));
                }
                RegularType::Union(Union::new(keys))
            }
            (Kind::Record(_, from), Kind::Record(_, to)) => {
                RegularType::Record(Record::new(label.name(), self.fields(&from, &to)))
            }
            (Kind::Enum(_, symbols, _), Kind::Enum(_, known, default)) => RegularType::Enum(
                Enum::new(label.name(), self.symbols(&symbols, &known, default)),
            ),
            (Kind::Array(from), Kind::Array(to)) => {
                self.not_empty(from, "items");
                let items = self.within("[]", |this| this.matched(from, to, Label::Plain));
                RegularType::Array(Array::new(items))
            }
            (Kind::Map(from), Kind::Map(to)) => {
                let values = self.within("{}", |this| this.matched(from, to, Label::Plain));
                RegularType::Map(Map::new(values))
            }
            (from, to) => {
                self.check_leaf(writer, reader, &from, &to);
                leaf(&from, label)
            }
        };
        self.set(at, node)
    }

    fn within<T>(&mut self, step: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_owned());
        let result = inner(self);
        self.path.pop();
        result
    }

    /// The reader's branch for one of the writer's types.
    fn branch(&mut self, writer: Id, reader: Id) -> SchemaKey {
        let (from, to) = (self.writer, self.reader);
        let Kind::Union(branches) = to.kind(reader) else {
            return self.matched(writer, reader, Label::Plain);
        };
        let Some(found) = branch_of(from, writer, to, reader) else {
            let (from, to) = (from.title(writer), to.title(reader));
            self.mismatch(format!("written as {from}, which {to} does not admit"));
            return SchemaKey::from_idx(0);
        };
        let position = branches
            .iter()
            .take_while(|id| **id != found)
            .filter(|id| !matches!(to.kind(**id), Kind::Null))
            .count();
        self.matched(writer, found, Label::Branch(position))
    }

    fn fields(&mut self, from: &[Field], to: &[Field]) -> Vec<RecordField> {
        let mut fields = Vec::with_capacity(from.len());
        let mut read = vec![false; to.len()];
        for (index, field) in from.iter().enumerate() {
            let position = position_of(field, to).filter(|position| !read[*position]);
            fields.push(match position {
                Some(position) => {
                    read[position] = true;
                    let key = self.within(&to[position].name, |this| {
                        this.matched(field.schema, to[position].schema, Label::Plain)
                    });
                    RecordField::new(format!("f{position}"), key)
                }
                None => {
                    let key = self.within(&field.name, |this| this.passed_over(field.schema));
                    RecordField::new(format!("x{index}"), key)
                }
            });
        }
        for (field, read) in to.iter().zip(read) {
            if !read && field.default.is_none() {
                self.within(&field.name, |this| {
                    this.mismatch(
                        "is not in what was written, and has no default (`#[serde(default)]`)",
                    );
                });
            }
        }
        fields
    }

    /// Names that say the reader's position; what the reader does not know is its default.
    fn symbols(&mut self, from: &[String], to: &[String], default: Option<String>) -> Vec<String> {
        let mut unknown = Vec::new();
        let position = |symbol: &String| to.iter().position(|other| other == symbol);
        let default = default.as_ref().and_then(position);
        let symbols = from
            .iter()
            .enumerate()
            .map(|(index, symbol)| match position(symbol).or(default) {
                // Two symbols may have one meaning, but not one name.
                Some(position) => format!("s{position}_{index}"),
                None => {
                    unknown.push(symbol.as_str());
                    format!("x{index}")
                }
            })
            .collect();
        if !unknown.is_empty() {
            let unknown = unknown.join("`, `");
            self.mismatch(format!(
                "may be `{unknown}`, which the reader's enum has not and no default (`#[serde(other)]`) stands for"
            ));
        }
        symbols
    }

    fn check_leaf(&mut self, writer: Id, reader: Id, from: &Kind, to: &Kind) {
        let (one, other) = (
            self.writer.node(writer).logical,
            self.reader.node(reader).logical,
        );
        let sizes = match (from, to) {
            (Kind::Fixed(_, from), Kind::Fixed(_, to)) => from == to,
            _ => true,
        };
        // A number of milliseconds is no number of microseconds; a number without a meaning may be either.
        let meanings = match (one, other) {
            (Some(one), Some(other)) => one == other,
            (None, Some(model::Logical::Decimal { .. })) => false,
            _ => true,
        };
        if !(sizes && meanings && (is_same_kind(from, to) || is_promotable(from, to))) {
            let (from, to) = (self.writer.title(writer), self.reader.title(reader));
            self.mismatch(format!("was written as {from} and cannot be read as {to}"));
        }
    }

    /// The writer's node, for bytes nobody reads.
    fn passed_over(&mut self, writer: Id) -> SchemaKey {
        if let Some(key) = self.known.get(&(writer, None, Label::Plain)) {
            return *key;
        }
        let at = self.reserve();
        let kind = self.writer.kind(writer).clone();
        if kind.name().is_some() {
            self.known
                .insert((writer, None, Label::Plain), SchemaKey::from_idx(at));
        }
        let node = match kind {
            Kind::Union(branches) => {
                let keys = branches.iter().map(|id| self.passed_over(*id)).collect();
                RegularType::Union(Union::new(keys))
            }
            Kind::Record(_, fields) => {
                let fields = fields
                    .iter()
                    .enumerate()
                    .map(|(index, field)| {
                        RecordField::new(format!("x{index}"), self.passed_over(field.schema))
                    })
                    .collect();
                RegularType::Record(Record::new(Label::Plain.name(), fields))
            }
            Kind::Array(items) => {
                self.not_empty(items, "items");
                RegularType::Array(Array::new(self.passed_over(items)))
            }
            Kind::Map(values) => RegularType::Map(Map::new(self.passed_over(values))),
            kind => leaf(&kind, Label::Plain),
        };
        self.set(at, node)
    }

    fn not_empty(&mut self, writer: Id, what: &str) {
        if self.writer.is_empty(writer) {
            self.mismatch(format!(
                "{what} of type {} take no bytes: a few bytes could claim any number of them",
                self.writer.title(writer)
            ));
        }
    }
}

/// The type that one of the writer's, which is no union, is read as: the reader's, or a branch of it.
pub(super) fn branch_of(from: &Model, writer: Id, to: &Model, reader: Id) -> Option<Id> {
    let Kind::Union(branches) = to.kind(reader) else {
        return Some(reader);
    };
    let kind = from.kind(writer);
    let fits = |wanted: &dyn Fn(Id) -> bool| branches.iter().copied().find(|id| wanted(*id));
    fits(&|id| is_same(kind, to.kind(id)))
        // A record that was renamed: the only one there is.
        .or_else(|| fits(&|id| kind.word() == to.kind(id).word()))
        .or_else(|| fits(&|id| is_promotable(kind, to.kind(id))))
}

/// Where the reader has one of the writer's fields.
pub(super) fn position_of(field: &Field, to: &[Field]) -> Option<usize> {
    let named = to.iter().position(|other| other.name == field.name);
    let aliased = || {
        to.iter()
            .position(|other| other.aliases.contains(&field.name))
    };
    named.or_else(aliased)
}

fn leaf(kind: &Kind, label: Label) -> RegularType {
    match kind {
        Kind::Boolean => RegularType::Boolean,
        Kind::Int => RegularType::Int,
        Kind::Long => RegularType::Long,
        Kind::Float => RegularType::Float,
        Kind::Double => RegularType::Double,
        Kind::Bytes => RegularType::Bytes,
        Kind::String => RegularType::String,
        Kind::Fixed(_, size) => RegularType::Fixed(Fixed::new(label.name(), *size)),
        Kind::Enum(_, symbols, _) => RegularType::Enum(Enum::new(label.name(), symbols.clone())),
        // Those that contain others, which are not leaves, do not get here.
        Kind::Null | Kind::Array(_) | Kind::Map(_) | Kind::Union(_) | Kind::Record(..) => {
            RegularType::Null
        }
    }
}

fn is_same_kind(from: &Kind, to: &Kind) -> bool {
    from.word() == to.word()
}

/// The same type, and the same name or an alias where it has one.
fn is_same(from: &Kind, to: &Kind) -> bool {
    is_same_kind(from, to)
        && match (from.name(), to.name()) {
            (Some(from), Some(to)) => from.short() == to.short() || to.aliases.contains(&from.full),
            _ => true,
        }
}

/// What the specification lets a reader take for what was written.
fn is_promotable(from: &Kind, to: &Kind) -> bool {
    matches!(
        (from, to),
        (Kind::Int, Kind::Long | Kind::Float | Kind::Double)
            | (Kind::Long, Kind::Float | Kind::Double)
            | (Kind::Float, Kind::Double)
            | (Kind::String, Kind::Bytes)
            | (Kind::Bytes, Kind::String)
    )
}
