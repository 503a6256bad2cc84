//! `{{NAME}}` in the texts of a template. Texts are rendered after JSON is parsed, so no value breaks it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What stands for each variable.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    values: BTreeMap<String, String>,
}

impl Vars {
    /// Variables as the mapping file has them.
    ///
    /// # Errors
    /// The name of one that is neither a text, a number nor a boolean.
    pub fn new(vars: &Map<String, Value>) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        for (name, value) in vars {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(is) => is.to_string(),
                _ => return Err(name.clone()),
            };
            values.insert(name.clone(), text);
        }
        Ok(Self { values })
    }

    /// Those that are not among `used`.
    pub fn unused<'a>(&'a self, used: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
        self.values
            .keys()
            .map(String::as_str)
            .filter(|name| !used.contains(*name))
    }
}

/// A text with values in place of its variables; a value is not rendered again.
///
/// # Errors
/// The name of a variable without a value.
pub fn render(text: &str, vars: &Vars, used: &mut BTreeSet<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start + 2..].find("}}") else {
            break;
        };
        let name = rest[start + 2..start + 2 + length].trim();
        let value = vars.values.get(name).ok_or_else(|| name.to_owned())?;
        used.insert(name.to_owned());
        out.push_str(&rest[..start]);
        out.push_str(value);
        rest = &rest[start + length + 4..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Renders all texts of a record; `at` collects the field of the first mistake.
pub(super) fn render_all(
    value: &mut Value,
    vars: &Vars,
    used: &mut BTreeSet<String>,
    at: &mut String,
) -> Result<(), String> {
    match value {
        Value::String(text) => {
            *text = render(text, vars, used)?;
            Ok(())
        }
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| render_all(item, vars, used, at)),
        Value::Object(members) => members.iter_mut().try_for_each(|(name, member)| {
            let rendered = render_all(member, vars, used, at);
            if rendered.is_err() && at.is_empty() {
                at.clone_from(name);
            }
            rendered
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn vars(value: &Value) -> Vars {
        Vars::new(value.as_object().expect("an object")).expect("valid")
    }

    #[test]
    fn values_are_inserted_as_they_are() {
        let vars = vars(&json!({ "A": "x\"{{B}}", "B": 7, "C": true }));
        let mut used = BTreeSet::new();
        for (text, expected) in [
            ("{{A}}-{{ B }}{{C}}", "x\"{{B}}-7true"),
            ("none", "none"),
            ("{{A", "{{A"),
            ("}}{{B}}", "}}7"),
        ] {
            assert_eq!(render(text, &vars, &mut used).as_deref(), Ok(expected));
        }
        assert_eq!(vars.unused(&used).count(), 0);
        assert_eq!(render("{{ X }}", &vars, &mut used), Err("X".to_owned()));
        assert_eq!(
            Vars::new(json!({ "L": [] }).as_object().expect("one")).map(drop),
            Err("L".to_owned())
        );
    }

    proptest! {
        #[test]
        fn a_value_never_becomes_structure(value in ".{0,20}", around in "[^{}]{0,10}") {
            let vars = vars(&json!({ "V": value }));
            let mut record = json!({ "name": format!("{around}{{{{V}}}}{around}"), "n": 1 });
            render_all(&mut record, &vars, &mut BTreeSet::new(), &mut String::new()).expect("known");
            prop_assert_eq!(record, json!({ "name": format!("{around}{value}{around}"), "n": 1 }));
        }
    }
}
