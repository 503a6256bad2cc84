//! The in-memory log, through `TestApp`: what users' own tests stand on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use citizenk::testing::TestApp;
use citizenk::{App, RawBytes, RunError, Topic};

use crate::world::{Got, Push};

const GROUP: &str = "conformance";
/// Steps of the paused clock between two looks at a condition, and how many there may be: 60 s.
const STEP: &str = "20ms";
const STEPS: usize = 3000;

pub(crate) struct Memory {
    /// What the next start runs.
    next: Arc<Mutex<App>>,
    idle: App,
    app: TestApp,
}

fn raw(topic: &str) -> Topic<RawBytes, String> {
    Topic::raw(crate::name_of(topic))
}

impl Memory {
    /// The log outlives services, so it begins with one that does nothing.
    pub(crate) async fn open(workers: usize, topics: &[(&'static str, usize)]) -> Self {
        let mut idle = App::new("idle");
        for (name, _) in topics {
            idle = idle.topic(&raw(name));
        }
        let next = Arc::new(Mutex::new(idle.clone()));
        let source = next.clone();
        let mut builder = TestApp::new(move || source.lock().expect("no panic inside").clone())
            .workers(workers)
            .env("CITIZENK_GROUP", GROUP);
        for (name, partitions) in topics {
            builder = builder.partitions(&raw(name), *partitions);
        }
        let app = builder.start().await.expect("nothing to fail");
        Self { next, idle, app }
    }

    async fn run(&mut self, app: App) -> Result<(), RunError> {
        *self.next.lock().expect("no panic inside") = app;
        self.app.restart().await
    }

    pub(crate) async fn start(&mut self, app: App) {
        self.run(app).await.expect("the service starts");
    }

    pub(crate) async fn stop(&mut self) -> Result<(), RunError> {
        let stopped = self.run(self.idle.clone()).await;
        if stopped.is_err() {
            self.run(self.idle.clone()).await.expect("nothing to fail");
        }
        stopped
    }

    pub(crate) async fn stop_worker(&mut self, worker: usize) -> Result<(), RunError> {
        self.app.stop_worker(worker).await
    }

    pub(crate) async fn ended(&mut self) -> RunError {
        assert!(self.until(|| self.app.stopped().is_some()).await, "it runs");
        self.stop().await.expect_err("it stopped by itself")
    }

    pub(crate) async fn until(&self, mut condition: impl FnMut() -> bool) -> bool {
        self.app.settle().await;
        for _ in 0..STEPS {
            if condition() {
                return true;
            }
            self.app.advance(STEP).await;
        }
        false
    }

    pub(crate) fn push(&self, topic: &str, push: Push) {
        let topic = raw(topic);
        let topic = self.app.topic(&topic);
        let mut record = topic.record();
        if let Some(key) = &push.key {
            record = record.key(key);
        }
        for (name, value) in push.headers {
            record = record.header(name, value);
        }
        if let Some(partition) = push.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp) = push.timestamp {
            record = record.timestamp(timestamp);
        }
        record.push_raw(push.value.as_deref());
    }

    pub(crate) fn all(&self, topic: &str) -> Vec<Got> {
        let sent = self.app.topic(&raw(topic)).sent();
        sent.into_iter()
            .map(|sent| Got {
                key: sent.key,
                value: sent.value.map(|value| value.0),
                headers: sent
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        let value = String::from_utf8_lossy(value.unwrap_or_default());
                        (name.to_owned(), value.into_owned())
                    })
                    .collect(),
                partition: sent.partition,
                offset: sent.offset,
                timestamp: sent.timestamp.millis(),
            })
            .collect()
    }

    pub(crate) fn committed(&self, topic: &str) -> BTreeMap<i32, i64> {
        self.app.committed_by(GROUP, &raw(topic))
    }

    pub(crate) async fn metrics(&self) -> String {
        self.app.get("/metrics").await.body
    }
}
