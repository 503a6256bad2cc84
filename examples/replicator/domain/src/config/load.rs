//! From texts to the mappings that count, with everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::mapping::{Mapping, MappingFile, TemplateUse, is_file_name};
use super::plain;
use super::render::{Vars, render_all};
use crate::filter::Filter;
use crate::issue::{Issue, Place, Places};
use crate::json::relax;
use crate::values::ValueMap;

/// Where a mapping stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Origin {
    /// In the mapping file.
    File,
    /// In a template.
    Template {
        /// The template.
        template: String,
        /// Which entry of `templates`, from 0.
        entry: usize,
    },
}

/// A mapping as it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The mapping, rendered; `enabled` is what counts in the end.
    pub mapping: Mapping,
    /// Where it stands.
    pub origin: Origin,
}

/// What became of the texts.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The file as it is written, if it could be read.
    pub file: MappingFile,
    /// All mappings, those of templates first.
    pub mappings: Vec<Effective>,
    /// What is wrong.
    pub issues: Vec<Issue>,
}

impl Loaded {
    /// Whether it can be used.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.issues.iter().any(Issue::is_error)
    }

    /// The mapping of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Effective> {
        self.mappings
            .iter()
            .find(|effective| effective.mapping.name == name)
    }
}

/// The file with its mappings still as text, so that their places are known.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(default)]
    templates: Vec<TemplateUse>,
    #[serde(default)]
    enabled: Vec<String>,
    #[serde(default)]
    disabled: Vec<String>,
    #[serde(default, borrow)]
    mappings: Vec<&'a RawValue>,
    #[serde(default)]
    comment: String,
}

/// Reads the mapping file `origin` with this text; `template` gives the text of a template.
#[must_use]
pub fn load(origin: &str, text: &str, template: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let mut loader = Loader {
        origin,
        loaded: Loaded::default(),
    };
    loader.file(text, template);
    loader.loaded
}

/// Reads one record.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read_mapping(origin: &str, text: &str) -> Result<Mapping, Box<Issue>> {
    let relaxed = relax(text);
    serde_json::from_str(&relaxed.text).map_err(|error| {
        let place = Place {
            line: error.line(),
            column: error.column(),
        };
        Box::new(Issue::error(origin, plain(&error)).at(place))
    })
}

struct Loader<'a> {
    origin: &'a str,
    loaded: Loaded,
}

/// A text of several lines begins at this place.
fn moved(inner: Place, outer: Place) -> Place {
    match inner.line {
        1 => Place {
            line: outer.line,
            column: outer.column + inner.column.max(1) - 1,
        },
        line => Place {
            line: outer.line + line - 1,
            column: inner.column,
        },
    }
}

fn commas(origin: &str, text: &str, at: &[usize]) -> Vec<Issue> {
    let warning = |at: &usize| {
        Issue::warning(origin, "a comma behind the last item is no JSON").at(Place::of(text, *at))
    };
    at.iter().map(warning).collect()
}

fn syntax(origin: &str, error: &serde_json::Error) -> Issue {
    Issue::error(origin, plain(error)).at(Place {
        line: error.line(),
        column: error.column().max(1),
    })
}

