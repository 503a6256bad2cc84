//! Requests to a [`TestApp`] without a socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use super::TestApp;
use crate::app::{App, Live, Overrides, Prepared, attach, web_plan};
use crate::config::Settings;
use crate::error::RunError;
use crate::transport::BrokerKind;
use crate::web::{Neighbourhood, Surroundings};

/// The endpoints of one worker.
pub(super) struct TestWeb {
    pub(super) router: Router,
    pub(super) live: Arc<Live>,
}

impl TestWeb {
    pub(super) fn new(
        app: &App,
        settings: &Settings,
        overrides: &Overrides,
        prepared: &Prepared,
        neighbourhood: Neighbourhood,
    ) -> Result<Self, RunError> {
        let (plan, info) = web_plan(app, settings, overrides, BrokerKind::Memory)?;
        let live = Arc::new(Live::new(info, &prepared.spec));
        let router = plan.router(
            live.clone(),
            Surroundings::test(attach(prepared), neighbourhood),
        );
        Ok(Self { router, live })
    }
}

/// An answer to a request of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResponse {
    /// The status code.
    pub status: u16,
    /// The media type of the body, if there is one.
    pub content_type: Option<String>,
    /// All headers whose values are text; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
}

impl TestResponse {
    /// The body as a JSON value of type `T`.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_str(&self.body) {
            Ok(value) => value,
            Err(error) => panic!(
                "the answer ({}) is not the expected JSON: {error}: {}",
                self.status, self.body
            ),
        }
    }
}

impl TestApp {
    pub(super) fn first_router(&self) -> Router {
        match self.web.values().next() {
            Some(web) => web.router.clone(),
            None => panic!("no worker is running"),
        }
    }

    /// Sends a GET request to the first worker.
    ///
    /// # Panics
    /// When the path is not a valid URI.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.request("GET", path, None).await
    }

    /// Sends a POST request with a JSON body to the first worker.
    ///
    /// # Panics
    /// When the path is not a valid URI or the body cannot be written as JSON.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> TestResponse {
        match serde_json::to_string(body) {
            Ok(body) => self.request("POST", path, Some(body)).await,
            Err(error) => panic!("the body cannot be written as JSON: {error}"),
        }
    }

    /// Sends a request of any method; a body is sent as JSON.
    ///
    /// Records are handed to agents meanwhile, so that a handler that waits for one is answered.
    ///
    /// # Panics
    /// When the path or method is not valid.
    pub async fn request(&self, method: &str, path: &str, body: Option<String>) -> TestResponse {
        self.request_with_headers(method, path, &[], body).await
    }

    /// As [`TestApp::request`], with headers.
    ///
    /// # Panics
    /// When the path, method or a header is not valid.
    pub async fn request_with_headers(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> TestResponse {
        let router = self.first_router();
        self.ask(router, method, path, headers, body).await
    }

    pub(super) async fn ask(
        &self,
        router: Router,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> TestResponse {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = match request.body(body.map_or_else(Body::empty, Body::from)) {
            Ok(request) => request,
            Err(error) => panic!("{method} {path} is not a valid request: {error}"),
        };
        let response = match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status: StatusCode = response.status();
        let headers = response.headers().iter();
        let headers = headers
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        let content_type = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = match axum::body::to_bytes(response.into_body(), usize::MAX).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => panic!("{method} {path}: the body broke off: {error}"),
        };
        TestResponse {
            status: status.as_u16(),
            content_type,
            headers,
            body,
        }
    }
}
