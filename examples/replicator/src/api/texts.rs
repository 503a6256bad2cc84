//! The files of the configuration as texts: seen, checked, saved, restored.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use citizenk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edit::{Saved, Why, save};
use super::{Change, Tagged};
use crate::domain::diff::{self, diff};
use crate::domain::{Issue, Loaded, is_file_name};
use crate::engine::Engine;
use crate::store::Which;

/// A text and why it is saved.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewText {
    /// The whole text.
    text: String,
    /// Why.
    #[serde(default)]
    comment: String,
}

/// A text as it stands in its file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Text {
    text: String,
}

/// The mapping file that counts, as it is written.
#[citizenk::route(get = "/file")]
pub(crate) async fn file(State(engine): State<Engine>) -> Tagged<Text> {
    let config = engine.config();
    Tagged(
        config.version.clone(),
        Text {
            text: config.snapshot.mappings.clone(),
        },
    )
}

/// Replaces the mapping file.
#[citizenk::route(put = "/file")]
pub(crate) async fn save_file(
    State(engine): State<Engine>,
    headers: HeaderMap,
    Json(new): Json<NewText>,
) -> Result<Tagged<Saved>, Problem> {
    put(&engine, &headers, Which::Mappings, new).await
}

async fn put(
    engine: &Engine,
    headers: &HeaderMap,
    which: Which,
    new: NewText,
) -> Result<Tagged<Saved>, Problem> {
    let NewText { text, comment } = new;
    let comment = &comment;
    save(engine, &Change { headers, comment }, which, |_| {
        Ok(Some(text))
    })
    .await
}

async fn remove(
    engine: &Engine,
    headers: &HeaderMap,
    which: Which,
    why: &Why,
) -> Result<Tagged<Saved>, Problem> {
    let comment = &why.comment;
    save(engine, &Change { headers, comment }, which, |_| Ok(None)).await
}

fn named(name: &str) -> Result<String, Problem> {
    if is_file_name(name) {
        return Ok(name.to_owned());
    }
    Err(Problem::unprocessable(format!("`{name}` is no name for a file")).field("name"))
}

/// The templates, by name.
#[citizenk::route(get = "/templates")]
pub(crate) async fn templates(State(engine): State<Engine>) -> Tagged<BTreeMap<String, String>> {
    let config = engine.config();
    Tagged(config.version.clone(), config.snapshot.templates.clone())
}

/// Adds or replaces a template.
#[citizenk::route(put = "/templates/{name}")]
pub(crate) async fn save_template(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<NewText>,
) -> Result<Tagged<Saved>, Problem> {
    put(&engine, &headers, Which::Template(named(&name)?), new).await
}

/// Deletes a template that nobody uses.
#[citizenk::route(delete = "/templates/{name}")]
pub(crate) async fn delete_template(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(why): Query<Why>,
) -> Result<Tagged<Saved>, Problem> {
    remove(&engine, &headers, Which::Template(named(&name)?), &why).await
}

/// The value mappings, by source topic.
#[citizenk::route(get = "/topic-mappings")]
pub(crate) async fn topic_mappings(
    State(engine): State<Engine>,
) -> Tagged<BTreeMap<String, String>> {
    let config = engine.config();
    Tagged(
        config.version.clone(),
        config.snapshot.topic_mappings.clone(),
    )
}

/// Adds or replaces the value mappings of a source topic.
#[citizenk::route(put = "/topic-mappings/{name}")]
pub(crate) async fn save_topic_mapping(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<NewText>,
) -> Result<Tagged<Saved>, Problem> {
    put(&engine, &headers, Which::TopicMapping(named(&name)?), new).await
}

/// Deletes the value mappings of a source topic.
#[citizenk::route(delete = "/topic-mappings/{name}")]
pub(crate) async fn delete_topic_mapping(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(why): Query<Why>,
) -> Result<Tagged<Saved>, Problem> {
    remove(&engine, &headers, Which::TopicMapping(named(&name)?), &why).await
}

/// Texts to check; what is missing is as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Draft {
    /// The mapping file.
    mappings: Option<String>,
    /// Templates by name.
    #[serde(default)]
    templates: BTreeMap<String, String>,
    /// Value mappings by source topic.
    #[serde(default)]
    topic_mappings: BTreeMap<String, String>,
}

/// What would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Verdict {
    /// Whether it could be saved.
    valid: bool,
    /// What is wrong or noteworthy.
    issues: Vec<Issue>,
    /// What would change, and what follows.
    changes: Vec<diff::Change>,
}

fn verdict(before: &Loaded, after: &Loaded) -> Verdict {
    Verdict {
        valid: after.is_valid(),
        issues: after.issues.clone(),
        changes: diff(before, after),
    }
}

/// Checks texts and says what saving them would change; nothing is saved.
#[citizenk::route(post = "/validate")]
pub(crate) async fn validate(
    State(engine): State<Engine>,
    Json(draft): Json<Draft>,
) -> Result<Tagged<Verdict>, Problem> {
    let config = engine.config();
    let mut snapshot = config.snapshot.clone();
    if let Some(text) = draft.mappings {
        snapshot.mappings = text;
    }
    snapshot.templates.extend(draft.templates);
    snapshot.topic_mappings.extend(draft.topic_mappings);
    let examined = engine.examine(snapshot).await;
    Ok(Tagged(
        config.version.clone(),
        verdict(&config.loaded, &examined.loaded),
    ))
}

/// A text that was replaced.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VersionInfo {
    /// Its number: when it was replaced, in milliseconds since the Unix epoch.
    id: i64,
    /// Which file.
    file: String,
    /// Why it was replaced.
    comment: String,
    /// As it was; none: the file was new.
    text: Option<String>,
}

/// Which of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct VersionsQuery {
    /// At most so many, from 1 to 1000.
    limit: usize,
    /// Only those older than the one of this number; the last of a page leads to the next one.
    before: Option<i64>,
}

impl Default for VersionsQuery {
    fn default() -> Self {
        Self {
            limit: 100,
            before: None,
        }
    }
}

const MOST_VERSIONS: usize = 1_000;

/// Texts that were replaced, the newest first; `KEEP_VERSIONS` of them are kept. Texts of more than 4 MiB come in
/// several pages, however many were asked for.
#[citizenk::route(get = "/versions")]
pub(crate) async fn versions(
    State(engine): State<Engine>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<Vec<VersionInfo>>, Problem> {
    let limit = query.limit.clamp(1, MOST_VERSIONS);
    let found = engine.store.versions(limit, query.before);
    let versions = found.map_err(Problem::internal)?;
    let info = |version: crate::store::Version| VersionInfo {
        id: version.id,
        file: match version.which {
            Which::Mappings => "mappings.json".to_owned(),
            Which::Template(name) => format!("templates/{name}.json"),
            Which::TopicMapping(name) => format!("topic_mappings/{name}.json"),
        },
        comment: version.comment,
        text: version.text,
    };
    Ok(Json(versions.into_iter().map(info).collect()))
}

/// Puts a replaced text back.
#[citizenk::route(post = "/versions/{id}/restore")]
pub(crate) async fn restore(
    State(engine): State<Engine>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    Json(why): Json<Why>,
) -> Result<Tagged<Saved>, Problem> {
    let change = Change {
        headers: &headers,
        comment: &why.comment,
    };
    // Before anything is told to who may not change it.
    change.check(&engine)?;
    let found = engine.store.version(id).map_err(Problem::internal)?;
    let version = found.ok_or_else(|| Problem::not_found(format!("there is no version {id}")))?;
    save(&engine, &change, version.which, |_| Ok(version.text)).await
}
