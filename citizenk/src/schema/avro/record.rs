//! What the code that `#[citizenk::message(avro)]` writes calls.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::builder::SchemaBuilder;
use super::form::{AvroWith, Decoded, Encoded};

/// A field's type and the way it is written. Who calls with a `Part` need not show again that its type has an
/// Avro form: that is said where the trait is implemented.
pub trait Part {
    /// The field's type.
    type Value;
    /// How it is written.
    type Way: AvroWith<Self::Value>;
}

/// A field's value on its way out.
pub struct Written<'a, P: Part>(&'a P::Value);

impl<P: Part> fmt::Debug for Written<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

impl<'a, P: Part> Written<'a, P> {
    /// Borrows it.
    #[inline]
    pub fn new(value: &'a P::Value) -> Self {
        Self(value)
    }
}

impl<P: Part> Serialize for Written<'_, P> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Encoded::<P::Value, P::Way>::new(self.0).serialize(serializer)
    }
}

/// A field's value on its way in.
pub struct Read<P>(PhantomData<fn() -> P>);

impl<P> fmt::Debug for Read<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Read")
    }
}

impl<P> Read<P> {
    /// The only one.
    pub const NEW: Self = Self(PhantomData);
}

impl<'de, P: Part> DeserializeSeed<'de> for Read<P> {
    type Value = P::Value;
    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P::Value, D::Error> {
        Decoded::<P::Value, P::Way>::NEW.deserialize(deserializer)
    }
}

/// The schema of a value that is all of its message.
pub fn schema<P: Part>(builder: &mut SchemaBuilder) -> Value {
    P::Way::schema(builder)
}

/// Which of the reader's fields or symbols comes next: the number behind a letter (see `resolve`).
/// [`usize::MAX`]: one the reader does not have.
#[derive(Debug)]
pub struct Position;

impl<'de> DeserializeSeed<'de> for Position {
    type Value = usize;
    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Position {
    type Value = usize;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        Ok(position(name))
    }
}

#[inline]
fn position(name: &str) -> usize {
    match name.as_bytes() {
        [b'f' | b's' | b'b', digits @ ..] => digits
            .iter()
            .take_while(|digit| digit.is_ascii_digit())
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0')),
        _ => usize::MAX,
    }
}

/// Which of a union's records it is.
#[derive(Debug)]
pub struct Branch;

impl<'de> DeserializeSeed<'de> for Branch {
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(Position)
    }
}

/// Reads a field's value; an error names the field.
///
/// # Errors
/// When what is there is no such value.
#[inline]
pub fn read<'de, P: Part, A: MapAccess<'de>>(
    map: &mut A,
    field: &'static str,
) -> Result<Option<P::Value>, A::Error> {
    match map.next_value_seed(Read::<P>::NEW) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(named(field, &error)),
    }
}

/// What an error's text begins with where it names a field.
const FIELD: &str = "field `";

#[cold]
fn named<E: Error>(field: &str, error: &E) -> E {
    let text = error.to_string();
    match text.strip_prefix(FIELD) {
        // The field within this one.
        Some(inner) => E::custom(format_args!("{FIELD}{field}.{inner}")),
        None => E::custom(format_args!("{FIELD}{field}`: {text}")),
    }
}

/// The field an error's text begins with, and the rest of it.
pub(super) fn field_of(text: &str) -> (Option<String>, &str) {
    text.strip_prefix(FIELD)
        .and_then(|rest| rest.split_once("`: "))
        .map_or((None, text), |(field, rest)| (Some(field.to_owned()), rest))
}

/// A field's value, or what stands for it.
///
/// # Errors
/// When there is neither.
#[inline]
pub fn present<P: Part, E: Error>(
    value: Option<P::Value>,
    default: Option<fn() -> P::Value>,
    field: &'static str,
) -> Result<P::Value, E> {
    match value {
        Some(value) => Ok(value),
        None => match default {
            Some(default) => Ok(default()),
            None => P::Way::missing().ok_or_else(|| E::missing_field(field)),
        },
    }
}

/// Passes over a field the reader does not have.
///
/// # Errors
/// When the bytes end.
#[inline]
pub fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// What cannot happen when the two schemas have been resolved.
#[cold]
pub fn unknown<E: Error>(what: &'static str) -> E {
    E::custom(format_args!("{what} is of a kind the reader does not have"))
}
