//! The web side of an app: routers and layers, and what its document says.

use std::convert::Infallible;

use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::Route;
use tower::{Layer, Service};

use super::assemble::Flat;
use super::component::Kind;
use super::front::printable_servers;
use super::{App, Assembled};
use crate::config::{HttpAccess, Setting, Settings};
use crate::error::{AgentError, BuildError};
use crate::extract::StateRequirement;
use crate::http::{Bridge, Routes};
use crate::policy::Policy;
use crate::runtime::plan::AgentPlan;
use crate::topic::describe::TopicInfo;
use crate::topic::interned;
use crate::transport::BrokerKind;
use crate::web::{
    AgentDoc, ClusterDoc, Goal, Hubs, License, RouteDoc, ServiceInfo, TaskDoc, Token, TopicDoc,
    WebConfig, WebLayer, WebPlan,
};

/// Routers and layers an app brings along.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebParts {
    routers: Vec<Routes>,
    layers: Vec<WebLayer>,
    /// Whose workers routers ask where no agent is in a group yet.
    workers: Option<(&'static str, String)>,
}

impl WebParts {
    /// Tells routers to all workers whose these are.
    pub(super) fn name_workers(&self, mut components: Vec<Flat>) -> Vec<Flat> {
        let Some(group) = &self.workers else {
            return components;
        };
        for flat in &mut components {
            if let Kind::Route(route) = &mut flat.component.kind
                && let Some(routing) = &mut route.routing
                && matches!(routing.to, Goal::All { .. })
            {
                (routing.group, routing.late) = (Some(group.clone()), true);
            }
        }
        components
    }
}

/// The parts of a setting that are joined by commas.
fn listed(setting: &Option<Setting<String>>) -> impl Iterator<Item = String> {
    let parts = setting.iter().flat_map(|setting| setting.value.split(','));
    let parts = parts.map(|part| part.trim().trim_end_matches('/').to_owned());
    parts.filter(|part| !part.is_empty())
}

impl App {
    /// Whose workers a `#[citizenk::broadcast_router]` asks in an app whose agents start while it runs
    /// ([`Agents`](crate::Agents)): the members of this group of this cluster. Without a group those of
    /// `CITIZENK_PEERS`. An agent of the app itself that is in a group goes before.
    ///
    /// Before anybody has joined, and while the broker does not say who has, the worker that is asked tells what it
    /// last knew of the others, or answers alone.
    ///
    /// ```
    /// use citizenk::prelude::*;
    ///
    /// #[citizenk::broadcast_router(get = "/running")]
    /// async fn running(agents: citizenk::Agents) -> Json<Vec<String>> {
    ///     Json(agents.all().iter().map(|agent| agent.name().to_owned()).collect())
    /// }
    ///
    /// let app = App::new("copies").workers_of("default", Some("copies")).register::<running>();
    /// # app.check().unwrap();
    /// ```
    #[must_use]
    pub fn workers_of(mut self, cluster: &str, group: Option<&str>) -> Self {
        let cluster = interned(cluster);
        self.web.workers = Some((cluster, group.unwrap_or_default().to_owned()));
        self
    }

    /// A name the service is reached by, beside those of the loopback interface. Requests for other names
    /// are refused (a page of another site could send them); repeatable. `CITIZENK_HTTP_HOSTS` adds more.
    #[must_use]
    pub fn http_host(mut self, name: &str) -> Self {
        self.api.hosts.push(name.to_owned());
        self
    }

    /// A site whose pages may use what is refused to pages of other sites: websockets, event streams, and what
    /// may change something: automatic endpoints and annotated functions of methods other than GET; as
    /// `https://app.example`. Repeatable; `CITIZENK_HTTP_ORIGINS` adds more.
    #[must_use]
    pub fn http_origin(mut self, origin: &str) -> Self {
        self.api.origins.push(origin.to_owned());
        self
    }

    /// Serves a router of the app's own, axum's or utoipa's `OpenApiRouter` (whose document is merged), at
    /// the paths it has, below the prefix.
    #[must_use]
    pub fn routes(mut self, routes: impl Into<Routes>) -> Self {
        self.web.routers.push(routes.into());
        self
    }

