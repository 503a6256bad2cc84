//! `Json`, `Path` and `Query`: axum's extractors, but what they refuse is a [`Problem`] that names the
//! field.
//!
//! They have axum's shape (one public field, `Deref`), so that code written for axum's compiles with
//! them. A layer that rewrites axum's plain-text rejections would have to guess the field from prose.

use std::error::Error;
use std::ops::{Deref, DerefMut};

use axum::RequestExt as _;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{
    FromRequest, FromRequestParts, OptionalFromRequest, OptionalFromRequestParts, RawPathParams,
    Request,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Problem;
use crate::error::{cut, json_field};

impl<T: DeserializeOwned> Query<T> {
    /// Reads a query string without its `?`.
    pub(super) fn of_text(query: &str) -> Result<Self, Problem> {
        let uri = format!("/?{query}").parse();
        let uri = uri.map_err(|_| Problem::bad_request("the query is not one of a URI"))?;
        match axum::extract::Query::try_from_uri(&uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

macro_rules! transparent {
    ($name:ident) => {
        impl<T> Deref for $name<T> {
            type Target = T;
            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> DerefMut for $name<T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        }

        impl<T> From<T> for $name<T> {
            fn from(inner: T) -> Self {
                Self(inner)
            }
        }
    };
}

/// A JSON body, of a request or a response.
///
/// A request is refused with 415 without a JSON content type, 413 above the body limit, 400 when it is
/// not JSON and 422, naming the field, when a value is missing or of the wrong type.
///
/// ```
/// use citizenk::{Problem, http::Json};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greeting { name: String }
///
/// async fn greet(Json(greeting): Json<Greeting>) -> Result<Json<Greeting>, Problem> {
///     Ok(Json(greeting))
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Json<T>(pub T);

/// Parameters of the path: one value, a tuple in order, or a struct by name.
///
/// A wrong one is refused with 400 and the parameter's name.
///
/// ```
/// use citizenk::http::Path;
///
/// async fn camera(Path(id): Path<u32>) -> String {
///     format!("camera {id}")
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// Parameters of the query string, as a struct.
///
/// A wrong or missing one is refused with 400 and the parameter's name.
///
/// ```
/// use citizenk::http::Query;
///
/// #[derive(serde::Deserialize)]
/// struct Page { limit: Option<u32> }
///
/// async fn list(Query(page): Query<Page>) -> String {
///     format!("{:?}", page.limit)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

transparent!(Json);
transparent!(Path);
transparent!(Query);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_content_type(request.headers(), JSON)?;
        parse_json(&read_body(request).await?).map(Self)
    }
}

impl<T, S> OptionalFromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            <Self as FromRequest<S>>::from_request(request, state)
                .await
                .map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, JSON)], bytes).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path =
            <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state);
        match path.await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                let names = RawPathParams::from_request_parts(parts, state).await;
                let names = names.ok().into_iter().flat_map(|params| {
                    let names: Vec<_> = params.iter().map(|(name, _)| name.to_owned()).collect();
                    names
                });
                Err(path_problem(&rejection, &names.collect::<Vec<_>>()))
            }
        }
    }
}

impl<T, S> OptionalFromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        if params.is_ok_and(|params| params.iter().next().is_none()) {
            return Ok(None);
        }
        <Self as FromRequestParts<S>>::from_request_parts(parts, state)
            .await
            .map(Some)
    }
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

/// How much is told of what is wrong with a request, in bytes: serde repeats the value that should have been
/// something else, however long it is and whatever it is.
pub(super) const LONGEST: usize = 300;

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";

/// The content type without its parameters, in lower case.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

/// Refuses bodies of another type; for JSON, `application/x+json` is one too.
pub(super) fn require_content_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let given = content_type(headers);
    let fits = given.as_deref().is_some_and(|given| {
        given == wanted
            || (wanted == JSON && given.starts_with("application/") && given.ends_with("+json"))
    });
    if fits {
        return Ok(());
    }
    let given = given.map_or_else(|| "none".to_owned(), |given| format!("`{given}`"));
    Err(Problem::unsupported_media_type(format!(
        "the content type is {given}; send `Content-Type: {wanted}`"
    )))
}

