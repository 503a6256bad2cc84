//! What a case sees: two clusters, a folder and the service, whatever they are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use citizenk::Agents;
use citizenk::admin::NewTopic;
use citizenk::prelude::*;
use citizenk::testing::TestApp;
use replicator::domain::env::translate;
use serde_json::{Value, json};

use crate::common::{self, Folder};
use crate::real::Real;

/// How long a condition may take on a real broker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the clusters are.
pub(crate) enum Broker {
    Memory,
    Real { source: String, target: String },
}

impl Broker {
    /// The two real ones, where somebody has started them.
    pub(crate) fn real() -> Option<Self> {
        let target = std::env::var("CITIZENK_SECOND_KAFKA").ok()?;
        let source = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("the first Kafka's address");
        Some(Self::Real { source, target })
    }
}

/// Where a case runs.
pub(crate) struct Place {
    pub(crate) broker: Broker,
    /// Whether the source is read with a consumer group.
    pub(crate) grouped: bool,
}

/// A record that is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Push {
    pub(crate) partition: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    pub(crate) timestamp: Option<i64>,
}

impl Push {
    pub(crate) fn new(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self {
            key: Some(key.as_ref().to_vec()),
            value: Some(value.as_ref().to_vec()),
            ..Self::default()
        }
    }

    pub(crate) fn at(self, partition: i32) -> Self {
        Self { partition, ..self }
    }
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    pub(crate) timestamp: Option<i64>,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.value.clone().unwrap_or_default()).expect("text")
    }

    pub(crate) fn key_is(&self, key: &str) -> bool {
        self.key.as_deref() == Some(key.as_bytes())
    }
}

enum Clusters {
    Memory(Box<TestApp>),
    Real(Box<Real>),
}

pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) grouped: bool,
    clusters: Clusters,
    /// What makes the names of topics and groups this case's own.
    run: String,
    vars: BTreeMap<String, String>,
}

