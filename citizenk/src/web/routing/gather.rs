//! A request to every worker.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::timeout;

use super::Call;
use super::merge::MergeFn;
use super::owner::Peer;
use crate::web::Problem;

/// How long a worker may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The workers whose part is missing.
pub(super) const FAILED: &str = "citizenk-failed-workers";

/// What a worker said.
struct Part {
    worker: String,
    said: Result<Bytes, String>,
}

pub(super) async fn answer(call: Call<'_>, merge: Option<MergeFn>) -> Result<Response, Problem> {
    let known = if call.spec.late {
        call.workers.company(&call.group).await
    } else {
        call.workers.members(&call.group, None).await?
    };
    let own = &call.workers.hood.own;
    let mut peers: Vec<&Peer> = known.what.iter().map(|member| &member.peer).collect();
    peers.retain(|peer| peer.url != *own);
    peers.sort();
    peers.dedup();
    let others = peers.into_iter().map(|peer| ask(&call, peer));
    let (mine, others) = tokio::join!(here(&call), futures_util::future::join_all(others));
    let (mine, response) = mine;
    let mut parts = others;
    parts.push(mine);
    parts.sort_by(|a, b| a.worker.cmp(&b.worker));
    let body = match merge {
        Some(merge) => merge_parts(&mut parts, merge)?,
        None => list(&mut parts)?,
    };
    let failed: Vec<&Part> = parts.iter().filter(|part| part.said.is_err()).collect();
    for part in &failed {
        let reason = part.said.as_ref().err();
        tracing::warn!(
            worker = part.worker,
            reason,
            "an answer of a worker is missing"
        );
    }
    // What goes wrong everywhere the client is told as it is.
    if failed.len() == parts.len() {
        if response.status().is_success() {
            return Err(Problem::internal(
                "no worker's answer is JSON of the type the function answers with",
            ));
        }
        return Ok(response);
    }
    let mut answer = Response::new(body.into());
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let names: Vec<&str> = failed.iter().map(|part| part.worker.as_str()).collect();
    if !names.is_empty()
        && let Ok(names) = HeaderValue::from_str(&names.join(", "))
    {
        headers.insert(FAILED, names);
    }
    Ok(answer)
}

/// The answers of all workers as one; a part that does not fit, as of a worker of another version, is one that is
/// missing.
fn merge_parts(parts: &mut [Part], merge: MergeFn) -> Result<Vec<u8>, Problem> {
    let mut good: Vec<&mut Part> = parts.iter_mut().filter(|part| part.said.is_ok()).collect();
    let answers: Vec<Bytes> = good
        .iter()
        .filter_map(|part| part.said.as_ref().ok().cloned())
        .collect();
    let answers: Vec<&[u8]> = answers.iter().map(|bytes| &**bytes).collect();
    let merged = merge(&answers).map_err(|error| {
        Problem::internal(format!("the workers' answers cannot be merged: {error}"))
    })?;
    for (place, reason) in merged.misfits {
        if let Some(part) = good.get_mut(place) {
            part.said = Err(format!("its answer does not fit the others: {reason}"));
        }
    }
    Ok(merged.json)
}

/// This worker's part, and its answer as it is.
async fn here(call: &Call<'_>) -> (Part, Response) {
    let (parts, body) = call.here().await.into_parts();
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let said = if parts.status.is_success() {
        Ok(bytes.clone())
    } else {
        Err(format!("it answered {}", parts.status))
    };
    let part = Part {
        worker: call.workers.hood.own.clone(),
        said,
    };
    (part, Response::from_parts(parts, bytes.into()))
}

async fn ask(call: &Call<'_>, peer: &Peer) -> Part {
    let said = async {
        let request = call
            .forwarded(peer)
            .map_err(|problem| problem.to_string())?;
        let carried = call.workers.hood.carrier.carry(peer, request);
        let answer = timeout(PATIENCE, carried)
            .await
            .map_err(|_| "it has not answered in time".to_owned())?
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            Ok(answer.into_body())
        } else {
            Err(format!("it answered {}", answer.status()))
        }
    };
    Part {
        worker: peer.url.clone(),
        said: said.await,
    }
}

/// One entry per worker.
fn list(parts: &mut [Part]) -> Result<Vec<u8>, Problem> {
    #[derive(serde::Serialize)]
    struct Entry<'a> {
        worker: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    }
    let entry = |part: &'_ mut Part| {
        let answer = match &part.said {
            Ok(bytes) => serde_json::from_slice(bytes),
            Err(_) => Ok(Value::Null),
        };
        if answer.is_err() {
            part.said = Err("its answer is not JSON".to_owned());
        }
        answer.ok()
    };
    let answers: Vec<Option<Value>> = parts.iter_mut().map(entry).collect();
    let entries = parts.iter().zip(answers).map(|(part, answer)| Entry {
        worker: &part.worker,
        answer: answer.filter(|_| part.said.is_ok()),
        error: part.said.as_ref().err().map(String::as_str),
    });
    serde_json::to_vec(&entries.collect::<Vec<_>>()).map_err(Problem::internal)
}
