//! Topic-level value mappings: tables from source keys and values to those of the target, spliced into the bytes.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::filter::Scratch;
use crate::issue::{Issue, Place};
use crate::json::{Kind, Pairs, Paths, ScanError, Segment, find, relax};

/// The partition that means: drop the record.
pub const DROP: i32 = -1000;

/// The tables of a topic.
#[derive(Clone, Debug, Default)]
pub struct ValueMap {
    key: HashMap<Box<[u8]>, Box<[u8]>>,
    partition: HashMap<Box<[u8]>, i32>,
    paths: Paths,
    /// One per path: from the scalar's text to the JSON that is written.
    tables: Vec<HashMap<Box<str>, Box<str>>>,
}

/// Where `key:partition` sends a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The table says nothing about its key.
    Unsaid,
    /// To this partition.
    To(i32),
    /// Nowhere.
    Drop,
}

/// What a value became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// How many scalars were replaced; with none the value is as it was.
    pub replaced: usize,
    /// How many were in none of their tables.
    pub unmapped: usize,
}

fn unquoted(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'{' | b'[' | b'n' => None,
        b'"' => serde_json::from_str(json).ok(),
        _ => Some(json.to_owned()),
    }
}

fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let Some(step) = rest.strip_prefix('.') else {
            let Some(after) = rest.strip_prefix("[*]") else {
                return Err(format!("`{rest}` is neither `.field` nor `[*]`"));
            };
            segments.push(Segment::Items);
            rest = after;
            continue;
        };
        let (name, after) = if step.starts_with('"') {
            let mut parts = serde_json::Deserializer::from_str(step).into_iter::<String>();
            match parts.next() {
                Some(Ok(name)) => (name, &step[parts.byte_offset()..]),
                _ => return Err("a quoted field does not end".to_owned()),
            }
        } else {
            let end = step.find(['.', '[']).unwrap_or(step.len());
            (step[..end].to_owned(), &step[end..])
        };
        if name.is_empty() {
            return Err("a field has no name".to_owned());
        }
        segments.push(Segment::Field(name));
        rest = after;
    }
    Ok(segments)
}

impl ValueMap {
    /// Reads the tables; `origin` names the text in what is wrong with it.
    ///
    /// # Errors
    /// All mistakes, with their places. Warnings come with the result.
    pub fn parse(origin: &str, text: &str) -> Result<(Self, Vec<Issue>), Vec<Issue>> {
        let relaxed = relax(text);
        let mut issues: Vec<Issue> = relaxed
            .commas
            .iter()
            .map(|at| {
                Issue::warning(origin, "a comma behind the last item is no JSON")
                    .at(Place::of(text, *at))
            })
            .collect();
        let parsed: Result<Pairs<Pairs<&RawValue>>, _> = serde_json::from_str(&relaxed.text);
        let tables = match parsed {
            Ok(tables) => tables,
            Err(error) => {
                let place = Place {
                    line: error.line(),
                    column: error.column(),
                };
                issues.push(Issue::error(origin, crate::config::plain(&error)).at(place));
                return Err(issues);
            }
        };
        let offset = |raw: &RawValue| raw.get().as_ptr().addr() - relaxed.text.as_ptr().addr();
        let mut map = Self::default();
        if let Some(twice) = tables.duplicate() {
            issues.push(Issue::error(origin, "stands twice").field(twice));
        }
        for (field, table) in &tables.0 {
            let error = |message: String| Issue::error(origin, message).field(field);
            if let Some(twice) = table.duplicate() {
                issues.push(error(format!("`{twice}` stands twice")));
            }
            let path = match field.as_str() {
                "key" | "key:partition" => None,
                other => match other.strip_prefix("value").map(segments) {
                    Some(Ok(path)) => Some(path),
                    Some(Err(reason)) => {
                        issues.push(error(reason));
                        continue;
                    }
                    None => {
                        let known =
                            "the fields are `key`, `key:partition` and `value.PATH.TO.FIELD`";
                        issues.push(error(format!("is unknown; {known}")));
                        continue;
                    }
                },
            };
            let index = path.map(|path| map.paths.add(&path));
            if let Some(index) = index
                && map.tables.len() <= index
            {
                map.tables.resize_with(index + 1, HashMap::new);
            }
            for (from, to) in &table.0 {
                let place = Place::of(text, offset(to));
                match (index, field.as_str()) {
                    (Some(index), _) => {
                        map.tables[index].insert(from.as_str().into(), to.get().into());
                    }
                    (None, "key") => match unquoted(to.get()) {
                        Some(key) => {
                            map.key
                                .insert(from.as_bytes().into(), key.into_bytes().into());
                        }
                        None => issues
                            .push(error("a key is a text, a number or a boolean".into()).at(place)),
                    },
                    (None, _) => match to.get().parse::<i32>() {
                        Ok(partition) if partition >= 0 || partition == DROP => {
                            map.partition.insert(from.as_bytes().into(), partition);
                        }
                        _ => {
                            let wanted = "is no partition: 0, 1, .. or -1000 to drop the record";
                            issues.push(error(format!("{} {wanted}", to.get())).at(place));
                        }
                    },
                }
            }
        }
        if issues.iter().any(Issue::is_error) {
            return Err(issues);
        }
        Ok((map, issues))
    }

