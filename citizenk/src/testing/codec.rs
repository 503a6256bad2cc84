//! Formats and schemas: a topic's format without an app, and who knows the schemas of a test's app.

use std::fmt;
use std::sync::Arc;

use super::{TestApp, TestAppBuilder};
use crate::app::Overrides;
use crate::app::registries::Writes;
use crate::config::Settings;
use crate::error::{DecodeError, EncodeError, RunError};
use crate::schema::{Payload, SchemaSource, Schemas, Side, Wire};
use crate::topic::Topic;

/// Writes and reads values as a topic does; ids of schemas are its own. For tests of formats, and benchmarks.
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::testing::TopicCodec;
///
/// const NUMBERS: Topic<u32> = Topic::json("numbers");
/// let codec = TopicCodec::new(&NUMBERS);
/// let mut bytes = Vec::new();
/// codec.encode(&7, &mut bytes).unwrap();
/// assert_eq!(bytes, b"7");
/// assert_eq!(codec.decode(&bytes).unwrap(), 7);
/// ```
pub struct TopicCodec<V, K> {
    topic: Topic<V, K>,
    wire: Arc<Wire>,
}

impl<V, K> fmt::Debug for TopicCodec<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicCodec({:?})", self.topic)
    }
}

impl<V, K> TopicCodec<V, K> {
    /// The format of this topic.
    #[must_use]
    pub fn new(topic: &Topic<V, K>) -> Self {
        Self {
            topic: *topic,
            wire: Schemas::local().wire(&topic.side(Side::Value)).clone(),
        }
    }

    /// Appends a value's bytes.
    ///
    /// # Errors
    /// When the value has no form in the format, or the topic is only read.
    #[inline]
    pub fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.topic.encode {
            Some(encode) => encode.call(value, out, || &self.wire),
            None => Err(EncodeError::new(self.topic.codec, "the topic is only read")),
        }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are no such value, or the topic is only written.
    #[inline]
    pub fn decode(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        match self.topic.decode {
            Some(decode) => decode.call(Payload::bare(bytes), || &self.wire),
            None => Err(DecodeError::new(
                self.topic.codec,
                "the topic is only written",
            )),
        }
    }
}

impl TestAppBuilder {
    /// Who knows the schemas of framed values; default: the test itself gives them ids.
    #[must_use]
    pub fn schemas(mut self, source: Arc<dyn SchemaSource>) -> Self {
        self.source = Some(source);
        self
    }
}

impl TestApp {
    /// Those the app brings or its settings name; without any, ids are the test's own.
    pub(super) async fn open_registries(&mut self) -> Result<(), RunError> {
        let (app, settings) = ((self.builder.app)(), self.settings()?);
        if self.builder.source.is_none() && app.has_registries(&settings) {
            let overrides = crate::app::overrides(&settings);
            let opened = app.schemas(&settings, &overrides, false, Writes::Test);
            self.schemas = opened.await?;
        }
        Ok(())
    }

    /// What the settings say, with the test's own schemas.
    pub(super) fn overrides(&self, settings: &Settings) -> Overrides {
        Overrides {
            schemas: self.schemas.clone(),
            ..crate::app::overrides(settings)
        }
    }
}
