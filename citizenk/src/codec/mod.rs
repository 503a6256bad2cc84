//! Bytes to values and back.
//!
//! In: payload and key bytes, or values. Out: the other. A codec is a type; which Rust types it can
//! read and write is said by [`Decode`] and [`Encode`]. A [`Topic`](crate::Topic) keeps plain function
//! pointers made from them, so that it stays a constant.

mod function;
#[cfg(test)]
mod fuzz;
mod json;
mod key;
mod raw;

pub(crate) use function::{DecodeFn, EncodeFn};
pub use json::Json;
pub use key::BoundKey;
pub(crate) use key::decode_text;
pub use key::{BigEndian, KeyCodec, ParseKey, TextKey};
pub use raw::{Raw, RawBytes};

use crate::error::{DecodeError, EncodeError};

/// A named format of record bytes.
pub trait Codec: 'static {
    /// The name shown in listings and documents, e.g. `json`.
    const NAME: &'static str;
    /// The media type of the bytes.
    const MEDIA_TYPE: &'static str;
}

/// Values that codec `C` can read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be decoded by `{C}`",
    label = "not decodable",
    note = "derive `serde::Deserialize` or choose another codec in the `Topic`"
)]
pub trait Decode<C: Codec>: Sized {
    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are not this type in this format; the error says where.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// Values that codec `C` can write.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be encoded by `{C}`",
    label = "not encodable",
    note = "derive `serde::Serialize` or choose another codec in the `Topic`"
)]
pub trait Encode<C: Codec> {
    /// Appends the value's bytes to `out`.
    ///
    /// # Errors
    /// When the value has no form in this format, e.g. a map with non-string keys in JSON.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}
