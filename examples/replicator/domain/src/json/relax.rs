//! People leave commas behind last items, also the Replicator's own documentation does.

use std::borrow::Cow;

/// A text without trailing commas; every other byte stands where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relaxed<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// Where the commas were.
    pub commas: Vec<usize>,
}

/// Puts a blank in place of each comma that stands before `}` or `]`.
#[must_use]
pub fn relax(text: &str) -> Relaxed<'_> {
    let mut commas = Vec::new();
    let mut last_comma = None;
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b',' => {
                // Two in a row are a mistake that stays one.
                last_comma = last_comma.is_none().then_some(at);
            }
            b'}' | b']' => commas.extend(last_comma.take()),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                last_comma = None;
                in_string = byte == b'"';
            }
        }
    }
    // A comma behind an opening bracket is none that trails an item.
    commas.retain(|at| {
        let before = text[..*at].trim_end();
        !before.ends_with(['[', '{', ','])
    });
    if commas.is_empty() {
        return Relaxed {
            text: Cow::Borrowed(text),
            commas,
        };
    }
    let mut strict = text.to_owned();
    for at in &commas {
        strict.replace_range(*at..=*at, " ");
    }
    Relaxed {
        text: Cow::Owned(strict),
        commas,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_commas_before_an_end_go() {
        for (text, strict) in [
            (r#"{"a":1,}"#, r#"{"a":1 }"#),
            ("[1, 2 ,\n]", "[1, 2  \n]"),
            (r#"{"a":[1,],"b":",}",}"#, r#"{"a":[1 ],"b":",}" }"#),
            (r#"["\",]",]"#, r#"["\",]" ]"#),
        ] {
            assert_eq!(relax(text).text, strict);
        }
        for wrong in ["[,]", "{,}", "[1,,]", "[,1]", "[1,,2]", ","] {
            assert!(
                serde_json::from_str::<Value>(&relax(wrong).text).is_err(),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn strict_documents_stay(text in "[\\[\\]{},:\"a1 \\\\]{0,24}") {
            if serde_json::from_str::<Value>(&text).is_ok() {
                prop_assert_eq!(relax(&text).text, text.as_str());
            } else {
                prop_assert_eq!(relax(&text).text.len(), text.len());
            }
        }
    }
}
