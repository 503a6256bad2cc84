//! A topic as one agent reads it.

use std::fmt;
use std::sync::Arc;

use super::{DecodeFn, Topic};
use crate::error::DecodeError;
use crate::topic::describe::TopicInfo;

/// The values of a topic, decoded and converted for one agent: what [`Topic::as_input`] returns.
pub struct InputTopic<V> {
    pub(crate) info: TopicInfo,
    pub(crate) decode: Decoder<V>,
}

type Conversion<V> = dyn Fn(&[u8]) -> Result<V, DecodeError> + Send + Sync;

/// Reads one value; shared by all lanes of an agent and topic.
pub(crate) enum Decoder<V> {
    Plain(DecodeFn<V>),
    Converted(Arc<Conversion<V>>),
}

impl<V> Decoder<V> {
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        match self {
            Self::Plain(decode) => decode(bytes),
            Self::Converted(decode) => decode(bytes),
        }
    }
}

impl<V> Clone for Decoder<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Plain(decode) => Self::Plain(*decode),
            Self::Converted(decode) => Self::Converted(decode.clone()),
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

impl<V: 'static> InputTopic<V> {
    pub(crate) fn plain<K: 'static>(topic: &Topic<V, K>) -> Self {
        Self {
            info: TopicInfo::of(topic),
            decode: Decoder::Plain(topic.decode.unwrap_or(unreadable::<V>)),
        }
    }

    pub(crate) fn converted<From, K: 'static>(topic: &Topic<From, K>) -> Self
    where
        V: std::convert::From<From>,
        From: 'static,
    {
        let decode = topic.decode.unwrap_or(unreadable::<From>);
        Self {
            info: TopicInfo::of(topic),
            decode: Decoder::Converted(Arc::new(move |bytes| decode(bytes).map(V::from))),
        }
    }
}
