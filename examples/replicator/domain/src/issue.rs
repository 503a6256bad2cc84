//! What is wrong with a configuration, and where.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration works, but probably not as meant.
    Warning,
    /// The configuration is not used.
    Error,
}

/// A place in a text; both count from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// The places of many byte offsets of one text: those that ascend cost one walk through it together.
#[derive(Debug)]
pub struct Places<'a> {
    text: &'a str,
    offset: usize,
    place: Place,
}

impl<'a> Places<'a> {
    /// Of this text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            offset: 0,
            place: Place { line: 1, column: 1 },
        }
    }

    /// What [`Place::of`] says.
    #[must_use]
    pub fn of(&mut self, offset: usize) -> Place {
        let Some(between) = self.text.get(self.offset..offset) else {
            return Place::of(self.text, offset);
        };
        let lines = between.matches('\n').count();
        let (columns, from) = match between.rfind('\n') {
            Some(at) => (&between[at + 1..], 1),
            None => (between, self.place.column),
        };
        self.place = Place {
            line: self.place.line + lines,
            column: from + columns.chars().count(),
        };
        self.offset = offset;
        self.place
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// The file, or what else the text is called.
    pub origin: String,
    /// Where in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
    /// The field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Issue {
    /// An error.
    #[must_use]
    pub fn error(origin: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            origin: origin.to_owned(),
            place: None,
            mapping: None,
            field: None,
            message: message.into(),
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(origin: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(origin, message)
        }
    }

    /// With the place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// With the mapping.
    #[must_use]
    pub fn mapping(mut self, name: &str) -> Self {
        self.mapping = Some(name.to_owned());
        self
    }

    /// With the field.
    #[must_use]
    pub fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Whether it keeps the configuration from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(place) = self.place {
            write!(f, ": {place}")?;
        }
        if let Some(mapping) = &self.mapping {
            write!(f, ": mapping `{mapping}`")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": `{field}`")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_places_are_those_of_each(text in "[a\u{e4}\\n]{0,40}", offsets in prop::collection::vec(0_usize..60, 0..12)) {
            let mut places = Places::new(&text);
            for offset in offsets {
                prop_assert_eq!(places.of(offset), Place::of(&text, offset));
            }
        }
    }
}
