//! What a change of the configuration does, before it is done.

use serde::Serialize;
use serde_json::Value;

use crate::config::{GroupAction, Loaded, Mapping};

/// How a mapping differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// One mapping that differs.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// How it differs.
    pub kind: Kind,
    /// Which fields differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// As it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Mapping>,
    /// As it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Mapping>,
    /// What follows from it.
    pub consequences: Vec<String>,
}

fn members(mapping: &Mapping) -> Value {
    // A mapping is written to JSON all the time.
    serde_json::to_value(mapping).unwrap_or_default()
}

fn fields(before: &Mapping, after: &Mapping) -> Vec<String> {
    let (before, after) = (members(before), members(after));
    let mut names: Vec<String> = Vec::new();
    for name in [&before, &after]
        .into_iter()
        .filter_map(Value::as_object)
        .flat_map(|map| map.keys())
    {
        if before.get(name) != after.get(name) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Whether a mapping that ran begins anew: it reads something else, or was off.
#[must_use]
pub fn begins_anew(before: Option<&Mapping>, after: &Mapping, source: &str) -> bool {
    after.enabled
        && before.is_none_or(|before| {
            !before.enabled
                || before.source_is_file != after.source_is_file
                || !before.pairs().iter().any(|pair| pair.source == source)
        })
}

fn consequences(before: Option<&Mapping>, after: Option<&Mapping>) -> Vec<String> {
    let mut all = Vec::new();
    let was_on = before.is_some_and(|mapping| mapping.enabled);
    match after {
        Some(after) if after.enabled => {
            for pair in after
                .pairs()
                .iter()
                .filter(|pair| begins_anew(before, after, pair.source))
            {
                all.push(if after.source_is_file {
                    format!("the file `{}` is replayed to `{}`", pair.source, pair.target)
                } else {
                    format!("starts at the latest record of `{}`; what was written before is not copied", pair.source)
                });
            }
            let before_group = before
                .filter(|mapping| mapping.enabled)
                .and_then(Mapping::service_group);
            if let Some(group) = after
                .service_group()
                .filter(|group| before_group != Some(*group))
            {
                all.push(match after.target_service_group_action {
                    GroupAction::Delete => format!("deletes the group `{group}` on the target whenever it has no members"),
                    GroupAction::ResetToLatest => {
                        format!("moves the group `{group}` to the end of the target topic whenever it has no members")
                    }
                });
            }
        }
        _ if was_on => all.push("stops; records written meanwhile are not copied later".to_owned()),
        _ => {}
    }
    all
}

/// What differs, in the order of the new configuration; what is gone comes last.
#[must_use]
pub fn diff(before: &Loaded, after: &Loaded) -> Vec<Change> {
    let mut changes = Vec::new();
    for new in &after.mappings {
        let old = before.get(&new.mapping.name);
        let fields = old
            .map(|old| fields(&old.mapping, &new.mapping))
            .unwrap_or_default();
        if old.is_some() && fields.is_empty() {
            continue;
        }
        changes.push(Change {
            name: new.mapping.name.clone(),
            kind: if old.is_some() {
                Kind::Changed
            } else {
                Kind::Added
            },
            fields,
            before: old.map(|old| old.mapping.clone()),
            after: Some(new.mapping.clone()),
            consequences: consequences(old.map(|old| &old.mapping), Some(&new.mapping)),
        });
    }
    for old in before
        .mappings
        .iter()
        .filter(|old| after.get(&old.mapping.name).is_none())
    {
        changes.push(Change {
            name: old.mapping.name.clone(),
            kind: Kind::Removed,
            fields: Vec::new(),
            before: Some(old.mapping.clone()),
            after: None,
            consequences: consequences(Some(&old.mapping), None),
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn loaded(mappings: &str) -> Loaded {
        load("m", &format!("[{mappings}]"), &|_| None)
    }

    #[test]
    fn changes_are_told_with_what_follows() {
        let mapping = |name: &str, more: &str| {
            format!(r#"{{"name":"{name}","source_topic_name":"x","target_topic_name":"y"{more}}}"#)
        };
        let before = [
            mapping("same", ""),
            mapping("gone", ""),
            mapping("off", r#","enabled":false"#),
            mapping("edit", ""),
        ]
        .join(",");
        let edit = r#","valid_jmespath":"key","target_service_consumer_group":"g""#;
        let after = [
            mapping("same", ""),
            mapping("off", ""),
            mapping("edit", edit),
            mapping("new", r#","enabled":false"#),
        ]
        .join(",");
        let changes = diff(&loaded(&before), &loaded(&after));
        let told: Vec<_> = changes
            .iter()
            .map(|c| {
                (
                    c.name.as_str(),
                    c.kind,
                    c.fields.join(","),
                    c.consequences.join(";"),
                )
            })
            .collect();
        let latest = "starts at the latest record of `x`; what was written before is not copied";
        assert_eq!(
            told,
            [
                ("off", Kind::Changed, "enabled".into(), latest.into()),
                (
                    "edit",
                    Kind::Changed,
                    "target_service_consumer_group,valid_jmespath".into(),
                    "deletes the group `g` on the target whenever it has no members".into()
                ),
                ("new", Kind::Added, String::new(), String::new()),
                (
                    "gone",
                    Kind::Removed,
                    String::new(),
                    "stops; records written meanwhile are not copied later".into()
                ),
            ]
        );
        assert!(diff(&loaded(&before), &loaded(&before)).is_empty());
    }
}
