//! The automatic endpoints.
//!
//! In: requests that the guards let through. Out: what the running app says of itself, records to its
//! topics, calls to its agents. They see the app only through [`Service`]; they run on the web's own
//! thread and never run user code there.

mod docs;
mod record;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as AxumPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

pub(super) use docs::DocsPage;
use record::RecordQuery;
pub(super) use record::record_parameters;

use super::extract::{JSON, Json, LONGEST, parse_json, read_body, require_content_type};
use super::guard::Access;
use super::port::{AgentCall, ProduceRequest, Service, TopicDoc};
use super::routing::OWNED;
use super::{Path, Problem};
use crate::error::cut;
use crate::record::{OwnedRecord, Timestamp};
use crate::telemetry;
use crate::topic::describe::TopicInfo;

/// What every automatic endpoint knows.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) service: Arc<dyn Service>,
    pub(super) access: Access,
    pub(super) answer_timeout: Duration,
    /// The OpenAPI document; made once.
    pub(super) document: Bytes,
    /// The AsyncAPI document.
    pub(super) asyncapi: Bytes,
    pub(super) docs: DocsPage,
}

type Shared = State<Arc<Context>>;

/// The endpoints that can be switched off, as path and methods.
pub(super) fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/info", get(info))
        .route("/stats", get(stats))
        .route("/topics", get(topics))
        .route("/topics/{topic}", post(send))
        .route("/agents", get(agents))
        .route("/agents/{agent}/{topic}", post(call))
        .route("/openapi.json", get(document))
        .route("/asyncapi.json", get(asyncapi))
        .merge(docs::router(&context.docs))
        .with_state(context)
}

/// Every path of [`router`] and of the endpoints that are always there; a test compares them.
pub(super) fn reserved_paths(auto: bool, docs_path: &str) -> Vec<String> {
    let mut paths: Vec<String> = ["/health/live", "/health/ready", "/metrics", OWNED]
        .map(str::to_owned)
        .into();
    if auto {
        let switched = [
            "/info",
            "/stats",
            "/topics",
            "/topics/{topic}",
            "/agents",
            "/agents/{agent}/{topic}",
            "/openapi.json",
            "/asyncapi.json",
        ];
        paths.extend(switched.map(str::to_owned));
        paths.extend([
            docs_path.to_owned(),
            format!("{docs_path}/"),
            format!("{docs_path}/{{*file}}"),
        ]);
    }
    paths
}

/// Answers that no page may embed, guess the type of or run.
pub(super) async fn strict(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    set(header::REFERRER_POLICY, "no-referrer");
    // What a service says of itself is true now only.
    set(header::CACHE_CONTROL, "no-store");
    response
}

async fn info(State(context): Shared) -> Response {
    Json(context.service.info().to_json()).into_response()
}

async fn stats(State(context): Shared) -> Response {
    Json(context.service.stats()).into_response()
}

async fn topics(State(context): Shared) -> Response {
    let topics = &context.service.info().topics;
    Json(topics.iter().map(TopicDoc::to_json).collect::<Vec<_>>()).into_response()
}

async fn agents(State(context): Shared) -> Response {
    Json(&context.service.info().agents).into_response()
}

async fn document(State(context): Shared) -> Response {
    ([(header::CONTENT_TYPE, JSON)], context.document.clone()).into_response()
}

async fn asyncapi(State(context): Shared) -> Response {
    ([(header::CONTENT_TYPE, JSON)], context.asyncapi.clone()).into_response()
}

/// Answers at once and whatever else happens: asks nobody.
pub(super) async fn live() -> Response {
    Json(json!({ "live": true })).into_response()
}

pub(super) async fn ready(State(context): Shared) -> Response {
    let conditions = context.service.health();
    let ready = conditions.iter().all(|condition| condition.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "ready": ready, "conditions": conditions });
    (status, Json(body)).into_response()
}

pub(super) async fn metrics(State(context): Shared) -> Response {
    (
        [(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)],
        context.service.metrics(),
    )
        .into_response()
}

/// The content type a topic's value is posted in: the topic's own.
///
/// Except for types a page of another site may post without asking the browser's leave.
pub(super) fn body_media_type(topic: &TopicInfo) -> &'static str {
    match topic.media_type {
        _ if topic.takes_json => JSON,
        "text/plain" | "application/x-www-form-urlencoded" | "multipart/form-data" => {
            "application/octet-stream"
        }
        own => own,
    }
}

