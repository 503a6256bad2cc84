//! Schemas as a registry has them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::schema::{ResolvedReference, SchemaKind, SchemaText};

/// A schema that another one names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// As the schema names it: a full name in Avro, a URI in JSON Schema.
    pub name: String,
    /// Where it is registered.
    pub subject: String,
    /// Its version there.
    pub version: u32,
}

impl Reference {
    pub(super) fn json(&self) -> Value {
        json!({ "name": self.name, "subject": self.subject, "version": self.version })
    }

    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            subject: value["subject"].as_str()?.to_owned(),
            version: number(&value["version"])?,
        })
    }

    /// Of an answer; no list is an empty one.
    pub(super) fn read_all(value: &Value) -> Option<Vec<Self>> {
        match value {
            Value::Null => Some(Vec::new()),
            Value::Array(list) => list.iter().map(Self::read).collect(),
            _ => None,
        }
    }
}

pub(super) fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// A schema to register, look up or check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct NewSchema {
    pub(super) kind: SchemaKind,
    pub(super) text: String,
    pub(super) references: Vec<Reference>,
}

impl From<&SchemaText> for NewSchema {
    fn from(schema: &SchemaText) -> Self {
        let references = schema.references.iter().map(|reference| Reference {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: reference.version,
        });
        Self {
            kind: schema.kind,
            text: schema.text.clone(),
            references: references.collect(),
        }
    }
}

impl NewSchema {
    /// A schema in Avro's JSON.
    pub fn avro(text: impl Into<String>) -> Self {
        Self::new(SchemaKind::Avro, text)
    }

    /// A JSON Schema.
    pub fn json(text: impl Into<String>) -> Self {
        Self::new(SchemaKind::Json, text)
    }

    /// A schema in this language.
    pub fn new(kind: SchemaKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            references: Vec::new(),
        }
    }

    /// Something it names that is registered by itself.
    pub fn reference(
        mut self,
        name: impl Into<String>,
        subject: impl Into<String>,
        version: u32,
    ) -> Self {
        self.references.push(Reference {
            name: name.into(),
            subject: subject.into(),
            version,
        });
        self
    }

    /// Its language.
    #[must_use]
    pub fn kind(&self) -> SchemaKind {
        self.kind
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "schema": self.text });
        if self.kind != SchemaKind::Avro {
            body["schemaType"] = self.kind.name().into();
        }
        if !self.references.is_empty() {
            body["references"] = self.references.iter().map(Reference::json).collect();
        }
        body
    }
}

/// A schema that has an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredSchema {
    pub(super) id: u32,
    pub(super) schema: Arc<SchemaText>,
}

impl RegisteredSchema {
    /// What stands in records.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The schema, as codecs take it.
    #[must_use]
    pub fn schema(&self) -> &Arc<SchemaText> {
        &self.schema
    }

    /// Its language.
    #[must_use]
    pub fn kind(&self) -> SchemaKind {
        self.schema.kind
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.schema.text
    }

    /// Everything it names, directly or not, each once; one that names others stands behind them.
    #[must_use]
    pub fn references(&self) -> &[ResolvedReference] {
        &self.schema.references
    }
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectVersion {
    /// The subject.
    pub subject: String,
    /// Counted from 1 within the subject.
    pub version: u32,
    /// What stands in records.
    pub id: u32,
    /// The language.
    pub kind: SchemaKind,
    /// The text.
    pub text: String,
    /// What it names.
    pub references: Vec<Reference>,
}

impl SubjectVersion {
    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            subject: value["subject"].as_str()?.to_owned(),
            version: number(&value["version"])?,
            id: number(&value["id"])?,
            kind: SchemaKind::parse(value["schemaType"].as_str())?,
            text: value["schema"].as_str()?.to_owned(),
            references: Reference::read_all(&value["references"])?,
        })
    }
}

/// Whether a schema may be the next version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// It may.
    pub compatible: bool,
    /// What stands against it, in the registry's words.
    pub messages: Vec<String>,
}
