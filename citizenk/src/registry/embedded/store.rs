//! What a registry knows, and what it answers: plain data, no socket.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};

use crate::registry::schema::Reference;
use crate::schema::{SchemaId, SchemaKind};

#[derive(Default)]
pub(super) struct Store {
    /// The schema with id 1 first.
    schemas: Vec<Stored>,
    /// The id of version 1 first.
    subjects: BTreeMap<String, Vec<u32>>,
    /// Subjects whose new schemas are refused, with the reason.
    refused: BTreeMap<String, String>,
}

#[derive(PartialEq)]
struct Stored {
    kind: SchemaKind,
    text: String,
    /// What two texts of one schema have in common; `None` where only the text says.
    meaning: Option<Value>,
    references: Vec<Reference>,
}

impl Stored {
    fn is(&self, other: &Self) -> bool {
        let same = match (&self.meaning, &other.meaning) {
            (Some(one), Some(two)) => one == two,
            _ => self.text == other.text,
        };
        same && self.kind == other.kind && self.references == other.references
    }
}

type Answered = (u16, Value);

fn error(code: u32, message: impl Into<String>) -> Answered {
    let status = u16::try_from(code / 100).unwrap_or(500);
    (
        status,
        json!({ "error_code": code, "message": message.into() }),
    )
}

/// What it is there for instead of rules.
const ONLY_NONE: &str =
    "the registry inside this process checks no compatibility: its only rule is NONE";

impl Store {
    pub(super) fn refuse(&mut self, subject: &str, reason: Option<&str>) {
        match reason {
            Some(reason) => drop(self.refused.insert(subject.to_owned(), reason.to_owned())),
            None => drop(self.refused.remove(subject)),
        }
    }

