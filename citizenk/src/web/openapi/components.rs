//! Named parts of an OpenAPI document: gathered from several sources under one name each.
//!
//! Equal parts are joined; different parts of one name get a number, and the references to them follow.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The `components` object: section, then name.
#[derive(Debug, Default)]
pub(super) struct Components {
    sections: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Old reference to new reference, whole pointers like `#/components/schemas/Video`.
type Renames = BTreeMap<String, String>;

impl Components {
    pub(super) fn insert(&mut self, section: &str, name: &str, value: Value) {
        self.sections
            .entry(section.to_owned())
            .or_default()
            .insert(name.to_owned(), value);
    }

    /// Takes over the `components` of another document and answers how its references must change.
    pub(super) fn absorb(&mut self, incoming: &Value) -> Renames {
        let mut renames = Renames::new();
        let parts = || {
            let sections = incoming.as_object().into_iter().flatten();
            sections.flat_map(|(section, parts)| {
                let parts = parts.as_object().into_iter().flatten();
                parts.map(move |(name, part)| (section.as_str(), name.as_str(), part))
            })
        };
        // A renamed part changes those that refer to it, which may make them different too, so this
        // goes on until nothing changes. Each round renames at least one more part, or is the last.
        for _ in 0..=parts().count() {
            let before = renames.clone();
            for (section, name, part) in parts() {
                let mut part = part.clone();
                rewrite(&mut part, &renames);
                let own = pointer(section, name);
                let chosen = self.name_for(section, name, &part, &before);
                if chosen != name {
                    renames.insert(own, pointer(section, &chosen));
                }
            }
            if renames == before {
                break;
            }
        }
        for (section, name, part) in parts() {
            let mut part = part.clone();
            rewrite(&mut part, &renames);
            let target = renames.get(&pointer(section, name));
            let name = target
                .and_then(|target| unescape(target.rsplit('/').next()?))
                .unwrap_or_else(|| name.to_owned());
            self.insert(section, &name, part);
        }
        renames
    }

    /// The name this part gets: its own, or with the first number under which it is free or the same.
    fn name_for(&self, section: &str, name: &str, part: &Value, taken: &Renames) -> String {
        let known = self.sections.get(section);
        let base = sanitised(name);
        let candidates =
            std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}{number}")));
        for candidate in candidates {
            let target = pointer(section, &candidate);
            let by_another = taken
                .iter()
                .any(|(from, to)| *to == target && *from != pointer(section, name));
            if by_another {
                continue;
            }
            match known.and_then(|known| known.get(&candidate)) {
                None => return candidate,
                Some(existing) if existing == part => return candidate,
                Some(_) => {}
            }
        }
        unreachable!("the numbers do not end")
    }

    /// Joins schemas that the generator numbered because their types differ although the schemas do
    /// not, and answers how references must change.
    pub(super) fn join_equal(&mut self, section: &str) -> Renames {
        let mut renames = Renames::new();
        while let Some((from, to)) = self.equal_pair(section) {
            if let Some(parts) = self.sections.get_mut(section) {
                parts.remove(&from);
            }
            let step = Renames::from([(pointer(section, &from), pointer(section, &to))]);
            self.rewrite(&step);
            for target in renames.values_mut() {
                if let Some(next) = step.get(target) {
                    target.clone_from(next);
                }
            }
            renames.extend(step);
        }
        renames
    }

    fn equal_pair(&self, section: &str) -> Option<(String, String)> {
        let parts = self.sections.get(section)?;
        parts.iter().find_map(|(name, part)| {
            let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
            if base == name {
                return None;
            }
            let lower = parts.keys().filter(|other| {
                *other != name
                    && other.trim_end_matches(|c: char| c.is_ascii_digit()) == base
                    && number(other, base) < number(name, base)
            });
            lower
                .filter(|other| {
                    // A recursive schema refers to itself by its own name.
                    let own = Renames::from([(pointer(section, name), pointer(section, other))]);
                    let mut part = part.clone();
                    rewrite(&mut part, &own);
                    parts.get(*other) == Some(&part)
                })
                .min_by_key(|other| number(other, base))
                .map(|other| (name.clone(), other.clone()))
        })
    }

    fn rewrite(&mut self, renames: &Renames) {
        for part in self.sections.values_mut().flat_map(BTreeMap::values_mut) {
            rewrite(part, renames);
        }
    }

    pub(super) fn into_json(self) -> Value {
        let sections = self.sections.into_iter().map(|(section, parts)| {
            let parts: Map<String, Value> = parts.into_iter().collect();
            (section, Value::Object(parts))
        });
        Value::Object(sections.collect())
    }
}

fn number(name: &str, base: &str) -> u64 {
    name[base.len()..].parse().unwrap_or(0)
}

/// OpenAPI allows letters, digits, `.`, `-` and `_` in names of components.
fn sanitised(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '.' | '-' | '_' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        })
        .collect()
}

fn pointer(section: &str, name: &str) -> String {
    format!("#/components/{section}/{}", escape(name))
}

/// A name as a segment of a JSON pointer in a URI fragment, as schemars writes it.
fn escape(name: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'~' => out.push_str("~0"),
            b'/' => out.push_str("~1"),
            b'!' | b'$' | b'&'..=b';' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' => {
                out.push(byte.into());
            }
            _ => {
                let written = write!(out, "%{byte:02X}");
                debug_assert!(written.is_ok(), "writing to a string cannot fail");
            }
        }
    }
    out
}

