//! Records as text.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::Record;
use crate::codec::{Codec, Json};
use crate::error::Excerpt;
use crate::topic::describe::TopicInfo;

/// What is printed at once while records come one upon the other.
const BUFFER: usize = 64 * 1024;

/// How records are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Place, time, key and value, one line each; what is no plain text is escaped and shortened
    #[default]
    Table,
    /// A JSON object per line: topic, partition, offset, timestamp, key, value, headers
    Json,
    /// Values as they are, a line end behind each; tombstones are left out
    Raw,
}

/// Collects what is to be printed, so that many records are one write.
pub(super) struct Printer {
    topic: TopicInfo,
    format: Format,
    out: Vec<u8>,
}

impl Printer {
    pub(super) fn new(topic: TopicInfo, format: Format) -> Self {
        Self {
            topic,
            format,
            out: Vec::new(),
        }
    }

    pub(super) fn waits(&self) -> bool {
        !self.out.is_empty()
    }

    /// `value` is the record's as people read it.
    pub(super) fn print(&mut self, record: &Record, value: Option<&[u8]>) -> io::Result<()> {
        match self.format {
            Format::Table => {
                let line = table(record, value);
                self.out.extend_from_slice(line.as_bytes());
            }
            Format::Json => {
                let object = object(&self.topic, record, value);
                self.out.extend_from_slice(object.to_string().as_bytes());
            }
            Format::Raw => match &record.value {
                Some(value) => self.out.extend_from_slice(value.as_ref()),
                None => return Ok(()),
            },
        }
        self.out.push(b'\n');
        if self.out.len() < BUFFER {
            return Ok(());
        }
        self.flush()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let written = out.write_all(&self.out).and_then(|()| out.flush());
        self.out.clear();
        written
    }
}

fn time(record: &Record) -> Option<String> {
    let time = chrono::DateTime::from_timestamp_millis(record.timestamp().millis()?)?;
    Some(time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// `partition@offset time key value`; bytes that are no plain text are escaped.
fn table(record: &Record, value: Option<&[u8]>) -> String {
    let show = |bytes: Option<&[u8]>| match bytes {
        None => "(null)".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(char::is_control) => text.to_owned(),
            _ => Excerpt(bytes).to_string(),
        },
    };
    format!(
        "{}@{}  {}  {}  {}",
        record.partition(),
        record.offset(),
        time(record).as_deref().unwrap_or("-"),
        show(record.key_bytes()),
        show(value)
    )
}

/// A field for bytes: text as it is, else `NAME_hex`.
fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => object.insert(name.to_owned(), Value::Null),
        Some((_, Ok(text))) => object.insert(name.to_owned(), text.into()),
        Some((bytes, Err(_))) => object.insert(format!("{name}_hex"), hex(bytes).into()),
    };
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn object(topic: &TopicInfo, record: &Record, value: Option<&[u8]>) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), record.topic().into());
    object.insert("partition".to_owned(), record.partition().into());
    object.insert("offset".to_owned(), record.offset().into());
    object.insert("timestamp".to_owned(), json!(time(record)));
    put(&mut object, "key", record.key_bytes());
    let parsed = value
        .filter(|_| topic.media_type == Json::MEDIA_TYPE || topic.is_shown_as_json())
        .and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    match parsed {
        Some(parsed) => {
            object.insert("value".to_owned(), parsed);
        }
        None => put(&mut object, "value", value),
    }
    let headers = record.headers();
    let headers: Vec<Value> = headers
        .iter()
        .map(|(name, value)| {
            let mut header = Map::new();
            header.insert("name".to_owned(), name.into());
            put(&mut header, "value", value);
            Value::Object(header)
        })
        .collect();
    object.insert("headers".to_owned(), headers.into());
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::RawBytes;
    use crate::{Event, Timestamp, Topic};

    fn record(value: Option<&[u8]>) -> Record {
        Event::new(value.map(|bytes| RawBytes(bytes.to_vec())))
            .with_offset("orders", 2, 7)
            .with_timestamp(Timestamp::Create(0))
            .with_header("tenant", "a")
    }

    #[test]
    fn a_line_shows_place_time_key_and_value() {
        let text = record(Some(b"{}")).with_key("k");
        let value = text.value.as_ref().map(AsRef::as_ref);
        assert_eq!(table(&text, value), "2@7  1970-01-01T00:00:00.000Z  k  {}");
        let bytes = record(None)
            .with_timestamp(Timestamp::None)
            .with_key([0, 255]);
        assert_eq!(table(&bytes, None), "2@7  -  `\\x00\\xff`  (null)");
    }

    #[test]
    fn an_object_has_json_as_json_and_bytes_as_hex() {
        let topic = TopicInfo::of(&Topic::<u32>::json("orders"));
        let number = record(Some(b"[1]"));
        let shown = object(&topic, &number, Some(b"[1]"));
        assert_eq!(
            shown,
            json!({
                "topic": "orders", "partition": 2, "offset": 7, "timestamp": "1970-01-01T00:00:00.000Z",
                "key": null, "value": [1], "headers": [{"name": "tenant", "value": "a"}],
            })
        );
        let raw = TopicInfo::of(&Topic::<RawBytes>::raw("orders"));
        assert_eq!(object(&raw, &number, Some(b"[1]"))["value"], json!("[1]"));
        assert_eq!(
            object(&topic, &number, Some(b"\xff\x01"))["value_hex"],
            json!("ff01")
        );
        assert_eq!(
            object(&topic, &number, Some(b"{broken"))["value"],
            json!("{broken")
        );
    }
}
