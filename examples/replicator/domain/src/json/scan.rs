//! One pass over a document: it is checked as `serde_json` would check it, and what stands at the wanted paths is
//! noted with its bytes' place. Nothing is built.

use std::fmt;

/// What `serde_json` allows.
const DEEPEST: u32 = 127;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A member of an object.
    Field(String),
    /// Every item of an array.
    Items,
}

#[derive(Clone, Debug, Default)]
struct Node {
    fields: Vec<(Box<str>, usize)>,
    items: Option<usize>,
    wanted: Option<usize>,
}

/// The paths that are looked for; a path's number is the order of its [`Paths::add`].
#[derive(Clone, Debug)]
pub struct Paths {
    nodes: Vec<Node>,
    parents: Vec<usize>,
    count: usize,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            parents: vec![0],
            count: 0,
        }
    }
}

impl Paths {
    /// Looks for one more path; the number of one that is there already is given again.
    pub fn add(&mut self, path: &[Segment]) -> usize {
        let mut at = 0;
        for segment in path {
            let next = match segment {
                Segment::Field(name) => {
                    let fields = &self.nodes[at].fields;
                    fields
                        .iter()
                        .find(|(known, _)| **known == **name)
                        .map(|(_, next)| *next)
                }
                Segment::Items => self.nodes[at].items,
            };
            at = next.unwrap_or_else(|| {
                let new = self.nodes.len();
                self.nodes.push(Node::default());
                self.parents.push(at);
                match segment {
                    Segment::Field(name) => self.nodes[at].fields.push((name.as_str().into(), new)),
                    Segment::Items => self.nodes[at].items = Some(new),
                }
                new
            });
        }
        *self.nodes[at].wanted.get_or_insert_with(|| {
            self.count += 1;
            self.count - 1
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn is_below(&self, mut node: usize, above: usize) -> bool {
        while node > above {
            node = self.parents[node];
        }
        node == above
    }
}

/// What stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number,
    /// A string; its place has the quotes.
    String {
        /// Whether it has a backslash.
        escaped: bool,
    },
    /// An object.
    Object {
        /// Whether it has no members.
        empty: bool,
    },
    /// An array.
    Array {
        /// Whether it has no items.
        empty: bool,
    },
}

/// Something at a wanted path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path's number.
    pub path: usize,
    node: usize,
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
}

/// Why a text is no JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanError {
    /// Where, in bytes.
    pub offset: usize,
    /// Why.
    pub reason: &'static str,
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no JSON at byte {}: {}", self.offset, self.reason)
    }
}

