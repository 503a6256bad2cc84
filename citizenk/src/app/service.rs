//! An app with its settings, run as a program.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;

#[cfg(feature = "web")]
use super::front::Front;
use super::registries::Writes;
use super::{AgentOverride, App, Overrides, Prepared, RunOptions, topics};
use crate::config::Settings;
use crate::error::{Exit, RunError};
use crate::runtime::clusters::Clusters;
use crate::runtime::engine;
use crate::runtime::worker::Executor;
use crate::schema::Schemas;
use crate::time::Clock;
use crate::transport::BrokerKind;
#[cfg(any(test, feature = "testing"))]
use crate::transport::Transport;

/// At most this many records in one chunk: few, large chunks cost least.
const MAX_CHUNK: usize = 1000;

/// An app that was checked and has its settings; made by [`App::build`].
#[derive(Debug)]
pub struct Service {
    app: App,
    settings: Arc<Settings>,
}

impl App {
    /// The settings under these flags, from the environment there is.
    pub(super) fn load(&self, flags: crate::Flags) -> Result<Settings, RunError> {
        Ok(match &self.environment {
            Some(variables) => Settings::from_disk(flags, variables)?,
            None => Settings::load(flags)?,
        })
    }

    /// Reads settings from the environment and, where `CITIZENK_CONFIG` names one, a file; checks
    /// everything.
    ///
    /// # Errors
    /// [`RunError::Config`] or [`RunError::Build`], each with all mistakes.
    pub async fn build(self) -> Result<Service, RunError> {
        let settings = self.load(self.flags())?;
        self.build_with(settings).await
    }

    /// Checks everything under the given settings, resolved from [`App::flags`] where the app has clusters
    /// with a name.
    ///
    /// # Errors
    /// [`RunError::Build`] with all mistakes.
    pub async fn build_with(self, settings: Settings) -> Result<Service, RunError> {
        let service = Service {
            app: self,
            settings: Arc::new(settings),
        };
        service.app.check_settings(&service.settings)?;
        service.app.assembled(&overrides(&service.settings))?;
        Ok(service)
    }
}

/// What the settings change in the app.
pub(crate) fn overrides(settings: &Settings) -> Overrides {
    let value = |setting: &Option<crate::config::Setting<String>>| {
        setting.as_ref().map(|s| s.value.clone())
    };
    Overrides {
        group: value(&settings.group),
        names: settings.names(),
        agents: settings
            .agents
            .iter()
            .map(|(name, tuning)| {
                let tuning = AgentOverride {
                    batch_size: tuning.batch_size.as_ref().map(|s| s.value),
                    batch_timeout: tuning.batch_timeout.as_ref().map(|s| s.value),
                    concurrency: tuning.concurrency.as_ref().map(|s| s.value),
                    timeout: tuning.timeout.as_ref().map(|s| s.value),
                    buffer_bytes: tuning.buffer_bytes.as_ref().map(|s| s.value),
                    enabled: tuning.enabled.as_ref().map(|s| s.value),
                    source: tuning.source.to_string(),
                };
                (name.clone(), tuning)
            })
            .collect(),
        uncommitted: settings.uncommitted(),
        schemas: Schemas::none(),
    }
}

impl Service {
    /// Runs until `shutdown` completes or something stops the service; then drains, commits and leaves.
    ///
    /// Call it inside a multi-thread tokio runtime.
    ///
    /// # Errors
    /// Why the service had to stop, or what was left unfinished.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let clusters = self.app.clusters(&self.settings, None)?;
        self.run_on(clusters, shutdown).await
    }

    /// With the cluster without a name where this transport leads.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn run_here(
        self,
        transport: Arc<dyn Transport>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), RunError> {
        let clusters = self.app.clusters(&self.settings, Some(transport))?;
        self.run_on(clusters, shutdown).await
    }

    async fn run_on(
        self,
        clusters: Clusters,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), RunError> {
        let Self { app, settings } = self;
        tokio::pin!(shutdown);
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        let mut overrides = overrides(&settings);
        let embedded = clusters.first().transport.kind() == BrokerKind::Embedded;
        overrides.schemas = tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            schemas = app.schemas(&settings, &overrides, embedded, Writes::App) => schemas?,
        };
        let assembled = app.assembled(&overrides)?;
        for (name, topic) in &assembled.topics {
            let transport = &clusters.of(topic.cluster)?.transport;
            if transport.kind() == BrokerKind::Embedded {
                let partitions = topics::partitions_or(topic, EMBEDDED_PARTITIONS);
                transport.create_topic(&settings.real_topic(name), partitions)?;
            }
        }
        let handle = Handle::current();
        let lanes = std::thread::available_parallelism()
            .map_or(1, |cores| cores.get().saturating_sub(1).max(1));
        let executor = Executor::pinned(lanes, &handle).map_err(|source| RunError::Startup {
            component: "worker threads".to_owned(),
            reason: source.to_string(),
        })?;
        let drain = app.drain.unwrap_or(settings.drain.value);
        #[cfg(feature = "web")]
        let front = Front::bind(
            &app,
            &settings,
            &overrides,
            clusters.first().transport.kind(),
        )?;
        #[cfg(feature = "web")]
        let base_url = Some(front.url());
        #[cfg(not(feature = "web"))]
        let base_url: Option<String> = None;
        #[cfg(feature = "web")]
        let neighbourhood = front.neighbourhood(&settings);
        #[cfg(feature = "web")]
        let client_id = neighbourhood.client_id();
        #[cfg(not(feature = "web"))]
        let client_id = app.name.clone();
        let options = RunOptions {
            overrides,
            client_id,
            base_url,
            settings,
            clusters,
            drain,
            max_chunk: MAX_CHUNK,
            executor,
            handle,
            clock: Clock::system(),
        };
        // State, connecting or a hook may take for ever: a stop is looked for first, and at every step.
        let prepared = tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            prepared = Prepared::new(&app, options) => prepared?,
        };
        let port = prepared.spec.port.clone();
        let stopping = prepared.shutdown.clone();
        #[cfg(feature = "web")]
        let (server, live) = front.serve(&prepared, neighbourhood)?;
        let running = tokio::select! {
            biased;
            () = &mut shutdown => return engine::give_up(&port, drain).await,
            started = prepared.start() => started?,
        };
        #[cfg(feature = "web")]
        live.started(&running.engine);
        tracing::info!(app = app.name, "running");
        tokio::select! {
            () = shutdown => tracing::info!("stopping"),
            () = stopping.wait() => {}
        }
        let stopped = running.stop().await;
        #[cfg(feature = "web")]
        server.shutdown(LAST_REQUESTS).await;
        if stopped.is_ok() {
            tracing::info!(app = app.name, "stopped");
        }
        stopped
    }
}