impl World {
    /// Clusters with these topics, and a service that does not run yet.
    pub(crate) async fn open(
        place: Place,
        partitions: u32,
        source: &[&str],
        target: &[&str],
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let run = format!(
            "{}-{}",
            now.expect("after 1970").as_nanos(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = Folder::new();
        let (first, second) = match &place.broker {
            Broker::Memory => ("memory:1".to_owned(), "memory:2".to_owned()),
            Broker::Real { source, target } => (source.clone(), target.clone()),
        };
        let every = match place.broker {
            Broker::Memory => "1",
            Broker::Real { .. } => "0.2",
        };
        let mut vars: BTreeMap<String, String> = [
            ("FILE_DATA_PATH", folder.path().to_str().unwrap()),
            ("KAFKA_SOURCE_SERVER_URL", &first),
            ("KAFKA_TARGET_SERVER_URL", &second),
            ("READ_MAPPINGS_EVERY_SECONDS", every),
            ("CACULATE_STATS_EVERY_SECONDS", every),
            ("DELETE_GROUPS_EVERY_SECONDS", every),
            // New partitions are seen by it.
            (
                "KAFKA_SOURCE_EXTRA_CONFIG_TOPIC_METADATA_REFRESH_INTERVAL_MS",
                "500",
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if place.grouped {
            vars.insert(
                "KAFKA_SOURCE_GROUP_NAME".to_owned(),
                format!("replicator-{run}"),
            );
        }
        let (options, _) = translate(&vars).unwrap();
        let clusters = match place.broker {
            Broker::Memory => {
                let app = TestApp::new(move || replicator::app(options.clone()));
                Clusters::Memory(Box::new(app.start().await.unwrap()))
            }
            Broker::Real { source, target } => {
                Clusters::Real(Box::new(Real::open(&source, &target).await))
            }
        };
        let mut world = Self {
            folder,
            grouped: place.grouped,
            clusters,
            run,
            vars,
        };
        for (cluster, names) in [("source", source), ("target", target)] {
            for name in names {
                world.create(cluster, name, partitions).await;
            }
        }
        if let Clusters::Memory(app) = &mut world.clusters {
            app.stop_worker(0).await.unwrap();
        }
        world
    }

    /// A name that is this case's own.
    pub(crate) fn t(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    pub(crate) fn mapping(&self, name: &str, source: &str, target: &str) -> Value {
        common::mapping(name, &self.t(source), &self.t(target))
    }

    pub(crate) async fn create(&self, cluster: &str, name: &str, partitions: u32) {
        let topic = NewTopic::new(self.t(name)).partitions(partitions);
        self.admin(cluster).create_topic(topic).await.unwrap();
    }

    pub(crate) async fn start(&mut self) {
        match &mut self.clusters {
            Clusters::Memory(app) => app.restart().await.unwrap(),
            Clusters::Real(real) => real.start(&self.vars).await,
        }
    }

    pub(crate) async fn stop(&mut self) {
        match &mut self.clusters {
            Clusters::Memory(app) => app.stop_worker(0).await.unwrap(),
            Clusters::Real(real) => real.stop().await,
        }
    }

    /// Ends everything, in order.
    pub(crate) async fn close(self) {
        match self.clusters {
            Clusters::Memory(app) => app.stop().await.unwrap(),
            Clusters::Real(real) => real.close().await,
        }
    }

    pub(crate) fn admin(&self, cluster: &str) -> Admin {
        match &self.clusters {
            Clusters::Memory(app) => app.admin().on(cluster).unwrap(),
            Clusters::Real(real) => real.tools.admin.on(cluster).unwrap(),
        }
    }

    /// Agents of somebody else.
    pub(crate) fn agents(&self) -> Agents {
        match &self.clusters {
            Clusters::Memory(app) => app.agents(),
            Clusters::Real(real) => real.tools.agents.clone(),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        match &self.clusters {
            Clusters::Memory(app) => app.now().timestamp_millis(),
            Clusters::Real(_) => Utc::now().timestamp_millis(),
        }
    }

    /// Writes to the source.
    pub(crate) async fn push(&self, name: &str, push: Push) {
        self.push_to("source", name, push).await;
    }

    pub(crate) async fn push_to(&self, cluster: &str, name: &str, push: Push) {
        let topic = self.t(name);
        match &self.clusters {
            Clusters::Memory(app) => {
                let topic = match cluster {
                    "source" => common::source(&topic),
                    _ => common::target(&topic),
                };
                let topic = app.topic(&topic);
                let key = push.key.map(replicator::KeyBytes);
                let mut record = topic.record().partition(push.partition);
                if push.headers.iter().next().is_some() {
                    // What has headers without a value goes another way.
                    let key = key.as_ref().map(|key| key.0.as_slice());
                    let value = push.value.expect("records with headers have values");
                    topic.push_to(push.partition, key, &value, push.headers);
                    return;
                }
                if let Some(key) = &key {
                    record = record.key(key);
                }
                if let Some(at) = push.timestamp {
                    record = record.timestamp(at);
                }
                record.push_raw(push.value.as_deref());
            }
            Clusters::Real(real) => real.push(cluster, &topic, &push).await,
        }
    }

    /// All records of a target's topic, by partition.
    pub(crate) async fn sent(&self, name: &str) -> Vec<Got> {
        let topic = self.t(name);
        let reader = match &self.clusters {
            Clusters::Memory(app) => app.reader(),
            Clusters::Real(real) => real.tools.reader.clone(),
        };
        let reader = reader.on("target").unwrap();
        let found = reader
            .raw(&topic)
            .from(citizenk::Position::Earliest)
            .patience(Duration::from_secs(10))
            .stream()
            .all()
            .await
            .unwrap();
        let got = found.iter().map(|event| Got {
            partition: event.partition(),
            offset: event.offset(),
            key: event.key_bytes().map(<[u8]>::to_vec),
            value: event.value.as_ref().map(|value| value.0.clone()),
            headers: event.headers(),
            timestamp: event.timestamp().millis(),
        });
        let mut got: Vec<Got> = got.collect();
        got.sort_by_key(|got| (got.partition, got.offset));
        got
    }

    pub(crate) async fn values(&self, name: &str) -> Vec<String> {
        self.sent(name).await.iter().map(Got::text).collect()
    }

    /// Waits until a target's topic has these values.
    pub(crate) async fn arrive(&self, name: &str, values: &[&str]) {
        self.until(&format!("{values:?} in {name}"), async || {
            self.values(name).await == values
        })
        .await;
    }

    /// Waits until it is so: on memory two minutes of the paused clock, else [`PATIENCE`].
    pub(crate) async fn until(&self, what: &str, mut is: impl AsyncFnMut() -> bool) {
        match &self.clusters {
            Clusters::Memory(app) => common::until(app, what, is).await,
            Clusters::Real(_) => {
                let end = tokio::time::Instant::now() + PATIENCE;
                let mut pace = tokio::time::interval(Duration::from_millis(50));
                loop {
                    pace.tick().await;
                    if is().await {
                        return;
                    }
                    if tokio::time::Instant::now() > end {
                        panic!("never: {what}; {:?}", self.rows().await);
                    }
                }
            }
        }
    }

    /// Waits until a mapping reads its partitions.
    pub(crate) async fn running(&self, name: &str) {
        self.until(&format!("`{name}` runs"), async || {
            let row = self.row(name).await;
            let state = row["state"].as_str().unwrap_or_default().to_owned();
            ["running", "idle", "catching_up"].contains(&state.as_str())
        })
        .await;
    }

    pub(crate) async fn rows(&self) -> Vec<Value> {
        let stats = self.get("/api/stats?all=1").await;
        stats[0]["mappings"].as_array().unwrap().clone()
    }

    pub(crate) async fn row(&self, name: &str) -> Value {
        let mut rows = self.rows().await.into_iter();
        rows.find(|row| row["name"] == name).unwrap_or(Value::Null)
    }

    /// A counter of a mapping.
    pub(crate) async fn count(&self, name: &str, field: &str) -> i64 {
        self.row(name).await[field].as_i64().unwrap_or(-1)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        match &self.clusters {
            Clusters::Memory(app) => app.get(path).await.json(),
            Clusters::Real(real) => real.ask("GET", path, None).await,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        match &self.clusters {
            Clusters::Memory(app) => {
                let answer = app.post(path, body).await;
                if answer.body.is_empty() {
                    assert_eq!(answer.status / 100, 2);
                    return Value::Null;
                }
                answer.json()
            }
            Clusters::Real(real) => real.ask("POST", path, Some(body.to_string())).await,
        }
    }

    pub(crate) fn mappings(&self, mappings: &[Value]) {
        self.folder.mappings(&json!(mappings));
    }

    /// Deletes what is below an offset of a source's partition, as retention does.
    pub(crate) async fn truncate(&self, name: &str, partition: i32, below: i64) {
        let topic = self.t(name);
        match &self.clusters {
            Clusters::Memory(app) => app.truncate(&common::source(&topic), partition, below),
            Clusters::Real(real) => real.truncate(&topic, partition, below).await,
        }
    }
}
