//! What differs between two schemas, in the words of who wrote the type: which field, and what became of it.
//!
//! Only to explain what the registry refused; whether that is compatible is the registry's to say.

use std::collections::BTreeMap;

use serde_json::Value;

/// Deeper is not looked: a schema may name itself.
const DEEPEST: usize = 16;

/// What a new schema has that an old one has not, and the other way round; each names its field.
pub(crate) fn differences(old: &str, new: &str) -> Vec<String> {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(old), Some(new)) = (read(old), read(new)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    compare(&old, &new, "", DEEPEST, &mut found);
    found
}

fn compare(old: &Value, new: &Value, path: &str, depth: usize, found: &mut Vec<String>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let (old, new) = (unwrapped(old), unwrapped(new));
    match (fields(old), fields(new)) {
        (Some(old), Some(new)) => compare_fields(&old, &new, path, depth, found),
        _ => {
            let (was, is) = (named(old), named(new));
            if was != is {
                found.push(format!("{}: `{was}` became `{is}`", place(path)));
                return;
            }
            for inner in ["items", "values"] {
                if let (Some(old), Some(new)) = (old.get(inner), new.get(inner)) {
                    compare(old, new, &format!("{path}[]"), depth, found);
                }
            }
        }
    }
}

fn compare_fields(
    old: &BTreeMap<&str, Field<'_>>,
    new: &BTreeMap<&str, Field<'_>>,
    path: &str,
    depth: usize,
    found: &mut Vec<String>,
) {
    let join = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    for (name, field) in new {
        let path = join(name);
        match old.get(name) {
            Some(before) => {
                compare(before.kind, field.kind, &path, depth, found);
                if before.optional && !field.optional {
                    found.push(format!("field `{path}` must be there now"));
                }
            }
            None if field.optional => found.push(format!("field `{path}` is new")),
            None => found.push(format!("field `{path}` is new and has no default")),
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        found.push(format!("field `{}` is gone", join(name)));
    }
}

struct Field<'a> {
    kind: &'a Value,
    /// A reader does without it.
    optional: bool,
}

/// The fields of a record, or the properties of an object.
fn fields(schema: &Value) -> Option<BTreeMap<&str, Field<'_>>> {
    if let Some(list) = schema["fields"].as_array() {
        return Some(
            list.iter()
                .filter_map(|field| {
                    let read = Field {
                        kind: &field["type"],
                        optional: field.get("default").is_some(),
                    };
                    Some((field["name"].as_str()?, read))
                })
                .collect(),
        );
    }
    let properties = schema["properties"].as_object()?;
    let required = |name: &str| {
        let list = schema["required"].as_array();
        list.is_some_and(|list| list.iter().any(|known| known == name))
    };
    Some(
        properties
            .iter()
            .map(|(name, kind)| {
                let field = Field {
                    kind,
                    optional: !required(name),
                };
                (name.as_str(), field)
            })
            .collect(),
    )
}

/// `{"type": {"type": "record", ..}}` is the inner one.
fn unwrapped(mut schema: &Value) -> &Value {
    while let Some(inner) = schema.get("type").filter(|inner| inner.is_object()) {
        schema = inner;
    }
    schema
}

/// A type in a few words.
fn named(schema: &Value) -> String {
    match schema {
        Value::String(name) => name.clone(),
        Value::Array(branches) => {
            let branches: Vec<String> = branches.iter().map(|one| named(unwrapped(one))).collect();
            branches.join(" or ")
        }
        Value::Object(map) => {
            let text = |key: &str| map.get(key).and_then(Value::as_str);
            if let Some(logical) = text("logicalType") {
                return logical.to_owned();
            }
            if let Some(reference) = text("$ref") {
                return reference.rsplit('/').next().unwrap_or(reference).to_owned();
            }
            match (map.get("type"), text("name")) {
                (Some(Value::String(kind)), Some(name)) => format!("{kind} {name}"),
                (Some(kind), _) => named(kind),
                (None, _) => "anything".to_owned(),
            }
        }
        _ => "anything".to_owned(),
    }
}

fn place(path: &str) -> String {
    if path.is_empty() {
        "the type".to_owned()
    } else {
        format!("field `{path}`")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(fields: &str) -> String {
        format!(r#"{{"type": "record", "name": "Order", "fields": [{fields}]}}"#)
    }

    #[test]
    fn fields_of_records_are_named_with_what_became_of_them() {
        let old = record(
            r#"{"name": "id", "type": "int"}, {"name": "old", "type": "string"},
               {"name": "lines", "type": {"type": "array", "items":
                   {"type": "record", "name": "Line", "fields": [{"name": "price", "type": "double"}]}}},
               {"name": "note", "type": ["null", "string"], "default": null},
               {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#,
        );
        let new = record(
            r#"{"name": "id", "type": "string"}, {"name": "more", "type": "int"},
               {"name": "some", "type": "int", "default": 0},
               {"name": "lines", "type": {"type": "array", "items":
                   {"type": "record", "name": "Line", "fields": [{"name": "price", "type": "string"}]}}},
               {"name": "note", "type": "string"},
               {"name": "at", "type": "long"}"#,
        );
        assert_eq!(
            differences(&old, &new),
            [
                "field `at`: `timestamp-millis` became `long`",
                "field `id`: `int` became `string`",
                "field `lines[].price`: `double` became `string`",
                "field `more` is new and has no default",
                "field `note`: `null or string` became `string`",
                "field `note` must be there now",
                "field `some` is new",
                "field `old` is gone",
            ]
        );
        assert!(differences(&old, &old).is_empty());
    }

    #[test]
    fn properties_of_json_schemas_are_named() {
        let old = r#"{"type": "object", "properties": {"id": {"type": "integer"}, "a": {"type": "string"}}, "required": ["id"]}"#;
        let new = r#"{"type": "object", "properties": {"id": {"type": "string"}, "a": {"type": "string"}, "b": {}}, "required": ["id", "a", "b"]}"#;
        assert_eq!(
            differences(old, new),
            [
                "field `a` must be there now",
                "field `b` is new and has no default",
                "field `id`: `integer` became `string`",
            ]
        );
        assert_eq!(
            differences(old, r#""string""#),
            ["the type: `object` became `string`"]
        );
    }

    proptest! {
        #[test]
        fn any_two_texts_are_compared_without_a_panic(old in ".{0,80}", new in "[\\[\\]{}\":,a-z ]{0,80}") {
            let _ = differences(&old, &new);
            prop_assert!(differences(&new, &new).is_empty());
        }
    }
}
