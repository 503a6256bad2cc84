//! A topic as one agent reads it.

use std::fmt;
use std::sync::Arc;

use super::Topic;
use crate::codec::DecodeFn;
use crate::error::DecodeError;
use crate::schema::{Named, Payload, Schemas, Side, Wire};
use crate::topic::describe::TopicInfo;

/// The values of a topic, decoded and converted for one agent: what [`Topic::as_input`] returns.
pub struct InputTopic<V> {
    pub(crate) info: TopicInfo,
    decode: Unbound<V>,
}

/// Reads one value; the app's schemas are not known yet.
enum Unbound<V> {
    Plain(fn(&[u8]) -> Result<V, DecodeError>),
    Other(Arc<Bind<V>>),
}

type Bind<V> = dyn Fn(&Schemas) -> Decoder<V> + Send + Sync;
type Conversion<V> = dyn Fn(Payload<'_>) -> Result<V, DecodeError> + Send + Sync;

/// Reads one value; shared by all lanes of an agent and topic.
pub(crate) enum Decoder<V> {
    Plain(fn(&[u8]) -> Result<V, DecodeError>),
    Converted(Arc<Conversion<V>>),
    /// Headers may name schemas. A key that names one is checked, too: its schema may have to be fetched before the
    /// handler can ask for it.
    Framed(Arc<Conversion<V>>, Option<Arc<CheckKey>>),
}

type CheckKey = dyn Fn(Payload<'_>) -> Result<(), DecodeError> + Send + Sync;

impl<V> Decoder<V> {
    /// `headers` visits those of the record.
    #[inline]
    pub(crate) fn decode<'a>(
        &self,
        bytes: &[u8],
        key: impl FnOnce() -> Option<&'a [u8]>,
        headers: impl FnOnce(&mut dyn FnMut(&str, Option<&[u8]>)),
    ) -> Result<V, DecodeError> {
        match self {
            Self::Plain(decode) => decode(bytes),
            Self::Converted(decode) => decode(Payload::bare(bytes)),
            Self::Framed(decode, check) => {
                let [named_key, named] = Named::of_headers(headers);
                if let Some(check) = check
                    && let Some(bytes) = key()
                {
                    check(Payload {
                        bytes,
                        named: named_key,
                    })?;
                }
                decode(Payload { bytes, named })
            }
        }
    }
}

impl<V> Clone for Unbound<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Plain(decode) => Self::Plain(*decode),
            Self::Other(bind) => Self::Other(bind.clone()),
        }
    }
}

impl<V> fmt::Debug for InputTopic<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputTopic({})", self.info.name)
    }
}

fn unreadable<V>(_: &[u8]) -> Result<V, DecodeError> {
    Err(DecodeError::message(
        "output",
        "the topic is declared for output only".to_owned(),
    ))
}

fn bound<V: 'static>(
    decode: DecodeFn<V>,
    wire: Arc<Wire>,
) -> impl Fn(Payload<'_>) -> Result<V, DecodeError> + Send + Sync {
    move |payload| decode.call(payload, || &wire)
}

impl<V: 'static> InputTopic<V> {
    pub(crate) fn plain<K: 'static>(topic: &Topic<V, K>) -> Self {
        let decode = topic.decode.unwrap_or(DecodeFn::Plain(unreadable::<V>));
        let decode = match decode {
            DecodeFn::Plain(decode) if !topic.key.decode.is_framed() => Unbound::Plain(decode),
            _ => Self::with(topic, move |wire| Arc::new(bound(decode, wire))),
        };
        Self {
            info: TopicInfo::of(topic),
            decode,
        }
    }

    pub(crate) fn converted<From, K: 'static>(topic: &Topic<From, K>) -> Self
    where
        V: std::convert::From<From>,
        From: 'static,
    {
        let decode = topic.decode.unwrap_or(DecodeFn::Plain(unreadable::<From>));
        let decode = Self::with(topic, move |wire| {
            let decode = bound(decode, wire);
            Arc::new(move |payload: Payload<'_>| decode(payload).map(V::from))
        });
        Self {
            info: TopicInfo::of(topic),
            decode,
        }
    }

    fn with<From: 'static, K: 'static>(
        topic: &Topic<From, K>,
        decode: impl Fn(Arc<Wire>) -> Arc<Conversion<V>> + Send + Sync + 'static,
    ) -> Unbound<V> {
        let (value, key) = (topic.side(Side::Value), topic.side(Side::Key));
        let decode_key = topic.key.decode;
        let is_framed = topic.decode.is_some_and(DecodeFn::is_framed);
        Unbound::Other(Arc::new(move |schemas| {
            let decode = decode(schemas.wire(&value).clone());
            if decode_key.is_framed() {
                let check = bound(decode_key, schemas.wire(&key).clone());
                let check = move |payload: Payload<'_>| only_missing(check(payload));
                return Decoder::Framed(decode, Some(Arc::new(check)));
            }
            match is_framed {
                true => Decoder::Framed(decode, None),
                false => Decoder::Converted(decode),
            }
        }))
    }

    /// The decoder for lanes of one app.
    pub(crate) fn bind(&self, schemas: &Schemas) -> Decoder<V> {
        match &self.decode {
            Unbound::Plain(decode) => Decoder::Plain(*decode),
            Unbound::Other(bind) => bind(schemas),
        }
    }
}

/// A key that cannot be decoded is the business of who asks for it.
fn only_missing<K>(decoded: Result<K, DecodeError>) -> Result<(), DecodeError> {
    match decoded {
        Err(error) if error.obtain().is_some() => Err(error),
        _ => Ok(()),
    }
}

impl<V> Clone for InputTopic<V> {
    fn clone(&self) -> Self {
        Self {
            info: self.info.clone(),
            decode: self.decode.clone(),
        }
    }
}
