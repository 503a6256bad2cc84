//! Answers nobody else gives: to requests no route takes, and above the limit.

use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::Problem;

/// Middleware: gives errors without a body one. These are axum's own (404, 405), and the status codes
/// handlers return bare.
pub(super) async fn explain(response: Response) -> Response {
    let status = response.status();
    let bare = response.body().size_hint().exact() == Some(0)
        && !response.headers().contains_key(header::CONTENT_TYPE);
    if !(bare && (status.is_client_error() || status.is_server_error())) {
        return response;
    }
    let detail = match status {
        StatusCode::NOT_FOUND => "there is nothing at this path",
        StatusCode::METHOD_NOT_ALLOWED => "this path does not take this method",
        _ => status.canonical_reason().unwrap_or("failed"),
    };
    let mut explained = Problem::new(status, detail).into_response();
    let (parts, _) = response.into_parts();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_LENGTH {
            explained.headers_mut().insert(name, value.clone());
        }
    }
    *explained.extensions_mut() = parts.extensions;
    explained
}

pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take this method",
    )
}

/// The answer outside the prefix.
pub(super) fn outside(
    prefix: String,
) -> impl Fn(Uri) -> std::future::Ready<Problem> + Clone + Send + Sync + 'static {
    move |uri| {
        std::future::ready(Problem::not_found(format!(
            "there is nothing at `{}`; all paths of this service begin with `{prefix}`",
            uri.path()
        )))
    }
}

/// Middleware: at most so many requests at once; the others are told to come again, not queued.
pub(super) async fn limit_concurrency(
    State(slots): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    // Held until the answer's head is made: a stream of events must not hold it for ever.
    match slots.try_acquire() {
        Ok(_slot) => next.run(request).await,
        Err(_) => Problem::unavailable(
            "too many requests at once; try again",
            Duration::from_secs(1),
        )
        .into_response(),
    }
}
