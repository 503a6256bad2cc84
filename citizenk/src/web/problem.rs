//! Errors as RFC 9457 problem documents.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::error::{AgentError, DecodeError, EncodeError};
use crate::extract::{ProduceError, ReadError};
use crate::transport::TransportError;

/// An error of an HTTP endpoint: an `application/problem+json` document (RFC 9457).
///
/// ```
/// use citizenk::Problem;
///
/// fn positive(count: i64) -> Result<i64, Problem> {
///     if count < 0 {
///         return Err(Problem::unprocessable("must not be negative").field("count"));
///     }
///     Ok(count)
/// }
/// assert_eq!(positive(-1).unwrap_err().to_string(), "422 Unprocessable Entity: must not be negative");
/// ```
#[derive(Clone)]
pub struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    status: StatusCode,
    kind: Option<Cow<'static, str>>,
    title: Option<Cow<'static, str>>,
    detail: String,
    instance: Option<String>,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
}

/// The members RFC 9457 defines; extension members must have other names.
const DEFINED: [&str; 5] = ["type", "title", "status", "detail", "instance"];

impl Problem {
    /// The media type of problem documents.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem with any status; the title is the status's name.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            kind: None,
            title: None,
            detail: detail.into(),
            instance: None,
            members: Map::new(),
            retry_after: None,
        }))
    }

    /// 400: the request is malformed.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: the request needs credentials.
    #[must_use]
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: the request is understood and refused.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: the request does not fit the present state.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413: the request is too large.
    #[must_use]
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the body has the wrong content type.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 422: well-formed, but a value is wrong; say which with [`Problem::field`].
    #[must_use]
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 500: the service failed. The error goes to the log and not to the client, whom it neither helps
    /// nor concerns.
    #[must_use]
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        tracing::error!(
            error = &*error as &(dyn Error + 'static),
            "an endpoint failed"
        );
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the service failed to answer; its log says why",
        )
    }

    /// 503: not now; clients may try again after the given time.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.0.retry_after = Some(retry_after);
        problem
    }

    /// Sets the `type`: a URI that identifies this kind of problem.
    #[must_use]
    pub fn kind(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.0.kind = Some(uri.into());
        self
    }

    /// Sets the title, which is the same for all problems of a kind.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// Sets the URI of this occurrence.
    #[must_use]
    pub fn instance(mut self, uri: impl Into<String>) -> Self {
        self.0.instance = Some(uri.into());
        self
    }

    /// Names the field at fault, e.g. `items[2].price`.
    #[must_use]
    pub fn field(self, path: impl Into<String>) -> Self {
        let path: String = path.into();
        self.with("field", path)
    }

    /// Adds one of several errors to the member `errors`; the first one's field also becomes `field`.
    #[must_use]
    pub fn error(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let field: String = field.into();
        let members = &mut self.0.members;
        members
            .entry("field")
            .or_insert_with(|| field.clone().into());
        let errors = members
            .entry("errors")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(errors) = errors {
            errors.push(serde_json::json!({ "field": field, "detail": detail.into() }));
        }
        self
    }

    /// Adds an extension member; the five members RFC 9457 defines have setters of their own and are
    /// left as they are.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !DEFINED.contains(&name) {
            self.0.members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What is wrong in this case.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// An extension member.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.members.get(name)
    }

    fn title_text(&self) -> &str {
        match &self.0.title {
            Some(title) => title,
            None => self.0.status.canonical_reason().unwrap_or("Error"),
        }
    }

    fn to_json(&self) -> Value {
        let mut document = Map::new();
        if let Some(kind) = &self.0.kind {
            document.insert("type".to_owned(), kind.as_ref().into());
        }
        document.insert("title".to_owned(), self.title_text().into());
        document.insert("status".to_owned(), self.0.status.as_u16().into());
        document.insert("detail".to_owned(), self.0.detail.as_str().into());
        if let Some(instance) = &self.0.instance {
            document.insert("instance".to_owned(), instance.as_str().into());
        }
        document.extend(self.0.members.clone());
        Value::Object(document)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.status.as_u16(),
            self.title_text(),
            self.0.detail
        )
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({})", self.to_json())
    }
}

impl Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(Self::MEDIA_TYPE),
        );
        if self.0.status == StatusCode::UNAUTHORIZED {
            // RFC 9110: a 401 must say how to authenticate.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.0.retry_after {
            // Whole seconds; never 0, which would ask for a retry at once.
            headers.insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        response
    }
}

impl JsonSchema for Problem {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An error (RFC 9457).",
            "properties": {
                "type": { "type": "string", "format": "uri-reference", "default": "about:blank" },
                "title": { "type": "string" },
                "status": { "type": "integer", "minimum": 100, "maximum": 599 },
                "detail": { "type": "string", "description": "What is wrong and what to do." },
                "instance": { "type": "string", "format": "uri-reference" },
                "field": { "type": "string", "description": "The path of the value at fault." },
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "field": { "type": "string" },
                            "detail": { "type": "string" }
                        },
                        "required": ["field", "detail"]
                    }
                }
            },
            "required": ["title", "status", "detail"]
        })
    }
}

impl From<DecodeError> for Problem {
    /// What the client sent is not what the topic holds.
    fn from(error: DecodeError) -> Self {
        let problem = Self::unprocessable(error.to_string());
        match error.field() {
            Some(field) => problem.field(field),
            None => problem,
        }
    }
}

impl From<EncodeError> for Problem {
    fn from(error: EncodeError) -> Self {
        Self::internal(error)
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::internal(error)
    }
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<TransportError> for Problem {
    fn from(error: TransportError) -> Self {
        let detail = error.to_string();
        match error.code.as_str() {
            "MSG_SIZE_TOO_LARGE" => Self::too_large(detail),
            "_UNKNOWN_PARTITION" => Self::unprocessable(detail).field("partition"),
            // Sent, and no answer came: it may have been written.
            "_MSG_TIMED_OUT" | "_TIMED_OUT" | "REQUEST_TIMED_OUT" => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("{detail}; the record may or may not have been written"),
            ),
            _ if error.retriable => Self::unavailable(detail, Duration::from_secs(1)),
            _ => Self::new(StatusCode::BAD_GATEWAY, detail),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::NoSuchTopic { topic } | ReadError::NoSuchPartition { topic, .. } => {
                Self::not_found(detail).with("topic", topic)
            }
            ReadError::Transport { topic, source } => Self::from(source).with("topic", topic),
            ReadError::Silent { topic, .. } | ReadError::Recreated { topic, .. } => {
                Self::unavailable(detail, Duration::from_secs(1)).with("topic", topic)
            }
            ReadError::OutputOnly { topic } | ReadError::Unsupported { topic, .. } => {
                Self::conflict(detail).with("topic", topic)
            }
            ReadError::Deleted { .. } | ReadError::Decode { .. } => Self::internal(detail),
        }
    }
}

impl From<ProduceError> for Problem {
    fn from(error: ProduceError) -> Self {
        let detail = error.to_string();
        match error {
            ProduceError::Delivery { topic, source } => Self::from(source).with("topic", topic),
            ProduceError::NotRunning { topic } => {
                Self::unavailable(detail, Duration::from_secs(1)).with("topic", topic)
            }
            ProduceError::InputOnly { topic } => Self::conflict(detail).with("topic", topic),
            ProduceError::Encode { .. } => Self::internal(detail),
        }
    }
}
