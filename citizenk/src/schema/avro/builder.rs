//! From Rust types to the text of a schema.
//!
//! In: what [`AvroType::schema`](super::AvroType) says of itself, inside out. Out: the schema as JSON, in which
//! each named type is defined once; and everything that has no Avro form, with the field that has none.

use std::any::TypeId;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::form::{AvroType, AvroWith};
use super::model;
use super::record::{Part, Written};
use super::resolve::Mismatch;

/// Builds a schema; what is nested names itself here.
#[derive(Debug, Default)]
pub struct SchemaBuilder {
    /// Defined types by full name.
    defined: BTreeMap<String, Defined>,
    namespace: String,
    path: Vec<String>,
    problems: Vec<Mismatch>,
}

#[derive(Debug)]
struct Defined {
    /// The Rust type; two must not have one name.
    owner: Option<TypeId>,
    schema: Value,
}

/// What a type is called: its name, and the namespace it is in unless that of the type around it is to count.
#[derive(Clone, Copy, Debug, Default)]
pub struct TypeName {
    #[doc(hidden)]
    pub name: &'static str,
    #[doc(hidden)]
    pub namespace: Option<&'static str>,
    #[doc(hidden)]
    pub doc: &'static str,
    #[doc(hidden)]
    pub aliases: &'static [&'static str],
}

/// What a field is called.
#[derive(Clone, Copy, Debug)]
pub struct FieldName {
    #[doc(hidden)]
    pub name: &'static str,
    #[doc(hidden)]
    pub doc: &'static str,
    #[doc(hidden)]
    pub aliases: &'static [&'static str],
}

impl SchemaBuilder {
    /// The text of a type's schema.
    pub(crate) fn text_of<T: AvroType>() -> Result<String, Vec<Mismatch>> {
        let mut builder = Self::default();
        let schema = T::schema(&mut builder);
        if builder.problems.is_empty() {
            Ok(schema.to_string())
        } else {
            Err(builder.problems)
        }
    }

    /// Says what has no Avro form; the field is known.
    pub fn problem(&mut self, reason: impl Into<String>) {
        self.problems.push(Mismatch {
            path: self.path.join("."),
            reason: reason.into(),
        });
    }

    /// The named type that stands for an array of `len` bytes.
    pub(crate) fn fixed(&mut self, len: usize) -> Value {
        let name = format!("Fixed{len}");
        self.define(None, &name, None, |_| {
            let mut schema = Map::new();
            schema.insert("type".into(), "fixed".into());
            schema.insert("size".into(), len.into());
            schema
        })
    }

