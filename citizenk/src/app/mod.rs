//! Collects components and state, validates all of it at once, starts, stops, and gives the program its
//! command line.
//!
//! In: registered components, state values, settings. Out: a running service. An app is a description:
//! it can be cloned, checked and started more than once, also several times in one process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

mod after;
mod assemble;
#[cfg(feature = "web")]
mod beside;
#[cfg(feature = "cli")]
pub(crate) mod cli;
mod client;
mod clusters;
mod component;
#[cfg(feature = "web")]
mod front;
#[cfg(feature = "web")]
mod live;
mod module;
mod overrides;
mod reader;
pub(crate) mod registries;
mod relations;
mod retries;
mod security;
mod service;
mod start;
pub(crate) mod topics;
#[cfg(feature = "web")]
mod web;

pub(crate) use assemble::{Assembled, assemble, flatten, planned};
#[cfg(feature = "cli")]
pub use cli::run;
pub use component::{Component, ComponentDef};
pub use module::Module;
pub(crate) use overrides::{AgentOverride, Overrides};
pub use security::TokenContext;
pub use service::Service;
pub(crate) use service::overrides;
#[cfg(not(feature = "cli"))]
pub use service::run;
pub(crate) use start::{Prepared, RunOptions, Running};
#[cfg(all(feature = "web", any(test, feature = "testing")))]
pub(crate) use {front::attach, front::neighbourhood, front::plan as web_plan, live::Live};

/// The version of an API that states none.
pub(crate) const DEFAULT_VERSION: &str = "0.1.0";

use self::assemble::Flat;
use self::module::{Defaults, Item};
use crate::config::{Broker, Flags, Settings};
use crate::error::{AgentError, BuildError, ConfigError};
use crate::extract::{StateMap, StateRequirement};
use crate::middleware::{Middleware, Wrap};
use crate::policy::{Guarantee, Policy};
use crate::runtime::agents::Agents;
use crate::runtime::lane::AgentDef;
use crate::runtime::transact::Defences;
use crate::topic::describe::TopicInfo;
use crate::topic::{Topic, interned};

type StateFuture = Pin<Box<dyn Future<Output = Result<StateInsert, AgentError>> + Send>>;
type SettingsCheck = fn(&Settings) -> Result<(), ConfigError>;
type StateInsert = Box<dyn FnOnce(&mut StateMap) + Send>;

#[derive(Clone)]
struct StateEntry {
    what: StateRequirement,
    make: Arc<dyn Fn(StateContext) -> StateFuture + Send + Sync>,
}

/// What a `state_with` function may look at.
#[derive(Clone, Debug)]
pub struct StateContext {
    states: StateMap,
    settings: Arc<Settings>,
}

impl StateContext {
    /// A state value registered before this one.
    #[must_use]
    pub fn state<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.states.get::<T>()
    }

    /// The program's own settings: the `[app]` table of the settings file, and `APP_*` variables.
    ///
    /// # Errors
    /// When a field is missing or of the wrong type; the error names it.
    pub fn settings<S: serde::de::DeserializeOwned>(&self) -> Result<S, crate::ConfigError> {
        self.settings.app()
    }

    /// Whether the records are on the broker inside this process: what is made up for trying a program out belongs
    /// there, and nowhere else.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.settings.broker.value == Broker::Embedded
    }
}

/// What the API document says about the service.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiInfo {
    pub(crate) title: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<(String, Option<String>)>,
    pub(crate) docs_path: Option<String>,
    pub(crate) no_auto_endpoints: bool,
    /// Names the service is reached by.
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
}

