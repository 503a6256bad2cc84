//! From parts to one router: checks everything first, then cannot fail.
//!
//! axum panics on routes it cannot take, so [`WebPlan::new`] looks for those before and answers with
//! issues. The plan exists before any socket; the router is made when the address is known.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Extensions, Method, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{any, get};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::asyncapi;
use super::auto::{self, Context, DocsPage};
use super::config::WebConfig;
use super::describe::path_names;
use super::errors;
use super::guard::{self, Access, Exposure};
use super::observe::observe;
use super::offload::Offload;
use super::openapi;
use super::port::{Service, ServiceInfo};
use super::route::RouteDef;
use super::routers::{Routes, WebLayer, paths_of};
use super::routing::{self, Neighbourhood, Workers};
use crate::error::BuildIssue;

/// Puts what the service's own endpoints extract (its state, its producer) into a request.
pub(crate) type Attach = Arc<dyn Fn(&mut Extensions) + Send + Sync>;

/// Where a router stands.
pub(crate) struct Surroundings {
    pub(crate) exposure: Exposure,
    /// Runs the service's own endpoints; without one they run where they are called, which is what tests
    /// with paused time need.
    pub(crate) executor: Option<Handle>,
    pub(crate) attach: Attach,
    pub(crate) neighbourhood: Neighbourhood,
}