/// Checks the document and notes what stands at `paths`, in the order of the bytes.
///
/// With `last_wins`, of members with one name the last counts, as for whoever builds the document; otherwise each
/// is noted.
///
/// # Errors
/// The text is no JSON document.
pub fn find(
    text: &[u8],
    paths: &Paths,
    last_wins: bool,
    found: &mut Vec<Found>,
) -> Result<(), ScanError> {
    found.clear();
    if let Err(error) = std::str::from_utf8(text) {
        return Err(ScanError {
            offset: error.valid_up_to(),
            reason: "it is not UTF-8",
        });
    }
    let mut scanner = Scanner {
        text,
        at: 0,
        paths,
        last_wins,
        found,
    };
    scanner.blanks();
    scanner.value(Some(0), DEEPEST)?;
    scanner.blanks();
    if scanner.at == text.len() {
        Ok(())
    } else {
        Err(scanner.error("something follows the document"))
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    paths: &'a Paths,
    last_wins: bool,
    found: &'a mut Vec<Found>,
}

type Scan<T = ()> = Result<T, ScanError>;

impl Scanner<'_> {
    fn error(&self, reason: &'static str) -> ScanError {
        ScanError {
            offset: self.at,
            reason,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Scan {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.error("a value is expected"))
    }

    fn value(&mut self, node: Option<usize>, depth: u32) -> Scan {
        let start = self.at;
        let place = node.and_then(|node| Some((node, self.paths.nodes[node].wanted?)));
        // An object stands before what is in it.
        let reserved = place.map(|(node, path)| {
            self.found.push(Found {
                path,
                node,
                kind: Kind::Null,
                start,
                end: start,
            });
            self.found.len() - 1
        });
        let kind = match self.peek() {
            Some(b'"') => Kind::String {
                escaped: self.string()?,
            },
            Some(b'{') => self.object(node, depth)?,
            Some(b'[') => self.array(node, depth)?,
            Some(b't') => self.word(b"true").map(|()| Kind::Bool(true))?,
            Some(b'f') => self.word(b"false").map(|()| Kind::Bool(false))?,
            Some(b'n') => self.word(b"null").map(|()| Kind::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Number)?,
            _ => return Err(self.error("a value is expected")),
        };
        if let Some(found) = reserved.and_then(|index| self.found.get_mut(index)) {
            (found.kind, found.end) = (kind, self.at);
        }
        Ok(())
    }

    fn object(&mut self, node: Option<usize>, depth: u32) -> Scan<Kind> {
        if depth == 0 {
            return Err(self.error("it is too deep"));
        }
        let inside = self.found.len();
        let node = node.filter(|node| !self.paths.nodes[*node].fields.is_empty());
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Object { empty: true });
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("a name is expected"));
            }
            let start = self.at;
            let escaped = self.string()?;
            let next = node.and_then(|node| self.member(node, start, escaped));
            if self.last_wins
                && let Some(above) = next
            {
                self.forget(inside, above);
            }
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.error("`:` is expected"));
            }
            self.at += 1;
            self.blanks();
            self.value(next, depth - 1)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Kind::Object { empty: false });
                }
                _ => return Err(self.error("`,` or `}` is expected")),
            }
            self.blanks();
        }
    }

    fn member(&self, node: usize, start: usize, escaped: bool) -> Option<usize> {
        let fields = &self.paths.nodes[node].fields;
        let quoted = &self.text[start..self.at];
        let plain = &quoted[1..quoted.len() - 1];
        if escaped {
            let name: String = serde_json::from_slice(quoted).ok()?;
            return fields
                .iter()
                .find(|(known, _)| **known == *name)
                .map(|(_, next)| *next);
        }
        fields
            .iter()
            .find(|(known, _)| known.as_bytes() == plain)
            .map(|(_, next)| *next)
    }

    fn forget(&mut self, inside: usize, above: usize) {
        let paths = self.paths;
        let mut kept = inside;
        for index in inside..self.found.len() {
            if !paths.is_below(self.found[index].node, above) {
                self.found[kept] = self.found[index];
                kept += 1;
            }
        }
        self.found.truncate(kept);
    }

    fn array(&mut self, node: Option<usize>, depth: u32) -> Scan<Kind> {
        if depth == 0 {
            return Err(self.error("it is too deep"));
        }
        let items = node.and_then(|node| self.paths.nodes[node].items);
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::Array { empty: true });
        }
        loop {
            self.value(items, depth - 1)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Kind::Array { empty: false });
                }
                _ => return Err(self.error("`,` or `]` is expected")),
            }
            self.blanks();
        }
    }

    /// Whether it has a backslash.
    fn string(&mut self) -> Scan<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                Some(_) => return Err(self.error("a control character in a string")),
                None => return Err(self.error("the string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Scan {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match self.unit(self.at)? {
                0xDC00..=0xDFFF => Err(self.error("half a character")),
                0xD800..=0xDBFF => {
                    self.at += 6;
                    let second = self.text[self.at..].starts_with(b"\\u");
                    if !second || !(0xDC00..=0xDFFF).contains(&self.unit(self.at)?) {
                        return Err(self.error("half a character"));
                    }
                    self.at += 6;
                    Ok(())
                }
                _ => {
                    self.at += 6;
                    Ok(())
                }
            },
            _ => Err(self.error("an unknown escape")),
        }
    }

    fn unit(&self, at: usize) -> Scan<u32> {
        let digits = self.text.get(at + 2..at + 6).unwrap_or_default();
        let mut unit = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(16);
            unit = unit * 16 + digit.ok_or_else(|| self.error("an unknown escape"))?;
        }
        if digits.len() < 4 {
            return Err(self.error("an unknown escape"));
        }
        Ok(unit)
    }

    fn digits(&mut self) -> Scan {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.error("a digit is expected"));
        }
        Ok(())
    }

    fn number(&mut self) -> Scan {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.error("a number does not begin with 0"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if (exponent || text.len() > 300)
            && serde_json::from_slice::<serde_json::Number>(text).is_err()
        {
            return Err(self.error("the number is out of range"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn path(text: &str) -> Vec<Segment> {
        let segment = |part: &str| match part {
            "[*]" => Segment::Items,
            name => Segment::Field(name.to_owned()),
        };
        text.split('.')
            .filter(|part| !part.is_empty())
            .map(segment)
            .collect()
    }

    fn texts(document: &str, wanted: &[&str], last_wins: bool) -> Vec<(usize, String)> {
        let mut paths = Paths::default();
        for text in wanted {
            paths.add(&path(text));
        }
        let mut found = Vec::new();
        find(document.as_bytes(), &paths, last_wins, &mut found).expect("JSON");
        found
            .iter()
            .map(|found| (found.path, document[found.start..found.end].to_owned()))
            .collect()
    }

    #[test]
    fn what_stands_at_the_paths_is_found() {
        let document = r#" {"a":{"b": 1e2 ,"c":[{"d":"x"},{"d":null}]},"\u0061b":"ü\n"} "#;
        assert_eq!(
            texts(
                document,
                &["a.b", "a.c.[*].d", "ab", "a.missing", "a.c.d"],
                false
            ),
            [
                (0, "1e2".into()),
                (1, "\"x\"".into()),
                (1, "null".into()),
                (2, "\"ü\\n\"".into())
            ]
        );
        assert_eq!(texts("7", &[""], false), [(0, "7".into())]);
    }

    #[test]
    fn of_equal_names_the_last_counts_or_each() {
        let document = r#"{"a":{"b":1},"a":{"b":2,"b":3},"c":{"b":9}}"#;
        assert_eq!(texts(document, &["a.b"], true), [(0, "3".into())]);
        let all = [(0, "1".into()), (0, "2".into()), (0, "3".into())];
        assert_eq!(texts(document, &["a.b"], false), all);
        assert!(texts(r#"{"a":{"b":1},"a":2}"#, &["a.b"], true).is_empty());
        assert_eq!(
            texts(r#"{"a":{"b":1},"c":5,"a":2}"#, &["a.b", "c"], true),
            [(1, "5".into())]
        );
    }

    #[test]
    fn what_serde_json_refuses_is_refused_and_the_rest_is_not() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let (deepest, deeper) = (deep(127), deep(128));
        for text in [
            "",
            " ",
            "1 2",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e400",
            "-1e400",
            "1e-400",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\ud83d\\ude00\"",
            "\"\u{1}\"",
            "\"\u{7f}\"",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1}x",
            "\u{feff}1",
            "1\u{a0}",
            "-0",
            "0.0",
            "1E+2",
            "[]",
            "{}",
            "[[],{}]",
            &deepest,
            &deeper,
            "123456789012345678901234567890",
        ] {
            let ours = find(text.as_bytes(), &Paths::default(), true, &mut Vec::new());
            let theirs = serde_json::from_str::<Value>(text);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?} {theirs:?}");
        }
        let error = find(b"\"\xff\"", &Paths::default(), true, &mut Vec::new());
        assert_eq!(error.expect_err("no UTF-8").offset, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_verdict_is_serde_jsons(text in "[\\[\\]{},:\"ab0-9.eE+\\\\u \n-]{0,24}") {
            let ours = find(text.as_bytes(), &Paths::default(), true, &mut Vec::new());
            prop_assert_eq!(ours.is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
