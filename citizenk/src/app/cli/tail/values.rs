//! Values as people read them.

use std::borrow::Cow;

use super::Record;
use crate::error::{DecodeError, Obtained};
use crate::record::Headers;
use crate::topic::describe::TopicInfo;

/// Turns values that are no text of their own into JSON, as they were written.
pub(super) struct Values {
    topic: TopicInfo,
    /// What was said of values that cannot be read; the same is not said again.
    said: Option<String>,
}

impl Values {
    pub(super) fn new(topic: TopicInfo) -> Self {
        Self { topic, said: None }
    }

    /// JSON where the topic's format is none for people, else the bytes.
    pub(super) async fn of<'a>(&mut self, record: &'a Record) -> Option<Cow<'a, [u8]>> {
        let bytes: &[u8] = record.value.as_ref()?.as_ref();
        match self.json(bytes, &record.headers()).await {
            None => Some(Cow::Borrowed(bytes)),
            Some(Ok(json)) => Some(Cow::Owned(json)),
            Some(Err(error)) => {
                let reason = error.to_string();
                if self.said.as_ref() != Some(&reason) {
                    let (partition, offset) = (record.partition(), record.offset());
                    eprintln!(
                        "warning: the value at {partition}@{offset} is shown as bytes: {reason}"
                    );
                    self.said = Some(reason);
                }
                Some(Cow::Borrowed(bytes))
            }
        }
    }

    async fn json(&self, bytes: &[u8], headers: &Headers) -> Option<Result<Vec<u8>, DecodeError>> {
        let error = match self.topic.value_as_json(bytes, headers)? {
            Err(error) if error.obtain().is_some() => error,
            read => return Some(read),
        };
        // Its schema is not known yet: asked for once, with the client's own retries.
        match error.obtain()?.obtain().await {
            Obtained::There => self.topic.value_as_json(bytes, headers),
            Obtained::Nowhere(error) => Some(Err(error)),
            Obtained::Unavailable(_) => Some(Err(error)),
        }
    }
}

#[cfg(all(test, feature = "avro"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;
    use crate::avro::AvroValue;
    use crate::codec::RawBytes;
    use crate::schema::{LocalSchemas, SchemaText, Schemas};
    use crate::{Event, Topic};

    fn record(value: &[u8]) -> Record {
        Event::new(Some(RawBytes(value.to_vec())))
    }

    #[tokio::test]
    async fn avro_is_shown_as_json_and_what_cannot_be_read_as_it_is() {
        const RIDES: Topic<AvroValue> = Topic::avro_registry("rides");
        let source = Arc::new(LocalSchemas::default());
        source.register(SchemaText::avro(
            r#"{"type": "record", "name": "R", "fields": [{"name": "zone", "type": "int"}]}"#,
        ));
        let topic = TopicInfo::of(&RIDES).with_schemas(&Schemas::of(source));
        let mut values = Values::new(topic);
        let known = record(&[0, 0, 0, 0, 1, 14]);
        let shown = values.of(&known).await;
        assert_eq!(shown.as_deref(), Some(&br#"{"zone":7}"#[..]));
        assert!(values.said.is_none());
        let unknown = [0, 0, 0, 0, 9, 14];
        assert_eq!(
            values.of(&record(&unknown)).await.as_deref(),
            Some(&unknown[..])
        );
        assert!(values.said.as_ref().unwrap().contains("schema id 9"));
        let mut values = Values::new(TopicInfo::of(&Topic::<RawBytes>::raw("raw")));
        assert_eq!(values.of(&record(b"x")).await.as_deref(), Some(&b"x"[..]));
    }
}
