//! A topic as one agent reads it.

use std::fmt;
use std::sync::Arc;

use super::Topic;
use crate::codec::DecodeFn;
use crate::error::DecodeError;
use crate::schema::{Schemas, Side, Wire};
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
type Conversion<V> = dyn Fn(&[u8]) -> Result<V, DecodeError> + Send + Sync;

/// Reads one value; shared by all lanes of an agent and topic.
pub(crate) enum Decoder<V> {
    Plain(fn(&[u8]) -> Result<V, DecodeError>),
    Converted(Arc<Conversion<V>>),
    /// The key is checked, too: its schema may have to be fetched before the handler can ask for it.
    FramedKey(Arc<Conversion<V>>, Arc<CheckKey>),
}

type CheckKey = dyn Fn(&[u8]) -> Result<(), DecodeError> + Send + Sync;

impl<V> Decoder<V> {
    #[inline]
    pub(crate) fn decode<'a>(
        &self,
        bytes: &[u8],
        key: impl FnOnce() -> Option<&'a [u8]>,
    ) -> Result<V, DecodeError> {
        match self {
            Self::Plain(decode) => decode(bytes),
            Self::Converted(decode) => decode(bytes),
            Self::FramedKey(decode, check) => {
                if let Some(key) = key() {
                    check(key)?;
                }
                decode(bytes)
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
) -> impl Fn(&[u8]) -> Result<V, DecodeError> + Send + Sync {
    move |bytes| decode.call(bytes, || &wire)
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
            Arc::new(move |bytes: &[u8]| decode(bytes).map(V::from))
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
        Unbound::Other(Arc::new(move |schemas| {
            let decode = decode(schemas.wire(&value).clone());
            if !decode_key.is_framed() {
                return Decoder::Converted(decode);
            }
            let check = bound(decode_key, schemas.wire(&key).clone());
            Decoder::FramedKey(decode, Arc::new(move |bytes| only_missing(check(bytes))))
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
