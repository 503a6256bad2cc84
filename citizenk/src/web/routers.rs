//! Routers and layers a service brings along.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::Route;
use serde_json::Value;
use tower::{Layer, Service};
use utoipa_axum::router::OpenApiRouter;

/// A router of the service's own: axum's, or utoipa's with its documentation.
///
/// ```
/// use citizenk::http::Routes;
///
/// let plain = Routes::from(axum::Router::new());
/// let documented = Routes::from(utoipa_axum::router::OpenApiRouter::new());
/// # let _ = (plain, documented);
/// ```
#[derive(Clone)]
pub enum Routes {
    /// Served as it is; not in the OpenAPI document.
    Plain(Router),
    /// Served, and its document merged into the service's.
    Documented(Box<OpenApiRouter>),
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Routes::Plain",
            Self::Documented(_) => "Routes::Documented",
        })
    }
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self::Plain(router)
    }
}

impl From<OpenApiRouter> for Routes {
    fn from(router: OpenApiRouter) -> Self {
        Self::Documented(Box::new(router))
    }
}

impl Routes {
    /// The router and its document.
    pub(super) fn split(self) -> (Router, Option<Result<Value, serde_json::Error>>) {
        match self {
            Self::Plain(router) => (router, None),
            Self::Documented(router) => {
                let (router, document) = router.split_for_parts();
                (router, Some(serde_json::to_value(document)))
            }
        }
    }
}

/// A tower layer around all endpoints but health and metrics.
#[derive(Clone)]
pub(crate) struct WebLayer(Arc<dyn Fn(Router) -> Router + Send + Sync>);

impl fmt::Debug for WebLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebLayer")
    }
}

impl WebLayer {
    /// The bounds are those of [`Router::layer`].
    pub(crate) fn new<L>(layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<std::convert::Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self(Arc::new(move |router: Router| router.layer(layer.clone())))
    }

    pub(super) fn apply(&self, router: Router) -> Router {
        (self.0)(router)
    }
}

/// The paths of a router, in the order of registration.
///
/// axum lists them nowhere but in its `Debug` text, as `RouteId(1): "/path"` entries; a test of this
/// module fails when that changes. What is missed here is found when the routers are merged.
pub(super) fn paths_of(router: &Router) -> Vec<String> {
    let text = format!("{router:?}");
    // Fallbacks are kept in a router of the same kind behind the first one.
    let routes = text.split("fallback_router").next().unwrap_or_default();
    let mut paths: Vec<(u32, String)> = routes
        .split("RouteId(")
        .skip(1)
        .filter_map(|entry| {
            let (id, rest) = entry.split_once("): \"")?;
            let path = rest.split('"').next()?;
            Some((id.parse().ok()?, path.to_owned()))
        })
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|(_, path)| path)
        // How axum stores the rest of a nested service.
        .filter(|path| !path.contains("__private__"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};

    #[test]
    fn the_paths_of_a_router_can_be_read() {
        let inner = Router::new().route("/deep/{id}", get(|| async {}));
        let router: Router = Router::new()
            .route("/a", get(|| async {}).post(|| async {}))
            .route("/b/{*rest}", post(|| async {}))
            .nest("/in", inner)
            .fallback(|| async {});
        assert_eq!(paths_of(&router), ["/a", "/b/{*rest}", "/in/deep/{id}"]);
        assert!(paths_of(&Router::new()).is_empty());
    }
}