    /// Puts a tower layer around all endpoints but health and metrics.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.web.layers.push(WebLayer::new(layer));
        self
    }

    /// Adds endpoints for topics that clients choose by name. See [`Bridge`](crate::http::Bridge).
    #[must_use]
    pub fn bridge(mut self, bridge: Bridge) -> Self {
        for route in bridge.routes() {
            self = self.component(route);
        }
        // Shared by all bridges of the app; made anew each time it starts.
        let hubs = StateRequirement::of::<Hubs>().id;
        if self.states.iter().any(|entry| entry.what.id == hubs) {
            return self;
        }
        self.state_with(async |_| Ok::<_, AgentError>(Hubs::default()))
    }

    /// Checks routes and makes the document.
    pub(crate) fn web_plan(
        &self,
        assembled: &Assembled,
        settings: &Settings,
        info: &ServiceInfo,
    ) -> Result<WebPlan, BuildError> {
        let http = &settings.http;
        let mut config = WebConfig {
            prefix: http.prefix.value.clone(),
            ..WebConfig::default()
        };
        config.auto = !self.api.no_auto_endpoints;
        config.hosts.clone_from(&self.api.hosts);
        config.origins.clone_from(&self.api.origins);
        config.hosts.extend(listed(&http.hosts));
        config.origins.extend(listed(&http.origins));
        if let Some(path) = &self.api.docs_path {
            config.docs_path.clone_from(path);
        }
        if let Some(connections) = &http.connections {
            config.server.connections = connections.value;
        }
        match http.access() {
            HttpAccess::Token(token) => config.token = Some(Token::new(token.expose())),
            HttpAccess::Open => config.open = true,
            HttpAccess::Closed => {}
        }
        let WebParts {
            routers, layers, ..
        } = self.web.clone();
        WebPlan::new(config, info, assembled.routes.clone(), routers, layers).map_err(|issues| {
            BuildError::from_issues(issues)
                .unwrap_or_else(|| unreachable!("a plan fails with issues"))
        })
    }

    /// What listings and the document say about the service.
    pub(crate) fn service_info(
        &self,
        assembled: &Assembled,
        settings: &Settings,
        broker: BrokerKind,
    ) -> ServiceInfo {
        let api = &self.api;
        let clusters = self.cluster_names(assembled, settings);
        let servers = |name: &&'static str| {
            let view = settings.cluster(name);
            view.map(|view| printable_servers(view.broker))
                .unwrap_or_default()
        };
        ServiceInfo {
            name: self.name.clone(),
            group: assembled
                .agents
                .iter()
                .find_map(|agent| agent.plan.group.clone()),
            version: api
                .version
                .clone()
                .unwrap_or_else(|| super::DEFAULT_VERSION.to_owned()),
            title: api.title.clone().unwrap_or_else(|| self.name.clone()),
            description: api.description.clone(),
            license: api.license.clone().map(|(name, url)| License { name, url }),
            broker,
            bootstrap: clusters.first().map(servers).unwrap_or_default(),
            clusters: clusters
                .iter()
                .map(|name| ClusterDoc {
                    name,
                    bootstrap_servers: servers(name),
                })
                .collect(),
            cluster_id: None,
            agents: assembled
                .agents
                .iter()
                .map(|agent| agent_doc(&agent.plan))
                .collect(),
            topics: assembled
                .topics
                .values()
                .map(|info| TopicDoc {
                    info: info.clone(),
                    broker_name: settings.real_topic(info.name),
                })
                .collect(),
            timers: assembled
                .timers
                .iter()
                .map(|timer| TaskDoc {
                    name: timer.name.clone(),
                    doc: timer.origin.doc.to_owned(),
                    schedule: timer.schedule.to_string(),
                    outputs: names(&timer.task.spec.sends),
                    location: timer.origin.to_string(),
                })
                .collect(),
            hooks: assembled
                .hooks
                .iter()
                .map(|hook| TaskDoc {
                    name: hook.name.clone(),
                    doc: hook.origin.doc.to_owned(),
                    schedule: hook.event.to_string(),
                    outputs: names(&hook.task.spec.sends),
                    location: hook.origin.to_string(),
                })
                .collect(),
            routes: assembled
                .routes
                .iter()
                .map(|route| RouteDoc {
                    name: route.name.clone(),
                    method: route.method.to_string(),
                    path: route.path.clone(),
                    location: route.origin.to_string(),
                })
                .collect(),
        }
    }
}

fn names(topics: &[TopicInfo]) -> Vec<String> {
    topics.iter().map(|topic| topic.name.to_owned()).collect()
}

fn agent_doc(plan: &AgentPlan) -> AgentDoc {
    let spec = &plan.spec;
    let policies = [
        &spec.on_decode_error,
        &spec.on_error,
        &spec.on_produce_error,
    ];
    let letters = policies
        .into_iter()
        .flatten()
        .filter_map(Policy::dead_letter_topic);
    let mut outputs: Vec<String> = spec
        .output
        .iter()
        .chain(&spec.sends)
        .chain(letters)
        .map(|topic| topic.name.to_owned())
        .collect();
    outputs.dedup();
    AgentDoc {
        name: spec.name.clone(),
        doc: spec.origin.doc.to_owned(),
        kind: if spec.is_batch { "batch" } else { "event" }.to_owned(),
        topics: spec
            .topics
            .iter()
            .map(|topic| topic.name.to_owned())
            .collect(),
        outputs,
        retry_topics: plan
            .retry_topics
            .iter()
            .map(|topic| topic.info.name.to_owned())
            .collect(),
        cluster: plan.cluster,
        group: plan.group.clone(),
        location: spec.origin.to_string(),
    }
}
