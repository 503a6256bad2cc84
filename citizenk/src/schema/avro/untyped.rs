//! Topics of [`AvroValue`]s: which schema they are read and written with, and what is remembered of it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::NAME;
use super::codec::AvroSchema;
use super::generic::{self, Fault, Origin, ValueReader};
use super::model::Model;
use super::value::AvroValue;
use crate::error::{DecodeError, EncodeError};
use crate::schema::{
    AppendList, Frame, Payload, SchemaKind, SchemaText, ValueSchema, Wire, WireSpec,
};

/// What one side of a topic remembers for values without a type.
#[derive(Default)]
pub(crate) struct Untyped {
    /// Kept once there is one.
    own: OnceLock<Own>,
    /// By the id of the writer's schema.
    readers: AppendList<(u32, Result<ValueReader, String>)>,
    /// The same, as it was written: for people who look on.
    shown: AppendList<(u32, Result<ValueReader, String>)>,
}

/// What values are written as; and read as, where the topic's constant says it.
struct Own {
    text: Arc<SchemaText>,
    model: Arc<Model>,
    id: OnceLock<u32>,
}

fn unreadable(fault: &Fault) -> DecodeError {
    DecodeError::message(NAME, fault.reason.clone()).with_field(fault.field())
}

fn unwritable(reason: impl Into<String>) -> EncodeError {
    EncodeError::new(NAME, reason.into())
}

/// The schema a topic's constant gives.
pub(crate) fn own_schema_of_value(spec: &WireSpec) -> Result<Arc<SchemaText>, String> {
    let text = match spec.options.schema {
        ValueSchema::Text(text) => text.to_owned(),
        ValueSchema::File(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("its schema is not to be had: file {path}: {error}"))?,
        ValueSchema::Type | ValueSchema::Registry => {
            return Err("has no schema of its own".to_owned());
        }
    };
    let schema = AvroSchema::parse(SchemaText::avro(text))
        .map_err(|reason| format!("its schema is none: {reason}"))?;
    Ok(schema.text)
}

impl Wire {
    /// The schema the topic's constant gives, or the newest in the registry.
    fn own_value(&self) -> Result<&Own, String> {
        match self.untyped.own.get() {
            Some(own) => Ok(own),
            None => self.new_own_value(),
        }
    }

    #[cold]
    fn new_own_value(&self) -> Result<&Own, String> {
        let id = OnceLock::new();
        let text = match self.spec.options.schema {
            ValueSchema::Registry => {
                let (known, text) = self.latest()?;
                id.get_or_init(|| known);
                text
            }
            _ => own_schema_of_value(&self.spec)?,
        };
        let schema = AvroSchema::parse((*text).clone())?;
        let model = Arc::new(schema.model);
        Ok(self.untyped.own.get_or_init(|| Own { text, model, id }))
    }

    /// The schema values are read as; `None`: as they were written.
    fn read_as(&self) -> Result<Option<Arc<Model>>, String> {
        match self.spec.options.schema {
            ValueSchema::Type | ValueSchema::Registry => Ok(None),
            ValueSchema::Text(_) | ValueSchema::File(_) => {
                self.own_value().map(|own| Some(own.model.clone()))
            }
        }
    }

    fn own_value_id(&self, own: &Own) -> Result<u32, String> {
        match own.id.get() {
            Some(id) => Ok(*id),
            None => {
                let id = self.id_of(&self.own(own.text.clone()))?;
                Ok(*own.id.get_or_init(|| id))
            }
        }
    }

    fn value_reader(&self, id: u32, shown: bool) -> Result<&ValueReader, DecodeError> {
        let readers = match shown {
            true => &self.untyped.shown,
            false => &self.untyped.readers,
        };
        let known = |(known, _): &(u32, _)| *known == id;
        let reader = match readers.find(known) {
            Some((_, reader)) => reader,
            None => {
                let text = self.schema(NAME, id)?;
                let make = || {
                    let own = match shown {
                        true => None,
                        false => self.read_as()?,
                    };
                    new_reader(&text, own)
                        .map_err(|reason| format!("the writer's schema {id}: {reason}"))
                };
                &readers.find_or_add(known, || (id, make())).1
            }
        };
        reader
            .as_ref()
            .map_err(|reason| DecodeError::message(NAME, reason.clone()))
    }
}

fn new_reader(text: &SchemaText, own: Option<Arc<Model>>) -> Result<ValueReader, String> {
    if text.kind != SchemaKind::Avro {
        return Err(format!("is of kind {}, not Avro", text.kind.name()));
    }
    let writer = Model::parse(text).map_err(|error| error.to_string())?;
    ValueReader::new(writer, own)
}

/// Registry framing, as the topic's schema has it, or as it was written.
pub(crate) fn decode_value(payload: Payload<'_>, wire: &Wire) -> Result<AvroValue, DecodeError> {
    let frame = wire.frame(NAME, payload)?;
    let reader = wire.value_reader(frame.id, false)?;
    reader.read(frame.body).map_err(|fault| unreadable(&fault))
}

