//! Starts an app on a transport; the command line, programs of their own and tests all end here.
//!
//! Two steps, so that the web can answer (not ready yet) while the second runs: [`Prepared`] has state and
//! plans, [`Running`] consumes.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::topics::{self, TopicCheck};
use super::{App, Overrides};
use crate::admin::Admin;
use crate::config::Settings;
use crate::error::{ConfigError, RunError};
use crate::extract::{AppInfo, Background, Env, Producer, Reader, Shutdown};
use crate::fanout::Streams;
use crate::runtime::clusters::Clusters;
use crate::runtime::engine::{Engine, EngineSpec};
use crate::runtime::limits::Limits;
use crate::runtime::produce::Port;
use crate::runtime::read::AllReads;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::worker::Executor;
use crate::telemetry::Metrics;
use crate::time::Clock;

/// How an app is to run.
pub(crate) struct RunOptions {
    pub(crate) overrides: Overrides,
    pub(crate) clusters: Clusters,
    pub(crate) settings: Arc<Settings>,
    pub(crate) client_id: String,
    /// Where HTTP is served, if it is.
    pub(crate) base_url: Option<String>,
    pub(crate) drain: Duration,
    pub(crate) max_chunk: usize,
    pub(crate) executor: Executor,
    pub(crate) handle: Handle,
    pub(crate) clock: Clock,
}

/// A validated app with its state; nothing is connected yet.
pub(crate) struct Prepared {
    pub(crate) spec: EngineSpec,
    pub(crate) shutdown: Shutdown,
    supervisor: Supervisor,
    topics: Vec<(TopicCheck, Admin)>,
}

/// A running app.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) supervisor: Supervisor,
}

impl Prepared {
    /// Validates and makes state.
    pub(crate) async fn new(app: &App, options: RunOptions) -> Result<Self, RunError> {
        let assembled = app.assembled(&options.overrides)?;
        let (shutdown, trigger) = Shutdown::pair();
        let supervisor = Supervisor::new(trigger.clone());
        let later = app.planner(&options.overrides, &assembled, options.clusters.names());
        let mut states =
            app.make_states(&options.settings)
                .await
                .map_err(|(component, error)| {
                    match error.source().downcast_ref::<ConfigError>() {
                        // A setting of the program's own is a setting.
                        Some(config) => RunError::from(config.clone()),
                        None => RunError::Startup {
                            component,
                            reason: error.to_string(),
                        },
                    }
                })?;
        states.insert(later.clone());
        let port = Port::default();
        let metrics = Metrics::new();
        let version = app.api.version.as_deref().unwrap_or(super::DEFAULT_VERSION);
        metrics.set_info(
            &app.name,
            version,
            options.clusters.first().transport.kind(),
        );
        let topics = TopicCheck::all(
            &assembled,
            &options.overrides.names,
            &options.clusters,
            &options.settings,
        );
        let schemas = options.overrides.schemas.clone();
        let env = Env {
            admin: topics::admin(&options.clusters, &options.overrides.names),
            app: AppInfo::new(&app.name, version, options.base_url.as_deref()),
            states,
            producer: Producer::new(Arc::new(port.clone()), schemas.clone()),
            reader: Reader::new(
                Arc::new(AllReads {
                    clusters: options.clusters.clone(),
                    client_id: format!("{}-read", app.name),
                    names: options.overrides.names.clone(),
                }),
                schemas.clone(),
            ),
            schemas,
            background: Background::new(options.handle.clone(), shutdown.clone()),
            shutdown: shutdown.clone(),
            clock: options.clock,
            streams: Streams::new(metrics.clone()),
            metrics,
        };
        let spec = EngineSpec {
            app: app.name.clone(),
            client_id: options.client_id,
            agents: assembled.agents,
            timers: assembled.timers,
            hooks: assembled.hooks,
            names: options.overrides.names,
            clusters: options.clusters,
            max_chunk: options.max_chunk,
            drain: options.drain,
            commit_every: app.commit_every,
            defences: app.defences,
            limits: Limits::of(&options.settings),
            executor: options.executor,
            handle: options.handle,
            env,
            port,
            later,
            supervisor: supervisor.clone(),
            trigger,
        };
        Ok(Self {
            spec,
            shutdown,
            supervisor,
            topics,
        })
    }

    /// Connects and starts.
    pub(crate) async fn start(self) -> Result<Running, RunError> {
        topics::settle_all(self.topics, &self.spec.handle).await?;
        let engine = Engine::start(self.spec).await?;
        Ok(Running {
            engine,
            supervisor: self.supervisor,
        })
    }
}

impl Running {
    /// Stops in order; answers why it had to stop, if that was not asked for.
    pub(crate) async fn stop(self) -> Result<(), RunError> {
        let stopped = self.engine.stop().await;
        match self.supervisor.take_cause() {
            Some(cause) => {
                if let Err(error) = stopped {
                    tracing::warn!(%error, "the stop was not clean");
                }
                Err(cause)
            }
            None => stopped,
        }
    }
}
