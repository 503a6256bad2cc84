//! Records from clients.

use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Bridge, named};
use crate::extract::ProduceError;
use crate::web::auto::{posted, within};
use crate::web::guard::Access;
use crate::web::{Json, Problem};

/// How long the broker may take to acknowledge a record.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn answer(bridge: &Bridge, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let name = named(&mut parts).await?;
    if let Some(access) = parts.extensions.get::<Access>() {
        access.admit(&parts.headers)?;
    }
    let env = crate::web::stream::admitted(&parts)?.clone();
    let topic = bridge.find(&name)?.info.with_schemas(&env.schemas);
    let record = posted(&topic, Request::from_parts(parts, body)).await?;
    let sending = env.producer.send_staged(topic.output(), record.staged());
    let sent = within(PATIENCE, sending).await??;
    let sent = sent
        .first()
        .copied()
        .ok_or_else(|| ProduceError::NotRunning {
            topic: topic.name.to_owned(),
        })?;
    let answer = json!({
        "topic": topic.name,
        "partition": sent.partition,
        "offset": sent.offset,
    });
    Ok(Json(answer).into_response())
}
