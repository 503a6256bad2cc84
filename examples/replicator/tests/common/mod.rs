//! A Replicator between two clusters in memory, with files in a folder of its own.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use citizenk::admin::NewTopic;
use citizenk::prelude::*;
use citizenk::testing::TestApp;
use replicator::KeyBytes;
use replicator::domain::env::{Translated, translate};
use serde_json::{Value, json};

pub(crate) type Raw = Topic<RawBytes, KeyBytes>;

pub(crate) const SOURCE: Raw = Topic::<RawBytes, KeyBytes>::raw("any")
    .key_raw()
    .cluster("source");
pub(crate) const TARGET: Raw = Topic::<RawBytes, KeyBytes>::raw("any")
    .key_raw()
    .cluster("target");

pub(crate) fn source(name: &str) -> Raw {
    SOURCE.named(&format!("source/{name}"))
}

pub(crate) fn target(name: &str) -> Raw {
    TARGET.named(&format!("target/{name}"))
}

/// A folder that is gone with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "replicator-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    pub(crate) fn mappings(&self, mappings: &Value) {
        self.write(
            "mappings.json",
            &json!({ "mappings": mappings, "comment": "test" }).to_string(),
        );
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The service with these files; `more` are variables.
pub(crate) async fn start(folder: &Folder, more: &[(&str, &str)]) -> TestApp {
    start_workers(folder, more, 1).await
}

/// As many workers, which share the files.
pub(crate) async fn start_workers(
    folder: &Folder,
    more: &[(&str, &str)],
    workers: usize,
) -> TestApp {
    let (options, _) = options(folder, more);
    TestApp::new(move || replicator::app(options.clone()))
        .workers(workers)
        .start()
        .await
        .unwrap()
}

/// What these variables say, with clusters in memory.
pub(crate) fn options(folder: &Folder, more: &[(&str, &str)]) -> Translated {
    let mut vars = BTreeMap::from([
        (
            "FILE_DATA_PATH".to_owned(),
            folder.path().to_str().unwrap().to_owned(),
        ),
        ("KAFKA_SOURCE_SERVER_URL".to_owned(), "memory:1".to_owned()),
        ("KAFKA_TARGET_SERVER_URL".to_owned(), "memory:2".to_owned()),
        ("READ_MAPPINGS_EVERY_SECONDS".to_owned(), "1".to_owned()),
        ("CACULATE_STATS_EVERY_SECONDS".to_owned(), "1".to_owned()),
        ("DELETE_GROUPS_EVERY_SECONDS".to_owned(), "1".to_owned()),
    ]);
    vars.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    translate(&vars).unwrap()
}

pub(crate) async fn create(app: &TestApp, cluster: &str, names: &[&str], partitions: u32) {
    let admin = app.admin().on(cluster).unwrap();
    for name in names {
        admin
            .create_topic(NewTopic::new(*name).partitions(partitions))
            .await
            .unwrap();
    }
}

/// Lets time pass until it is so; at most two minutes of the paused clock.
pub(crate) async fn until(app: &TestApp, what: &str, mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..240 {
        app.settle().await;
        if is().await {
            return;
        }
        app.advance("500ms").await;
    }
    let rows = rows(app).await;
    let states: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row["name"], row["state"], row["detail"]))
        .collect();
    panic!(
        "never: {what}; {states:?}; {}",
        rows.first().unwrap_or(&Value::Null)
    );
}

pub(crate) async fn rows(app: &TestApp) -> Vec<Value> {
    let stats: Value = app.get("/api/stats?all=1").await.json();
    stats[0]["mappings"].as_array().unwrap().clone()
}

pub(crate) async fn row(app: &TestApp, name: &str) -> Value {
    let rows = rows(app).await;
    rows.into_iter()
        .find(|row| row["name"] == name)
        .unwrap_or(Value::Null)
}

/// Waits until all mappings of this name read their partitions.
pub(crate) async fn running(app: &TestApp, name: &str) {
    until(app, &format!("`{name}` runs"), async || {
        let row = row(app, name).await;
        ["running", "idle", "catching_up"].contains(&row["state"].as_str().unwrap_or_default())
    })
    .await;
}

pub(crate) fn values(app: &TestApp, topic: &Raw) -> Vec<String> {
    let sent = app.topic(topic).sent_raw();
    sent.into_iter()
        .map(|(_, value)| String::from_utf8(value.unwrap_or_default()).unwrap())
        .collect()
}

pub(crate) fn mapping(name: &str, source: &str, target: &str) -> Value {
    json!({ "name": name, "group": "test", "source_topic_name": source, "target_topic_name": target })
}

/// `base` with more members.
pub(crate) fn with(mut base: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}
