//! Tests of services: the production app on an in-memory log, with a clock the test owns.
//!
//! In: an app, records, time. Out: outputs, commits, dead letters. Nothing sleeps: the app's tasks run on
//! the test's own current-thread runtime with tokio's clock paused, and records are handed to agents only
//! while the test waits in [`TestApp::settle`], [`TestApp::step`] or [`TestApp::advance`]. The same test
//! gives the same result every time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

mod clock;
mod clusters;
mod codec;
mod embedded;
mod faults;
mod groups;
#[cfg(feature = "web")]
mod live;
#[cfg(feature = "web")]
mod net;
mod stalls;
#[cfg(test)]
mod tests;
mod topic;
#[cfg(feature = "web")]
mod web;

pub use clock::block_on;
use clock::pause_clock;
pub use codec::TopicCodec;
pub use embedded::{EmbeddedCluster, SendRefusal};
pub use topic::{DeadLetter, PushRecord, RawPair, SentRecord, TestTopic};
#[cfg(feature = "web")]
pub use {
    live::{TestEvent, TestEvents, TestSocket},
    web::TestResponse,
};

use crate::app::topics::partitions_or;
use crate::app::{App, Prepared, RunOptions, Running};
use crate::config::{Flags, Settings};
use crate::error::RunError;
use crate::runtime::agents::Agents;
use crate::runtime::worker::Executor;
use crate::schema::{SchemaSource, Schemas};
use crate::time::{Clock, parse_duration};
use crate::topic::{Topic, TopicId};
use crate::transport::memory::MemoryCluster;
pub use crate::transport::memory::Withheld;

/// When a test's clock starts: 2025-01-01T00:00:00Z.
const START: i64 = 1_735_689_600_000;
/// At most this many records in one chunk: small, so that tests see hand-overs in the middle.
const MAX_CHUNK: usize = 100;
/// Turns of the runtime without any event after which nothing is going on any more.
const QUIET_TURNS: usize = 64;
/// Turns after which `settle` gives up: something never comes to rest.
const MOST_TURNS: usize = 10_000_000;

/// Collects how a [`TestApp`] is to run; see there.
pub struct TestAppBuilder {
    app: Arc<dyn Fn() -> App + Send + Sync>,
    workers: usize,
    partitions: Vec<(TopicId, usize)>,
    variables: BTreeMap<String, String>,
    start: i64,
    source: Option<Arc<dyn SchemaSource>>,
}

impl fmt::Debug for TestAppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestAppBuilder")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// What a [`TestApp`] is made of: an app, or a function that makes one (then every worker, and every
/// restart, has state of its own).
pub trait AppSource: Send + 'static {
    #[doc(hidden)]
    fn into_source(self) -> Arc<dyn Fn() -> App + Send + Sync>;
}

impl AppSource for App {
    fn into_source(self) -> Arc<dyn Fn() -> App + Send + Sync> {
        Arc::new(move || self.clone())
    }
}

impl<F: Fn() -> App + Send + Sync + 'static> AppSource for F {
    fn into_source(self) -> Arc<dyn Fn() -> App + Send + Sync> {
        Arc::new(self)
    }
}

