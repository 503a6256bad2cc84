//! What the code that `#[citizenk::message(avro)]` writes calls while it reads.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::form::{AvroWith, Decoded};

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
pub fn read<'de, T, W: AvroWith<T>, A: MapAccess<'de>>(
    map: &mut A,
    field: &'static str,
) -> Result<Option<T>, A::Error> {
    match map.next_value_seed(Decoded::<T, W>::NEW) {
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
pub fn present<T, W: AvroWith<T>, E: Error>(
    value: Option<T>,
    default: Option<fn() -> T>,
    field: &'static str,
) -> Result<T, E> {
    match value {
        Some(value) => Ok(value),
        None => match default {
            Some(default) => Ok(default()),
            None => W::missing().ok_or_else(|| E::missing_field(field)),
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