/// A service: its components, state, policies and web API.
///
/// ```no_run
/// use citizenk::prelude::*;
///
/// #[citizenk::message]
/// struct Order { id: u64, amount: f64 }
///
/// const ORDERS: Topic<Order> = Topic::json("orders");
///
/// #[citizenk::agent(topics = [ORDERS])]
/// async fn print(order: Event<Order>) {
///     println!("{}: {}", order.value.id, order.value.amount);
/// }
///
/// fn app() -> App {
///     App::new("printer").register::<print>()
/// }
///
/// fn main() -> citizenk::Exit {
///     citizenk::run(app())
/// }
/// ```
#[derive(Clone)]
pub struct App {
    pub(crate) name: String,
    items: Vec<Item>,
    defaults: Defaults,
    states: Vec<StateEntry>,
    /// Whether the program's own settings can be read, one per type.
    own_settings: Vec<(std::any::TypeId, SettingsCheck)>,
    topics: Vec<TopicInfo>,
    /// Those with a name.
    pub(crate) clusters: Vec<&'static str>,
    pub(crate) api: ApiInfo,
    #[cfg(feature = "web")]
    pub(crate) web: web::WebParts,
    token: Option<security::TokenFn>,
    pub(crate) embedded_by_default: bool,
    /// In place of the process's variables.
    pub(crate) environment: Option<std::collections::BTreeMap<String, String>>,
    pub(crate) drain: Option<Duration>,
    pub(crate) commit_every: Option<Duration>,
    pub(crate) defences: Defences,
    /// Those the program brings, by name.
    #[cfg(feature = "registry")]
    registries: std::collections::BTreeMap<&'static str, crate::registry::Registry>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let components: Vec<String> = self
            .components()
            .iter()
            .map(|flat| flat.component.title())
            .collect();
        f.debug_struct("App")
            .field("name", &self.name)
            .field("components", &components)
            .finish_non_exhaustive()
    }
}