/// The whole body, within the limit that axum's `DefaultBodyLimit` set for this route.
pub(super) async fn read_body(request: Request) -> Result<Bytes, Problem> {
    let declared: Option<u64> = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let body = request.into_limited_body();
    let limit = body.size_hint().upper();
    // Refused before a byte is read: a client that waits for `100 Continue` never sends it.
    if let (Some(declared), Some(limit)) = (declared, limit)
        && declared > limit
    {
        return Err(Problem::too_large(format!(
            "the body has {declared} bytes, at most {limit} are allowed"
        )));
    }
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(body_problem(&error)),
    }
}

/// A body came slower than the server waits.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub(super) struct BodyTooSlow;

fn body_problem(error: &(dyn Error + 'static)) -> Problem {
    if cause::<LengthLimitError>(error).is_some() {
        Problem::too_large("the body is larger than allowed")
    } else if cause::<BodyTooSlow>(error).is_some() {
        Problem::new(StatusCode::REQUEST_TIMEOUT, BodyTooSlow.to_string())
    } else {
        Problem::bad_request(format!("the body could not be read: {error}"))
    }
}

pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| json_problem(&error, bytes))
}

fn json_problem(error: &serde_json::Error, bytes: &[u8]) -> Problem {
    if bytes.is_empty() {
        return Problem::bad_request("the body is empty; send JSON");
    }
    let reason = cut(error.to_string(), LONGEST);
    if !error.is_data() {
        return Problem::bad_request(format!("the body is not valid JSON: {reason}"));
    }
    match json_field(error, bytes) {
        Some(field) => Problem::unprocessable(format!("field `{field}`: {reason}")).field(field),
        None => Problem::unprocessable(reason),
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        type Failure = serde_path_to_error::Error<serde_json::Error>;
        let problem = Self::new(rejection.status(), cut(rejection.body_text(), LONGEST));
        match cause::<Failure>(&rejection).map(|failure| failure.path().to_string()) {
            Some(field) if field != "." => problem.field(cut(field, LONGEST)),
            _ => problem,
        }
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        body_problem(&rejection)
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        path_problem(&rejection, &[])
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        query_problem(&rejection)
    }
}

/// The error itself or the first one behind it that is an `E`.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn path_problem(rejection: &PathRejection, names: &[String]) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return Problem::internal(rejection.to_string());
    };
    let kind = error.kind();
    let field = match kind {
        ErrorKind::ParseErrorAtKey { key, .. }
        | ErrorKind::InvalidUtf8InPathParam { key }
        | ErrorKind::DeserializeError { key, .. } => Some(key),
        ErrorKind::ParseErrorAtIndex { index, .. } => names.get(*index),
        ErrorKind::ParseError { .. } => names.first(),
        // The handler's type does not fit its own path: no client can do anything about it.
        ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => {
            return Problem::internal(rejection.to_string());
        }
        _ => None,
    };
    let expectation = match kind {
        ErrorKind::ParseErrorAtKey {
            value,
            expected_type,
            ..
        }
        | ErrorKind::ParseErrorAtIndex {
            value,
            expected_type,
            ..
        }
        | ErrorKind::ParseError {
            value,
            expected_type,
        } => {
            format!("cannot read {value:?} as `{expected_type}`")
        }
        other => other.to_string(),
    };
    let expectation = cut(expectation, LONGEST);
    match field {
        Some(field) => {
            Problem::bad_request(format!("path parameter `{field}`: {expectation}")).field(field)
        }
        None => Problem::bad_request(format!("path: {expectation}")),
    }
}

fn query_problem(rejection: &QueryRejection) -> Problem {
    type Failure = serde_path_to_error::Error<serde::de::value::Error>;
    let Some(failure) = cause::<Failure>(rejection) else {
        return Problem::bad_request(cut(rejection.body_text(), LONGEST));
    };
    let reason = cut(failure.inner().to_string(), LONGEST);
    let missing = reason
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    let path = cut(failure.path().to_string(), LONGEST);
    match missing.unwrap_or(&path) {
        "." => Problem::bad_request(format!("query: {reason}")),
        field => Problem::bad_request(format!("query parameter `{field}`: {reason}")).field(field),
    }
}
