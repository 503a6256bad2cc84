//! A request to the worker that has its key's partition.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts as _, RawPathParams};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::carrier::Lost;
use super::owner::{Place, partition_of, place};
use super::workers::unknown;
use super::{Call, KeyPlace, NOT_MINE, PATIENCE, not_mine, passed_on};
use crate::topic::describe::TopicInfo;
use crate::web::{Problem, Query};

pub(super) async fn answer(
    mut call: Call<'_>,
    topic: &TopicInfo,
    real: &str,
    at: &KeyPlace,
    forwarded: bool,
) -> Result<Response, Problem> {
    let key = key_bytes(&mut call, topic, at).await?;
    let partitions = call.workers.partitions(&call.group, real).await?;
    let Some(partition) = partition_of(real, topic.partitioner, &key, partitions) else {
        return Err(Problem::bad_request(format!(
            "an empty key is none to producers of topic `{}`: its records are on any partition",
            topic.name
        ))
        .field(at.name()));
    };
    // Asked right before the handler runs, and asked of the consumer itself.
    let is_mine = || {
        let owned = call.workers.service.owned(call.group.0, &call.group.1);
        owned.is_some_and(|owned| owned.contains(&partition))
    };
    if is_mine() {
        return Ok(call.here().await);
    }
    if forwarded {
        return Ok(not_mine());
    }
    let mut than: Option<Instant> = None;
    // The second time only if the first worker has not carried it out, and somebody else is said to have it.
    for _ in 0..2 {
        let known = call.workers.members(&call.group, than).await?;
        if is_mine() {
            return Ok(call.here().await);
        }
        let peer = match place(&known.what, &call.workers.hood.own, &partition) {
            Place::There(peer) => peer,
            Place::Unknown if than.is_none() => {
                than = Some(Instant::now());
                continue;
            }
            Place::Unknown => break,
        };
        let carried = call.workers.hood.carrier.carry(peer, call.forwarded(peer)?);
        match timeout(PATIENCE, carried).await {
            Ok(Ok(answer)) if answer.headers().contains_key(NOT_MINE) => {}
            Ok(Ok(answer)) => return Ok(passed_on(answer)),
            Ok(Err(Lost::NotSent(reason))) => {
                tracing::debug!(peer = peer.url, reason, "a worker cannot be reached");
            }
            Ok(Err(Lost::Unknown(reason))) => {
                tracing::warn!(peer = peer.url, reason, "a worker has not answered");
                return Err(Problem::new(
                    StatusCode::BAD_GATEWAY,
                    "the worker that has this key broke off; the request may have been carried out",
                ));
            }
            Err(_) => {
                return Err(Problem::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    "the worker that has this key has not answered in time; the request may have been carried out",
                ));
            }
        }
        than = Some(Instant::now());
    }
    Err(unknown(
        "no worker is known to have the partition of this key now; try again",
    ))
}

/// The key as producers of the topic write it.
async fn key_bytes(
    call: &mut Call<'_>,
    topic: &TopicInfo,
    place: &KeyPlace,
) -> Result<Vec<u8>, Problem> {
    let (name, text) = match place {
        KeyPlace::Parameter(name) => (name, parameter(call, name).await?),
        KeyPlace::Body(name) => (name, field(&call.bytes, name)?),
    };
    let mut bytes = Vec::new();
    topic
        .key_from_text(&text, &mut bytes)
        .map_err(|error| Problem::bad_request(format!("key `{name}`: {error}")).field(name))?;
    Ok(bytes)
}

async fn parameter(call: &mut Call<'_>, name: &str) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(&mut call.parts, &()).await;
    let params = params.map_err(|error| Problem::bad_request(error.body_text()))?;
    if let Some((_, text)) = params.iter().find(|(known, _)| *known == name) {
        return Ok(text.to_owned());
    }
    let query = call.parts.uri.query().unwrap_or_default();
    let Query(pairs) = Query::<Vec<(String, String)>>::of_text(query)?;
    let pairs: BTreeMap<String, String> = pairs.into_iter().collect();
    pairs.get(name).cloned().ok_or_else(|| {
        Problem::bad_request(format!("query parameter `{name}` is missing")).field(name)
    })
}

fn field(bytes: &[u8], name: &str) -> Result<String, Problem> {
    let body: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not valid JSON: {error}")))?;
    let mut value = &body;
    for part in name.split('.') {
        value = value.get(part).unwrap_or(&Value::Null);
    }
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(
            Problem::unprocessable(format!("field `{name}` is the key, and is missing"))
                .field(name),
        ),
    }
}
