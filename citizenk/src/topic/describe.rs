//! What is known of a topic once its types are forgotten: listings, documents, checks, tools.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use crate::codec::KeyCodec;

use super::{Declared, Direction, Partitioner, Topic, TopicId};
use crate::error::DecodeError;
use crate::staging::OutputTopic;

/// Checks and re-encodes JSON text into a topic's own format.
type Transcode = Arc<dyn Fn(&[u8], &mut Vec<u8>) -> Result<(), DecodeError> + Send + Sync>;
/// Makes a key's bytes from its text form.
type KeyFromText = Arc<dyn Fn(&str, &mut Vec<u8>) -> Result<(), DecodeError> + Send + Sync>;

/// A topic without its types.
#[derive(Clone)]
pub(crate) struct TopicInfo {
    /// Among all topics of the app: `CLUSTER/NAME`, or the name alone on the cluster without a name.
    pub(crate) name: &'static str,
    /// Among those of its cluster.
    pub(crate) plain: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) value_type: &'static str,
    pub(crate) key_codec: &'static str,
    pub(crate) key_type: &'static str,
    /// The `KeyCodec<K>` itself, for whoever knows `K`.
    pub(crate) key: Arc<dyn Any + Send + Sync>,
    pub(crate) partitioner: Partitioner,
    pub(crate) direction: Direction,
    pub(crate) cluster: &'static str,
    /// Boxed: it is seldom looked at, and whatever names a topic carries it.
    pub(crate) declared: Box<Declared>,
    /// A retry topic: the runtime alone writes and reads it.
    pub(crate) internal: bool,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    /// The bytes of a value that arrived as text (HTTP body, command line): decoded as the topic's
    /// own type first, so that a wrong field is an error here and not in a consumer.
    pub(crate) check_value: Transcode,
    pub(crate) key_from_text: KeyFromText,
}

impl fmt::Debug for TopicInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicInfo({}, {})", self.name, self.codec)
    }
}

impl TopicInfo {
    pub(crate) fn of<V: 'static, K: 'static>(topic: &Topic<V, K>) -> Self {
        let (decode, encode, key) = (topic.decode, topic.encode, topic.key);
        Self {
            name: topic.id().text(),
            plain: topic.name,
            codec: topic.codec,
            media_type: topic.media_type,
            value_type: type_name::<V>(),
            key_codec: topic.key.name,
            key_type: type_name::<K>(),
            key: Arc::new(topic.key),
            partitioner: topic.partitioner,
            direction: topic.direction,
            cluster: topic.cluster,
            declared: Box::new(topic.declared),
            internal: false,
            schema: topic.schema,
            check_value: Arc::new(move |text, out| {
                let start = out.len();
                match (decode, encode) {
                    (Some(decode), Some(encode)) => encode(&decode(text)?, out)
                        .map_err(|error| DecodeError::new("encode", error)),
                    (Some(decode), None) => decode(text).map(|_| out.extend_from_slice(text)),
                    (None, _) => {
                        out.truncate(start);
                        out.extend_from_slice(text);
                        Ok(())
                    }
                }
            }),
            key_from_text: Arc::new(move |text, out| {
                let parse = key.parse.ok_or_else(|| {
                    DecodeError::message(
                        key.name,
                        "keys of this topic have no text form".to_owned(),
                    )
                })?;
                (key.encode)(&parse(text)?, out).map_err(|error| DecodeError::new(key.name, error))
            }),
        }
    }

    pub(crate) fn key_codec_of<K: 'static>(&self) -> Option<KeyCodec<K>> {
        self.key.downcast_ref::<KeyCodec<K>>().copied()
    }

    pub(crate) fn id(&self) -> TopicId {
        TopicId {
            cluster: self.cluster,
            name: self.plain,
        }
    }

    /// To be sent to under its name in the program.
    pub(crate) fn output(&self) -> OutputTopic {
        OutputTopic {
            cluster: self.cluster,
            name: self.name.to_owned(),
            partitioner: self.partitioner,
        }
    }
}
