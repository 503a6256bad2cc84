//! How keys become bytes.

use std::error::Error;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Decode, DecodeFn, Encode, EncodeFn, Json, Raw};
use crate::error::{DecodeError, EncodeError};
use crate::schema::{Named, Payload, SchemaFn, Wire};

/// Reads a key from the text of a URL or a command line.
pub type ParseKey<K> = fn(&str) -> Result<K, DecodeError>;

/// A key's form on the topic: what producers write, routers partition by and tools print.
pub struct KeyCodec<K> {
    pub(crate) name: &'static str,
    pub(crate) encode: EncodeFn<K>,
    pub(crate) decode: DecodeFn<K>,
    /// From the text of a URL or a command line; `None` where a key has no such form.
    pub(crate) parse: Option<ParseKey<K>>,
    /// The schema of keys, in formats that have one.
    pub(crate) schema: Option<SchemaFn>,
}

/// A key codec on the topic of one lane: what [`Key`](crate::Key) is extracted with.
pub struct BoundKey<K> {
    pub(crate) decode: DecodeFn<K>,
    pub(crate) wire: Arc<Wire>,
}

impl<K> fmt::Debug for BoundKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoundKey({:?})", self.wire)
    }
}

impl<K> BoundKey<K> {
    /// `headers` visits those of the record.
    #[inline]
    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        headers: impl FnOnce(&mut dyn FnMut(&str, Option<&[u8]>)),
    ) -> Result<K, DecodeError> {
        let mut payload = Payload::bare(bytes);
        if self.decode.is_framed() {
            [payload.named, _] = Named::of_headers(headers);
        }
        self.decode.call(payload, || &self.wire)
    }
}

impl<K> Clone for KeyCodec<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for KeyCodec<K> {}

impl<K> fmt::Debug for KeyCodec<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCodec({})", self.name)
    }
}

/// Keys with a text form: written with `Display`, read with `FromStr`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no text form for a key",
    note = "implement `Display` and `FromStr`, or choose another key codec: `.key_json()`, `.key_raw()`, `.key_codec(..)`"
)]
pub trait TextKey: Sized {
    #[doc(hidden)]
    fn encode_text(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    #[doc(hidden)]
    fn parse_text(text: &str) -> Result<Self, DecodeError>;
}

#[diagnostic::do_not_recommend]
impl<K> TextKey for K
where
    K: Display + FromStr,
    K::Err: Into<Box<dyn Error + Send + Sync>>,
{
    fn encode_text(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        use std::io::Write;
        write!(out, "{self}").map_err(|source| EncodeError::new("text", source))
    }

    fn parse_text(text: &str) -> Result<Self, DecodeError> {
        text.parse()
            .map_err(|source| DecodeError::new("text", source))
    }
}

/// Integers written as big-endian bytes, as Java's `LongSerializer` and `IntegerSerializer` do.
pub trait BigEndian: Sized {
    #[doc(hidden)]
    fn to_be(&self, out: &mut Vec<u8>);
    #[doc(hidden)]
    fn from_be(bytes: &[u8]) -> Result<Self, DecodeError>;
}

macro_rules! big_endian {
    ($($int:ty),*) => {$(
        impl BigEndian for $int {
            fn to_be(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn from_be(bytes: &[u8]) -> Result<Self, DecodeError> {
                bytes.try_into().map(Self::from_be_bytes).map_err(|_| {
                    DecodeError::message(
                        "big_endian",
                        format!("{} bytes, expected {}", bytes.len(), size_of::<$int>()),
                    )
                })
            }
        }
    )*};
}

big_endian!(i16, i32, i64, u16, u32, u64);

fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|source| DecodeError::new("text", source))
}

/// A key from the bytes of its text form.
pub(crate) fn decode_text<K: TextKey>(bytes: &[u8]) -> Result<K, DecodeError> {
    K::parse_text(utf8(bytes)?)
}

impl<K> KeyCodec<K> {
    /// The UTF-8 text of `Display`: 7 becomes `7`.
    pub const fn text() -> Self
    where
        K: TextKey,
    {
        Self {
            name: "text",
            encode: EncodeFn::Plain(|key, out| key.encode_text(out)),
            decode: DecodeFn::Plain(decode_text),
            parse: Some(K::parse_text),
            schema: None,
        }
    }

    /// Big-endian integers.
    pub const fn big_endian() -> Self
    where
        K: BigEndian + TextKey,
    {
        Self {
            name: "big_endian",
            encode: EncodeFn::Plain(|key, out| {
                key.to_be(out);
                Ok(())
            }),
            decode: DecodeFn::Plain(K::from_be),
            parse: Some(K::parse_text),
            schema: None,
        }
    }

    /// JSON text.
    pub const fn json() -> Self
    where
        K: Serialize + DeserializeOwned,
    {
        Self {
            name: Json::NAME,
            encode: EncodeFn::Plain(<K as Encode<Json>>::encode),
            decode: DecodeFn::Plain(<K as Decode<Json>>::decode),
            parse: Some(|text| <K as Decode<Json>>::decode(text.as_bytes())),
            schema: None,
        }
    }

    /// Bytes as they are.
    pub const fn raw() -> Self
    where
        K: Decode<Raw> + Encode<Raw>,
    {
        Self {
            name: Raw::NAME,
            encode: EncodeFn::Plain(<K as Encode<Raw>>::encode),
            decode: DecodeFn::Plain(<K as Decode<Raw>>::decode),
            parse: Some(|text| <K as Decode<Raw>>::decode(text.as_bytes())),
            schema: None,
        }
    }

    /// A codec of your own. `parse` reads a key from the text of a URL or a command line.
    pub const fn custom(
        name: &'static str,
        encode: fn(&K, &mut Vec<u8>) -> Result<(), EncodeError>,
        decode: fn(&[u8]) -> Result<K, DecodeError>,
        parse: Option<ParseKey<K>>,
    ) -> Self {
        Self {
            name,
            encode: EncodeFn::Plain(encode),
            decode: DecodeFn::Plain(decode),
            parse,
            schema: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain<K>(encode: EncodeFn<K>) -> fn(&K, &mut Vec<u8>) -> Result<(), EncodeError> {
        match encode {
            EncodeFn::Plain(encode) => encode,
            _ => panic!("framed"),
        }
    }

    #[test]
    fn every_spelling_of_a_number_becomes_one_key() {
        let codec = KeyCodec::<u32>::text();
        let parse = codec.parse.unwrap();
        for spelling in ["7", "007", "+7"] {
            let mut bytes = Vec::new();
            plain(codec.encode)(&parse(spelling).unwrap(), &mut bytes).unwrap();
            assert_eq!(bytes, b"7");
        }
        assert!(parse("seven").is_err());
    }

    #[test]
    fn big_endian_matches_java() {
        let codec = KeyCodec::<i64>::big_endian();
        let mut bytes = Vec::new();
        plain(codec.encode)(&-2, &mut bytes).unwrap();
        assert_eq!(bytes, [255, 255, 255, 255, 255, 255, 255, 254]);
        assert_eq!(<i64 as BigEndian>::from_be(&bytes).unwrap(), -2);
        assert!(
            <i64 as BigEndian>::from_be(b"123")
                .unwrap_err()
                .to_string()
                .contains("3 bytes, expected 8")
        );
    }
}
