//! Parts of the record a single-event handler was called for.

use std::any::type_name;
use std::sync::Arc;

use super::{Call, Extract, PrepareContext, SingleEvent};
use crate::codec::BoundKey;
use crate::error::{AgentError, BuildIssue};
use crate::record::{Headers, Timestamp};
use crate::schema::Side;

/// The record's key, decoded with the topic's key codec; `Option<Key<K>>` admits records without key.
///
/// ```
/// use citizenk::prelude::*;
/// async fn handler(Key(camera): Key<u32>) { println!("{camera}"); }
/// let _ = handler(Key(7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<K>(pub K);

fn codec<K: 'static>(cx: &PrepareContext<'_>) -> Result<BoundKey<K>, BuildIssue> {
    let Some(topic) = cx.topic else {
        return Err(BuildIssue::new(cx.component, "a key needs a topic"));
    };
    let codec = topic.key_codec_of::<K>().ok_or_else(|| {
        BuildIssue::new(
            cx.component,
            format!(
                "takes `Key<{}>`, but topic `{}` has keys of type `{}`",
                type_name::<K>(),
                topic.name,
                topic.key_type
            ),
        )
    })?;
    Ok(BoundKey {
        decode: codec.decode,
        wire: cx.env.schemas.wire(&topic.side(Side::Key)).clone(),
    })
}

impl<K: Send + 'static> Extract<SingleEvent> for Key<K> {
    type Prepared = BoundKey<K>;

    fn prepare(cx: &PrepareContext<'_>) -> Result<Self::Prepared, BuildIssue> {
        codec(cx)
    }

    fn extract(
        prepared: &Self::Prepared,
        call: &Call<'_, SingleEvent>,
    ) -> Result<Self, AgentError> {
        match call.key() {
            Some(bytes) => Ok(Self(
                prepared.decode(bytes, |visit| call.visit_headers(visit))?,
            )),
            None => Err(AgentError::new(
                "the record has no key; `Option<Key<K>>` admits such records",
            )),
        }
    }
}

impl<K: Send + 'static> Extract<SingleEvent> for Option<Key<K>> {
    type Prepared = BoundKey<K>;

    fn prepare(cx: &PrepareContext<'_>) -> Result<Self::Prepared, BuildIssue> {
        codec(cx)
    }

    fn extract(
        prepared: &Self::Prepared,
        call: &Call<'_, SingleEvent>,
    ) -> Result<Self, AgentError> {
        match call.key() {
            Some(bytes) => Ok(Some(Key(
                prepared.decode(bytes, |visit| call.visit_headers(visit))?
            ))),
            None => Ok(None),
        }
    }
}

impl Extract<SingleEvent> for Headers {
    type Prepared = ();

    fn prepare(_: &PrepareContext<'_>) -> Result<(), BuildIssue> {
        Ok(())
    }

    fn extract(_: &(), call: &Call<'_, SingleEvent>) -> Result<Self, AgentError> {
        Ok(call.headers())
    }
}

/// Where the record stands: topic, partition, offset, timestamp.
///
/// ```
/// use citizenk::{Meta, Timestamp};
/// let meta = Meta { topic: "orders".into(), partition: 3, offset: 17, timestamp: Timestamp::Create(0) };
/// assert_eq!(meta.to_string(), "orders/3@17");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The topic's name on the broker.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// When it was written.
    pub timestamp: Timestamp,
}

impl std::fmt::Display for Meta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

impl Extract<SingleEvent> for Meta {
    type Prepared = ();

    fn prepare(_: &PrepareContext<'_>) -> Result<(), BuildIssue> {
        Ok(())
    }

    fn extract(_: &(), call: &Call<'_, SingleEvent>) -> Result<Self, AgentError> {
        let record = call.record();
        Ok(Self {
            topic: record.topic().clone(),
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
        })
    }
}
