//! Records in files: one JSON object per line.
//!
//! ```text
//! {"timestamp":1700000000000,"key":"k","value":{"a":1},"headers":[["h","x"]],"partition":0,"offset":7,"topic":"t"}
//! ```
//!
//! Read are also arrays of such objects, envelopes of `kcat -J` (`ts`, `payload`), headers as an object or as a
//! flat list, and times in ISO 8601. A value that is JSON stands as it is; other bytes stand in `value_b64`.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::base64;
use crate::json::{Paths, find};
use crate::record::{HeaderList, Record};

/// A record of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRecord {
    /// When it was written, in milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None`: a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in their order.
    pub headers: HeaderList,
    /// The partition it had.
    pub partition: Option<i32>,
    /// The offset it had.
    pub offset: Option<i64>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(alias = "ts")]
    timestamp: Option<Value>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    key_b64: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    value_b64: Option<String>,
    /// What `kcat` calls the value: always a text.
    payload: Option<String>,
    headers: Option<Value>,
    partition: Option<i32>,
    offset: Option<i64>,
}

fn time(value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|millis| millis as i64))
            .map(Some)
            .ok_or_else(|| format!("{number} is no time")),
        Value::String(text) => {
            let parsed = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
            let naive = || {
                let text = text.replace('T', " ");
                let parsed = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f");
                parsed.map(|time| time.and_utc().timestamp_millis())
            };
            let parsed = parsed.or_else(|_| naive()).map(Some);
            parsed.map_err(|_| format!("`{text}` is no time such as 2025-01-31T06:00:00Z"))
        }
        other => Err(format!("{other} is no time")),
    }
}

fn bytes(
    raw: Option<&RawValue>,
    encoded: Option<String>,
    field: &str,
) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = encoded {
        let decoded = base64::decode(&text);
        return decoded
            .map(Some)
            .ok_or_else(|| format!("`{field}_b64` is not base64"));
    }
    Ok(match raw.map(RawValue::get) {
        None | Some("null") => None,
        Some(json) => Some(json.as_bytes().to_vec()),
    })
}

fn text_or_json(
    raw: Option<&RawValue>,
    encoded: Option<String>,
) -> Result<Option<Vec<u8>>, String> {
    // A key is text; as a JSON text it stands in quotes, which are not part of it.
    if let Some(raw) = raw.filter(|raw| raw.get().starts_with('"')) {
        let text: String = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
        return Ok(Some(text.into_bytes()));
    }
    bytes(raw, encoded, "key")
}

fn header(name: &str, value: &Value) -> (String, Option<Vec<u8>>) {
    let bytes = match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(object) => match object
            .get("b64")
            .and_then(Value::as_str)
            .and_then(base64::decode)
        {
            Some(bytes) => Some(bytes),
            None => Some(value.to_string().into_bytes()),
        },
        other => Some(other.to_string().into_bytes()),
    };
    (name.to_owned(), bytes)
}