    /// A named type: defined where it stands first, named elsewhere.
    fn define(
        &mut self,
        owner: Option<TypeId>,
        name: &str,
        namespace: Option<&str>,
        define: impl FnOnce(&mut Self) -> Map<String, Value>,
    ) -> Value {
        let namespace = namespace.unwrap_or(&self.namespace).to_owned();
        let full = match namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}.{name}"),
        };
        if let Some(reason) = model::bad_name(&full) {
            self.problem(reason);
        }
        if let Some(known) = self.defined.get(&full) {
            if known.owner != owner {
                self.problem(format!(
                    "two types are called `{full}`; give one another name with `#[avro(name = ..)]`"
                ));
            }
            return full.into();
        }
        let placeholder = Defined {
            owner,
            schema: Value::Null,
        };
        self.defined.insert(full.clone(), placeholder);
        let outer = std::mem::replace(&mut self.namespace, namespace.clone());
        let parts = define(self);
        let mut schema = Map::new();
        schema.insert("name".into(), name.into());
        if !namespace.is_empty() || !outer.is_empty() {
            schema.insert("namespace".into(), namespace.into());
        }
        schema.extend(parts);
        self.namespace = outer;
        let schema = Value::Object(schema);
        if let Some(defined) = self.defined.get_mut(&full) {
            defined.schema = schema.clone();
        }
        schema
    }

    /// A record; `fields` adds them.
    #[doc(hidden)]
    pub fn record<T: 'static>(
        &mut self,
        name: TypeName,
        fields: impl FnOnce(&mut Fields<'_>),
    ) -> Value {
        self.define(Some(TypeId::of::<T>()), name.name, name.namespace, |this| {
            let mut schema = described(&name, "record");
            let mut all = Fields {
                builder: this,
                schemas: Vec::new(),
            };
            fields(&mut all);
            schema.insert("fields".into(), all.schemas.into());
            schema
        })
    }

    /// An enum of names only.
    #[doc(hidden)]
    pub fn symbols<T: 'static>(
        &mut self,
        name: TypeName,
        symbols: &[&str],
        default: Option<&str>,
    ) -> Value {
        self.define(Some(TypeId::of::<T>()), name.name, name.namespace, |_| {
            let mut schema = described(&name, "enum");
            schema.insert("symbols".into(), json!(symbols));
            if let Some(default) = default {
                schema.insert("default".into(), default.into());
            }
            schema
        })
    }

    /// A branch of a union: must be a record, so that its name tells the variant.
    #[doc(hidden)]
    pub fn branch<P: Part>(&mut self, variant: &'static str) -> Value {
        self.path.push(variant.to_owned());
        let schema = P::Way::schema(self);
        let is_record = |schema: &Value| schema.get("type") == Some(&Value::from("record"));
        let named = schema.as_str().and_then(|name| self.defined.get(name));
        // A type within itself is defined only later; only records can be.
        let good = is_record(&schema)
            || named.is_some_and(|defined| defined.schema.is_null() || is_record(&defined.schema));
        if !good {
            self.problem("a variant holds a message (a struct) or named fields: Avro tells the variants by the names of their records");
        }
        self.path.pop();
        schema
    }

    fn known<'a>(&'a self, schema: &'a Value) -> &'a Value {
        schema
            .as_str()
            .and_then(|name| self.defined.get(name))
            .map_or(schema, |defined| &defined.schema)
    }

    /// What serde made of a value, as a schema's `default` has it. `None`: it has no such form.
    fn default_of(&self, value: &Value, schema: &Value) -> Option<Value> {
        let schema = self.known(schema);
        match schema {
            Value::Array(branches) if value.is_null() => {
                branches.contains(&"null".into()).then_some(Value::Null)
            }
            Value::Array(branches) => {
                let mut others = branches.iter().filter(|branch| **branch != "null");
                match (others.next(), others.next()) {
                    (Some(only), None) => self.default_of(value, only),
                    // The first variant of an enum with data.
                    (Some(first), Some(_)) => self.default_of(value.get("b0")?, first),
                    _ => None,
                }
            }
            Value::Object(object) => match object.get("type")?.as_str()? {
                "record" => {
                    let mut fields = Map::new();
                    let known = object.get("fields")?.as_array()?;
                    for (index, field) in known.iter().enumerate() {
                        let value = value.get(format!("f{index}"))?;
                        let name = field.get("name")?.as_str()?.to_owned();
                        fields.insert(name, self.default_of(value, field.get("type")?)?);
                    }
                    Some(Value::Object(fields))
                }
                "enum" => {
                    let index = usize::try_from(value.as_u64()?).ok()?;
                    object.get("symbols")?.get(index).cloned()
                }
                "array" => {
                    let items = object.get("items")?;
                    let values = value.as_array()?.iter();
                    values.map(|value| self.default_of(value, items)).collect()
                }
                "map" => {
                    let values = object.get("values")?;
                    let entries = value.as_object()?.iter();
                    entries
                        .map(|(key, value)| Some((key.clone(), self.default_of(value, values)?)))
                        .collect::<Option<Map<_, _>>>()
                        .map(Value::Object)
                }
                "fixed" => bytes_as_text(value),
                name => self.default_of(value, &name.into()),
            },
            Value::String(name) if name == "bytes" => bytes_as_text(value),
            // Numbers without a JSON form (NaN) became null.
            Value::String(name) if value.is_null() => (name == "null").then_some(Value::Null),
            _ => Some(value.clone()),
        }
    }
}

/// Bytes stand in a default as the characters of the same numbers.
fn bytes_as_text(value: &Value) -> Option<Value> {
    let bytes = value.as_array()?.iter();
    let text: Option<String> = bytes
        .map(|byte| u8::try_from(byte.as_u64()?).ok().map(char::from))
        .collect();
    text.map(Value::from)
}

fn described(name: &TypeName, kind: &str) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".into(), kind.into());
    if !name.doc.is_empty() {
        schema.insert("doc".into(), name.doc.into());
    }
    if !name.aliases.is_empty() {
        schema.insert("aliases".into(), json!(name.aliases));
    }
    schema
}

/// The fields of a record, in order.
#[derive(Debug)]
pub struct Fields<'a> {
    builder: &'a mut SchemaBuilder,
    schemas: Vec<Value>,
}

impl Fields<'_> {
    /// Adds a field; `default` is what stands for it where it is missing.
    #[doc(hidden)]
    pub fn field<P: Part>(&mut self, name: FieldName, default: Option<fn() -> P::Value>) {
        self.builder.path.push(name.name.to_owned());
        let mut schema = P::Way::schema(self.builder);
        let missing = match default {
            Some(default) => Some(default()),
            None => P::Way::missing(),
        };
        let mut field = Map::new();
        field.insert("name".into(), name.name.into());
        let mut value = None;
        if let Some(missing) = missing {
            let written = serde_json::to_value(Written::<P>::new(&missing));
            let found = written
                .ok()
                .and_then(|written| self.builder.default_of(&written, &schema));
            match found {
                Some(found) => {
                    // A default is one of the first branch.
                    if let Value::Array(branches) = &mut schema
                        && !found.is_null()
                        && branches.first() == Some(&"null".into())
                    {
                        branches.swap(0, 1);
                    }
                    value = Some(found);
                }
                None => self.builder.problem("the default has no Avro form (the default of an enum with data is its first variant)"),
            }
        }
        if let Some(reason) = model::bad_name(name.name) {
            self.builder.problem(reason);
        }
        field.insert("type".into(), schema);
        if let Some(value) = value {
            field.insert("default".into(), value);
        }
        if !name.doc.is_empty() {
            field.insert("doc".into(), name.doc.into());
        }
        if !name.aliases.is_empty() {
            field.insert("aliases".into(), json!(name.aliases));
        }
        self.schemas.push(Value::Object(field));
        self.builder.path.pop();
    }
}
