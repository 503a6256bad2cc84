//! What clients are sent: JSON objects, as messages of a websocket or events of an event stream.
//!
//! A record has a `value` (or an `error`, where the topic's format cannot read it), what the bridge says of itself
//! a `message`, and what is missing a `gap`.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::places::Places;
use crate::agent::Event;
use crate::extract::ReadError;
use crate::fanout::{Frame, Gap, Shape};

/// Where the client is behind a record; kept with the record for whoever gets it from the hub.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// [`Places`] as text.
    pub(super) id: String,
}

/// Something for a client.
#[derive(Debug)]
pub(super) enum Item {
    /// Of a read of its own.
    Own {
        json: Bytes,
        id: String,
    },
    /// Of the hub: its bytes are made once for all clients.
    Shared(Arc<Frame>),
    Gap(Gap),
}

impl Item {
    /// As a message of a websocket.
    pub(super) fn message(&self) -> Bytes {
        match self {
            Self::Own { json, .. } => json.clone(),
            Self::Shared(frame) => frame.json.clone(),
            Self::Gap(gap) => format!(r#"{{"gap":{}}}"#, gap.json()).into(),
        }
    }

    /// As an event of an event stream.
    pub(super) fn event(&self) -> Bytes {
        match self {
            Self::Own { json, id } => event(id, json),
            Self::Shared(frame) => frame.shaped(Shape::Event, |json| {
                let mark = mark(frame).map_or("", |mark| &*mark.id);
                event(mark, json)
            }),
            // Without an id: who comes back now gets what is missing here.
            Self::Gap(gap) => format!("event: gap\ndata: {}\n\n", gap.json()).into(),
        }
    }
}

pub(super) fn mark(frame: &Frame) -> Option<&Mark> {
    frame.value.as_ref()?.downcast_ref::<Mark>()
}

fn event(id: &str, json: &[u8]) -> Bytes {
    let id = if id.is_empty() {
        String::new()
    } else {
        format!("id: {id}\n")
    };
    [id.as_bytes(), b"data: ", json, b"\n\n"].concat().into()
}

/// The first thing a client is told.
pub(super) fn greeting(topic: &str, at: &Places) -> Value {
    json!({ "message": "connected", "topic": topic, "at": at.to_string() })
}

pub(super) fn echo(text: &str) -> Value {
    json!({ "message": text })
}

/// A record: what it is besides its value, and its value (`None`: a tombstone), which is JSON already.
pub(super) fn record(event: &Event<Option<Bytes>>) -> Bytes {
    let millis = event.timestamp().millis();
    let (partition, offset) = (event.partition(), event.offset());
    line(
        partition,
        offset,
        millis,
        event.key_bytes(),
        event.value.as_deref(),
    )
}

fn line(
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Bytes {
    let mut head = place(partition, offset);
    head.insert("timestamp".to_owned(), timestamp.into());
    match key.map(|key| (key, std::str::from_utf8(key))) {
        None => head.insert("key".to_owned(), Value::Null),
        Some((_, Ok(text))) => head.insert("key".to_owned(), text.into()),
        Some((bytes, Err(_))) => head.insert("key_hex".to_owned(), hex(bytes).into()),
    };
    let head = Value::from(head).to_string();
    let open = head.strip_suffix('}').unwrap_or(&head);
    let value = value.unwrap_or(b"null");
    [open.as_bytes(), br#","value":"#, value, b"}"]
        .concat()
        .into()
}

/// A record that the topic's format cannot read.
pub(super) fn unreadable(partition: i32, offset: i64, error: &ReadError) -> Bytes {
    let mut object = place(partition, offset);
    object.insert("error".to_owned(), error.to_string().into());
    Value::from(object).to_string().into()
}

fn place(partition: i32, offset: i64) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("partition".to_owned(), partition.into());
    object.insert("offset".to_owned(), offset.into());
    object
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_of_json_whatever_its_key_is() {
        let keys: [(&[u8], &str, Value); 3] = [
            (b"ann", "key", "ann".into()),
            (b"a\"\n</script>", "key", "a\"\n</script>".into()),
            (&[0xff, 0x01], "key_hex", "ff01".into()),
        ];
        for (key, field, expected) in keys {
            let json = line(3, 17, Some(5), Some(key), Some(br#"{"a":1}"#));
            let read: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(read[field], expected);
            assert_eq!(read["value"], json!({ "a": 1 }));
            assert_eq!(
                (&read["partition"], &read["offset"]),
                (&json!(3), &json!(17))
            );
            assert!(!json.contains(&b'\n'), "it would end the event");
        }
        let gone: Value = serde_json::from_slice(&line(0, 0, None, None, None)).unwrap();
        assert_eq!((&gone["key"], &gone["value"]), (&Value::Null, &Value::Null));
    }
}
