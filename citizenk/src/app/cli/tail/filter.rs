//! Which records are shown: `key=..`, `header.NAME=..`, `value.PATH=..`.

use serde_json::Value;

use super::super::records::usage;
use super::Record;
use crate::error::RunError;
use crate::topic::describe::TopicInfo;

/// One condition.
#[derive(Debug)]
pub(super) enum Filter {
    /// The key has these bytes.
    Key(Vec<u8>),
    /// A header of this name has this text.
    Header(String, String),
    /// What JSON has at this path is this.
    Value(Vec<String>, Value),
}

impl Filter {
    /// Keys are given in the text form of the topic's keys.
    pub(super) fn parse(text: &str, topic: &TopicInfo) -> Result<Self, RunError> {
        let unknown = || {
            usage(
                "--filter",
                format!(
                    "`{text}` is no filter; write key=TEXT, header.NAME=TEXT, value=JSON or value.PATH.TO.FIELD=JSON"
                ),
            )
        };
        let (what, is) = text.split_once('=').ok_or_else(unknown)?;
        if what == "key" {
            let mut bytes = Vec::new();
            topic
                .key_from_text(is, &mut bytes)
                .map_err(|error| usage("--filter", format!("`{text}`: {error}")))?;
            return Ok(Self::Key(bytes));
        }
        if let Some(name) = what.strip_prefix("header.") {
            return Ok(Self::Header(name.to_owned(), is.to_owned()));
        }
        let path = match what.strip_prefix("value") {
            Some("") => Vec::new(),
            Some(path) => {
                let path = path.strip_prefix('.').ok_or_else(unknown)?;
                path.split('.').map(str::to_owned).collect()
            }
            None => return Err(unknown()),
        };
        // What is no JSON is the text itself: `value.name=Ada`.
        let is = serde_json::from_str(is).unwrap_or_else(|_| is.into());
        Ok(Self::Value(path, is))
    }

    /// `value` is the record's as people read it.
    pub(super) fn admits(&self, record: &Record, value: Option<&[u8]>) -> bool {
        match self {
            Self::Key(key) => record.key_bytes() == Some(key),
            Self::Header(name, is) => record
                .headers()
                .iter()
                .any(|(header, value)| header == name && value == Some(is.as_bytes())),
            Self::Value(path, is) => {
                let value = value.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
                value.is_some_and(|value| at(&value, path) == Some(is))
            }
        }
    }
}

/// Fields by name, items of lists by number from 0.
fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::RawBytes;
    use crate::{Event, Topic};

    fn admitted(filter: &str) -> bool {
        let topic = TopicInfo::of(&Topic::<u32, u32>::json("orders").key_big_endian());
        let value = br#"{"id": 7, "name": "Ada", "lines": [{"sku": "x", "paid": true}]}"#;
        let record = Event::new(Some(RawBytes(value.to_vec())))
            .with_key([0, 0, 0, 7])
            .with_header("tenant", "a")
            .with_header("tenant", "b");
        Filter::parse(filter, &topic)
            .unwrap()
            .admits(&record, record.value.as_ref().map(AsRef::as_ref))
    }

    #[test]
    fn a_record_is_found_by_key_header_and_field() {
        for yes in [
            "key=7",
            "key=007",
            "header.tenant=a",
            "header.tenant=b",
            "value.id=7",
            "value.name=Ada",
            "value.name=\"Ada\"",
            "value.lines.0.sku=x",
            "value.lines.0.paid=true",
        ] {
            assert!(admitted(yes), "{yes}");
        }
        for no in [
            "key=8",
            "header.tenant=c",
            "header.other=a",
            "value.id=8",
            "value.id=\"7\"",
            "value.lines.1.sku=x",
            "value.lines.sku=x",
            "value.none=null",
            "value=7",
        ] {
            assert!(!admitted(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let topic = TopicInfo::of(&Topic::<u32, u32>::json("orders"));
        for wrong in ["7", "id=7", "valueid=7", "key=x", "headers.a=b"] {
            let error = Filter::parse(wrong, &topic).unwrap_err().to_string();
            assert!(
                error.contains("--filter") && error.contains(wrong),
                "{error}"
            );
        }
    }
}
