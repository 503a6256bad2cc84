//! Values to bytes and back, with what a topic remembers of schemas.

use std::any::TypeId;
use std::fmt;
use std::io::BufRead;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeError, DeserializerConfig, DeserializerState};
use serde_avro_fast::schema::SchemaMut;
use serde_avro_fast::ser::{SerializerConfig, SerializerState};

use super::NAME;
use super::builder::SchemaBuilder;
use super::form::AvroType;
use super::model::Model;
use super::record::field_of;
use super::resolve::{listed, own, resolve};
use crate::error::{DecodeError, EncodeError};
use crate::schema::{
    AppendList, Frame, OwnSchema, Payload, SchemaKind, SchemaText, Wire, WireSpec,
};

/// How deep a value may be nested.
const MAX_DEPTH: usize = 64;

/// A type's schema, ready to write with and to resolve others against.
pub struct AvroSchema {
    pub(super) text: Arc<SchemaText>,
    pub(super) model: Model,
    schema: Schema,
    fingerprint: u64,
}

impl fmt::Debug for AvroSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text.text)
    }
}

impl AvroSchema {
    /// The schema of a Rust type.
    ///
    /// # Errors
    /// What has no Avro form, with the field that has none.
    pub fn of<T: AvroType>() -> Result<Self, String> {
        let text = SchemaBuilder::text_of::<T>().map_err(|problems| listed(&problems))?;
        Self::parse(SchemaText::avro(text))
    }

    /// A schema from its text.
    ///
    /// # Errors
    /// What is wrong with it, with the field at fault.
    pub fn parse(text: SchemaText) -> Result<Self, String> {
        if text.kind != SchemaKind::Avro {
            return Err(format!(
                "is a schema of kind {}, not Avro",
                text.kind.name()
            ));
        }
        let model = Model::parse(&text).map_err(|error| error.to_string())?;
        let schema = own(&model).map_err(|problems| listed(&problems))?;
        Ok(Self {
            fingerprint: fingerprint(&text)?,
            text: Arc::new(text),
            model,
            schema,
        })
    }

    /// The schema as JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.text.text
    }

    /// The CRC-64-AVRO of the schema's canonical form: what single-object encoding names it by.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Appends a value of the schema's type; nothing is left behind when that fails.
    fn write<T: AvroType>(&self, value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let mut config = SerializerConfig::new(&self.schema);
        let written = {
            let mut state = SerializerState::from_writer(&mut *out, &mut config);
            value.encode(state.serializer())
        };
        written.map_err(|error| {
            out.truncate(start);
            EncodeError::new(NAME, error)
        })
    }
}

fn fingerprint(text: &SchemaText) -> Result<u64, String> {
    let references = text.references.iter().map(|reference| &reference.text);
    let schema = SchemaMut::from_schemata(&text.text, references);
    schema
        .and_then(|schema| schema.canonical_form_rabin_fingerprint())
        .map(u64::from_le_bytes)
        .map_err(|error| error.to_string())
}

/// Reads a value that must be all there is.
fn read<T: AvroType>(schema: &Schema, bytes: &[u8]) -> Result<T, DecodeError> {
    let mut config = DeserializerConfig::new(schema);
    // Each item takes a byte at least (`resolve` sees to it): no count beyond that can be true, and nothing
    // is reserved by count.
    config.max_seq_size = bytes.len();
    config.allowed_depth = MAX_DEPTH;
    let mut state = DeserializerState::with_config(SliceRead::new(bytes), config);
    let value = T::decode(state.deserializer());
    let left = state.into_reader().fill_buf().map_or(0, <[u8]>::len);
    // Looked at once: a value is large, and each step that takes it out of a result copies it.
    match value {
        Ok(value) if left == 0 => Ok(value),
        value => Err(unread(value.err(), left)),
    }
}

#[cold]
fn unread(error: Option<DeError>, left: usize) -> DecodeError {
    let Some(error) = error else {
        return DecodeError::message(
            NAME,
            format!("{left} bytes are left behind the value; it was written with another schema"),
        );
    };
    let text = error.to_string();
    let (field, rest) = field_of(&text);
    DecodeError::message(NAME, rest.to_owned()).with_field(field)
}

/// Writes and reads values of one type without a topic: for files, tests and other transports.
///
/// ```
/// use citizenk::avro::AvroCodec;
///
/// #[citizenk::message(avro)]
/// #[derive(Debug, PartialEq)]
/// struct Point { x: f64, #[serde(default)] y: f64 }
///
/// let points = AvroCodec::<Point>::new()?;
/// let mut bytes = Vec::new();
/// points.write(&Point { x: 1.0, y: 2.0 }, &mut bytes)?;
/// assert_eq!(points.read(&bytes)?, Point { x: 1.0, y: 2.0 });
///
/// // What an older program wrote.
/// let old = points.reader(r#"{"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}"#)?;
/// assert_eq!(old.read(&[14])?, Point { x: 7.0, y: 0.0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AvroCodec<T> {
    own: AvroSchema,
    of: PhantomData<fn(T) -> T>,
}

