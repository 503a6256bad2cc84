//! What the attributes' code for HTTP handlers names. Not for anybody else; changes without notice.
//!
//! For `#[route(put = "/cameras/{id}", tag = "Videos")] async fn f(a: A, b: B) -> R` the attribute writes
//!
//! ```text
//! use web::{InputProbe as _, NoInputProbe as _, NoOutputProbe as _, OutputProbe as _};
//! web::route("f", origin, web::Method::PUT, "/cameras/{id}", Some("Videos"),
//!     |request: web::Request| async move {
//!         let (mut parts, body) = request.into_parts();
//!         let a = match web::part::<A>(&mut parts).await { Ok(a) => a, Err(refused) => return refused };
//!         let b = match web::last::<B, _>(parts, body).await { Ok(b) => b, Err(refused) => return refused };
//!         web::respond(f(a, b).await)
//!     },
//!     |operation| {
//!         (&web::Probe::<A>::new()).input(operation);
//!         (&web::Probe::<B>::new()).input(operation);
//!         (&web::Probe::<R>::new()).output(operation);
//!     })
//! ```

pub use axum::extract::{FromRequest, FromRequestParts, Request};
pub use axum::http::Method;
pub use axum::response::{IntoResponse, Response};

pub use super::describe::{
    ApiInput, ApiOutput, InputProbe, NoInputProbe, NoOutputProbe, Operation, OutputProbe, Probe,
};
pub use super::route::{HttpAnswer, HttpArgument, HttpPart, RouteDef, last, part, respond, route};