impl Loader<'_> {
    fn file(&mut self, text: &str, template: &dyn Fn(&str) -> Option<String>) {
        let origin = self.origin;
        let relaxed = relax(text);
        self.loaded.issues = commas(origin, text, &relaxed.commas);
        let strict = &*relaxed.text;
        // Broken JSON is said as such, not as what it fails to be.
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(strict) {
            return self.loaded.issues.push(syntax(origin, &error));
        }
        let outline = if strict.trim_start().starts_with('[') {
            serde_json::from_str(strict).map(|mappings| Outline {
                templates: Vec::new(),
                enabled: Vec::new(),
                disabled: Vec::new(),
                mappings,
                comment: String::new(),
            })
        } else {
            serde_json::from_str(strict)
        };
        let outline = match outline {
            Ok(outline) => outline,
            Err(error) => return self.loaded.issues.push(syntax(origin, &error)),
        };
        let (mut mappings, mut places) = (Vec::new(), Places::new(strict));
        for raw in outline.mappings {
            let place = places.of(raw.get().as_ptr().addr() - strict.as_ptr().addr());
            match serde_json::from_str::<Mapping>(raw.get()) {
                Ok(mapping) => mappings.push((mapping, place)),
                Err(error) => {
                    let inner = Place {
                        line: error.line(),
                        column: error.column(),
                    };
                    self.loaded
                        .issues
                        .push(Issue::error(origin, plain(&error)).at(moved(inner, place)));
                }
            }
        }
        let other = serde_json::from_str::<MappingFile>(strict)
            .map(|file| file.other)
            .unwrap_or_default();
        self.loaded.file = MappingFile {
            templates: outline.templates,
            enabled: outline.enabled,
            disabled: outline.disabled,
            mappings: mappings
                .iter()
                .map(|(mapping, _)| mapping.clone())
                .collect(),
            comment: outline.comment,
            other,
        };
        let mut all = Vec::new();
        for (entry, used) in self.loaded.file.templates.clone().iter().enumerate() {
            all.extend(self.template(used, entry, template));
        }
        for (mapping, place) in mappings {
            if let Some(field) = left_over(&mapping) {
                let message = "`{{..}}` is for templates only; write the name itself";
                let issue = Issue::error(origin, message)
                    .at(place)
                    .mapping(&mapping.name)
                    .field(&field);
                self.loaded.issues.push(issue);
            }
            all.push((mapping, Origin::File, Some(place)));
        }
        self.join(all);
        self.warn_of_pairs();
    }

    fn template(
        &mut self,
        used: &TemplateUse,
        entry: usize,
        template: &dyn Fn(&str) -> Option<String>,
    ) -> Vec<(Mapping, Origin, Option<Place>)> {
        let name = &used.template;
        let origin = format!("templates/{name}.json");
        let text = is_file_name(name).then(|| template(name)).flatten();
        let Some(text) = text else {
            let message = format!("there is no template `{name}` ({origin})");
            self.loaded
                .issues
                .push(Issue::error(self.origin, message).field("templates"));
            return Vec::new();
        };
        let vars = match Vars::new(&used.vars) {
            Ok(vars) => vars,
            Err(var) => {
                let message = format!(
                    "template `{name}`: the variable `{var}` is no text, number or boolean"
                );
                self.loaded
                    .issues
                    .push(Issue::error(self.origin, message).field("templates"));
                return Vec::new();
            }
        };
        let relaxed = relax(&text);
        self.loaded
            .issues
            .extend(commas(&origin, &text, &relaxed.commas));
        let strict = &*relaxed.text;
        let raws: Vec<&RawValue> = match serde_json::from_str(strict) {
            Ok(raws) => raws,
            Err(error) => {
                self.loaded.issues.push(syntax(&origin, &error));
                return Vec::new();
            }
        };
        let (mut seen, mut mappings) = (BTreeSet::new(), Vec::new());
        let mut places = Places::new(strict);
        for raw in raws {
            let place = places.of(raw.get().as_ptr().addr() - strict.as_ptr().addr());
            // The text is part of a document that was parsed.
            let mut value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            let called = value["name"].as_str().unwrap_or_default().to_owned();
            let mut field = String::new();
            if let Err(var) = render_all(&mut value, &vars, &mut seen, &mut field) {
                let message = format!("entry {entry} of `templates` has no variable `{var}`");
                self.loaded.issues.push(
                    Issue::error(&origin, message)
                        .at(place)
                        .mapping(&called)
                        .field(&field),
                );
                continue;
            }
            match serde_json::from_value::<Mapping>(value) {
                Ok(mapping) => {
                    let from = Origin::Template {
                        template: name.clone(),
                        entry,
                    };
                    mappings.push((mapping, from, Some(place)));
                }
                Err(error) => {
                    self.loaded.issues.push(
                        Issue::error(&origin, plain(&error))
                            .at(place)
                            .mapping(&called),
                    );
                }
            }
        }
        for var in vars.unused(&seen) {
            let message = format!("template `{name}` has no variable `{var}`");
            self.loaded
                .issues
                .push(Issue::warning(self.origin, message).field("templates"));
        }
        mappings
    }

    fn join(&mut self, all: Vec<(Mapping, Origin, Option<Place>)>) {
        let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
        let file = self.loaded.file.clone();
        for (mut mapping, origin, place) in all {
            let text_of = |origin: &Origin| match origin {
                Origin::File => self.origin.to_owned(),
                Origin::Template { template, entry } => {
                    format!("templates/{template}.json (entry {entry})")
                }
            };
            let own = text_of(&origin);
            let at = |issue: Issue| match place {
                Some(place) => issue.at(place).mapping(&mapping.name),
                None => issue.mapping(&mapping.name),
            };
            for issue in check(&own, &mapping) {
                self.loaded.issues.push(at(issue));
            }
            let declared = mapping.enabled;
            mapping.enabled = (declared || file.enabled.contains(&mapping.name))
                && !file.disabled.contains(&mapping.name);
            if let Some(first) = by_name.get(&mapping.name) {
                let first = &self.loaded.mappings[*first];
                let issue = if first.mapping == mapping {
                    Issue::warning(&own, "stands twice with the same content; it counts once")
                } else {
                    let other = text_of(&first.origin);
                    Issue::error(
                        &own,
                        format!("the name is taken already in {other}; names are unique"),
                    )
                };
                let issue = issue.mapping(&mapping.name);
                self.loaded.issues.push(match place {
                    Some(place) => issue.at(place),
                    None => issue,
                });
                continue;
            }
            by_name.insert(mapping.name.clone(), self.loaded.mappings.len());
            self.loaded.mappings.push(Effective { mapping, origin });
        }
        for (field, names) in [("enabled", &file.enabled), ("disabled", &file.disabled)] {
            for name in names.iter().filter(|name| !by_name.contains_key(*name)) {
                let issue = Issue::warning(self.origin, format!("there is no mapping `{name}`"));
                self.loaded.issues.push(issue.field(field));
            }
        }
        for name in file
            .enabled
            .iter()
            .filter(|name| file.disabled.contains(name))
        {
            let message = "stands in `enabled` and in `disabled`; take it out of one";
            self.loaded
                .issues
                .push(Issue::error(self.origin, message).mapping(name));
        }
    }

    /// Two enabled mappings with one source and target write every record twice.
    fn warn_of_pairs(&mut self) {
        let mut seen: BTreeMap<(String, String, bool, bool), String> = BTreeMap::new();
        let mut issues = Vec::new();
        for Effective { mapping, .. } in self
            .loaded
            .mappings
            .iter()
            .filter(|effective| effective.mapping.enabled)
        {
            for pair in mapping.pairs() {
                let way = (
                    pair.source.to_owned(),
                    pair.target.to_owned(),
                    mapping.source_is_file,
                    mapping.target_is_file,
                );
                if let Some(first) = seen.insert(way, mapping.name.clone()) {
                    let message = format!(
                        "`{first}` copies `{}` to `{}` too: records arrive twice",
                        pair.source, pair.target
                    );
                    issues.push(Issue::warning(self.origin, message).mapping(&mapping.name));
                }
            }
        }
        self.loaded.issues.extend(issues);
    }
}