impl<T> fmt::Debug for AvroCodec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.own.fmt(f)
    }
}

impl<T: AvroType> AvroCodec<T> {
    /// The codec of a type.
    ///
    /// # Errors
    /// What has no Avro form, with the field that has none.
    pub fn new() -> Result<Self, String> {
        Ok(Self {
            own: AvroSchema::of::<T>()?,
            of: PhantomData,
        })
    }

    /// The type's schema.
    #[must_use]
    pub fn schema(&self) -> &AvroSchema {
        &self.own
    }

    /// Appends a value; nothing is left behind when that fails.
    ///
    /// # Errors
    /// When the value has no form in the schema, e.g. a decimal with too many digits.
    pub fn write(&self, value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.own.write(value, out)
    }

    /// Reads a value that was written with the type's own schema.
    ///
    /// # Errors
    /// When the bytes are no such value, or more than one.
    pub fn read(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        read(&self.own.schema, bytes)
    }

    /// A reader of what was written with another schema.
    ///
    /// # Errors
    /// What does not fit, with the fields at fault.
    pub fn reader(&self, writer: &str) -> Result<AvroReader<T>, String> {
        let model = Model::parse(&SchemaText::avro(writer)).map_err(|error| error.to_string())?;
        let schema = resolve(&model, &self.own.model).map_err(|mismatches| listed(&mismatches))?;
        Ok(AvroReader {
            schema,
            of: PhantomData,
        })
    }
}

/// Reads values that were written with another schema; see [`AvroCodec::reader`].
pub struct AvroReader<T> {
    schema: Schema,
    of: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for AvroReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AvroReader")
    }
}

impl<T: AvroType> AvroReader<T> {
    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are no value of the writer's schema, or more than one.
    pub fn read(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        read(&self.schema, bytes)
    }
}

/// What one side of a topic remembers for one type of values.
pub(crate) struct Typed {
    type_id: TypeId,
    own: Result<AvroSchema, String>,
    /// The id of the own schema in the registry, once it is known.
    id: OnceLock<u32>,
    /// By the id or fingerprint of the writer's schema.
    readers: AppendList<(u64, Result<Schema, String>)>,
}

impl Typed {
    fn new<T: AvroType + 'static>() -> Self {
        Self {
            type_id: TypeId::of::<T>(),
            own: AvroSchema::of::<T>(),
            id: OnceLock::new(),
            readers: AppendList::default(),
        }
    }

    fn own(&self) -> Result<&AvroSchema, &str> {
        self.own.as_ref().map_err(String::as_str)
    }

    /// Reads bytes of a writer's schema; `text` is asked for once per schema.
    #[inline]
    fn read<T: AvroType>(
        &self,
        writer: u64,
        bytes: &[u8],
        text: impl FnOnce() -> Result<Arc<SchemaText>, DecodeError>,
    ) -> Result<T, DecodeError> {
        let reader = match self.readers.find(|(known, _)| *known == writer) {
            Some((_, reader)) => reader,
            None => self.resolved(writer, text()?),
        };
        match reader {
            Ok(schema) => read(schema, bytes),
            Err(reason) => Err(DecodeError::message(NAME, reason.clone())),
        }
    }

    #[cold]
    fn resolved(&self, writer: u64, text: Arc<SchemaText>) -> &Result<Schema, String> {
        let make = || {
            let own = self.own().map_err(str::to_owned)?;
            let model = match text.kind {
                SchemaKind::Avro => Model::parse(&text).map_err(|error| error.to_string()),
                kind => Err(format!("is of kind {}, not Avro", kind.name())),
            };
            let model =
                model.map_err(|reason| format!("the writer's schema {writer}: {reason}"))?;
            resolve(&model, &own.model).map_err(|mismatches| {
                format!(
                    "the writer's schema {writer} cannot be read: {}",
                    listed(&mismatches)
                )
            })
        };
        let known = |(known, _): &(u64, _)| *known == writer;
        let (_, reader) = self.readers.find_or_add(known, || (writer, make()));
        reader
    }
}

impl Wire {
    #[inline]
    fn typed<T: AvroType + 'static>(&self) -> &Typed {
        let wanted = TypeId::of::<T>();
        match self.avro.find(|typed| typed.type_id == wanted) {
            Some(typed) => typed,
            None => self.new_typed::<T>(),
        }
    }

    #[cold]
    fn new_typed<T: AvroType + 'static>(&self) -> &Typed {
        let wanted = TypeId::of::<T>();
        self.avro
            .find_or_add(|typed| typed.type_id == wanted, || Typed::new::<T>())
    }
}

