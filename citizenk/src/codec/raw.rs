//! Bytes as they are.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Codec, Decode, Encode};
use crate::error::{DecodeError, EncodeError};

/// Unmanaged bytes.
#[derive(Debug)]
pub enum Raw {}

impl Codec for Raw {
    const NAME: &'static str = "raw";
    const MEDIA_TYPE: &'static str = "application/octet-stream";
}

/// The bytes of a record whose format is not managed.
///
/// ```
/// use citizenk::{RawBytes, Topic};
/// const FRAMES: Topic<RawBytes> = Topic::raw("frames");
/// assert_eq!(RawBytes::from(b"abc".to_vec()).as_ref(), b"abc");
/// assert_eq!(FRAMES.name(), "frames");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RawBytes(pub Vec<u8>);

impl AsRef<[u8]> for RawBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for RawBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl JsonSchema for RawBytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RawBytes".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentMediaType": Raw::MEDIA_TYPE })
    }
}

impl Decode<Raw> for RawBytes {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }
}

impl Encode<Raw> for RawBytes {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

impl Decode<Raw> for String {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|source| DecodeError::new(Raw::NAME, source))
    }
}

impl Encode<Raw> for String {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(self.as_bytes());
        Ok(())
    }
}
