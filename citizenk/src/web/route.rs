//! An endpoint made from an annotated function: what `#[citizenk::route]` expands to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::describe::Operation;
use crate::agent::Origin;
use crate::error::BuildIssue;

type Handler = Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// One endpoint: method, path, handler and how to document it.
#[derive(Clone)]
pub struct RouteDef {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) tag: Option<String>,
    pub(crate) handler: Handler,
    pub(crate) describe: fn(&mut Operation),
}

impl fmt::Debug for RouteDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteDef({}, {} {})", self.name, self.method, self.path)
    }
}

/// Makes an endpoint; the attribute's code calls this.
pub fn route<H, F>(
    name: &str,
    origin: Origin,
    method: Method,
    path: &str,
    tag: Option<&str>,
    handler: H,
    describe: fn(&mut Operation),
) -> RouteDef
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    RouteDef {
        name: name.to_owned(),
        origin,
        method,
        path: path.to_owned(),
        tag: tag.map(str::to_owned),
        handler: Arc::new(move |request| Box::pin(handler(request))),
        describe,
    }
}

impl RouteDef {
    /// The same endpoint behind a module's prefix.
    #[must_use]
    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        if !prefix.is_empty() {
            self.path = match self.path.as_str() {
                "/" => prefix.to_owned(),
                path => format!("{prefix}{path}"),
            };
        }
        self
    }

    /// For messages: "route `submit`".
    pub(crate) fn title(&self) -> String {
        format!("route `{}`", self.name)
    }

    pub(crate) fn issue(&self, message: impl Into<String>) -> BuildIssue {
        BuildIssue::new(self.title(), message).at_text(self.origin.to_string())
    }

    /// The handler for axum; `None` for methods no server routes (CONNECT, extensions).
    pub(super) fn method_router(&self) -> Option<MethodRouter> {
        let filter = MethodFilter::try_from(self.method.clone()).ok()?;
        let handler = self.handler.clone();
        Some(on(filter, move |request: Request| handler(request)))
    }
}

/// What may be an argument of an HTTP handler, at its last place: extractors of the head or the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an HTTP handler",
    label = "not an HTTP argument",
    note = "HTTP handlers take `Path`, `Query`, `Json`, `State`, `Producer` and whatever else implements axum's `FromRequestParts` or, as the last argument, `FromRequest`"
)]
pub trait HttpArgument<Via> {}

#[diagnostic::do_not_recommend]
impl<T, Via> HttpArgument<Via> for T where T: FromRequest<(), Via> {}

/// What may be an argument of an HTTP handler before its last one: extractors of the head.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an HTTP handler before the last one",
    label = "cannot stand here",
    note = "only the last argument may read the body (`Json`, `Bytes`, `String`, `Request`); the ones before it implement axum's `FromRequestParts`"
)]
pub trait HttpPart {}

#[diagnostic::do_not_recommend]
impl<T> HttpPart for T where T: FromRequestParts<()> {}

/// Takes an argument that is not the last from the head.
///
/// # Errors
/// The answer to a request that does not have it.
pub async fn part<T>(parts: &mut Parts) -> Result<T, Response>
where
    T: HttpPart + FromRequestParts<()>,
{
    T::from_request_parts(parts, &())
        .await
        .map_err(IntoResponse::into_response)
}

/// Takes the last argument from head or body.
///
/// # Errors
/// The answer to a request that does not have it.
pub async fn last<T, Via>(parts: Parts, body: axum::body::Body) -> Result<T, Response>
where
    T: HttpArgument<Via> + FromRequest<(), Via>,
{
    T::from_request(Request::from_parts(parts, body), &())
        .await
        .map_err(IntoResponse::into_response)
}
