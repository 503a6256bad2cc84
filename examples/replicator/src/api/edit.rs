//! Mappings are added, changed, switched and told what to do.

use std::time::Duration;

use axum::http::HeaderMap;
use citizenk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::look::unknown;
use super::{Change, Tagged, refused, writable};
use crate::domain::config::{MappingFile, Origin};
use crate::domain::diff::diff;
use crate::domain::replay::Speed;
use crate::domain::{Issue, Mapping};
use crate::engine::{Config, Engine};
use crate::store::{NOTHING, Which};

/// A mapping and why it is saved.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Edit {
    /// The mapping.
    mapping: Mapping,
    /// Why.
    #[serde(default)]
    comment: String,
}

/// Why something changes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Why {
    /// Why.
    pub(crate) comment: String,
}

/// What came of a change.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Saved {
    /// The configuration's version now.
    pub(crate) version: String,
    /// What is noteworthy.
    pub(crate) issues: Vec<Issue>,
}

/// Saves what `edit` makes of the configuration, and lets it count. One change at a time, of all workers that share the
/// files: it is made of what is on disk while nobody else saves, so that none is lost and none overwrites what whoever
/// makes it has not seen.
pub(crate) async fn save(
    engine: &Engine,
    change: &Change<'_>,
    which: Which,
    edit: impl FnOnce(&Config) -> Result<Option<String>, Problem>,
) -> Result<Tagged<Saved>, Problem> {
    change.check(engine)?;
    let _turn = engine.editing.lock().await;
    // Clusters are asked before others have to wait.
    let one = engine.one_cluster().await;
    let saving = engine
        .store
        .saving()
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::ResourceBusy => {
                Problem::unavailable("another worker is saving", Duration::from_secs(1))
            }
            _ => Problem::internal(error),
        })?;
    let mut snapshot = engine.texts().map_err(Problem::internal)?;
    let there = engine.examined(snapshot.clone(), one);
    let text = if there.loaded.is_valid() {
        let matches = change.matches(&there.version);
        matches.map_err(|problem| told(engine, problem, change, &there))?;
        edit(&there)?
    } else {
        // What is on disk and not in use, a mistake by hand, is not overwritten without a word.
        change.matches("*").map_err(|_| {
            let problem = replaces(&there.loaded.issues).with("on_disk", there.version.as_str());
            told(engine, problem, change, &there)
        })?;
        edit(&engine.config())?
    };
    snapshot.put(&which, text.as_deref());
    // Without a mapping file what was there goes on.
    let text = text.or_else(|| (which == Which::Mappings).then(|| NOTHING.to_owned()));
    let examined = engine.examined(snapshot, one);
    if !examined.loaded.is_valid() {
        return Err(refused(&examined.loaded.issues));
    }
    engine
        .store
        .save(
            &saving,
            which.clone(),
            text.as_deref(),
            change.comment,
            engine.now(),
        )
        .map_err(Problem::internal)?;
    drop(saving);
    if text.is_none() {
        engine.deleted(&which);
    }
    let issues = engine.reload().await;
    // What was saved: another worker may have gone on from there.
    let version = examined.version;
    Ok(Tagged(version.clone(), Saved { version, issues }))
}

/// The refusal, with what has changed since the version that its sender has seen.
fn told(engine: &Engine, problem: Problem, change: &Change<'_>, there: &Config) -> Problem {
    let tag = change.tag();
    let seen = tag.and_then(|tag| engine.texts_of(tag, &there.snapshot));
    let Some(seen) = seen else {
        // It is too old, or none of ours.
        return problem.with("diff", serde_json::Value::Null);
    };
    let problem = problem.with("diff", seen.diff(&there.snapshot));
    if !there.loaded.is_valid() {
        return problem;
    }
    let changes = diff(&engine.examined(seen, None).loaded, &there.loaded);
    problem.with("changes", serde_json::to_value(changes).unwrap_or_default())
}

fn replaces(issues: &[Issue]) -> Problem {
    let first = issues.iter().find(|issue| issue.is_error());
    let why = first.map_or_else(String::new, |issue| format!(" ({issue})"));
    Problem::conflict(format!(
        "the files on disk were changed and cannot be used{why}: mend them there, or send `If-Match: *` to replace them"
    ))
}

async fn change(
    engine: &Engine,
    headers: &HeaderMap,
    comment: &str,
    edit: impl FnOnce(&Config, &mut MappingFile) -> Result<(), Problem>,
) -> Result<Tagged<Saved>, Problem> {
    let change = Change { headers, comment };
    save(engine, &change, Which::Mappings, |config| {
        let mut file = config.loaded.file.clone();
        edit(config, &mut file)?;
        comment.trim().clone_into(&mut file.comment);
        Ok(Some(file.text()))
    })
    .await
}

/// Adds a mapping.
#[citizenk::route(post = "/mappings")]
pub(crate) async fn create(
    State(engine): State<Engine>,
    headers: HeaderMap,
    Json(edit): Json<Edit>,
) -> Result<Tagged<Saved>, Problem> {
    change(&engine, &headers, &edit.comment, |config, file| {
        if config.loaded.get(&edit.mapping.name).is_some() {
            let detail = format!("there is a mapping `{}` already", edit.mapping.name);
            return Err(Problem::conflict(detail).field("name"));
        }
        file.mappings.push(edit.mapping);
        Ok(())
    })
    .await
}

