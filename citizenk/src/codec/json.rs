//! JSON through serde.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Decode, Encode};
use crate::error::{DecodeError, EncodeError};

/// JSON text (RFC 8259), without schema framing.
#[derive(Debug)]
pub enum Json {}

impl Codec for Json {
    const NAME: &'static str = "json";
    const MEDIA_TYPE: &'static str = "application/json";
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<Json> for T {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(bytes).map_err(|source| DecodeError::json(&source, bytes))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Encode<Json> for T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        serde_json::to_writer(out, self).map_err(|source| EncodeError::new(Json::NAME, source))
    }
}
