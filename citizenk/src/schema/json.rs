//! JSON that names its JSON Schema in a registry.
//!
//! JSON says itself what it is: the id is for others, and reading asks nobody for the schema. The typed decode is the
//! validation.

use std::any::TypeId;
use std::sync::Arc;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Frame, Named, Payload, SchemaText, Wire, WireSpec};
#[cfg(feature = "strict-json")]
use super::{Side, ValueSchema};
use crate::error::{DecodeError, EncodeError};

pub(crate) const NAME: &str = "json schema";

/// The draft that registries can compare (2020-12 is refused by some).
fn text<T: JsonSchema>() -> SchemaText {
    let generator = SchemaSettings::draft07().into_generator();
    let schema = generator.into_root_schema_for::<T>();
    SchemaText::json(schema.as_value().to_string())
}

/// The schema of a topic's own values.
pub(crate) fn own_schema<T: JsonSchema>(_: &WireSpec) -> Result<Arc<SchemaText>, String> {
    Ok(Arc::new(text::<T>()))
}

/// The one that the topic's constant gives.
#[cfg(feature = "strict-json")]
pub(crate) fn own_text(spec: &WireSpec) -> Result<Arc<SchemaText>, String> {
    given(spec)
        .map(Arc::new)
        .ok_or_else(|| "has no schema of its own".to_owned())
}

#[cfg(feature = "strict-json")]
fn given(spec: &WireSpec) -> Option<SchemaText> {
    match (spec.side, spec.options.schema) {
        (Side::Value, ValueSchema::Text(text)) => Some(SchemaText::json(text)),
        _ => None,
    }
}

#[cfg(not(feature = "strict-json"))]
fn given(_: &WireSpec) -> Option<SchemaText> {
    None
}

/// Registry framing: [`Frame`], then the value.
pub(crate) fn encode<T: Serialize + JsonSchema + 'static>(
    value: &T,
    out: &mut Vec<u8>,
    wire: &Wire,
) -> Result<(), EncodeError> {
    let own = TypeId::of::<T>();
    let id = match wire.json.find(|(known, _)| *known == own) {
        Some((_, id)) => *id,
        None => id_of::<T>(wire)?,
    };
    let start = out.len();
    Frame::begin(id, out);
    serde_json::to_writer(&mut *out, value).map_err(|source| {
        out.truncate(start);
        EncodeError::new(NAME, source)
    })
}

#[cold]
fn id_of<T: JsonSchema + 'static>(wire: &Wire) -> Result<u32, EncodeError> {
    let own = TypeId::of::<T>();
    let id = wire
        .id_of(&wire.own(Arc::new(given(&wire.spec).unwrap_or_else(text::<T>))))
        .map_err(|reason| EncodeError::new(NAME, reason))?;
    wire.json
        .find_or_add(|(known, _)| *known == own, || (own, id));
    Ok(id)
}

/// Registry framing, as the reader's own type.
pub(crate) fn decode<T: DeserializeOwned>(
    payload: Payload<'_>,
    wire: &Wire,
) -> Result<T, DecodeError> {
    let body = body(payload, wire)?;
    serde_json::from_slice(body).map_err(|source| DecodeError::json(&source, body))
}

/// The schema is not asked for; where a header names it, the JSON is all there is.
#[inline]
pub(crate) fn body<'a>(payload: Payload<'a>, wire: &Wire) -> Result<&'a [u8], DecodeError> {
    match payload.named {
        Named::Id(_) => Ok(payload.bytes),
        _ => wire.frame(NAME, payload).map(|frame| frame.body),
    }
}

/// The JSON without what stands before it.
pub(crate) fn shown(payload: Payload<'_>, wire: &Wire) -> Result<Vec<u8>, DecodeError> {
    body(payload, wire).map(<[u8]>::to_vec)
}
