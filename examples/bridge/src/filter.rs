//! Which records a bridge copies.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A condition on a JSON value: `country = "IT"`, `customer.id != 7`, `amount > 100`, `amount < 5`. The left
/// side is a path of fields, the right one JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    path: Vec<String>,
    is: Comparison,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Greater,
    Less,
}

/// Longer ones come first where one begins as the other.
const COMPARISONS: [(&str, Comparison); 4] = [
    ("!=", Comparison::NotEqual),
    ("=", Comparison::Equal),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
];

const FORM: &str =
    "write FIELD = JSON, FIELD != JSON, FIELD > NUMBER or FIELD < NUMBER, e.g. country = \"IT\"";

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let places = COMPARISONS.iter().filter_map(|(sign, is)| {
            let place = text.find(sign)?;
            Some((place, *sign, *is))
        });
        // The first sign counts: others may stand in a text on the right.
        let first = places.min_by_key(|(place, sign, _)| (*place, std::cmp::Reverse(sign.len())));
        let Some((place, sign, is)) = first else {
            return Err(format!("there is no comparison in it; {FORM}"));
        };
        let (left, right) = (text[..place].trim(), text[place + sign.len()..].trim());
        let path: Vec<String> = left.split('.').map(|part| part.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(format!("`{left}` is no path of fields; {FORM}"));
        }
        let value: Value = serde_json::from_str(right)
            .map_err(|_| format!("`{right}` is not JSON (texts need quotes); {FORM}"))?;
        if matches!(is, Comparison::Greater | Comparison::Less) && !value.is_number() {
            return Err(format!("`{right}` is no number; {FORM}"));
        }
        Ok(Self { path, is, value })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = COMPARISONS.iter().find(|(_, is)| *is == self.is);
        let sign = sign.map_or("=", |(sign, _)| sign);
        write!(f, "{} {sign} {}", self.path.join("."), self.value)
    }
}

impl Filter {
    /// Whether the record's value meets the condition; what is no JSON or lacks the field does not.
    #[must_use]
    pub fn passes(&self, bytes: Option<&[u8]>) -> bool {
        let Some(Ok(record)) = bytes.map(serde_json::from_slice::<Value>) else {
            return false;
        };
        let mut found = Some(&record);
        for field in &self.path {
            found = found.and_then(|value| value.get(field));
        }
        let Some(found) = found else { return false };
        let numbers = || Some((found.as_f64()?, self.value.as_f64()?));
        match self.is {
            Comparison::Equal => *found == self.value,
            Comparison::NotEqual => *found != self.value,
            Comparison::Greater => numbers().is_some_and(|(record, bound)| record > bound),
            Comparison::Less => numbers().is_some_and(|(record, bound)| record < bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &str, record: &str) -> bool {
        let filter: Filter = filter.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(filter.to_string().parse(), Ok(filter.clone()));
        filter.passes(Some(record.as_bytes()))
    }

    #[test]
    fn conditions_hold_or_do_not() {
        let order = r#"{"country":"IT","amount":12.5,"customer":{"id":7,"tags":[1]}}"#;
        for (filter, holds) in [
            (r#"country = "IT""#, true),
            (r#"country="DE""#, false),
            (r#"country != "a=b""#, true),
            ("amount > 12", true),
            ("amount < 12", false),
            ("customer.id = 7", true),
            ("customer.tags = [1]", true),
            ("customer.name != null", false),
            ("country > 1", false),
        ] {
            assert_eq!(passes(filter, order), holds, "{filter}");
        }
        assert!(!passes("a = 1", "no json"));
        assert!(
            !"a = 1"
                .parse::<Filter>()
                .is_ok_and(|filter| filter.passes(None))
        );
    }

    #[test]
    fn what_is_no_condition_says_how_one_is_written() {
        for (text, part) in [
            ("country", "no comparison"),
            ("= 1", "no path of fields"),
            ("a..b = 1", "no path of fields"),
            ("country = IT", "texts need quotes"),
            ("amount > \"1\"", "no number"),
        ] {
            let error = text.parse::<Filter>().expect_err(text);
            assert!(error.contains(part) && error.contains("e.g."), "{error}");
        }
    }
}