impl App {
    /// An empty app. Its name is the consumer group of its agents, so it follows Kafka's rule for names.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            items: Vec::new(),
            defaults: Defaults::default(),
            states: Vec::new(),
            own_settings: Vec::new(),
            topics: Vec::new(),
            clusters: Vec::new(),
            api: ApiInfo::default(),
            #[cfg(feature = "web")]
            web: web::WebParts::default(),
            token: None,
            embedded_by_default: false,
            environment: None,
            drain: None,
            commit_every: None,
            defences: Defences::default(),
            #[cfg(feature = "registry")]
            registries: std::collections::BTreeMap::new(),
        }
    }

    /// Adds a function marked with one of the attributes: `.register::<orders>()`.
    #[must_use]
    pub fn register<C: Component>(self) -> Self {
        self.component(C::describe())
    }

    /// Adds a component built by hand.
    #[must_use]
    pub fn component(mut self, component: impl Into<ComponentDef>) -> Self {
        self.items.push(Item::Component(Box::new(component.into())));
        self
    }

    /// Adds an agent built by hand ([`Agent::builder`](crate::Agent::builder)). Agents that come and go while
    /// the app runs: [`Agents`](crate::Agents).
    #[must_use]
    pub fn agent(self, agent: AgentDef) -> Self {
        self.component(agent)
    }

    /// Adds a module.
    #[must_use]
    pub fn include(mut self, module: Module) -> Self {
        self.items.push(Item::Module(Box::new(module)));
        self
    }

    /// Declares a topic that no agent names, so that it is listed, documented and can be sent to through
    /// the web.
    #[must_use]
    pub fn topic<V: 'static, K: 'static>(mut self, topic: &Topic<V, K>) -> Self {
        self.topics.push(TopicInfo::of(topic));
        self
    }

    /// Gives the app another cluster, beside the one without a name: topics are put on it with
    /// [`Topic::cluster`]. Its settings are those of the unnamed one under its own name:
    /// `KAFKA_EU_BOOTSTRAP_SERVERS`, `[clusters.eu]`, `--cluster eu.bootstrap.servers=..`. A cluster that is
    /// down does not hold up agents of others.
    ///
    /// The unnamed cluster is there too if a component names a topic of it or its servers are given.
    ///
    /// ```
    /// use citizenk::prelude::*;
    ///
    /// const ORDERS: Topic<RawBytes> = Topic::raw("orders");
    /// const ORDERS_EU: Topic<RawBytes> = Topic::raw("orders").cluster("eu");
    ///
    /// #[citizenk::agent(topics = [ORDERS_EU], output = ORDERS)]
    /// async fn gather(order: Event<RawBytes>) -> RawBytes { order.value }
    ///
    /// let app = App::new("gather").cluster("eu").register::<gather>();
    /// # app.check().unwrap();
    /// ```
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        let name = interned(name);
        if !self.clusters.contains(&name) {
            self.clusters.push(name);
        }
        self
    }

    /// Flags that say what the app says: its clusters, and whether it runs on the embedded broker by
    /// default. For programs that resolve [`Settings`] themselves; the app's own command line begins with
    /// these.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.flags_over(Flags::default())
    }

    pub(crate) fn flags_over(&self, flags: Flags) -> Flags {
        Flags {
            embedded_by_default: self.embedded_by_default,
            clusters: self.clusters.iter().map(|&name| name.to_owned()).collect(),
            ..flags
        }
    }

    /// Adds a value for [`State<T>`](crate::State); one per type.
    #[must_use]
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        let make = move |_: StateContext| -> StateFuture {
            let value = value.clone();
            Box::pin(async move {
                Ok(Box::new(move |map: &mut StateMap| map.insert(value)) as StateInsert)
            })
        };
        self.states.push(StateEntry {
            what: StateRequirement::of::<T>(),
            make: Arc::new(make),
        });
        self
    }

    /// Adds a value that takes time to make or may fail, e.g. a database pool. Made before consumers
    /// start; never by commands that only print documents. An error ends the program.
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// #[derive(Clone)]
    /// struct Pool;
    /// impl Pool { async fn connect(_url: &str) -> citizenk::Result<Self> { Ok(Pool) } }
    /// let app = App::new("writer").state_with(async |_cx| Pool::connect("db").await);
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn state_with<T, E, F, Fut>(mut self, make: F) -> Self
    where
        T: Clone + Send + Sync + 'static,
        E: Into<AgentError>,
        F: Fn(StateContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let make = move |cx: StateContext| -> StateFuture {
            let value = make(cx);
            Box::pin(async move {
                let value = value.await.map_err(Into::into)?;
                Ok(Box::new(move |map: &mut StateMap| map.insert(value)) as StateInsert)
            })
        };
        self.states.push(StateEntry {
            what: StateRequirement::of::<T>(),
            make: Arc::new(make),
        });
        self
    }

    /// Reads typed settings of the program's own, from the `[app]` table of the settings file and `APP_*`
    /// variables, as a value for [`State<S>`](crate::State).
    ///
    /// They are checked when the app is built ([`App::build`], the command `check`); what is missing or
    /// wrong is named. Values made with [`App::state_with`] behind this line find them with
    /// [`StateContext::state`].
    ///
    /// ```
    /// use citizenk::prelude::*;
    ///
    /// #[derive(Clone, serde::Deserialize)]
    /// struct Limits { amount: u64 }        // `APP_AMOUNT`, or `amount` below `[app]`
    ///
    /// #[citizenk::repeat_every("1m")]
    /// async fn report(State(limits): State<Limits>) { println!("{}", limits.amount); }
    ///
    /// let app = App::new("limits").settings::<Limits>().register::<report>();
    /// # app.check().unwrap();
    /// ```
    #[must_use]
    pub fn settings<S>(mut self) -> Self
    where
        S: serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let read: SettingsCheck = |settings| settings.app::<S>().map(|_| ());
        self.own_settings
            .push((StateRequirement::of::<S>().id, read));
        self.state_with(async |cx| cx.settings::<S>())
    }

    /// Puts a value in the place of the registered one of its type: for tests.
    #[must_use]
    pub fn override_state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        let what = StateRequirement::of::<T>();
        self.states.retain(|entry| entry.what.id != what.id);
        self.own_settings.retain(|(id, _)| *id != what.id);
        self.state(value)
    }

    /// For agents whose own attribute and module say nothing else; default `retry(5, ..)`, then `stop`.
    #[must_use]
    pub fn on_error(mut self, policy: Policy) -> Self {
        self.defaults.on_error = Some(policy);
        self
    }

    /// For agents whose own attribute and module say nothing else; default `stop`.
    #[must_use]
    pub fn on_decode_error(mut self, policy: Policy) -> Self {
        self.defaults.on_decode_error = Some(policy);
        self
    }

    /// For agents whose own attribute and module say nothing else; default `stop`.
    #[must_use]
    pub fn on_produce_error(mut self, policy: Policy) -> Self {
        self.defaults.on_produce_error = Some(policy);
        self
    }

    /// Puts a [middleware](crate::middleware) around each call of agents, timers and hooks: once per attempt,
    /// outside of those of modules and components; the first one given is the outermost. HTTP endpoints take
    /// tower layers instead.
    #[must_use]
    pub fn wrap(mut self, middleware: impl Middleware) -> Self {
        self.defaults.wraps.push(Wrap::new(middleware));
        self
    }

    /// The title of the API document; default: the app's name.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.api.title = Some(title.to_owned());
        self
    }

    /// The version of the API; default `0.1.0`.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.api.version = Some(version.to_owned());
        self
    }

    /// What the service is for, in Markdown.
    #[must_use]
    pub fn description(mut self, description: &str) -> Self {
        self.api.description = Some(description.to_owned());
        self
    }

    /// The licence of the API.
    #[must_use]
    pub fn license(mut self, name: &str, url: &str) -> Self {
        self.api.license = Some((name.to_owned(), (!url.is_empty()).then(|| url.to_owned())));
        self
    }

    /// Where the documentation page is served, below the prefix; default `/docs`.
    #[must_use]
    pub fn docs_path(mut self, path: &str) -> Self {
        self.api.docs_path = Some(path.to_owned());
        self
    }

    /// Serves only the app's own routes, health and metrics.
    #[must_use]
    pub fn without_auto_endpoints(mut self) -> Self {
        self.api.no_auto_endpoints = true;
        self
    }

    /// Reads settings from these variables instead of the process's: for programs whose own variables have
    /// other names.
    #[must_use]
    pub fn environment(mut self, variables: std::collections::BTreeMap<String, String>) -> Self {
        self.environment = Some(variables);
        self
    }

    /// Without bootstrap servers, runs on the embedded broker instead of ending with an error: for
    /// examples and demonstrations.
    #[must_use]
    pub fn embedded_by_default(mut self) -> Self {
        self.embedded_by_default = true;
        self
    }

    /// For agents whose own attribute and module say nothing else; default
    /// [`Guarantee::AtLeastOnce`](crate::Guarantee).
    ///
    /// ```
    /// # use citizenk::prelude::*;
    /// use citizenk::Guarantee;
    /// let app = App::new("billing").guarantee(Guarantee::ExactlyOnce);
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn guarantee(mut self, guarantee: Guarantee) -> Self {
        self.defaults.guarantee = Some(guarantee);
        self
    }

    /// How often offsets are committed; default 1 s, and 100 ms with exactly once, where it is the
    /// length of a transaction and so the delay of outputs.
    #[must_use]
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.commit_every = Some(interval);
        self
    }

    /// Keeps a transactional producer although a late request could end its next transaction: how the
    /// fault tests show that replacing it is needed. Never for anything else.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    #[must_use]
    pub fn without_defence(mut self) -> Self {
        self.defences.renew_in_doubt = false;
        self
    }

    /// How long started calls may go on when the service stops; default 10 s, or `--drain`.
    #[must_use]
    pub fn drain(mut self, deadline: Duration) -> Self {
        self.drain = Some(deadline);
        self
    }

    pub(crate) fn components(&self) -> Vec<Flat> {
        let all = flatten(&self.items, &self.defaults);
        #[cfg(feature = "web")]
        let all = self.web.name_workers(all);
        all
    }

    /// Finds every mistake of the app without starting anything.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn check(&self) -> Result<(), BuildError> {
        self.assembled(&Overrides::default()).map(|_| ())
    }

    /// Whether the program's own settings can be read, and tokens can be had where they are needed.
    pub(crate) fn check_settings(&self, settings: &Settings) -> Result<(), Vec<ConfigError>> {
        let read = self.own_settings.iter();
        let errors: Vec<_> = read
            .filter_map(|(_, read)| read(settings).err())
            .chain(self.check_clusters(settings))
            .chain(client::refused(settings))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    pub(crate) fn assembled(&self, overrides: &Overrides) -> Result<Assembled, BuildError> {
        let states: Vec<StateRequirement> = self.states.iter().map(|entry| entry.what).collect();
        assemble(
            &self.name,
            &self.components(),
            &states,
            &self.topics,
            &self.clusters,
            overrides,
        )
    }

    /// What checks and resolves agents that come while the app runs.
    pub(crate) fn planner(
        &self,
        overrides: &Overrides,
        assembled: &Assembled,
        clusters: Vec<&'static str>,
    ) -> Agents {
        let (app, defaults) = (self.name.clone(), self.defaults.clone());
        let states: Vec<StateRequirement> = self.states.iter().map(|entry| entry.what).collect();
        let (overrides, topics) = (overrides.clone(), assembled.topics.clone());
        Agents::new(move |agent| {
            let flat = Flat {
                component: agent.into(),
                defaults: defaults.clone(),
            };
            planned(&app, &flat, &states, &topics, &clusters, &overrides)
        })
    }

    async fn make_states(
        &self,
        settings: &Arc<Settings>,
    ) -> Result<StateMap, (String, AgentError)> {
        let mut states = StateMap::default();
        for entry in &self.states {
            let cx = StateContext {
                states: states.clone(),
                settings: settings.clone(),
            };
            let insert = (entry.make)(cx)
                .await
                .map_err(|error| (format!("state `{}`", entry.what.name), error))?;
            insert(&mut states);
        }
        Ok(states)
    }
}
