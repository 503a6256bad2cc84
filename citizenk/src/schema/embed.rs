//! A JSON Schema within another document: what refers to the schema's own root refers to where it stands now.
//!
//! In: a schema, and the place it is put. Out: the same schema with other references; nothing, where it refers by
//! anything but a path from its root (`$id` of a part, anchors, schemas elsewhere), which another document cannot say.

use serde_json::{Map, Value};

/// Keywords whose values are schemas by name: the names are no keywords.
const NAMED: [&str; 6] = [
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "dependentSchemas",
    "dependencies",
];
/// Keywords whose values are data.
const DATA: [&str; 5] = ["const", "enum", "default", "example", "examples"];
/// Keywords that name a place in a way of their own.
const ANCHORS: [&str; 4] = ["$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"];

/// `at` is a reference to the place, e.g. `#/components/schemas/Order`.
pub(crate) fn embedded(mut schema: Value, at: &str) -> Option<Value> {
    if let Some(root) = schema.as_object_mut() {
        // What it is called elsewhere would be what references start from.
        root.remove("$id");
        // So Draft 4 calls it.
        root.remove("id");
    }
    moved(&mut schema, at).then_some(schema)
}

fn moved(schema: &mut Value, at: &str) -> bool {
    match schema {
        Value::Object(keywords) => keywords_moved(keywords, at),
        Value::Array(schemas) => schemas.iter_mut().all(|schema| moved(schema, at)),
        _ => true,
    }
}

fn keywords_moved(keywords: &mut Map<String, Value>, at: &str) -> bool {
    keywords.iter_mut().all(|(keyword, value)| {
        let keyword = keyword.as_str();
        match value {
            Value::String(reference) if keyword == "$ref" => match reference.strip_prefix('#') {
                Some(path) if path.is_empty() || path.starts_with('/') => {
                    *reference = format!("{at}{path}");
                    true
                }
                _ => false,
            },
            Value::String(_) if keyword == "$id" || keyword == "id" => false,
            _ if ANCHORS.contains(&keyword) => false,
            _ if DATA.contains(&keyword) => true,
            Value::Object(named) if NAMED.contains(&keyword) => {
                named.values_mut().all(|schema| moved(schema, at))
            }
            value => moved(value, at),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_follow_the_schema_and_data_stays() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": "https://example.com/order.json",
            "properties": {
                "id": {"type": "integer"},
                "$ref": {"$ref": "#"},
                "enum": {"$ref": "#/definitions/state"},
                "default": {"default": {"$ref": "#/data"}},
            },
            "enum": [{"$ref": "#/data"}],
            "items": [{"not": {"$ref": "#/definitions/state"}}],
            "definitions": {"state": {"type": "string"}},
        });
        assert_eq!(
            embedded(schema, "#/here").unwrap(),
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": {
                    "id": {"type": "integer"},
                    "$ref": {"$ref": "#/here"},
                    "enum": {"$ref": "#/here/definitions/state"},
                    "default": {"default": {"$ref": "#/data"}},
                },
                "enum": [{"$ref": "#/data"}],
                "items": [{"not": {"$ref": "#/here/definitions/state"}}],
                "definitions": {"state": {"type": "string"}},
            })
        );
        assert_eq!(embedded(json!(true), "#/here"), Some(json!(true)));
    }

    #[test]
    fn what_names_its_parts_itself_stays_where_it_is() {
        for part in [
            json!({"$ref": "other.json#/a"}),
            json!({"$ref": "#anchor"}),
            json!({"$anchor": "anchor"}),
            json!({"$dynamicRef": "#/a"}),
            json!({"$id": "part"}),
            json!({"id": "part"}),
        ] {
            assert_eq!(embedded(json!({"anyOf": [part]}), "#/here"), None, "{part}");
        }
    }
}
