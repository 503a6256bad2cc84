//! Topics and groups of both clusters.

use citizenk::admin::{
    AdminError, AdminErrorKind, GroupDescription, GroupListing, GroupOffset, TopicListing,
};
use citizenk::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::look::unknown;
use crate::domain::config::GroupAction;
use crate::engine::run::lock;
use crate::engine::{Engine, GroupInfo};

fn admin(admin: &Admin, cluster: &str) -> Result<Admin, Problem> {
    admin
        .on(cluster)
        .map_err(|error| Problem::not_found(error.to_string()))
}

fn problem(error: &AdminError) -> Problem {
    match error.kind {
        AdminErrorKind::NotFound => Problem::not_found(error.to_string()),
        AdminErrorKind::Invalid => Problem::unprocessable(error.to_string()),
        AdminErrorKind::NotAuthorized => Problem::forbidden(error.to_string()),
        _ => Problem::unavailable(error.to_string(), std::time::Duration::from_secs(5)),
    }
}

/// The topics of `source` or `target`, without Kafka's own.
#[citizenk::route(get = "/clusters/{cluster}/topics")]
pub(crate) async fn topics(
    client: Admin,
    Path(cluster): Path<String>,
) -> Result<Json<Vec<TopicListing>>, Problem> {
    let topics = admin(&client, &cluster)?.topics().await;
    let mut topics = topics.map_err(|error| problem(&error))?;
    topics.retain(|topic| !topic.name.starts_with("__"));
    Ok(Json(topics))
}

/// The consumer groups of `source` or `target`.
#[citizenk::route(get = "/clusters/{cluster}/groups")]
pub(crate) async fn groups(
    client: Admin,
    Path(cluster): Path<String>,
) -> Result<Json<Vec<GroupListing>>, Problem> {
    let groups = admin(&client, &cluster)?.groups().await;
    Ok(Json(groups.map_err(|error| problem(&error))?))
}

/// A group, where it stands, and what was done to it here.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Group {
    /// Its members.
    group: GroupDescription,
    /// Where it stands.
    offsets: Vec<GroupOffset>,
    /// When it was last deleted or moved by this service, in milliseconds since the Unix epoch.
    acted_at: Option<i64>,
    /// Why that did not succeed.
    error: Option<String>,
}

/// One consumer group.
#[citizenk::route(get = "/clusters/{cluster}/groups/{group}")]
pub(crate) async fn group(
    State(engine): State<Engine>,
    client: Admin,
    Path((cluster, name)): Path<(String, String)>,
) -> Result<Json<Group>, Problem> {
    let client = admin(&client, &cluster)?;
    let group = client
        .describe_group(&name)
        .await
        .map_err(|error| problem(&error))?;
    let offsets = client
        .group_offsets(&name)
        .await
        .map_err(|error| problem(&error))?;
    let known = lock(&engine.groups).get(&name).cloned().unwrap_or_default();
    Ok(Json(Group {
        group,
        offsets,
        acted_at: known.acted_at,
        error: known.error,
    }))
}

/// The group of the service a mapping writes for, as it was at the last look.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServiceGroup {
    /// Its name.
    group: String,
    /// What is done to it while it has no members.
    action: GroupAction,
    /// What is known.
    known: GroupInfo,
    /// The time between two looks, in milliseconds.
    every_ms: u64,
}

/// The consumer group that a mapping deletes or moves, if it has one.
#[citizenk::route(get = "/mappings/{name}/service-group")]
pub(crate) async fn service_group(
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<Option<ServiceGroup>>, Problem> {
    let config = engine.config();
    let effective = config.loaded.get(&name).ok_or_else(|| unknown(&name))?;
    let mapping = &effective.mapping;
    let group = mapping.service_group().map(|group| ServiceGroup {
        group: group.to_owned(),
        action: mapping.target_service_group_action,
        known: lock(&engine.groups).get(group).cloned().unwrap_or_default(),
        every_ms: u64::try_from(engine.options.groups_every.as_millis()).unwrap_or(u64::MAX),
    });
    Ok(Json(group))
}
