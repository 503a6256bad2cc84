//! The functions a topic's constant holds.

use std::sync::Arc;

use crate::error::{DecodeError, EncodeError};
use crate::schema::{Payload, Wire};

/// Bytes to a value.
pub(crate) enum DecodeFn<V> {
    /// The bytes say everything.
    Plain(fn(&[u8]) -> Result<V, DecodeError>),
    /// The bytes name a schema, which the topic's wire knows or finds.
    Framed(fn(Payload<'_>, &Wire) -> Result<V, DecodeError>),
}

/// A value to bytes.
pub(crate) enum EncodeFn<V> {
    /// The value says everything.
    Plain(fn(&V, &mut Vec<u8>) -> Result<(), EncodeError>),
    /// The bytes name a schema, whose id the topic's wire knows.
    Framed(fn(&V, &mut Vec<u8>, &Wire) -> Result<(), EncodeError>),
}

impl<V> Clone for DecodeFn<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for DecodeFn<V> {}

impl<V> Clone for EncodeFn<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for EncodeFn<V> {}

impl<V> DecodeFn<V> {
    /// The wire is asked for only where it is needed.
    #[inline]
    pub(crate) fn call<'w>(
        self,
        payload: Payload<'_>,
        wire: impl FnOnce() -> &'w Arc<Wire>,
    ) -> Result<V, DecodeError> {
        match self {
            Self::Plain(decode) => decode(payload.bytes),
            Self::Framed(decode) => decode(payload, wire()),
        }
    }

    pub(crate) fn is_framed(self) -> bool {
        matches!(self, Self::Framed(_))
    }
}

impl<V> EncodeFn<V> {
    /// The wire is asked for only where it is needed.
    #[inline]
    pub(crate) fn call<'w>(
        self,
        value: &V,
        out: &mut Vec<u8>,
        wire: impl FnOnce() -> &'w Arc<Wire>,
    ) -> Result<(), EncodeError> {
        match self {
            Self::Plain(encode) => encode(value, out),
            Self::Framed(encode) => encode(value, out, wire()),
        }
    }
}