/// A running app on an in-memory log.
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::testing::TestApp;
///
/// #[citizenk::message]
/// struct Order { amount: u32 }
/// #[citizenk::message]
/// #[derive(Debug, PartialEq)]
/// struct Alert { amount: u32 }
///
/// const ORDERS: Topic<Order> = Topic::json("orders");
/// const ALERTS: Topic<Alert> = Topic::json("alerts");
///
/// #[citizenk::agent(topics = [ORDERS], output = ALERTS)]
/// async fn large(order: Event<Order>) -> Option<Alert> {
///     (order.value.amount > 100).then(|| Alert { amount: order.value.amount })
/// }
///
/// fn app() -> App {
///     App::new("alerts").register::<large>()
/// }
///
/// citizenk::testing::block_on(async {
///     let app = TestApp::new(app).start().await?;
///     app.topic(&ORDERS).push(&"k".to_owned(), Order { amount: 500 });
///     app.topic(&ORDERS).push(&"k".to_owned(), Order { amount: 5 });
///     app.settle().await;
///     let sent = app.topic(&ALERTS).sent();
///     assert_eq!(sent.len(), 1);
///     assert_eq!(sent[0].key.as_deref(), Some("k"));
///     assert_eq!(sent[0].value, Some(Alert { amount: 500 }));
///     assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 2);
///     app.stop().await
/// }).unwrap();
/// ```
pub struct TestApp {
    builder: TestAppBuilder,
    /// The one without a name.
    pub(crate) cluster: MemoryCluster,
    /// Those with a name.
    others: BTreeMap<&'static str, MemoryCluster>,
    /// Those that the app has.
    names: Vec<&'static str>,
    /// By number, which a worker keeps when others are stopped.
    workers: BTreeMap<usize, Running>,
    #[cfg(feature = "web")]
    web: BTreeMap<usize, web::TestWeb>,
    #[cfg(feature = "web")]
    net: net::TestNet,
    clock: Clock,
    /// Ids of schemas are the test's own.
    schemas: Schemas,
    /// What the test itself wrote: not an output.
    pushed: std::sync::Mutex<BTreeSet<(&'static str, String, i32, i64)>>,
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl TestAppBuilder {
    /// How many workers run the app, as members of one consumer group; default 1.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// How many partitions a topic has; default: as many as it declares, or 4.
    #[must_use]
    pub fn partitions<V, K>(mut self, topic: &Topic<V, K>, partitions: usize) -> Self {
        self.partitions.push((topic.id(), partitions.max(1)));
        self
    }

    /// An environment variable as the app's settings read it, e.g. `APP_RATE`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Puts a value in the place of the registered state of its type.
    #[must_use]
    pub fn override_state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        let app = self.app;
        self.app = Arc::new(move || app().override_state(value.clone()));
        self
    }

    /// When the clock starts; default 2025-01-01T00:00:00Z.
    #[must_use]
    pub fn at(mut self, start: chrono::DateTime<chrono::Utc>) -> Self {
        self.start = start.timestamp_millis();
        self
    }

    /// Starts all workers and waits until every partition has its owner.
    ///
    /// # Errors
    /// As the app itself: build errors, settings, start-up hooks.
    ///
    /// # Panics
    /// Outside a current-thread tokio runtime.
    pub async fn start(self) -> Result<TestApp, RunError> {
        assert!(
            matches!(
                Handle::try_current().map(|handle| handle.runtime_flavor()),
                Ok(RuntimeFlavor::CurrentThread)
            ),
            "TestApp needs a current-thread tokio runtime: use `citizenk::testing::block_on` or `#[tokio::test]`"
        );
        pause_clock();
        let memory = || {
            let cluster = MemoryCluster::new();
            cluster.set_now(self.start);
            cluster.permit(Some(0));
            cluster
        };
        let cluster = memory();
        let others = (self.app)().clusters.into_iter();
        let others = others.map(|name| (name, memory())).collect();
        let base = chrono::DateTime::from_timestamp_millis(self.start).unwrap_or_default();
        let clock = Clock::tokio(base);
        let schemas = self.source.clone().map_or_else(Schemas::local, Schemas::of);
        let mut app = TestApp {
            builder: self,
            cluster,
            others,
            names: Vec::new(),
            workers: BTreeMap::new(),
            #[cfg(feature = "web")]
            web: BTreeMap::new(),
            #[cfg(feature = "web")]
            net: net::TestNet::default(),
            clock,
            schemas,
            pushed: std::sync::Mutex::default(),
        };
        app.create_topics()?;
        app.open_registries().await?;
        app.start_workers().await?;
        Ok(app)
    }
}

impl TestApp {
    /// Starts from an app, or from a function that makes one.
    #[expect(
        clippy::new_ret_no_self,
        reason = "the builder's end is `start`, which gives the TestApp"
    )]
    pub fn new(app: impl AppSource) -> TestAppBuilder {
        TestAppBuilder {
            app: app.into_source(),
            workers: 1,
            partitions: Vec::new(),
            variables: BTreeMap::new(),
            start: START,
            source: None,
        }
    }

    pub(super) fn settings(&self) -> Result<Arc<Settings>, RunError> {
        let flags = Flags {
            offline: true,
            ..(self.builder.app)().flags()
        };
        Ok(Arc::new(Settings::resolve(
            flags,
            &self.builder.variables,
            None,
        )?))
    }

    fn create_topics(&mut self) -> Result<(), RunError> {
        let settings = self.settings()?;
        let app = (self.builder.app)();
        let assembled = app.assembled(&crate::app::overrides(&settings))?;
        self.names = app.cluster_names(&assembled, &settings);
        for (name, topic) in &assembled.topics {
            let chosen = self
                .builder
                .partitions
                .iter()
                .rev()
                .find(|(chosen, _)| *chosen == topic.id());
            self.on(topic.cluster).create_topic(
                &settings.real_topic(name),
                chosen.map_or_else(|| partitions_or(topic, 4), |(_, count)| *count),
            );
        }
        Ok(())
    }

    async fn start_workers(&mut self) -> Result<(), RunError> {
        for number in 0..self.builder.workers {
            let app = (self.builder.app)().commit_interval(Duration::ZERO);
            let settings = self.settings()?;
            let options = RunOptions {
                overrides: self.overrides(&settings),
                client_id: self.member(number),
                base_url: None,
                drain: app.drain.unwrap_or(settings.drain.value),
                settings: settings.clone(),
                clusters: self.clusters(),
                max_chunk: MAX_CHUNK,
                executor: Executor::Tasks(Handle::current()),
                handle: Handle::current(),
                clock: self.clock.clone(),
            };
            let prepared = Prepared::new(&app, options).await?;
            #[cfg(feature = "web")]
            let web = web::TestWeb::new(
                &app,
                &settings,
                &self.overrides(&settings),
                &prepared,
                self.net.neighbourhood(number, &settings),
            )?;
            let running = prepared.start().await?;
            #[cfg(feature = "web")]
            {
                web.live.started(&running.engine);
                self.net.join(number, &web);
                self.web.insert(number, web);
            }
            self.workers.insert(number, running);
        }
        self.rest().await;
        Ok(())
    }

    /// The topic as the test sees it.
    pub fn topic<V, K>(&self, topic: &Topic<V, K>) -> TestTopic<'_, V, K> {
        TestTopic::new(self, *topic)
    }

    /// Lets everything happen that can happen now: all records are handed over, handlers run, outputs
    /// arrive, offsets are committed. Time does not pass: batches that wait for more records, back-offs
    /// and handlers that sleep go on waiting (see [`TestApp::advance`]).
    ///
    /// # Panics
    /// When the app never comes to rest, e.g. because two agents feed each other.
    pub async fn settle(&self) {
        self.permit(None);
        self.rest().await;
        self.permit(Some(0));
    }

    /// Hands over one record (of any partition) and lets everything happen that follows from it. A
    /// second agent's record that follows is not handed over yet.
    pub async fn step(&self) {
        for (_, cluster) in self.memories() {
            cluster.permit(Some(1));
            self.rest().await;
            let left = cluster.permitted();
            cluster.permit(Some(0));
            if left == Some(0) {
                return;
            }
        }
    }

    /// Lets time pass, with everything that is due meanwhile, in order: `"250ms"`, `"30s"`, `"1h"`.
    ///
    /// # Panics
    /// When the text is not a duration.
    #[track_caller]
    pub fn advance(&self, time: &str) -> impl Future<Output = ()> + '_ {
        let time = match parse_duration(time) {
            Ok(time) => time,
            Err(error) => panic!("{error}"),
        };
        async move {
            self.permit(None);
            self.rest().await;
            // The paused clock jumps from timer to timer while everything else is idle.
            tokio::time::sleep(time).await;
            self.rest().await;
            self.permit(Some(0));
        }
    }

    /// Waits in real time, at most ten seconds, until the condition holds: for handlers that wait for
    /// the world outside, e.g. a database on a thread of its own.
    ///
    /// # Panics
    /// When it does not hold in time.
    pub async fn wait_until(&self, mut condition: impl FnMut(&Self) -> bool) {
        let start = std::time::Instant::now();
        self.permit(None);
        while !condition(self) {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "the condition did not hold within 10 s"
            );
            self.rest().await;
            // The thread's time, not the paused clock's; other threads need it.
            std::thread::yield_now();
        }
        self.permit(Some(0));
    }

    /// Runs the runtime without letting time pass until nothing happens any more.
    async fn rest(&self) {
        let mut seen = self.activity();
        let mut quiet = 0;
        for _ in 0..MOST_TURNS {
            // Not idle for a moment, so the paused clock does not move.
            tokio::task::yield_now().await;
            let now = self.activity();
            let mut memories = self.memories();
            if now != seen || !memories.all(|(_, cluster)| cluster.idle_or_draining()) {
                (seen, quiet) = (now, 0);
                continue;
            }
            quiet += 1;
            if quiet == QUIET_TURNS {
                // What lanes settled is committed at the next look, which this asks for once.
                self.workers
                    .values()
                    .for_each(|worker| worker.engine.wake());
                seen = self.activity();
            } else if quiet > 2 * QUIET_TURNS {
                return;
            }
        }
        panic!("the app does not come to rest; do its agents feed each other for ever?");
    }

    /// Revokes all partitions of all groups and deals them anew.
    pub async fn rebalance(&self) {
        for group in self.groups() {
            for (_, cluster) in self.memories() {
                cluster.force_rebalance(&group);
            }
        }
        self.rest().await;
    }

    /// Stops one worker in order; the others take its partitions over.
    ///
    /// # Errors
    /// As [`TestApp::stop`].
    ///
    /// # Panics
    /// When there is no such worker, or none any more.
    pub async fn stop_worker(&mut self, worker: usize) -> Result<(), RunError> {
        #[cfg(feature = "web")]
        self.web.remove(&worker);
        #[cfg(feature = "web")]
        self.net.leave(Some(worker));
        let Some(running) = self.workers.remove(&worker) else {
            panic!("worker {worker} is not running")
        };
        let stopped = running.stop().await;
        self.rest().await;
        stopped
    }

    /// Stops all workers and starts them again; the log and the committed offsets stay.
    ///
    /// # Errors
    /// As [`TestApp::stop`] and [`TestAppBuilder::start`].
    pub async fn restart(&mut self) -> Result<(), RunError> {
        self.stop_workers().await?;
        self.start_workers().await
    }

    /// What the first worker's handlers get as [`Agents`].
    ///
    /// # Panics
    /// When no worker runs.
    pub fn agents(&self) -> Agents {
        self.agents_of(self.workers.keys().next().copied().unwrap_or_default())
    }

    /// As [`TestApp::agents`], of another worker.
    ///
    /// # Panics
    /// When there is no such worker, or none any more.
    pub fn agents_of(&self, worker: usize) -> Agents {
        match self.workers.get(&worker) {
            Some(running) => running.engine.later().clone(),
            None => panic!("worker {worker} is not running"),
        }
    }

    /// Why the app is stopping by itself, if it is: a policy said `stop`, a client failed.
    pub fn stopped(&self) -> Option<String> {
        self.workers
            .values()
            .find_map(|worker| worker.supervisor.cause())
    }

    /// Stops all workers in order.
    ///
    /// # Errors
    /// What made a worker stop by itself, or what was left unfinished.
    pub async fn stop(mut self) -> Result<(), RunError> {
        self.stop_workers().await
    }

    async fn stop_workers(&mut self) -> Result<(), RunError> {
        #[cfg(feature = "web")]
        self.web.clear();
        #[cfg(feature = "web")]
        self.net.leave(None);
        let mut result = Ok(());
        for (_, worker) in std::mem::take(&mut self.workers) {
            let stopped = worker.stop().await;
            result = result.and(stopped);
        }
        result
    }

    /// What the records of the log were and are handed out as; for assertions on time.
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock.now()
    }
}
