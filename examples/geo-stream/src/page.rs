//! The page: HTML, four modules, one style sheet, all served from here.

use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{Html, IntoResponse, Response};

/// Nothing runs or is loaded but what this service itself serves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

fn file(media_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 2] = [
        (CONTENT_TYPE, media_type),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

fn module(text: &'static str) -> Response {
    file("text/javascript; charset=utf-8", text)
}

/// The map.
#[citizenk::route(get = "/", tag = "Page")]
pub(crate) async fn html() -> Response {
    let policy = [(CONTENT_SECURITY_POLICY, POLICY)];
    (policy, Html(include_str!("../ui/index.html"))).into_response()
}

/// What the page does.
#[citizenk::route(get = "/main.js", tag = "Page")]
pub(crate) async fn main() -> Response {
    module(include_str!("../ui/main.js"))
}

/// What it draws.
#[citizenk::route(get = "/map.js", tag = "Page")]
pub(crate) async fn map() -> Response {
    module(include_str!("../ui/map.js"))
}

/// Where land is.
#[citizenk::route(get = "/coast.js", tag = "Page")]
pub(crate) async fn coast() -> Response {
    module(include_str!("../ui/coast.js"))
}

/// How positions come.
#[citizenk::route(get = "/stream.js", tag = "Page")]
pub(crate) async fn stream() -> Response {
    module(include_str!("../ui/stream.js"))
}

/// How it looks.
#[citizenk::route(get = "/style.css", tag = "Page")]
pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("../ui/style.css"))
}
