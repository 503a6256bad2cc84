//! Swagger UI, served from the binary.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as AxumPath, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use super::Context;
use crate::web::Problem;

/// Where the page is and what it shows.
#[derive(Clone)]
pub(in crate::web) struct DocsPage {
    path: String,
    config: Arc<Config<'static>>,
}

impl fmt::Debug for DocsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocsPage({})", self.path)
    }
}

/// What Swagger UI needs: its own files, the document, images and styles that its scripts make. No
/// inline script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

impl DocsPage {
    pub(in crate::web) fn new(prefix: &str, path: &str) -> Self {
        let config = Config::from(format!("{prefix}/openapi.json"))
            // Neither a document of another site (`?url=`) nor a call to one (a validator).
            .query_config_enabled(false)
            .validator_url("none")
            .try_it_out_enabled(true)
            .display_request_duration(true);
        Self {
            path: path.to_owned(),
            config: Arc::new(config),
        }
    }
}

pub(super) fn router(page: &DocsPage) -> Router<Arc<Context>> {
    let path = &page.path;
    // The page's links are relative to a path that ends with a slash. Relative too, so that it works
    // behind a proxy that removes a prefix.
    let last = path.rsplit('/').next().unwrap_or_default();
    let location = format!("{last}/");
    Router::new()
        .route(
            path,
            get(move || async move {
                (
                    axum::http::StatusCode::PERMANENT_REDIRECT,
                    [(header::LOCATION, location)],
                )
            }),
        )
        .route(
            &format!("{path}/"),
            get(|State(context): State<Arc<Context>>| async move { file(&context, "") }),
        )
        .route(
            &format!("{path}/{{*file}}"),
            get(
                |State(context): State<Arc<Context>>, AxumPath(name): AxumPath<String>| async move {
                    file(&context, &name)
                },
            ),
        )
}

fn file(context: &Context, name: &str) -> Response {
    match utoipa_swagger_ui::serve(name, context.docs.config.clone()) {
        Ok(Some(file)) => {
            let mut response = (
                [
                    (header::CONTENT_TYPE, file.content_type),
                    (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
                    (header::CACHE_CONTROL, "max-age=3600".to_owned()),
                ],
                file.bytes.into_owned(),
            )
                .into_response();
            // The files lie in the binary as they are sent, a quarter of their size; every browser takes it.
            if file.gzpipped {
                let gzip = header::HeaderValue::from_static("gzip");
                response
                    .headers_mut()
                    .insert(header::CONTENT_ENCODING, gzip);
            }
            response
        }
        Ok(None) => {
            Problem::not_found(format!("the documentation has no file `{name}`")).into_response()
        }
        Err(error) => Problem::internal(error.to_string()).into_response(),
    }
}