fn unescape(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let hex = [*rest.next()?, *rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            bytes.push(*byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(text.replace("~1", "/").replace("~0", "~"))
}

/// Changes the references in a part of a document.
pub(super) fn rewrite(value: &mut Value, renames: &Renames) {
    if renames.is_empty() {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => rename(reference, renames),
                    // Of a discriminator: values are references too.
                    ("mapping", Value::Object(mapping)) => {
                        for value in mapping.values_mut() {
                            match value {
                                Value::String(reference) => rename(reference, renames),
                                other => rewrite(other, renames),
                            }
                        }
                    }
                    // Data, not schema.
                    ("example" | "examples" | "default" | "const" | "enum", _) => {}
                    (_, value) => rewrite(value, renames),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, renames)),
        _ => {}
    }
}

/// A reference may go on behind the component: `#/components/schemas/Video/properties/path`.
fn rename(reference: &mut String, renames: &Renames) {
    let end = reference
        .match_indices('/')
        .nth(3)
        .map_or(reference.len(), |(index, _)| index);
    if let Some(target) = renames.get(&reference[..end]) {
        *reference = format!("{target}{}", &reference[end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn video(path_type: &str) -> Value {
        json!({ "type": "object", "properties": { "path": { "type": path_type } } })
    }

    #[test]
    fn equal_parts_are_joined_and_different_ones_renamed_with_their_references() {
        let mut ours = Components::default();
        ours.insert("schemas", "Video", video("string"));
        ours.insert("schemas", "Same", json!({ "type": "null" }));
        let list = json!({ "items": { "$ref": "#/components/schemas/Video" } });
        ours.insert("schemas", "List", list.clone());
        let renames = ours.absorb(&json!({
            "schemas": { "Video": video("integer"), "Same": { "type": "null" }, "List": list },
            "responses": { "Gone": { "description": "gone" } },
        }));
        // `List` is spelled the same, but means another `Video`.
        assert_eq!(
            renames,
            Renames::from([
                (
                    "#/components/schemas/List".into(),
                    "#/components/schemas/List2".into()
                ),
                (
                    "#/components/schemas/Video".into(),
                    "#/components/schemas/Video2".into()
                ),
            ])
        );
        let all = ours.into_json();
        assert_eq!(all["schemas"]["Video2"], video("integer"));
        assert_eq!(
            all["schemas"]["List2"]["items"]["$ref"],
            "#/components/schemas/Video2"
        );
        assert_eq!(
            all["schemas"]["List"]["items"]["$ref"],
            "#/components/schemas/Video"
        );
        assert_eq!(all["schemas"].as_object().unwrap().len(), 5);
        assert_eq!(all["responses"]["Gone"]["description"], "gone");
    }

    #[test]
    fn a_third_document_with_the_second_ones_schema_uses_its_name() {
        let mut all = Components::default();
        all.absorb(&json!({ "schemas": { "Video": video("string") } }));
        all.absorb(&json!({ "schemas": { "Video": video("integer") } }));
        let renames = all.absorb(&json!({ "schemas": { "Video": video("integer") } }));
        assert_eq!(
            renames["#/components/schemas/Video"],
            "#/components/schemas/Video2"
        );
        assert_eq!(all.into_json()["schemas"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn two_incoming_parts_never_get_one_name() {
        let mut all = Components::default();
        all.insert("schemas", "A", json!({ "const": 1 }));
        let renames = all.absorb(&json!({
            "schemas": { "A": { "type": "string" }, "A2": { "type": "integer" } }
        }));
        let all = all.into_json();
        let target = |name: &str| match renames.get(&pointer("schemas", name)) {
            Some(target) => target.rsplit('/').next().unwrap().to_owned(),
            None => name.to_owned(),
        };
        assert_eq!(all["schemas"][&target("A")]["type"], "string");
        assert_eq!(all["schemas"][&target("A2")]["type"], "integer");
        assert_eq!(all["schemas"].as_object().unwrap().len(), 3);
    }

    #[test]
    fn numbered_twins_are_joined_even_when_recursive() {
        let node = |name: &str| json!({ "properties": { "next": { "$ref": pointer("schemas", name) }, "v": { "$ref": "#/components/schemas/V2" } } });
        let mut all = Components::default();
        all.insert("schemas", "V", json!({ "type": "string" }));
        all.insert("schemas", "V2", json!({ "type": "string" }));
        all.insert("schemas", "Node", node("Node"));
        all.insert("schemas", "Node2", node("Node2"));
        all.insert("schemas", "Node3", json!({ "type": "string" }));
        all.insert("schemas", "Utf8", json!({ "type": "string" }));
        let renames = all.join_equal("schemas");
        assert_eq!(renames.len(), 2, "{renames:?}");
        let all = all.into_json();
        let names: Vec<_> = all["schemas"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["Node", "Node3", "Utf8", "V"]);
        assert_eq!(
            all["schemas"]["Node"]["properties"]["v"]["$ref"],
            "#/components/schemas/V"
        );
    }

    #[test]
    fn names_openapi_does_not_allow_are_changed() {
        let mut all = Components::default();
        let renames = all.absorb(&json!({ "schemas": { "Page<Video>": { "type": "string" } } }));
        assert_eq!(
            renames["#/components/schemas/Page%3CVideo%3E"],
            "#/components/schemas/Page_Video_"
        );
        let mut part = json!({ "$ref": "#/components/schemas/Page%3CVideo%3E/properties/x", "default": { "$ref": "#/components/schemas/Page%3CVideo%3E" } });
        rewrite(&mut part, &renames);
        assert_eq!(
            part["$ref"],
            "#/components/schemas/Page_Video_/properties/x"
        );
        assert_eq!(
            part["default"]["$ref"],
            "#/components/schemas/Page%3CVideo%3E"
        );
    }
}