/// JSON of what stands in a topic of Avro values, typed or not: as it was written.
pub(crate) fn shown(payload: Payload<'_>, wire: &Wire) -> Result<Vec<u8>, DecodeError> {
    let frame = wire.frame(NAME, payload)?;
    let reader = wire.value_reader(frame.id, true)?;
    let value = reader
        .read(frame.body)
        .map_err(|fault| unreadable(&fault))?;
    serde_json::to_vec(&value).map_err(|error| DecodeError::new(NAME, error))
}

/// A value from the JSON that people write, as the topic's schema says.
pub(crate) fn value_from_json(payload: Payload<'_>, wire: &Wire) -> Result<AvroValue, DecodeError> {
    let bytes = payload.bytes;
    let json: Value =
        serde_json::from_slice(bytes).map_err(|error| DecodeError::json(&error, bytes))?;
    let own = wire
        .own_value()
        .map_err(|reason| DecodeError::message(NAME, reason))?;
    generic::from_json(&own.model, own.model.root, &json, Origin::People)
        .map_err(|fault| unreadable(&fault))
}

/// Registry framing, as the topic's schema says.
pub(crate) fn encode_value(
    value: &AvroValue,
    out: &mut Vec<u8>,
    wire: &Wire,
) -> Result<(), EncodeError> {
    let own = wire.own_value().map_err(unwritable)?;
    let id = wire.own_value_id(own).map_err(unwritable)?;
    let start = out.len();
    Frame::begin(id, out);
    written(&own.model, value, out, start)
}

/// Appends a value; where that fails, what stands behind `start` is taken away.
fn written(
    model: &Model,
    value: &AvroValue,
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), EncodeError> {
    generic::write(model, value, out).map_err(|fault| {
        out.truncate(start);
        unwritable(fault.to_string())
    })
}

/// Writes and reads values without a Rust type, and without a topic: for files, tests and other transports.
///
/// ```
/// use citizenk::avro::{AvroRecord, AvroValueCodec};
/// use serde_json::json;
///
/// let points = AvroValueCodec::new(r#"{"type": "record", "name": "Point", "fields": [
///     {"name": "x", "type": "double"}, {"name": "y", "type": "double", "default": 0}]}"#)?;
/// let mut bytes = Vec::new();
/// points.write(&AvroRecord::new("Point").with("x", 1).into(), &mut bytes)?;
/// let point = points.read(&bytes)?;
/// assert_eq!(serde_json::to_value(&point)?, json!({ "x": 1.0, "y": 0.0 }));
/// assert_eq!(points.value_of_json(&json!({ "x": 1 }))?, point);
///
/// // What an older program wrote.
/// let old = points.reader(r#"{"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}"#)?;
/// assert_eq!(old.read(&[2])?, point);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AvroValueCodec {
    schema: AvroSchema,
    model: Arc<Model>,
    reader: ValueReader,
}

impl fmt::Debug for AvroValueCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.schema.fmt(f)
    }
}

impl AvroValueCodec {
    /// The codec of a schema, as JSON text.
    ///
    /// # Errors
    /// What is wrong with the schema, with the field at fault.
    pub fn new(schema: impl Into<String>) -> Result<Self, String> {
        let schema = AvroSchema::parse(SchemaText::avro(schema))?;
        Ok(Self {
            model: Arc::new(schema.model.clone()),
            reader: ValueReader::new(schema.model.clone(), None)?,
            schema,
        })
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &AvroSchema {
        &self.schema
    }

    /// Appends a value; nothing is left behind when that fails.
    ///
    /// # Errors
    /// When the value does not fit the schema, with the field at fault.
    pub fn write(&self, value: &AvroValue, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        written(&self.model, value, out, start)
    }

    /// Reads a value that was written with the schema.
    ///
    /// # Errors
    /// When the bytes are no such value, or more than one.
    pub fn read(&self, bytes: &[u8]) -> Result<AvroValue, DecodeError> {
        self.reader.read(bytes).map_err(|fault| unreadable(&fault))
    }

    /// A value from JSON as people write it: times are text, bytes a list of numbers, and what may be null or has
    /// a default may be left out.
    ///
    /// # Errors
    /// When the JSON does not fit the schema, with the field at fault.
    pub fn value_of_json(&self, json: &Value) -> Result<AvroValue, DecodeError> {
        generic::from_json(&self.model, self.model.root, json, Origin::People)
            .map_err(|fault| unreadable(&fault))
    }

    /// A reader of what was written with another schema; it gives values of this one.
    ///
    /// # Errors
    /// What does not fit, with the fields at fault.
    pub fn reader(&self, writer: &str) -> Result<AvroValueReader, String> {
        new_reader(&SchemaText::avro(writer), Some(self.model.clone())).map(AvroValueReader)
    }
}

/// Reads values that were written with another schema; see [`AvroValueCodec::reader`].
pub struct AvroValueReader(ValueReader);

impl fmt::Debug for AvroValueReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AvroValueReader")
    }
}

impl AvroValueReader {
    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are no value of the writer's schema, or more than one.
    pub fn read(&self, bytes: &[u8]) -> Result<AvroValue, DecodeError> {
        self.0.read(bytes).map_err(|fault| unreadable(&fault))
    }
}
