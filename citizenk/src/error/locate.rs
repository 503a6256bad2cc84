//! Which field of a JSON text an error is about.
//!
//! serde_json says line and column only. Walking the text up to there finds the path again, once and only
//! after a failure; wrapping every deserializer (as `serde_path_to_error` does) would compile each value
//! type twice.

use super::cut;

/// How much of a path is told; names of properties may be as long as the value.
const LONGEST: usize = 300;

/// The path of the field at fault, e.g. `items[2].price`; `None` when the text as a whole is.
pub(crate) fn json_field(error: &serde_json::Error, text: &[u8]) -> Option<String> {
    if !error.is_data() {
        return None;
    }
    let mut path = path_at(text, offset(text, error.line(), error.column())?);
    // The position of a missing field is the end of the object that lacks it.
    let message = error.to_string();
    if let Some((name, _)) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'))
    {
        path.push(Step::Key(name.to_owned()));
    }
    (!path.is_empty()).then(|| field_path(&path))
}

/// One step of a path.
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// As people write it: `items[2].price`.
pub(crate) fn field_path(path: &[Step]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for step in path {
        let written = match step {
            Step::Key(key) if text.is_empty() => write!(text, "{key}"),
            Step::Key(key) => write!(text, ".{key}"),
            Step::Index(index) => write!(text, "[{index}]"),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    cut(text, LONGEST)
}

/// How many bytes were read when the error was found; serde_json counts lines from 1 and a line's columns
/// by bytes. Line 0 means the error has no place.
fn offset(text: &[u8], line: usize, column: usize) -> Option<usize> {
    let before = line.checked_sub(1)?;
    let start = if before == 0 {
        0
    } else {
        let newlines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        newlines.map(|(at, _)| at + 1).nth(before - 1)?
    };
    Some((start + column).min(text.len()))
}

/// The path of the last value or key that begins before `end`.
fn path_at(text: &[u8], end: usize) -> Vec<Step> {
    // The open containers' current entries; the innermost is last.
    let mut open: Vec<Step> = Vec::new();
    let mut is_key = false;
    let mut at = 0;
    while at < end {
        match text[at] {
            b'{' => {
                open.push(Step::Key(String::new()));
                is_key = true;
            }
            b'[' => {
                open.push(Step::Index(0));
                is_key = false;
            }
            b'}' | b']' => {
                open.pop();
                is_key = false;
            }
            b',' => match open.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                _ => is_key = true,
            },
            b'"' => {
                let close = string_end(text, at);
                if is_key && let Some(Step::Key(key)) = open.last_mut() {
                    *key = serde_json::from_slice(&text[at..close]).unwrap_or_default();
                    is_key = false;
                }
                at = close;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    // An object that was opened and not entered yet is itself what is meant.
    if matches!(open.last(), Some(Step::Key(key)) if key.is_empty()) {
        open.pop();
    }
    open
}

/// The index behind the closing quote of the string that starts at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Order {
        id: u32,
        note: Option<String>,
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Item {
        price: f64,
        tags: Vec<String>,
    }

    fn field(text: &str) -> Option<String> {
        let error = serde_json::from_str::<Order>(text).unwrap_err();
        json_field(&error, text.as_bytes())
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (text, expected) in [
            (r#"{"id": "x", "items": []}"#, Some("id")),
            (r#"{"id": -1, "items": []}"#, Some("id")),
            (r#"{"items": [], "id": 1.5}"#, Some("id")),
            (r#"{"items": []}"#, Some("id")),
            (
                r#"{"id": 1, "items": [{"price": 1, "tags": []}, {"price": "a\"]}", "tags": []}]}"#,
                Some("items[1].price"),
            ),
            (
                r#"{"id": 1, "items": [{"price": 1, "tags": ["a", "b", 3]}]}"#,
                Some("items[0].tags[2]"),
            ),
            (
                "{\"id\": 1,\n \"items\": [\n {\"price\": 1}]}",
                Some("items[0].tags"),
            ),
            (r#"{"id": 1, "items": {}}"#, Some("items")),
            (r#"{"id": 1, "colour": "red"}"#, Some("colour")),
            (r"[1, 2]", Some("[1]")),
            (r"7", None),
            (r#"{"id": 1"#, None),
        ] {
            assert_eq!(field(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_and_no_place_panics(text in ".{0,60}", line in 0usize..5, column in 0usize..70) {
            if let Some(end) = offset(text.as_bytes(), line, column) {
                field_path(&path_at(text.as_bytes(), end));
            }
        }
    }
}