/// The first field with a `{{..}}`.
fn left_over(mapping: &Mapping) -> Option<String> {
    fn has(value: &Value) -> bool {
        match value {
            Value::String(text) => text.find("{{").is_some_and(|at| text[at..].contains("}}")),
            Value::Array(items) => items.iter().any(has),
            Value::Object(members) => members.values().any(has),
            _ => false,
        }
    }
    let value = serde_json::to_value(mapping).ok()?;
    let found = value.as_object()?.iter().find(|(_, member)| has(member));
    found.map(|(name, _)| name.clone())
}

/// What is wrong with one mapping alone.
pub(super) fn check(origin: &str, mapping: &Mapping) -> Vec<Issue> {
    let mut issues = Vec::new();
    let mut error =
        |field: &str, message: String| issues.push(Issue::error(origin, message).field(field));
    if mapping.name.trim().is_empty() {
        error("name", "a mapping needs a name".to_owned());
    }
    match (&mapping.source_topic_name, &mapping.target_topic_name) {
        (Some(_), None) => error(
            "target_topic_name",
            "`source_topic_name` needs it".to_owned(),
        ),
        (None, Some(_)) => error(
            "source_topic_name",
            "`target_topic_name` needs it".to_owned(),
        ),
        (None, None) if mapping.topics.is_empty() => {
            let message =
                "say what is copied: `source_topic_name` and `target_topic_name`, or `topics`";
            error("source_topic_name", message.to_owned());
        }
        _ => {}
    }
    for pair in mapping.pairs() {
        for (field, name, is_file) in [
            ("source_topic_name", pair.source, mapping.source_is_file),
            ("target_topic_name", pair.target, mapping.target_is_file),
        ] {
            let is_topic = name.len() <= 249
                && !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
                && name != "."
                && name != "..";
            if is_file && !is_file_name(name) {
                error(
                    field,
                    format!("`{name}` is no file name: no separators, and no dot at its begin"),
                );
            } else if !is_file && !is_topic {
                error(
                    field,
                    format!("`{name}` is no topic: 1 to 249 letters, digits, `.`, `_` and `-`"),
                );
            }
        }
        if mapping.source_is_file && mapping.target_is_file && pair.source == pair.target {
            error(
                "target_topic_name",
                format!("the file `{}` would be copied to itself", pair.source),
            );
        }
    }
    if let Some(text) = mapping.expression()
        && let Err(wrong) = Filter::compile(text)
    {
        error("valid_jmespath", wrong.to_string());
    }
    if let Some(percent) = mapping.sample_percent.filter(|percent| *percent > 100) {
        error("sample_percent", format!("{percent} is above 100"));
    }
    if let Some(values) = &mapping.value_mappings
        && let Err(wrong) = ValueMap::parse("value_mappings", &values.to_string())
    {
        for issue in wrong.iter().filter(|issue| issue.is_error()) {
            error("value_mappings", issue.to_string());
        }
    }
    issues
}