async fn send(
    State(context): Shared,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    context.access.admit(request.headers())?;
    if topic.starts_with("__") {
        return Err(Problem::forbidden(format!(
            "topic `{topic}` belongs to the broker itself; nothing may be written to it from here"
        )));
    }
    let mut topics = context.service.info().writable();
    let Some(topic) = topics.find(|known| known.info.name == topic) else {
        let topics = context.service.info().writable();
        let known: Vec<_> = topics.map(|topic| topic.info.name).collect();
        return Err(unknown("topic", &topic, &known).with("topics", known));
    };
    let record = posted(&topic.info, request).await?;
    let sent = within(context.answer_timeout, context.service.produce(record)).await??;
    Ok(Json(json!({
        "topic": topic.info.name,
        "partition": sent.partition,
        "offset": sent.offset,
    }))
    .into_response())
}

async fn call(
    State(context): Shared,
    AxumPath((agent, topic)): AxumPath<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    context.access.admit(request.headers())?;
    let info = context.service.info();
    let Some(agent) = info.agent(&agent) else {
        let known: Vec<_> = info
            .agents
            .iter()
            .map(|agent| agent.name.as_str())
            .collect();
        return Err(unknown("agent", &agent, &known).with("agents", known));
    };
    let read = agent.topics.contains(&topic);
    let Some(topic) = info.topic(&topic).filter(|_| read) else {
        let known: Vec<_> = agent.topics.iter().map(String::as_str).collect();
        let problem = Problem::not_found(format!(
            "agent `{}` does not read topic `{}`; it reads {}",
            agent.name,
            topic,
            list(&known)
        ));
        return Err(problem.with("topics", known));
    };
    let (query, payload) = read_record(&topic.info, request).await?;
    let record = OwnedRecord {
        topic: topic.info.name.into(),
        partition: query.partition.unwrap_or(0),
        offset: 0,
        timestamp: query.timestamp.map_or(Timestamp::None, Timestamp::Create),
        key: query.key_bytes(&topic.info)?,
        payload,
        headers: query.headers,
    };
    let agent = agent.name.clone();
    let call = context.service.call_agent(AgentCall { agent, record });
    let report = within(context.answer_timeout, call).await??;
    Ok(Json(report).into_response())
}

/// A record posted to a topic.
pub(super) async fn posted(topic: &TopicInfo, request: Request) -> Result<ProduceRequest, Problem> {
    let (query, value) = read_record(topic, request).await?;
    Ok(ProduceRequest {
        topic: topic.name,
        key: query.key_bytes(topic)?,
        value,
        partition: query.partition,
        timestamp: query.timestamp,
        headers: query.headers,
    })
}

/// Query and value of a posted record, the value checked as the topic's own type.
async fn read_record(
    topic: &TopicInfo,
    request: Request,
) -> Result<(RecordQuery, Option<Vec<u8>>), Problem> {
    let query = RecordQuery::parse(request.uri().query().unwrap_or_default())?;
    require_content_type(request.headers(), body_media_type(topic))?;
    let body = read_body(request).await?;
    if query.tombstone {
        if !body.is_empty() {
            let problem = Problem::bad_request("a tombstone has no value; send an empty body");
            return Err(problem.field("tombstone"));
        }
        return Ok((query, None));
    }
    if body_media_type(topic) == JSON {
        // Broken text is a 400 here as everywhere; the topic's own check tells no difference.
        parse_json::<serde::de::IgnoredAny>(&body)?;
    }
    let mut value = Vec::with_capacity(body.len());
    topic.check_value(&body, &mut value)?;
    Ok((query, Some(value)))
}

pub(super) async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, Problem> {
    tokio::time::timeout(timeout, answer).await.map_err(|_| {
        Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!(
                "no answer within {} s; the record may or may not have been processed",
                timeout.as_secs_f32()
            ),
        )
    })
}

pub(super) fn unknown(kind: &str, name: &str, known: &[&str]) -> Problem {
    Problem::not_found(format!(
        "this service has no {kind} `{}`; it has {}",
        cut(name.to_owned(), LONGEST),
        list(known)
    ))
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
