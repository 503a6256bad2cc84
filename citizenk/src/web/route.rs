//! An endpoint made from an annotated function: what `#[citizenk::route]` expands to.
//!
//! For `#[route(put = "/cameras/{id}", tag = "Videos")] async fn f(a: A, b: B) -> R` that is
//!
//! ```text
//! route("f", origin, Method::PUT, "/cameras/{id}", Some("Videos"),
//!     |request: Request| async move {
//!         let (mut parts, body) = request.into_parts();
//!         let a = match part::<A>(&mut parts).await { Ok(a) => a, Err(refused) => return refused };
//!         let b = match last::<B, _>(parts, body).await { Ok(b) => b, Err(refused) => return refused };
//!         respond(f(a, b).await)
//!     },
//!     |operation| {
//!         (&Probe::<A>::new()).input(operation);
//!         (&Probe::<B>::new()).input(operation);
//!         (&Probe::<R>::new()).output(operation);
//!     })
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::Problem;
use super::asyncapi::LiveDoc;
use super::describe::Operation;
use super::guard::Access;
use super::routing::{self, RoutingSpec};
use crate::agent::Origin;
use crate::error::BuildIssue;
use crate::extract::StateRequirement;
use crate::topic::describe::TopicInfo;

/// Adds to the document what an endpoint is.
pub(crate) type Describe = Arc<dyn Fn(&mut Operation) + Send + Sync>;
pub(super) type Handler =
    Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// One endpoint: method, path, handler and how to document it.
#[derive(Clone)]
pub struct RouteDef {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) tag: Option<String>,
    pub(crate) handler: Handler,
    /// The handler looks itself at who asks.
    pub(super) admits: bool,
    /// It asks for the service's HTTP token, where there is one.
    pub(super) secured: bool,
    pub(crate) describe: Describe,
    /// Where requests for it are answered, if not where they come in.
    pub(crate) routing: Option<RoutingSpec>,
    /// Topics it writes to by itself.
    pub(crate) sends: Vec<TopicInfo>,
    /// What goes on after its answer.
    pub(crate) live: Option<LiveDoc>,
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
        tag: tag.map(str::to_owned),
        admits: false,
        ..described(name, origin, method, path, handler, describe)
    }
}

/// An endpoint whose description is more than its types.
pub(super) fn described<H, F>(
    name: &str,
    origin: Origin,
    method: Method,
    path: &str,
    handler: H,
    describe: impl Fn(&mut Operation) + Send + Sync + 'static,
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
        tag: None,
        handler: Arc::new(move |request| Box::pin(handler(request))),
        admits: true,
        secured: false,
        describe: Arc::new(describe),
        routing: None,
        sends: Vec::new(),
        live: None,
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

    /// The state the handler needs.
    pub(crate) fn states(&self) -> Vec<StateRequirement> {
        super::describe::states(&self.path, &*self.describe)
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
        if self.method == Method::CONNECT {
            return None;
        }
        let filter = MethodFilter::try_from(self.method.clone()).ok()?;
        let handler = self.handler.clone();
        let open = self.admits || self.method.is_safe();
        Some(match self.routing.clone().map(Arc::new) {
            None if open => on(filter, move |request: Request| handler(request)),
            None => on(filter, move |request: Request| {
                let handler = handler.clone();
                async move {
                    match own_page(request.extensions(), request.headers()) {
                        Ok(()) => handler(request).await,
                        Err(problem) => problem.into_response(),
                    }
                }
            }),
            Some(spec) => on(filter, move |request: Request| {
                routing::serve(spec.clone(), handler.clone(), request)
            }),
        })
    }
}

/// Refuses what a browser sends for a page of another site: it brings along nothing a function could tell it
/// from its user's own wish by, and a form needs no leave.
pub(super) fn own_page(extensions: &Extensions, headers: &HeaderMap) -> Result<(), Problem> {
    match extensions.get::<Access>() {
        Some(access) => access.own_page(headers),
        None => Ok(()),
    }
}

/// An argument on its way. Boxed, so that a type that is no argument is one error where it is written and
/// not one per expression that handles the future.
type Taken<'a, T> = Pin<Box<dyn Future<Output = Result<T, Response>> + Send + 'a>>;

/// What may be an argument of an HTTP handler, at its last place: extractors of the head or the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an HTTP handler",
    label = "not an HTTP argument",
    note = "HTTP handlers take `Path`, `Query`, `Json`, `State`, `Producer` and whatever else implements axum's `FromRequestParts` or, as the last argument, `FromRequest`"
)]
pub trait HttpArgument<Via>: Sized {
    #[doc(hidden)]
    fn take(request: Request) -> Taken<'static, Self>;
}

#[diagnostic::do_not_recommend]
impl<T, Via> HttpArgument<Via> for T
where
    T: FromRequest<(), Via> + 'static,
{
    fn take(request: Request) -> Taken<'static, Self> {
        Box::pin(async {
            let taken = T::from_request(request, &()).await;
            taken.map_err(IntoResponse::into_response)
        })
    }
}

/// What may be an argument of an HTTP handler before its last one: extractors of the head.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an HTTP handler before the last one",
    label = "cannot stand here",
    note = "only the last argument may read the body (`Json`, `Bytes`, `String`, `Request`); the ones before it implement axum's `FromRequestParts`"
)]
pub trait HttpPart: Sized {
    #[doc(hidden)]
    fn take(parts: &mut Parts) -> Taken<'_, Self>;
}

#[diagnostic::do_not_recommend]
impl<T> HttpPart for T
where
    T: FromRequestParts<()>,
{
    fn take(parts: &mut Parts) -> Taken<'_, Self> {
        Box::pin(async {
            let taken = T::from_request_parts(parts, &()).await;
            taken.map_err(IntoResponse::into_response)
        })
    }
}

/// Takes an argument that is not the last from the head; `Err` is the answer to a request without it.
pub fn part<T: HttpPart>(parts: &mut Parts) -> Taken<'_, T> {
    T::take(parts)
}

/// Takes the last argument from head or body; `Err` is the answer to a request without it.
pub fn last<T, Via>(parts: Parts, body: Body) -> Taken<'static, T>
where
    T: HttpArgument<Via>,
{
    T::take(Request::from_parts(parts, body))
}

/// What an HTTP handler may return.
#[diagnostic::on_unimplemented(
    message = "an HTTP handler cannot answer with `{Self}`",
    label = "not an answer",
    note = "return `Json<T>`, `Result<Json<T>, Problem>`, text, a status, or whatever else implements axum's `IntoResponse`"
)]
pub trait HttpAnswer {
    #[doc(hidden)]
    fn answer(self) -> Response;
}

#[diagnostic::do_not_recommend]
impl<T: IntoResponse> HttpAnswer for T {
    fn answer(self) -> Response {
        self.into_response()
    }
}

/// The answer a handler returned.
pub fn respond<R: HttpAnswer>(returned: R) -> Response {
    returned.answer()
}