fn headers(value: &Value) -> Result<HeaderList, String> {
    let wrong = || "`headers` is an object, or a list of names and values".to_owned();
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(members) => Ok(members
            .iter()
            .map(|(name, value)| header(name, value))
            .collect()),
        Value::Array(items) if items.iter().all(Value::is_array) => items
            .iter()
            .map(|item| match item.as_array().map(Vec::as_slice) {
                Some([Value::String(name), value]) => Ok(header(name, value)),
                _ => Err(wrong()),
            })
            .collect(),
        Value::Array(items) => items
            .chunks(2)
            .map(|pair| match pair {
                [Value::String(name), value] => Ok(header(name, value)),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

/// Reads one record.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<FileRecord, String> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let value = match (line.payload, line.value, line.value_b64) {
        (Some(payload), None, None) => Some(payload.into_bytes()),
        (_, raw, encoded) => bytes(raw, encoded, "value")?,
    };
    Ok(FileRecord {
        timestamp: line.timestamp.as_ref().map(time).transpose()?.flatten(),
        key: text_or_json(line.key, line.key_b64)?,
        value,
        headers: line
            .headers
            .as_ref()
            .map(headers)
            .transpose()?
            .unwrap_or_default(),
        partition: line.partition,
        offset: line.offset,
    })
}

/// The records of a whole file, which is lines or one array; each with the number of its line, from 1.
pub fn parse_all(text: &str) -> Vec<(usize, Result<FileRecord, String>)> {
    let trimmed = text.trim_start();
    if trimmed.starts_with('[') {
        let relaxed = crate::json::relax(text);
        let strict = &*relaxed.text;
        let items: Vec<&RawValue> = match serde_json::from_str(strict) {
            Ok(items) => items,
            Err(error) => return vec![(error.line(), Err(error.to_string()))],
        };
        let line = |raw: &RawValue| {
            let at = raw.get().as_ptr().addr() - strict.as_ptr().addr();
            crate::issue::Place::of(strict, at).line
        };
        return items
            .into_iter()
            .map(|raw| (line(raw), parse(raw.get())))
            .collect();
    }
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| (index + 1, parse(line)))
        .collect()
}

/// Whether the bytes stand in a line as they are: JSON of one line that means something.
fn stands(bytes: &[u8]) -> bool {
    bytes != b"null"
        && !bytes.first().is_none_or(u8::is_ascii_whitespace)
        && !bytes.last().is_some_and(u8::is_ascii_whitespace)
        && !bytes.contains(&b'\n')
        && !bytes.contains(&b'\r')
        && find(bytes, &Paths::default(), true, &mut Vec::new()).is_ok()
}

