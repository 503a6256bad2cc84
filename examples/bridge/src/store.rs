//! The bridges there are, and the file that keeps them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use citizenk::Agents;
use citizenk::prelude::*;

use crate::Options;
use crate::agent::{Counters, agent};
use crate::api::Bridge;
use crate::filter::Filter;

/// A bridge and what it has done.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) bridge: Bridge,
    pub(crate) counters: Arc<Counters>,
}

/// All bridges by name.
#[derive(Clone, Debug)]
pub(crate) struct Bridges {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    file: Option<Arc<Path>>,
}

impl Bridges {
    /// Reads the file, if there is one.
    pub(crate) fn load(options: Options) -> citizenk::Result<Self> {
        let file: Option<PathBuf> = options.file;
        let mut entries = BTreeMap::new();
        if let Some(path) = file.as_deref().filter(|path| path.exists()) {
            let wrong = |error: &dyn std::fmt::Display| {
                std::io::Error::other(format!("{}: {error}", path.display()))
            };
            let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
            let bridges: Vec<Bridge> =
                serde_json::from_str(&text).map_err(|error| wrong(&error))?;
            for bridge in bridges {
                let counters = Arc::default();
                entries.insert(bridge.name.clone(), Entry { bridge, counters });
            }
        }
        Ok(Self {
            entries: Arc::new(Mutex::new(entries)),
            file: file.map(Arc::from),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Entry> {
        self.lock().get(name).cloned()
    }

    pub(crate) fn put(&self, entry: Entry) -> std::io::Result<()> {
        let mut entries = self.lock();
        entries.insert(entry.bridge.name.clone(), entry);
        self.save(&entries)
    }

    pub(crate) fn remove(&self, name: &str) -> std::io::Result<()> {
        let mut entries = self.lock();
        entries.remove(name);
        self.save(&entries)
    }

    /// Under the lock, so that the file has the last word of the last change.
    fn save(&self, entries: &BTreeMap<String, Entry>) -> std::io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let bridges: Vec<&Bridge> = entries.values().map(|entry| &entry.bridge).collect();
        let text = serde_json::to_string_pretty(&bridges)?;
        // A crash leaves the old file or the new one, never half of one.
        let beside = file.with_extension("new");
        std::fs::write(&beside, text)?;
        std::fs::rename(beside, file)
    }

    /// Whether records of `target` come back to `source` over bridges there are.
    pub(crate) fn closes_a_circle(&self, source: &str, target: &str) -> bool {
        let entries = self.lock();
        let mut ahead = vec![target.to_owned()];
        let mut seen = Vec::new();
        while let Some(topic) = ahead.pop() {
            if topic == source {
                return true;
            }
            if seen.contains(&topic) {
                continue;
            }
            let next = entries
                .values()
                .filter(|entry| entry.bridge.source == topic);
            ahead.extend(next.map(|entry| entry.bridge.target.clone()));
            seen.push(topic);
        }
        false
    }
}

/// Starts the bridges of the file.
#[citizenk::on_event(startup)]
pub(crate) async fn restore(
    agents: Agents,
    State(bridges): State<Bridges>,
) -> citizenk::Result<()> {
    for Entry { bridge, counters } in bridges.all() {
        let filter = bridge.filter.as_deref().map(str::parse::<Filter>);
        let filter = filter.transpose().map_err(std::io::Error::other)?;
        agents.start(agent(&bridge, filter, counters)).await?;
    }
    Ok(())
}
