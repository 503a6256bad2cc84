//! Counts answered requests by the route that matched, and puts a span around them.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::port::Service;

/// Method names are a label, and clients may invent any number of them.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A layer for routers; requests that match no route are counted together.
pub(super) async fn observe(
    State(service): State<Arc<dyn Service>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = name(request.method());
    #[cfg(feature = "otel")]
    let response = traced(method, matched.as_ref(), request, next).await;
    #[cfg(not(feature = "otel"))]
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("(none)", MatchedPath::as_str);
    service.answered(method, route, response.status().as_u16(), begun.elapsed());
    response
}

/// Within a span that continues the client's trace.
#[cfg(feature = "otel")]
async fn traced(
    method: &'static str,
    matched: Option<&MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    use crate::telemetry::trace::{context_of, of_request};

    let sender = context_of(|visit| {
        for (name, value) in request.headers() {
            visit(name.as_str(), Some(value.as_bytes()));
        }
    });
    let route = matched.map(MatchedPath::as_str);
    let status = |response: &Response| response.status().as_u16();
    of_request(method, route, sender, next.run(request), status).await
}