/// Writes a record as one line, with its end.
pub fn write(record: &Record<'_>, out: &mut Vec<u8>) {
    fn string(text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(Value::from(text).to_string().as_bytes());
    }
    out.push(b'{');
    if let Some(timestamp) = record.timestamp {
        out.extend_from_slice(format!("\"timestamp\":{timestamp},").as_bytes());
    }
    match (record.key, record.key_text()) {
        (None, _) => {}
        (Some(_), Some(text)) => {
            out.extend_from_slice(b"\"key\":");
            string(text, out);
            out.push(b',');
        }
        (Some(bytes), None) => {
            out.extend_from_slice(format!("\"key_b64\":\"{}\",", base64::encode(bytes)).as_bytes());
        }
    }
    match record.value {
        None => out.extend_from_slice(b"\"value\":null"),
        Some(bytes) if stands(bytes) => {
            out.extend_from_slice(b"\"value\":");
            out.extend_from_slice(bytes);
        }
        Some(bytes) => {
            out.extend_from_slice(format!("\"value_b64\":\"{}\"", base64::encode(bytes)).as_bytes())
        }
    }
    let mut first = true;
    record.headers.visit(&mut |name, value| {
        out.extend_from_slice(if first { b",\"headers\":[[" } else { b",[" });
        first = false;
        string(name, out);
        out.push(b',');
        match value.map(|value| (value, std::str::from_utf8(value))) {
            None => out.extend_from_slice(b"null"),
            Some((_, Ok(text))) => string(text, out),
            Some((bytes, Err(_))) => {
                out.extend_from_slice(
                    format!("{{\"b64\":\"{}\"}}", base64::encode(bytes)).as_bytes(),
                );
            }
        }
        out.push(b']');
    });
    if !first {
        out.push(b']');
    }
    out.extend_from_slice(
        format!(
            ",\"partition\":{},\"offset\":{},\"topic\":",
            record.partition, record.offset
        )
        .as_bytes(),
    );
    string(record.topic, out);
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_known_form_is_read() {
        let at = Some(1_700_000_000_123);
        for (line, timestamp, value) in [
            (
                r#"{"timestamp":1700000000123,"key":"k","value":{"a": 1}}"#,
                at,
                Some(&br#"{"a": 1}"#[..]),
            ),
            (
                r#"{"timestamp":"2023-11-14T22:13:20.123Z","key":"k","value":"text"}"#,
                at,
                Some(b"\"text\""),
            ),
            (
                r#"{"timestamp":"2023-11-14 22:13:20.123","key":"k","value_b64":"/w=="}"#,
                at,
                Some(b"\xff"),
            ),
            (r#"{"key_b64":"aw==","value":null}"#, None, None),
            (
                r#"{"topic":"t","tstype":"create","ts":1700000000123,"broker":1,"key":"k","payload":"{\"a\":1}"}"#,
                at,
                Some(br#"{"a":1}"#),
            ),
        ] {
            let record = parse(line).expect(line);
            assert_eq!(record.timestamp, timestamp, "{line}");
            assert_eq!(record.value.as_deref(), value, "{line}");
            assert_eq!(record.key.as_deref(), Some(&b"k"[..]), "{line}");
        }
        let wanted = vec![
            ("a".to_owned(), Some(b"1".to_vec())),
            ("b".to_owned(), None),
        ];
        for headers in [
            r#"{"a":"1","b":null}"#,
            r#"["a","1","b",null]"#,
            r#"[["a","1"],["b",null]]"#,
        ] {
            assert_eq!(
                parse(&format!(r#"{{"headers":{headers}}}"#))
                    .expect(headers)
                    .headers,
                wanted
            );
        }
        for (line, part) in [
            ("{", "EOF"),
            (r#"{"timestamp":"soon"}"#, "`soon` is no time"),
            (r#"{"value_b64":"!"}"#, "`value_b64` is not base64"),
            (r#"{"headers":["a"]}"#, "`headers` is an object"),
            (r#"{"partition":"1"}"#, "invalid type"),
        ] {
            assert!(parse(line).expect_err(line).contains(part), "{line}");
        }
    }

    #[test]
    fn a_file_is_lines_or_a_list() {
        let list = "[\n  {\"value\":1},\n  {\"value\":2},\n]";
        let lines = "{\"value\":1}\n\nnope\n{\"value\":2}";
        let places = |text| {
            parse_all(text)
                .iter()
                .map(|(line, read)| (*line, read.is_ok()))
                .collect::<Vec<_>>()
        };
        assert_eq!(places(list), [(2, true), (3, true)]);
        assert_eq!(places(lines), [(1, true), (3, false), (4, true)]);
        assert_eq!(places("[\n{]"), [(2, false)]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            key in prop::option::of(prop_oneof![prop::collection::vec(any::<u8>(), 0..9), "[a-z\"\\\\ü]{0,5}".prop_map(String::into_bytes)]),
            value in prop::option::of(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..30),
                Just(b"{\"a\": [1, 2.50, 12345678901234567890]}".to_vec()), Just(b" {}".to_vec()), Just(b"null".to_vec()),
                Just(b"[1,\n2]".to_vec()), Just(b"\"x\"".to_vec()),
            ]),
            headers in prop::collection::vec(("[a-z]{0,3}", prop::option::of(prop::collection::vec(any::<u8>(), 0..4))), 0..4),
            timestamp in prop::option::of(any::<i64>()), partition in 0..9, offset in 0_i64..,
        ) {
            let record = Record {
                topic: "t", partition, offset, timestamp, key: key.as_deref(), value: value.as_deref(), headers: &headers,
            };
            let mut out = Vec::new();
            write(&record, &mut out);
            let text = String::from_utf8(out).expect("UTF-8");
            prop_assert_eq!(text.matches('\n').count(), 1);
            let read = parse(&text).expect("valid");
            let expected = FileRecord {
                timestamp, key: key.clone(), value: value.clone(), headers: headers.clone(), partition: Some(partition), offset: Some(offset),
            };
            prop_assert_eq!(read, expected);
        }
    }
}