impl Surroundings {
    /// Of a test without sockets.
    pub(crate) fn test(attach: Attach, neighbourhood: Neighbourhood) -> Self {
        Self {
            neighbourhood,
            exposure: Exposure::Test,
            executor: None,
            attach,
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surroundings({:?})", self.exposure)
    }
}

/// A checked web API, without address and running app.
#[derive(Debug)]
pub(crate) struct WebPlan {
    config: WebConfig,
    document: Value,
    asyncapi: Value,
    routes: Vec<RouteDef>,
    /// All routers of the service's own, merged.
    user: Router,
    layers: Vec<WebLayer>,
}

impl WebPlan {
    /// Checks the parts; every mistake is in the answer.
    pub(crate) fn new(
        config: WebConfig,
        info: &ServiceInfo,
        routes: Vec<RouteDef>,
        routers: Vec<Routes>,
        layers: Vec<WebLayer>,
    ) -> Result<Self, Vec<BuildIssue>> {
        let mut issues = Vec::new();
        config.check(&mut issues);
        let mut check = Check::new(&config);
        for route in &routes {
            check.route(route, &mut issues);
        }
        let mut documents = Vec::new();
        let mut user = Router::new();
        for (index, router) in routers.into_iter().enumerate() {
            let name = format!("router {} of `.routes(..)`", index + 1);
            let (router, document) = router.split();
            let before = issues.len();
            check.router(&name, &router, &mut issues);
            match document {
                Some(Ok(document)) => {
                    check.operations(&name, &document, &mut issues);
                    documents.push(document);
                }
                Some(Err(error)) => issues.push(BuildIssue::new(
                    &name,
                    format!("its OpenAPI document cannot be written: {error}"),
                )),
                None => {}
            }
            if issues.len() == before {
                user = merged(&name, user, router, &mut issues);
            }
        }
        if issues.is_empty() {
            // Also tries whether annotated routes and routers go together.
            let _ = merged("routes", user.clone(), annotated(&routes), &mut issues);
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        let document = openapi::document(info, &config, &routes, &documents);
        let asyncapi = asyncapi::document(info, &config, &routes);
        Ok(Self {
            config,
            document,
            asyncapi,
            routes,
            user,
            layers,
        })
    }

    /// The OpenAPI 3.1 document.
    pub(crate) fn openapi(&self) -> &Value {
        &self.document
    }

    /// The AsyncAPI 3.0 document.
    pub(crate) fn asyncapi(&self) -> &Value {
        &self.asyncapi
    }

    pub(crate) fn config(&self) -> &WebConfig {
        &self.config
    }

    /// Every endpoint as one service.
    pub(crate) fn router(&self, service: Arc<dyn Service>, surroundings: Surroundings) -> Router {
        let Surroundings {
            exposure,
            executor,
            attach,
            neighbourhood,
        } = surroundings;
        let config = &self.config;
        let access = Access::new(config, exposure);
        let context = Arc::new(Context {
            service,
            access: access.clone(),
            answer_timeout: config.answer_timeout,
            document: self.document.to_string().into(),
            asyncapi: self.asyncapi.to_string().into(),
            docs: DocsPage::new(&config.prefix, &config.docs_path),
        });

        let workers = Arc::new(Workers::new(context.service.clone(), neighbourhood));
        let observed = from_fn_with_state(context.service.clone(), observe);
        let user = self
            .user
            .clone()
            .merge(annotated(&self.routes))
            .layer(map_response(errors::explain))
            // Streams look at it before they promise anything.
            .layer(axum::Extension(access.clone()))
            .layer(axum::Extension(workers.clone()))
            .layer(observed.clone());
        let mut rest = if config.auto {
            auto::router(context.clone())
                .layer(map_response(auto::strict))
                .layer(observed)
        } else {
            Router::new()
        };
        rest = if self.layers.is_empty() {
            rest.fallback_service(Offload::new(user, executor, attach))
        } else {
            // A layer is user code as well, so all it wraps runs where user code may block.
            let mut all = rest.fallback_service(user);
            for layer in &self.layers {
                all = layer.apply(all);
            }
            Router::new().fallback_service(Offload::new(all, executor, attach))
        };
        let slots = Arc::new(Semaphore::new(config.concurrency));
        let rest = rest
            .layer(DefaultBodyLimit::max(config.body_limit))
            .layer(from_fn_with_state(slots, errors::limit_concurrency));

        let metrics = Router::new()
            .route("/metrics", get(auto::metrics))
            .with_state(context.clone())
            .layer(map_response(auto::strict));
        let owned = get(routing::owned).with_state(workers);
        let metrics = metrics.route(routing::OWNED, owned);
        // Probes come by address, whatever names the service has, and while it is busiest.
        let health = Router::new()
            .route("/health/live", get(auto::live))
            .route("/health/ready", get(auto::ready))
            .with_state(context)
            .layer(map_response(auto::strict));
        let all = rest
            .merge(metrics)
            .layer(from_fn_with_state(access, guard::check_host))
            .merge(health)
            .method_not_allowed_fallback(errors::method_not_allowed);
        if config.prefix.is_empty() {
            all
        } else {
            let prefix = config.prefix.clone();
            let below = Router::new()
                .nest(&prefix, all)
                .fallback(errors::outside(prefix.clone()));
            // Proxies add a slash. It is answered and not sent back to them, who would add it again.
            let root = below.clone();
            below.route(
                &format!("{}/", config.prefix),
                any(move |request| root.oneshot(at(&prefix, request))),
            )
        }
    }
}

/// The request as one for this path.
fn at(path: &str, mut request: Request) -> Request {
    let mut parts = request.uri().clone().into_parts();
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    parts.path_and_query = target.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

fn annotated(routes: &[RouteDef]) -> Router {
    routes
        .iter()
        .fold(Router::new(), |router, route| match route.method_router() {
            Some(method) => router.route(&route.path, method),
            None => router,
        })
}

/// Merges two routers; what [`Check`] cannot see becomes an issue all the same.
fn merged(name: &str, left: Router, right: Router, issues: &mut Vec<BuildIssue>) -> Router {
    match catch_unwind(AssertUnwindSafe(|| left.merge(right))) {
        Ok(router) => router,
        Err(panic) => {
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("its routes clash with those of another router");
            issues.push(BuildIssue::new(name, reason));
            Router::new()
        }
    }
}

/// What is known of the routes so far.
struct Check {
    /// The automatic endpoints.
    reserved: matchit::Router<String>,
    /// All others; the value is the path as written and who wrote it.
    paths: matchit::Router<()>,
    /// Who has the method of a path, with parameter names left out.
    methods: BTreeMap<(String, Method), String>,
    owners: BTreeMap<String, String>,
}

impl Check {
    fn new(config: &WebConfig) -> Self {
        let mut reserved = matchit::Router::new();
        for path in auto::reserved_paths(config.auto, &config.docs_path) {
            // A docs path that takes an automatic endpoint's place is reported with the setting's name.
            let inserted = reserved.insert(path.clone(), path);
            debug_assert!(inserted.is_ok() || config.docs_path != "/docs");
        }
        Self {
            reserved,
            paths: matchit::Router::new(),
            methods: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    fn route(&mut self, route: &RouteDef, issues: &mut Vec<BuildIssue>) {
        let before = issues.len();
        if route.method_router().is_none() {
            issues.push(route.issue(format!("method {} cannot be routed", route.method)));
        }
        if let Err(reason) = self.path(&route.title(), &route.path) {
            issues.push(route.issue(reason));
        }
        if issues.len() == before
            && let Err(reason) = self.method(&route.title(), &route.path, &route.method)
        {
            issues.push(route.issue(reason));
        }
    }

    fn router(&mut self, name: &str, router: &Router, issues: &mut Vec<BuildIssue>) {
        for path in paths_of(router) {
            if let Err(reason) = self.path(name, &path) {
                issues.push(BuildIssue::new(name, reason));
            }
        }
    }

    fn operations(&mut self, name: &str, document: &Value, issues: &mut Vec<BuildIssue>) {
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for (method, _) in item.as_object().into_iter().flatten() {
                let Ok(method) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else {
                    continue;
                };
                if let Err(reason) = self.method(name, path, &method) {
                    issues.push(BuildIssue::new(name, reason));
                }
            }
        }
    }

    /// Whether axum can take the path and no automatic endpoint has it.
    fn path(&mut self, owner: &str, path: &str) -> Result<(), String> {
        if !path.starts_with('/') {
            return Err(format!("path `{path}` does not begin with `/`"));
        }
        if let Some(segment) = path.split('/').find(|s| s.starts_with([':', '*'])) {
            let name = segment.trim_start_matches([':', '*']);
            let open = if segment.starts_with('*') { "{*" } else { "{" };
            return Err(format!(
                "path `{path}`: write the parameter `{segment}` as `{open}{name}}}`"
            ));
        }
        let mut names = path_names(path);
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!(
                "path `{path}` has the parameter `{}` twice",
                twice[0]
            ));
        }
        if let Ok(automatic) = self.reserved.at(&example(path)) {
            return Err(format!(
                "path `{path}` belongs to the automatic endpoint `{}`; choose another path, or switch the automatic endpoints off",
                automatic.value
            ));
        }
        match self.paths.insert(path, ()) {
            Ok(()) => {
                self.owners.insert(path.to_owned(), owner.to_owned());
                Ok(())
            }
            // The same path with another method is welcome; `method` looks at that.
            Err(matchit::InsertError::Conflict { with }) if with == path => Ok(()),
            Err(matchit::InsertError::Conflict { with }) => {
                let other = self
                    .owners
                    .get(&with)
                    .map_or("another route", String::as_str);
                Err(format!(
                    "path `{path}` cannot be told from `{with}` of {other}"
                ))
            }
            Err(error) => Err(format!("path `{path}`: {error}")),
        }
    }

    fn method(&mut self, owner: &str, path: &str, method: &Method) -> Result<(), String> {
        let key = (example(path), method.clone());
        match self.methods.get(&key) {
            Some(other) => Err(format!("{method} {path} is already served by {other}")),
            None => {
                self.methods.insert(key, owner.to_owned());
                Ok(())
            }
        }
    }
}

/// A request path that this route answers.
fn example(path: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| match segment.split_once('{') {
            Some((before, rest)) => {
                let after = rest.split_once('}').map_or("", |(_, after)| after);
                format!("{before}-{after}")
            }
            None => segment.to_owned(),
        });
    segments.collect::<Vec<_>>().join("/")
}

/// A path as OpenAPI writes it: it does not know parameters that span segments.
pub(super) fn openapi_path(path: &str) -> String {
    path.replace("{*", "{")
}
