//! The records of the mapping file, field by field as they are documented.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::replay::Speed;
use crate::sample::SampleBy;
use crate::transform::OnDecodeError;

fn yes() -> bool {
    true
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One source and one target of a mapping.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Pair {
    /// The topic, or the file, that is read.
    pub source: String,
    /// The topic, or the file, that is written.
    pub target: String,
}

/// What happens to the consumer group of the target's service while its topic is replicated.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum GroupAction {
    /// It is deleted, so that the service begins as if it were new.
    #[default]
    Delete,
    /// Its offsets go to the end of the target topic, for services that begin with the earliest record.
    ResetToLatest,
}

/// From when the times of a file count.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Epoch {
    /// The first timestamp of all files that start together: gaps between files are kept.
    #[default]
    Shared,
    /// The file's own first timestamp.
    File,
}

/// How a file is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// 1: with the recorded gaps; 2: twice as fast; 0: nobody waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    /// From the beginning again after the last record.
    #[serde(rename = "loop", skip_serializing_if = "is_false")]
    pub again: bool,
    /// Records before this time (milliseconds since the Unix epoch) are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Records from this time on are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// From when times count.
    #[serde(skip_serializing_if = "is_default")]
    pub epoch: Epoch,
    /// Adds the recorded timestamp as header `citizenk-original-timestamp`.
    #[serde(skip_serializing_if = "is_false")]
    pub original_timestamp: bool,
}

/// A mapping. Fields that nobody knows are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Mapping {
    /// The category it is shown in.
    #[serde(default)]
    pub group: String,
    /// Its name, unique among all.
    pub name: String,
    /// Whether it runs.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_topic_name: Option<String>,
    /// What is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_topic_name: Option<String>,
    /// Which records are taken: a JMESPath expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_jmespath: Option<String>,
    /// Whether the source is a file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub source_is_file: bool,
    /// Whether the target is a file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub target_is_file: bool,
    /// Several sources and targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<Pair>,
    /// The group to delete on the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_service_consumer_group: Option<String>,
    /// What happens to that group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub target_service_group_action: GroupAction,
    /// The share of the records that is taken, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_percent: Option<u8>,
    /// What decides about the share.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sample_by: SampleBy,
    /// What happens to values that are no JSON where they must be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_decode_error: OnDecodeError,
    /// Tables of this mapping, instead of those of its source topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_mappings: Option<Value>,
    /// How a file is replayed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replay: Replay,
    /// Adds a header that names the source, by which copies are known and not copied back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub provenance: bool,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A pair of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairRef<'a> {
    /// What is read.
    pub source: &'a str,
    /// What is written.
    pub target: &'a str,
}

impl Mapping {
    /// A mapping with defaults.
    #[must_use]
    pub fn new(name: &str, source: &str, target: &str) -> Self {
        Self {
            group: String::new(),
            name: name.to_owned(),
            enabled: true,
            source_topic_name: Some(source.to_owned()),
            target_topic_name: Some(target.to_owned()),
            valid_jmespath: None,
            source_is_file: false,
            target_is_file: false,
            topics: Vec::new(),
            target_service_consumer_group: None,
            target_service_group_action: GroupAction::default(),
            sample_percent: None,
            sample_by: SampleBy::default(),
            on_decode_error: OnDecodeError::default(),
            value_mappings: None,
            replay: Replay::default(),
            provenance: false,
            other: Map::new(),
        }
    }

    /// Its sources and targets, each pair once.
    #[must_use]
    pub fn pairs(&self) -> Vec<PairRef<'_>> {
        let own = self
            .source_topic_name
            .as_deref()
            .zip(self.target_topic_name.as_deref());
        let own = own.map(|(source, target)| PairRef { source, target });
        let more = self.topics.iter().map(|pair| PairRef {
            source: &pair.source,
            target: &pair.target,
        });
        let mut pairs: Vec<PairRef<'_>> = Vec::new();
        for pair in own.into_iter().chain(more) {
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        pairs
    }

    /// The expression, if there is one.
    #[must_use]
    pub fn expression(&self) -> Option<&str> {
        self.valid_jmespath
            .as_deref()
            .filter(|text| !text.trim().is_empty())
    }

    /// The service's group, if there is one.
    #[must_use]
    pub fn service_group(&self) -> Option<&str> {
        self.target_service_consumer_group
            .as_deref()
            .filter(|name| !name.trim().is_empty())
    }
}

/// A template and what stands for its variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TemplateUse {
    /// The template's name: that of its file.
    pub template: String,
    /// Its variables; numbers and booleans become text.
    #[serde(default)]
    pub vars: Map<String, Value>,
}

/// The mapping file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MappingFile {
    /// Templates and their variables.
    #[serde(default)]
    pub templates: Vec<TemplateUse>,
    /// Names of mappings that run, whatever they say themselves.
    #[serde(default)]
    pub enabled: Vec<String>,
    /// Names of mappings that do not.
    #[serde(default)]
    pub disabled: Vec<String>,
    /// Mappings beside those of templates.
    #[serde(default)]
    pub mappings: Vec<Mapping>,
    /// What the latest change was.
    #[serde(default)]
    pub comment: String,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl MappingFile {
    /// Lets a mapping run or not, whatever it says itself.
    pub fn switch(&mut self, name: &str, on: bool) {
        for list in [&mut self.enabled, &mut self.disabled] {
            list.retain(|other| other != name);
        }
        if let Some(own) = self
            .mappings
            .iter_mut()
            .find(|mapping| mapping.name == name)
        {
            own.enabled = on;
        } else if on {
            self.enabled.push(name.to_owned());
        } else {
            self.disabled.push(name.to_owned());
        }
    }

    /// As it is written: strict JSON with a line end.
    #[must_use]
    pub fn text(&self) -> String {
        // Strings, numbers and maps with text keys always become JSON.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }
}

/// Whether a name can be a file's stem below a folder, and nothing else.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 249
        && !name.starts_with('.')
        && !name.contains(['/', '\\', '\0', ':'])
}