fn unwritable(reason: &str) -> EncodeError {
    EncodeError::new(NAME, reason)
}

fn unreadable(reason: &str) -> DecodeError {
    DecodeError::message(NAME, reason.to_owned())
}

/// The schema of a topic's own values.
pub(crate) fn own_schema<T: AvroType>(_: &WireSpec) -> Result<Arc<SchemaText>, String> {
    AvroSchema::of::<T>().map(|schema| schema.text)
}

/// Registry framing: [`Frame`], then the value.
pub(crate) fn encode_framed<T: AvroType + 'static>(
    value: &T,
    out: &mut Vec<u8>,
    wire: &Wire,
) -> Result<(), EncodeError> {
    let typed = wire.typed::<T>();
    let own = typed.own().map_err(unwritable)?;
    let id = match typed.id.get() {
        Some(id) => *id,
        None => id_of(typed, own, wire)?,
    };
    let start = out.len();
    Frame::begin(id, out);
    own.write(value, out).inspect_err(|_| out.truncate(start))
}

#[cold]
fn id_of(typed: &Typed, own: &AvroSchema, wire: &Wire) -> Result<u32, EncodeError> {
    let own: OwnSchema = wire.own(own.text.clone());
    let id = wire.id_of(&own).map_err(|reason| unwritable(&reason))?;
    Ok(*typed.id.get_or_init(|| id))
}

/// Registry framing, as the reader's own type.
pub(crate) fn decode_framed<T: AvroType + 'static>(
    payload: Payload<'_>,
    wire: &Wire,
) -> Result<T, DecodeError> {
    let frame = wire.frame(NAME, payload)?;
    let typed = wire.typed::<T>();
    typed.read(u64::from(frame.id), frame.body, || {
        wire.schema(NAME, frame.id)
    })
}

/// Nothing but the value, written with the topic's own schema.
pub(crate) fn encode_bare<T: AvroType + 'static>(
    value: &T,
    out: &mut Vec<u8>,
    wire: &Wire,
) -> Result<(), EncodeError> {
    let own = wire.typed::<T>().own().map_err(unwritable)?;
    own.write(value, out)
}

/// Nothing but the value: the schema is the one the topic's constant names, or else the own one.
pub(crate) fn decode_bare<T: AvroType + 'static>(
    payload: Payload<'_>,
    wire: &Wire,
) -> Result<T, DecodeError> {
    let bytes = payload.bytes;
    let typed = wire.typed::<T>();
    let own = typed.own().map_err(unreadable)?;
    match wire.spec.options.earlier.first() {
        None => read(&own.schema, bytes),
        Some(writer) => typed.read(0, bytes, || Ok(Arc::new(SchemaText::avro(*writer)))),
    }
}

/// What a value in single-object encoding begins with.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];

/// Avro's single-object encoding: a mark, the schema's fingerprint, the value.
pub(crate) fn encode_single_object<T: AvroType + 'static>(
    value: &T,
    out: &mut Vec<u8>,
    wire: &Wire,
) -> Result<(), EncodeError> {
    let own = wire.typed::<T>().own().map_err(unwritable)?;
    let start = out.len();
    out.extend_from_slice(&SINGLE_OBJECT);
    out.extend_from_slice(&own.fingerprint.to_le_bytes());
    own.write(value, out).inspect_err(|_| out.truncate(start))
}

/// Avro's single-object encoding, of the own schema or one of the earlier ones the topic's constant names.
pub(crate) fn decode_single_object<T: AvroType + 'static>(
    payload: Payload<'_>,
    wire: &Wire,
) -> Result<T, DecodeError> {
    let [0xC3, 0x01, a, b, c, d, e, f, g, h, body @ ..] = payload.bytes else {
        return Err(unreadable(
            "does not begin as Avro's single-object encoding does (C3 01, then eight bytes of fingerprint)",
        ));
    };
    let writer = u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
    let typed = wire.typed::<T>();
    let own = typed.own().map_err(unreadable)?;
    if writer == own.fingerprint {
        return read(&own.schema, body);
    }
    typed.read(writer, body, || {
        let earlier = wire.spec.options.earlier.iter();
        earlier
            .map(|text| SchemaText::avro(*text))
            .find(|text| fingerprint(text) == Ok(writer))
            .map(Arc::new)
            .ok_or_else(|| {
                unreadable(&format!(
                    "was written with a schema of fingerprint {writer:016x}, which is neither the topic's own nor one of those given with `.written_with(..)`"
                ))
            })
    })
}
