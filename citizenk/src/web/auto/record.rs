//! Everything of a posted record that is not its value: query parameters.
//!
//! Record headers are query parameters and not HTTP headers, because HTTP changes the case of names and
//! OpenAPI cannot describe headers whose names are not known.

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Value, json};

use crate::error::cut;
use crate::record::Headers;
use crate::topic::describe::TopicInfo;
use crate::web::Problem;

#[derive(Debug, Default)]
pub(super) struct RecordQuery {
    pub(super) key: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) timestamp: Option<i64>,
    pub(super) headers: Headers,
    pub(super) tombstone: bool,
}

/// Name and schema of each parameter.
pub(in crate::web) fn record_parameters() -> [(&'static str, Value); 5] {
    [
        (
            "key",
            json!({ "type": "string", "description": "The record's key as text; the topic's key type decides its bytes." }),
        ),
        (
            "partition",
            json!({ "type": "integer", "format": "int32", "minimum": 0, "description": "The partition; without it the key decides." }),
        ),
        (
            "timestamp",
            json!({ "type": "integer", "format": "int64", "minimum": 0, "description": "Milliseconds since the Unix epoch; now by default." }),
        ),
        (
            "header",
            json!({ "type": "array", "items": { "type": "string", "pattern": "^[^:]+(:.*)?$" }, "description": "A record header as `name:value`, any number of times; `name` alone is a header without value." }),
        ),
        (
            "tombstone",
            json!({ "type": "boolean", "default": false, "description": "Sends a record without value, which deletes its key; the body must be empty." }),
        ),
    ]
}

impl RecordQuery {
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let uri: Uri = format!("/?{query}")
            .parse()
            .map_err(|error| Problem::bad_request(format!("query: {error}")))?;
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&uri)
            .map_err(|error| Problem::bad_request(format!("query: {error}")))?;
        let mut record = Self::default();
        let mut seen = Vec::new();
        for (name, value) in pairs {
            if name != "header" && seen.contains(&name) {
                return Err(wrong(&name, "is given twice"));
            }
            match name.as_str() {
                "key" => record.key = Some(value),
                "partition" => record.partition = Some(number(&name, &value)?),
                "timestamp" => record.timestamp = Some(number(&name, &value)?),
                "tombstone" => {
                    record.tombstone = value
                        .parse()
                        .map_err(|_| wrong(&name, "must be `true` or `false`"))?;
                }
                "header" => {
                    let (header, value) = match value.split_once(':') {
                        Some((header, value)) => (header, Some(value)),
                        None => (value.as_str(), None),
                    };
                    if header.is_empty() {
                        return Err(wrong(&name, "must be `name:value`"));
                    }
                    record.headers.push(header, value);
                }
                _ => {
                    let known = "`key`, `partition`, `timestamp`, `header`, `tombstone`";
                    return Err(wrong(&name, &format!("is unknown; there are {known}")));
                }
            }
            seen.push(name);
        }
        if record.tombstone && record.key.is_none() {
            return Err(wrong("tombstone", "deletes a key: give `key` too"));
        }
        Ok(record)
    }

    pub(super) fn key_bytes(&self, topic: &TopicInfo) -> Result<Option<Vec<u8>>, Problem> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        match topic.key_from_text(key, &mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) => Err(Problem::unprocessable(format!(
                "query parameter `key`: {error}; topic `{}` has keys of type `{}`",
                topic.name, topic.key_type
            ))
            .field("key")),
        }
    }
}

fn wrong(name: &str, reason: &str) -> Problem {
    let name = &cut(name.to_owned(), 40);
    Problem::bad_request(format!("query parameter `{name}` {reason}")).field(name)
}

fn number<N: std::str::FromStr + PartialOrd + Default>(
    name: &str,
    value: &str,
) -> Result<N, Problem> {
    match value.parse::<N>() {
        Ok(number) if number >= N::default() => Ok(number),
        _ => Err(wrong(name, "must be a whole number from 0 on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_read_as_written() {
        let record = RecordQuery::parse(
            "key=a%20b&partition=3&timestamp=17&header=Trace:x%3Ay&header=Trace&header=b:",
        )
        .unwrap();
        assert_eq!(record.key.as_deref(), Some("a b"));
        assert_eq!((record.partition, record.timestamp), (Some(3), Some(17)));
        let headers: Vec<_> = record.headers.iter().collect();
        assert_eq!(
            headers,
            [
                ("Trace", Some(b"x:y".as_slice())),
                ("Trace", None),
                ("b", Some(b"".as_slice()))
            ]
        );
        assert!(RecordQuery::parse("").unwrap().key.is_none());
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, field) in [
            ("partition=-1", "partition"),
            ("partition=x", "partition"),
            ("timestamp=1.5", "timestamp"),
            ("kye=1", "kye"),
            ("key=1&key=2", "key"),
            ("header=:x", "header"),
            ("tombstone=1", "tombstone"),
            ("tombstone=true", "tombstone"),
        ] {
            let problem = RecordQuery::parse(query).unwrap_err();
            assert_eq!(problem.member("field").unwrap(), field, "{query}");
        }
    }
}