    /// Whether it changes values, which must be JSON then.
    #[must_use]
    pub fn needs_value(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Where the source key goes.
    #[must_use]
    pub fn route(&self, key: Option<&[u8]>) -> Route {
        match key.and_then(|key| self.partition.get(key)) {
            None => Route::Unsaid,
            Some(&DROP) => Route::Drop,
            Some(partition) => Route::To(*partition),
        }
    }

    /// The key that stands for the source key, and whether the table knows it: `None` without a table.
    #[must_use]
    pub fn key(&self, key: Option<&[u8]>) -> Option<Option<&[u8]>> {
        if self.key.is_empty() {
            return None;
        }
        Some(key.and_then(|key| self.key.get(key)).map(|key| &**key))
    }

    /// The largest partition that `key:partition` names.
    #[must_use]
    pub fn highest_partition(&self) -> Option<i32> {
        self.partition
            .values()
            .copied()
            .filter(|partition| *partition != DROP)
            .max()
    }

    /// Writes the value with its scalars replaced to `out`; everything else stays byte for byte.
    ///
    /// # Errors
    /// The value is no JSON.
    pub fn map(
        &self,
        value: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Mapped, ScanError> {
        out.clear();
        find(value, &self.paths, false, &mut scratch.found)?;
        let (mut mapped, mut copied) = (Mapped::default(), 0);
        for found in &scratch.found {
            let span = &value[found.start..found.end];
            let text = match found.kind {
                Kind::Object { .. } | Kind::Array { .. } => continue,
                Kind::String { escaped: true } => serde_json::from_slice(span)
                    .map(std::borrow::Cow::Owned)
                    .ok(),
                Kind::String { escaped: false } => std::str::from_utf8(&span[1..span.len() - 1])
                    .map(Into::into)
                    .ok(),
                _ => std::str::from_utf8(span).map(Into::into).ok(),
            };
            let table = self.tables.get(found.path);
            let to = text.and_then(|text: std::borrow::Cow<'_, str>| table?.get(&*text));
            let Some(to) = to else {
                mapped.unmapped += 1;
                continue;
            };
            // A replaced object cannot hold another path's scalar: only scalars are replaced.
            out.extend_from_slice(&value[copied..found.start]);
            out.extend_from_slice(to.as_bytes());
            copied = found.end;
            mapped.replaced += 1;
        }
        if mapped.replaced > 0 {
            out.extend_from_slice(&value[copied..]);
        }
        Ok(mapped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// As the documentation has it, with its comma.
    const DOCUMENTED: &str = include_str!("../fixtures/topic_mapping.json");

    fn documented() -> ValueMap {
        let (map, warnings) = ValueMap::parse("a.json", DOCUMENTED).expect("it is valid");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0].place.expect("a place").line, 22);
        map
    }

    fn mapped(map: &ValueMap, value: &str) -> (String, Mapped) {
        let mut out = Vec::new();
        let mapped = map
            .map(value.as_bytes(), &mut Scratch::default(), &mut out)
            .expect("JSON");
        (String::from_utf8(out).expect("UTF-8"), mapped)
    }

    #[test]
    fn the_documented_example_maps() {
        let map = documented();
        assert_eq!(map.key(Some(b"1")), Some(Some(&b"10"[..])));
        assert_eq!(map.key(Some(b"9")), Some(None));
        assert_eq!(map.route(Some(b"3")), Route::Drop);
        assert_eq!(map.route(Some(b"6")), Route::To(1));
        assert_eq!([map.route(Some(b"7")), map.route(None)], [Route::Unsaid; 2]);
        assert_eq!(map.highest_partition(), Some(1));
        // Spaces, order, duplicates, and numbers that no float can hold stay.
        let value = r#"{ "z":9007199254740993, "payload": {"product_id":1001,"user_name" : "B","x":1,"x":2,"product_id":"1003"} }"#;
        let expected = r#"{ "z":9007199254740993, "payload": {"product_id":1,"user_name" : "B name","x":1,"x":2,"product_id":14} }"#;
        assert_eq!(
            mapped(&map, value),
            (
                expected.to_owned(),
                Mapped {
                    replaced: 3,
                    unmapped: 0
                }
            )
        );
        let (out, unknown) = mapped(&map, r#"{"payload":{"product_id":7,"user_name":{"a":1}}}"#);
        assert_eq!(
            (out.as_str(), unknown),
            (
                "",
                Mapped {
                    replaced: 0,
                    unmapped: 1
                }
            )
        );
        assert_eq!(
            mapped(&map, r#"{"payload":[{"product_id":1001}]}"#).1,
            Mapped::default()
        );
        assert!(
            map.map(b"{", &mut Scratch::default(), &mut Vec::new())
                .is_err()
        );
    }

    #[test]
    fn paths_reach_into_lists_and_odd_names() {
        let text = r#"{"value.a[*].b":{"true":"yes","null":0,"x\"y":[1]}, "value.\"a.b\"":{"1":2}, "value":{"5":6}}"#;
        let (map, _) = ValueMap::parse("x", text).expect("valid");
        let value = r#"{"a":[{"b":true},{"b":null},{"b":"x\"y"},{"b":"\u0074rue"}],"a.b":"1"}"#;
        let expected = r#"{"a":[{"b":"yes"},{"b":0},{"b":[1]},{"b":"yes"}],"a.b":2}"#;
        assert_eq!(mapped(&map, value).0, expected);
        assert_eq!(mapped(&map, " 5 ").0, " 6 ");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, part) in [
            (
                "{\n  \"key\": {\"1\": {}}\n}",
                "line 2, column 16: `key`: a key is a text",
            ),
            (r#"{"key:partition":{"1":-5}}"#, "-5 is no partition"),
            (r#"{"key:partition":{"1":1.5}}"#, "1.5 is no partition"),
            (r#"{"keys":{}}"#, "`keys`: is unknown; the fields are"),
            (r#"{"value.a..b":{}}"#, "a field has no name"),
            (r#"{"value.a[0]":{}}"#, "`[0]` is neither"),
            (r#"{"key":{"1":2,"1":3}}"#, "`1` stands twice"),
            ("{\n\"key\":{\"1\" 2}}", "line 2, column 12: expected `:`"),
            (r#"{"key":3}"#, "an object"),
        ] {
            let issues = ValueMap::parse("t.json", text).expect_err(text);
            let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
            assert!(
                said.iter().any(|issue| issue.contains(part)),
                "{part}: {said:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn only_the_scalar_changes(
            before in "[ ]{0,2}", after in "[ \n]{0,2}", id in 0_u64.., other in any::<i64>(), name in "[a-zü\"\\\\]{0,5}",
        ) {
            let name = json!(name).to_string();
            let value = |id: &str| format!(r#"{{"o":{other},{before}"p":{after}{{"id":{id},"n":{name}}}}}"#);
            let text = format!(r#"{{"value.p.id":{{"{id}":"new"}}}}"#);
            let (map, _) = ValueMap::parse("x", &text).expect("valid");
            for id in [id.to_string(), format!("\"{id}\"")] {
                prop_assert_eq!(mapped(&map, &value(&id)).0, value("\"new\""));
            }
            prop_assert!(serde_json::from_str::<Value>(&value("1")).is_ok());
        }
    }
}
