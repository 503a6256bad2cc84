//! Filters and value mappings on real records, before they are saved.

use std::sync::Arc;

use citizenk::Reader;
use citizenk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::messages::{Message, Taken, last, shown};
use super::refused;
use crate::domain::filter::{Filter, Scratch, Verdict};
use crate::domain::transform::Buffers;
use crate::domain::values::ValueMap;
use crate::domain::{Outcome, Partitioning, Transform, lines};

/// Which records something is tried on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct On {
    /// `source` or `target`.
    cluster: String,
    /// The topic whose last records are taken.
    topic: Option<String>,
    /// How many, up to 200.
    limit: usize,
    /// Records of your own, as lines of a file.
    samples: Vec<String>,
}

impl Default for On {
    fn default() -> Self {
        Self {
            cluster: "source".to_owned(),
            topic: None,
            limit: 20,
            samples: Vec::new(),
        }
    }
}

async fn records(reader: &Reader, on: &On) -> Result<Vec<Taken>, Problem> {
    let mut all = Vec::new();
    if let Some(topic) = &on.topic {
        all = last(reader, &on.cluster, topic, on.limit.clamp(1, 200)).await?;
    }
    for (index, sample) in on.samples.iter().enumerate() {
        let wrong =
            |reason: String| Problem::unprocessable(reason).field(format!("samples[{index}]"));
        let read = lines::parse(sample).map_err(wrong)?;
        all.push(Taken {
            topic: on.topic.clone().unwrap_or_else(|| "sample".to_owned()),
            partition: read.partition.unwrap_or(0),
            offset: read.offset.unwrap_or(index as i64),
            timestamp: read.timestamp,
            key: read.key,
            value: read.value,
            headers: read.headers,
        });
    }
    Ok(all)
}

/// A filter to try.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FilterTest {
    /// The JMESPath expression.
    expression: String,
    /// On what.
    #[serde(flatten)]
    on: On,
}

/// What a filter says about a record.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tried {
    message: Message,
    /// Whether it is taken.
    kept: bool,
    /// Why there is no answer.
    reason: Option<String>,
    /// How long the evaluation took, in nanoseconds.
    nanos: u64,
}

/// What a filter does.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FilterResult {
    /// Whether it runs on the bytes, without building the value.
    compiled: bool,
    /// How many of 100 records are taken.
    pass_percent: f64,
    /// Each record.
    messages: Vec<Tried>,
}

/// Tries a filter on the last records of a topic, or on your own.
#[citizenk::route(post = "/filter-test")]
pub(crate) async fn filter(
    reader: Reader,
    Json(test): Json<FilterTest>,
) -> Result<Json<FilterResult>, Problem> {
    let filter = Filter::compile(&test.expression).map_err(|error| {
        let problem = Problem::unprocessable(error.to_string()).field("expression");
        problem
            .with("line", error.place.line)
            .with("column", error.place.column)
    })?;
    let mut scratch = Scratch::default();
    let mut messages = Vec::new();
    for taken in records(&reader, &test.on).await? {
        let begun = std::time::Instant::now();
        let verdict = filter.judge(&taken.view(), &mut scratch);
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let kept = verdict == Verdict::Keep;
        let reason = match verdict {
            Verdict::Keep | Verdict::Drop => None,
            Verdict::Undecodable(error) => Some(error.to_string()),
            Verdict::Failed(reason) => Some(reason),
        };
        messages.push(Tried {
            message: taken.message(),
            kept,
            reason,
            nanos,
        });
    }
    let kept = messages.iter().filter(|tried| tried.kept).count();
    let pass_percent = 100.0 * kept as f64 / messages.len().max(1) as f64;
    Ok(Json(FilterResult {
        compiled: filter.is_fast(),
        pass_percent,
        messages,
    }))
}

/// Value mappings to try.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ValueTest {
    /// The value mappings, as they stand in a file.
    text: String,
    /// On what.
    #[serde(flatten)]
    on: On,
}

/// A record before and after.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Changed {
    /// As it is.
    before: Message,
    /// The new key; bytes that are no text begin with `base64:`.
    key: Option<String>,
    /// The new value.
    value: Option<String>,
    /// `kept`, `by key`, a number, or `dropped (-1000)`.
    partition: String,
    /// How many keys and values were in none of their tables.
    unmapped: usize,
    /// Why nothing can be changed.
    reason: Option<String>,
}

/// Tries value mappings on the last records of a topic, or on your own.
#[citizenk::route(post = "/value-mapping-preview")]
pub(crate) async fn values(
    reader: Reader,
    Json(test): Json<ValueTest>,
) -> Result<Json<Vec<Changed>>, Problem> {
    let (map, _) = ValueMap::parse("text", &test.text).map_err(|issues| refused(&issues))?;
    let transform = Transform {
        values: Some(Arc::new(map)),
        ..Transform::default()
    };
    let mut buffers = Buffers::default();
    let mut all = Vec::new();
    for taken in records(&reader, &test.on).await? {
        let before = taken.message();
        let changed = match transform.apply(&taken.view(), &mut buffers) {
            Outcome::Copy {
                key,
                value,
                partition,
                unmapped,
            } => Changed {
                before,
                key: shown(key.or(taken.key.as_deref())),
                value: shown(value.or(taken.value.as_deref())),
                partition: match partition {
                    Partitioning::Kept => "kept".to_owned(),
                    Partitioning::ByKey => "by key".to_owned(),
                    Partitioning::To(partition) => partition.to_string(),
                },
                unmapped,
                reason: None,
            },
            Outcome::Dropped => Changed {
                before,
                key: None,
                value: None,
                partition: "dropped (-1000)".to_owned(),
                unmapped: 0,
                reason: None,
            },
            Outcome::Undecodable(reason) | Outcome::Held(reason) | Outcome::Failed(reason) => {
                Changed {
                    before,
                    key: None,
                    value: None,
                    partition: String::new(),
                    unmapped: 0,
                    reason: Some(reason),
                }
            }
            Outcome::Filtered => continue,
        };
        all.push(changed);
    }
    Ok(Json(all))
}