/// How long started requests may go on after everything else has stopped.
#[cfg(feature = "web")]
const LAST_REQUESTS: std::time::Duration = std::time::Duration::from_secs(1);

/// Partitions of topics on the embedded broker that declare none.
const EMBEDDED_PARTITIONS: usize = 4;

/// Completes at SIGTERM or SIGINT; a second signal ends the process at once.
///
/// Signals are caught from the call on, not from the first poll: until then they would end the process
/// without any further step.
pub(crate) fn signalled() -> impl Future<Output = ()> {
    let mut signals = Signals::catch();
    async move {
        let first = signals.next().await;
        tracing::info!(
            signal = first,
            "received; a second signal ends the program at once"
        );
        tokio::spawn(async move {
            signals.next().await;
            kill();
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a second signal is a request to end without any further step"
)]
fn kill() -> ! {
    std::process::exit(i32::from(Exit::KILLED.code()))
}

/// What asks a program to stop; `None` where that cannot be caught.
#[cfg(unix)]
struct Signals(Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>);

#[cfg(unix)]
impl Signals {
    fn catch() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let (terminate, interrupt) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        );
        let both = terminate.and_then(|terminate| Ok((terminate, interrupt?)));
        Self(
            both.inspect_err(|error| tracing::error!(%error, "signals cannot be handled here"))
                .ok(),
        )
    }

    async fn next(&mut self) -> &'static str {
        let Some((terminate, interrupt)) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn catch() -> Self {
        Self
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            tracing::error!("signals cannot be handled here");
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

/// Runs the app as a program; without the feature `cli` there is no command line, settings come from the
/// environment.
///
/// Call it from `main` and return what it returns: `fn main() -> citizenk::Exit { citizenk::run(app()) }`.
#[cfg(not(feature = "cli"))]
pub fn run(app: App) -> Exit {
    block_on(async move {
        let exporting = crate::telemetry::trace::export::Exporting::start(&app.name)?;
        #[cfg(feature = "otel")]
        if let Some(layer) = exporting.layer() {
            use tracing_subscriber::layer::SubscriberExt as _;
            use tracing_subscriber::util::SubscriberInitExt as _;
            let installed = tracing_subscriber::registry().with(layer).try_init();
            exporting.announce(installed.is_ok());
        }
        let service = app.build().await?;
        let ended = service.run_until(signalled()).await;
        exporting.end().await;
        ended
    })
}

/// Runs a program's future on a runtime of its own and turns its error into text and exit code.
pub(crate) fn block_on(program: impl Future<Output = Result<(), RunError>>) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the async runtime: {error}");
            return Exit::FAILED;
        }
    };
    let result = runtime.block_on(program);
    // What still runs on blocking threads must not hold the end of the program.
    runtime.shutdown_background();
    match result {
        Ok(()) => Exit::OK,
        Err(error) => {
            eprintln!("error: {error}");
            Exit::from(&error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn given_variables_stand_for_the_processs() {
        let variables = [
            ("KAFKA_BOOTSTRAP_SERVERS", "one:9092"),
            ("CITIZENK_PREFIX", "api"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let wrong = App::new("x").environment(variables.clone().into());
        let error = wrong
            .build()
            .await
            .expect_err("a prefix begins with a slash");
        assert!(error.to_string().contains("CITIZENK_PREFIX"), "{error}");
        let right = App::new("x").environment(variables[..1].iter().cloned().collect());
        assert!(right.build().await.is_ok());
    }
}