/// A mapping of a template is not edited here.
fn own(config: &Config, name: &str) -> Result<(), Problem> {
    match config.loaded.get(name).map(|effective| &effective.origin) {
        None => Err(unknown(name)),
        Some(Origin::File) => Ok(()),
        Some(Origin::Template { template, .. }) => {
            let detail = format!(
                "`{name}` comes from the template `{template}`: edit that, or disable the mapping"
            );
            Err(Problem::conflict(detail).with("template", template.as_str()))
        }
    }
}

/// Changes a mapping, its name included.
#[citizenk::route(put = "/mappings/{name}")]
pub(crate) async fn update(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(edit): Json<Edit>,
) -> Result<Tagged<Saved>, Problem> {
    change(&engine, &headers, &edit.comment, |config, file| {
        own(config, &name)?;
        for list in [&mut file.enabled, &mut file.disabled] {
            list.retain(|other| *other != name);
        }
        let found = file
            .mappings
            .iter_mut()
            .find(|mapping| mapping.name == name);
        *found.ok_or_else(|| unknown(&name))? = edit.mapping;
        Ok(())
    })
    .await
}

/// Deletes a mapping.
#[citizenk::route(delete = "/mappings/{name}")]
pub(crate) async fn delete(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(why): Query<Why>,
) -> Result<Tagged<Saved>, Problem> {
    change(&engine, &headers, &why.comment, |config, file| {
        own(config, &name)?;
        file.mappings.retain(|mapping| mapping.name != name);
        for list in [&mut file.enabled, &mut file.disabled] {
            list.retain(|other| *other != name);
        }
        Ok(())
    })
    .await
}

async fn switch(
    engine: &Engine,
    name: &str,
    headers: &HeaderMap,
    why: &Why,
    on: bool,
) -> Result<Tagged<Saved>, Problem> {
    change(engine, headers, &why.comment, |config, file| {
        config.loaded.get(name).ok_or_else(|| unknown(name))?;
        file.switch(name, on);
        Ok(())
    })
    .await
}

/// Lets a mapping run: it begins at the latest record.
#[citizenk::route(post = "/mappings/{name}/enable")]
pub(crate) async fn enable(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(why): Json<Why>,
) -> Result<Tagged<Saved>, Problem> {
    switch(&engine, &name, &headers, &why, true).await
}

/// Lets a mapping run no more.
#[citizenk::route(post = "/mappings/{name}/disable")]
pub(crate) async fn disable(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(why): Json<Why>,
) -> Result<Tagged<Saved>, Problem> {
    switch(&engine, &name, &headers, &why, false).await
}

/// What a pause or its end has reached.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Held {
    /// Sources and targets of the mapping, those of all workers together.
    pub(crate) runs: usize,
}

impl citizenk::http::Merge for Held {
    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
    }
}

async fn held(engine: &Engine, name: &str, paused: bool) -> Result<Json<Held>, Problem> {
    writable(engine)?;
    if let Some(why) = engine.unpausable(name).filter(|_| paused) {
        return Err(Problem::conflict(why));
    }
    match engine.pause(name, paused).await {
        Ok(0) => Err(unknown(name)),
        Ok(runs) => Ok(Json(Held { runs })),
        Err(error) => Err(error.into()),
    }
}

/// Pauses a mapping where it is, on all workers, until it is resumed or the service starts anew.
#[citizenk::broadcast_router(post = "/mappings/{name}/pause")]
pub(crate) async fn pause(
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<Held>, Problem> {
    held(&engine, &name, true).await
}

/// Goes on where a mapping was paused, on all workers.
#[citizenk::broadcast_router(post = "/mappings/{name}/resume")]
pub(crate) async fn resume(
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<Held>, Problem> {
    held(&engine, &name, false).await
}

/// What a replay is to do.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Control {
    /// How fast: 1 as recorded, 0 as fast as possible.
    speed: Option<Speed>,
    /// Goes to the first record at or after this time, in milliseconds since the Unix epoch.
    seek: Option<i64>,
}

/// How far a replay is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReplayInfo {
    /// The file.
    source: String,
    /// Records so far.
    records: usize,
    /// Records of the file.
    of: usize,
    /// The recorded time that is due now, in milliseconds since the Unix epoch.
    position: i64,
    /// How fast it goes.
    speed: f64,
    /// Whether it is paused.
    paused: bool,
    /// How late the last record was, in milliseconds.
    drift_ms: i64,
    /// The first recorded time of the file.
    first: Option<i64>,
    /// The last one.
    last: Option<i64>,
}

/// Changes speed and position of a mapping's replays, whichever worker has them, and says how far they are.
#[citizenk::broadcast_router(post = "/mappings/{name}/replay")]
pub(crate) async fn replay(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Json(control): Json<Control>,
) -> Result<Json<Vec<ReplayInfo>>, Problem> {
    if control.speed.is_some() || control.seek.is_some() {
        writable(&engine)?;
    }
    let mut infos = Vec::new();
    for (key, live) in engine
        .live()
        .into_iter()
        .filter(|(key, _)| key.mapping == name)
    {
        let Some(replay) = &live.replay else { continue };
        if let Some(speed) = control.speed {
            replay.set_speed(speed);
        }
        if let Some(recorded) = control.seek {
            replay.seek(recorded);
        }
        let progress = replay.progress();
        infos.push(ReplayInfo {
            source: key.pair.source.clone(),
            records: progress.next,
            of: progress.records,
            position: progress.position,
            speed: progress.speed,
            paused: progress.paused,
            drift_ms: progress.drift,
            first: progress.span.0,
            last: progress.span.1,
        });
    }
    if infos.is_empty() {
        return Err(Problem::not_found(format!("`{name}` replays no file")));
    }
    Ok(Json(infos))
}
