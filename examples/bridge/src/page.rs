//! The page: HTML, one module, one style sheet, all served from here.

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

/// The form and the bridges there are.
#[citizenk::route(get = "/")]
pub(crate) async fn html() -> Response {
    let policy = [(CONTENT_SECURITY_POLICY, POLICY)];
    (policy, Html(include_str!("page/index.html"))).into_response()
}

/// What the page does.
#[citizenk::route(get = "/bridge.js")]
pub(crate) async fn script() -> Response {
    file(
        "text/javascript; charset=utf-8",
        include_str!("page/bridge.js"),
    )
}

/// How it looks.
#[citizenk::route(get = "/bridge.css")]
pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("page/bridge.css"))
}