    pub(super) fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> Answered {
        let segments: Option<Vec<String>> = path
            .trim_start_matches('/')
            .split('/')
            .map(decoded)
            .collect();
        let Some(segments) = segments else {
            return no_path();
        };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let body = || serde_json::from_slice::<Value>(body).unwrap_or_default();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["subjects"]) => (200, self.subjects.keys().cloned().collect()),
            ("GET", ["subjects", subject, "versions"]) => match self.subjects.get(*subject) {
                Some(ids) => (200, (1..=ids.len()).collect()),
                None => no_subject(subject),
            },
            ("GET", ["subjects", subject, "versions", version]) => self.version(subject, version),
            ("POST", ["subjects", subject, "versions"]) => self.register(subject, &body()),
            ("POST", ["subjects", subject]) => self.lookup(subject, &body()),
            ("GET", ["schemas", "ids", id]) => self.by_id(id),
            ("GET", ["schemas", "guids", guid]) => self.by_guid(guid),
            ("GET", ["config"]) => (200, json!({ "compatibilityLevel": "NONE" })),
            ("GET", ["config", subject]) => error(
                40408,
                format!("Subject '{subject}' does not have subject-level compatibility configured"),
            ),
            ("PUT", ["config"] | ["config", _]) => match body()["compatibility"].as_str() {
                Some("NONE") => (200, json!({ "compatibility": "NONE" })),
                _ => error(42203, ONLY_NONE),
            },
            ("POST", ["compatibility", "subjects", subject, "versions", version]) => {
                self.check(subject, version, &body())
            }
            _ => no_path(),
        }
    }

    fn read(&self, body: &Value) -> Result<Stored, Answered> {
        let invalid = |why: &str| error(42201, format!("Invalid schema: {why}"));
        let kind = SchemaKind::parse(body["schemaType"].as_str())
            .ok_or_else(|| invalid("unknown schemaType"))?;
        let text = body["schema"].as_str().unwrap_or_default();
        let meaning = match kind {
            SchemaKind::Avro | SchemaKind::Json => Some(
                serde_json::from_str::<Value>(text).map_err(|error| invalid(&error.to_string()))?,
            ),
            SchemaKind::Protobuf => None,
        };
        if let (SchemaKind::Avro, Some(Value::Null | Value::Bool(_) | Value::Number(_))) =
            (kind, &meaning)
        {
            return Err(invalid("no Avro schema"));
        }
        let references = Reference::read_all(&body["references"])
            .ok_or_else(|| invalid("a reference needs name, subject and version"))?;
        for reference in &references {
            if self.id_of(&reference.subject, reference.version).is_none() {
                return Err(invalid(&format!(
                    "no schema reference found for subject \"{}\" and version {}",
                    reference.subject, reference.version
                )));
            }
        }
        Ok(Stored {
            kind,
            text: text.to_owned(),
            meaning,
            references,
        })
    }

    fn id_of(&self, subject: &str, version: u32) -> Option<u32> {
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        self.subjects.get(subject)?.get(index).copied()
    }

    fn stored(&self, id: u32) -> Option<&Stored> {
        self.schemas.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    fn register(&mut self, subject: &str, body: &Value) -> Answered {
        let schema = match self.read(body) {
            Ok(schema) => schema,
            Err(answer) => return answer,
        };
        let position = self.schemas.iter().position(|known| known.is(&schema));
        let known = position.and_then(|index| u32::try_from(index + 1).ok());
        if let Some(id) = known
            && self
                .subjects
                .get(subject)
                .is_some_and(|ids| ids.contains(&id))
        {
            return (200, json!({ "id": id }));
        }
        if let Some(reason) = self.refused.get(subject) {
            let message = format!(
                "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {reason}"
            );
            return (409, json!({ "error_code": 409, "message": message }));
        }
        let id = known.unwrap_or_else(|| {
            self.schemas.push(schema);
            u32::try_from(self.schemas.len()).unwrap_or(u32::MAX)
        });
        self.subjects
            .entry(subject.to_owned())
            .or_default()
            .push(id);
        (200, json!({ "id": id }))
    }

    fn lookup(&self, subject: &str, body: &Value) -> Answered {
        let schema = match self.read(body) {
            Ok(schema) => schema,
            Err(answer) => return answer,
        };
        let Some(ids) = self.subjects.get(subject) else {
            return no_subject(subject);
        };
        let found = ids
            .iter()
            .position(|id| self.stored(*id).is_some_and(|known| known.is(&schema)));
        match found {
            Some(index) => self.described(subject, index, ids[index]),
            None => error(40403, "Schema not found"),
        }
    }

    fn version(&self, subject: &str, version: &str) -> Answered {
        let Some(ids) = self.subjects.get(subject) else {
            return no_subject(subject);
        };
        let index = match version {
            "latest" | "-1" => Some(ids.len() - 1),
            number => match number.parse::<usize>() {
                Ok(number) if number > 0 => Some(number - 1),
                _ => return error(42202, "The specified version is not a valid version id"),
            },
        };
        match index.and_then(|index| Some((index, *ids.get(index)?))) {
            Some((index, id)) => self.described(subject, index, id),
            None => error(40402, format!("Version {version} not found.")),
        }
    }

    fn described(&self, subject: &str, index: usize, id: u32) -> Answered {
        let mut answer = self.stored(id).map(text).unwrap_or_default();
        answer["subject"] = subject.into();
        answer["version"] = (index + 1).into();
        answer["id"] = id.into();
        (200, answer)
    }

    fn by_id(&self, id: &str) -> Answered {
        match id.parse().ok().and_then(|id| self.stored(id)) {
            Some(schema) => (200, text(schema)),
            None => error(40403, format!("Schema {id} not found")),
        }
    }

    /// Its GUIDs are made of the ids.
    fn by_guid(&self, guid: &str) -> Answered {
        let end = guid.len().saturating_sub(8);
        let id = guid
            .get(end..)
            .and_then(|id| u32::from_str_radix(id, 16).ok());
        let named = |id: &u32| SchemaId::Guid(guid_of(*id)).to_string() == guid;
        match id.filter(named).and_then(|id| self.stored(id)) {
            Some(schema) => (200, text(schema)),
            None => error(40403, format!("Schema {guid} not found")),
        }
    }

    fn check(&self, subject: &str, version: &str, body: &Value) -> Answered {
        if let (404, answer) = self.version(subject, version) {
            return (404, answer);
        }
        if let Err(answer) = self.read(body) {
            return answer;
        }
        let messages: Vec<&String> = self.refused.get(subject).into_iter().collect();
        (
            200,
            json!({ "is_compatible": messages.is_empty(), "messages": messages }),
        )
    }
}

/// What every answer about a schema says; Avro is not named.
fn text(schema: &Stored) -> Value {
    let mut answer = json!({ "schema": schema.text });
    if schema.kind != SchemaKind::Avro {
        answer["schemaType"] = schema.kind.name().into();
    }
    if !schema.references.is_empty() {
        answer["references"] = schema.references.iter().map(Reference::json).collect();
    }
    answer
}

/// A path that the API has not.
fn no_path() -> Answered {
    (
        404,
        json!({ "error_code": 404, "message": "HTTP 404 Not Found" }),
    )
}

fn no_subject(subject: &str) -> Answered {
    error(40401, format!("Subject '{subject}' not found."))
}

/// A segment of a path.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// The GUID of the schema with an id.
pub(super) fn guid_of(id: u32) -> [u8; 16] {
    let mut guid = *b"citizenkGUID\0\0\0\0";
    guid[12..].copy_from_slice(&id.to_be_bytes());
    guid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_none_are_refused() {
        assert_eq!(decoded("a%2Fb").as_deref(), Some("a/b"));
        for broken in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(broken), None, "{broken}");
            let (status, _) = Store::default().answer(&Method::GET, broken, b"");
            assert_eq!(status, 404);
        }
    }

    #[test]
    fn it_says_that_it_has_no_rules() {
        let body = br#"{"compatibility": "BACKWARD"}"#;
        let (status, answer) = Store::default().answer(&Method::PUT, "/config", body);
        assert_eq!(status, 422);
        assert_eq!(answer["message"], ONLY_NONE);
    }
}
