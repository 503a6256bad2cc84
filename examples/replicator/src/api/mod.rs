//! The web API: what the command line, a page or a script asks. Everything is below `/api`; the document is at
//! `/openapi.json`.

pub(crate) mod clusters;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod look;
pub(crate) mod messages;
pub(crate) mod texts;
pub(crate) mod try_out;

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{ETAG, IF_MATCH};
use axum::response::{IntoResponse, Response};
use citizenk::http::{ApiOutput, Json, Operation, Problem};
use citizenk::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::Engine;

/// An answer with the version of the configuration it is of, as `ETag`.
pub(crate) struct Tagged<T>(pub(crate) String, pub(crate) T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        ([(ETAG, format!("\"{}\"", self.0))], axum::Json(self.1)).into_response()
    }
}

impl<T: JsonSchema> ApiOutput for Tagged<T> {
    fn output(operation: &mut Operation) {
        Json::<T>::output(operation);
    }
}

/// What a change must say.
pub(crate) struct Change<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) comment: &'a str,
}

impl Change<'_> {
    /// Whether it may happen, before anything is read for it.
    pub(crate) fn check(&self, engine: &Engine) -> Result<(), Problem> {
        writable(engine)?;
        if self.comment.trim().is_empty() {
            return Err(
                Problem::unprocessable("say in `comment` why this changes").field("comment")
            );
        }
        match self.headers.contains_key(IF_MATCH) {
            true => Ok(()),
            false => self.matches(&engine.config().version),
        }
    }

    /// The version it is made of, as it says.
    pub(crate) fn tag(&self) -> Option<&str> {
        let given = self.headers.get(IF_MATCH)?.to_str().ok()?;
        Some(given.trim().trim_start_matches("W/").trim_matches('"'))
    }

    /// Whether it is made of this version, which is the newest.
    pub(crate) fn matches(&self, version: &str) -> Result<(), Problem> {
        match self.tag() {
            Some(tag) if tag == version || tag == "*" => Ok(()),
            Some(tag) => {
                let detail = "somebody else has changed the configuration; look at it again";
                Err(Problem::conflict(detail)
                    .with("version", version)
                    .with("yours", tag))
            }
            None => {
                let detail = "send the `ETag` of what you have seen as `If-Match`";
                Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail)
                    .with("version", version))
            }
        }
    }
}

/// Whether anything may be changed at all.
pub(crate) fn writable(engine: &Engine) -> Result<(), Problem> {
    if engine.options.read_only {
        return Err(Problem::forbidden("this service is read-only (READ_ONLY)"));
    }
    Ok(())
}

/// What every list of issues becomes.
pub(crate) fn refused(issues: &[crate::domain::Issue]) -> Problem {
    let first = issues.iter().find(|issue| issue.is_error());
    let detail = first.map_or_else(
        || "the configuration cannot be used".to_owned(),
        ToString::to_string,
    );
    let problem = Problem::unprocessable(detail);
    let problem = match first.and_then(|issue| issue.field.clone()) {
        Some(field) => problem.field(field),
        None => problem,
    };
    problem.with("issues", serde_json::to_value(issues).unwrap_or_default())
}

/// All of it, for the app.
pub(crate) fn module() -> Module {
    Module::new("api")
        .prefix("/api")
        .register::<look::stats>()
        .register::<look::stats_self>()
        .register::<look::stats_flat>()
        .register::<look::stats_prometheus>()
        .register::<look::service>()
        .register::<events::events>()
        .register::<look::mappings>()
        .register::<look::mapping>()
        .register::<look::history>()
        .register::<look::partitions>()
        .register::<edit::create>()
        .register::<edit::update>()
        .register::<edit::delete>()
        .register::<edit::enable>()
        .register::<edit::disable>()
        .register::<edit::pause>()
        .register::<edit::resume>()
        .register::<edit::replay>()
        .register::<texts::file>()
        .register::<texts::save_file>()
        .register::<texts::templates>()
        .register::<texts::save_template>()
        .register::<texts::delete_template>()
        .register::<texts::topic_mappings>()
        .register::<texts::save_topic_mapping>()
        .register::<texts::delete_topic_mapping>()
        .register::<texts::validate>()
        .register::<texts::versions>()
        .register::<texts::restore>()
        .register::<try_out::filter>()
        .register::<try_out::values>()
        .register::<clusters::topics>()
        .register::<clusters::groups>()
        .register::<clusters::group>()
        .register::<clusters::service_group>()
        .register::<messages::messages>()
}
