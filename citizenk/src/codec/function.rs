//! The functions a topic's constant holds.

use std::sync::Arc;

use crate::error::{DecodeError, EncodeError};
#[cfg(feature = "strict-json")]
use crate::schema::{Frame, Rules, json};
use crate::schema::{Payload, Wire};

/// Bytes to a value.
pub(crate) enum DecodeFn<V> {
    /// The bytes say everything.
    Plain(fn(&[u8]) -> Result<V, DecodeError>),
    /// The bytes name a schema, which the topic's wire knows or finds.
    Framed(fn(Payload<'_>, &Wire) -> Result<V, DecodeError>),
    /// JSON that rules have to allow.
    #[cfg(feature = "strict-json")]
    Strict(fn(&[u8]) -> Result<V, DecodeError>, Rules),
    /// The same behind a frame.
    #[cfg(feature = "strict-json")]
    StrictFramed(fn(Payload<'_>, &Wire) -> Result<V, DecodeError>, Rules),
}

/// A value to bytes.
pub(crate) enum EncodeFn<V> {
    /// The value says everything.
    Plain(fn(&V, &mut Vec<u8>) -> Result<(), EncodeError>),
    /// The bytes name a schema, whose id the topic's wire knows.
    Framed(fn(&V, &mut Vec<u8>, &Wire) -> Result<(), EncodeError>),
    /// JSON that rules have to allow.
    #[cfg(feature = "strict-json")]
    Strict(fn(&V, &mut Vec<u8>) -> Result<(), EncodeError>, Rules),
    /// The same behind a frame.
    #[cfg(feature = "strict-json")]
    StrictFramed(
        fn(&V, &mut Vec<u8>, &Wire) -> Result<(), EncodeError>,
        Rules,
    ),
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
            #[cfg(feature = "strict-json")]
            Self::Strict(decode, rules) => {
                let value = decode(payload.bytes)?;
                rules.check_read(wire(), payload.bytes)?;
                Ok(value)
            }
            #[cfg(feature = "strict-json")]
            Self::StrictFramed(decode, rules) => {
                let wire = wire();
                let value = decode(payload, wire)?;
                rules.check_read(wire, json::body(payload, wire)?)?;
                Ok(value)
            }
        }
    }

    pub(crate) fn is_framed(self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Framed(_) => true,
            #[cfg(feature = "strict-json")]
            Self::Strict(..) => false,
            #[cfg(feature = "strict-json")]
            Self::StrictFramed(..) => true,
        }
    }

    /// The same, of JSON that these rules have to allow.
    #[cfg(feature = "strict-json")]
    pub(crate) const fn strict(self, rules: Rules) -> Self {
        match self {
            Self::Plain(decode) | Self::Strict(decode, _) => Self::Strict(decode, rules),
            Self::Framed(decode) | Self::StrictFramed(decode, _) => {
                Self::StrictFramed(decode, rules)
            }
        }
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
            #[cfg(feature = "strict-json")]
            Self::Strict(encode, rules) => {
                let start = out.len();
                encode(value, out)?;
                rules
                    .check_written(wire(), &out[start..])
                    .inspect_err(|_| out.truncate(start))
            }
            #[cfg(feature = "strict-json")]
            Self::StrictFramed(encode, rules) => {
                let (start, wire) = (out.len(), wire());
                encode(value, out, wire)?;
                rules
                    .check_written(wire, &out[start + Frame::HEAD..])
                    .inspect_err(|_| out.truncate(start))
            }
        }
    }

    /// The same, of JSON that these rules have to allow.
    #[cfg(feature = "strict-json")]
    pub(crate) const fn strict(self, rules: Rules) -> Self {
        match self {
            Self::Plain(encode) | Self::Strict(encode, _) => Self::Strict(encode, rules),
            Self::Framed(encode) | Self::StrictFramed(encode, _) => {
                Self::StrictFramed(encode, rules)
            }
        }
    }
}
