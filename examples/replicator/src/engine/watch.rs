//! Sees that files changed before they are read again in their turn.

use std::collections::BTreeMap;
use std::time::Duration;

use citizenk::prelude::*;
use replicator_domain::Issue;
use tokio::time::Instant;

use super::Engine;
use super::run::lock;
use crate::store::{NOTHING, Snapshot, Which, Written};

/// Between two looks at when files were written; a change counts after two.
const LOOK: Duration = Duration::from_millis(60);
/// For each of many files more.
const LOOK_AT_ONE: Duration = Duration::from_micros(500);

/// A template or a table that is missing longer than this is gone; the mapping file never is.
const AWAY: Duration = Duration::from_secs(5);

/// Files that were there and are missing.
#[derive(Debug, Default)]
pub(crate) struct Away {
    /// Since when, by name; `None`: it was deleted here, so nobody waits for it.
    since: BTreeMap<String, Option<Instant>>,
    /// What there is to say about it.
    issues: Vec<Issue>,
}

impl Engine {
    /// The texts as they count. Editors and volumes take a file away before they put a new one there: one that is
    /// missing stands as it was.
    pub(crate) fn texts(&self) -> std::io::Result<Snapshot> {
        let (mut snapshot, there) = self.store.read()?;
        let before = self.config();
        if before.version.is_empty() {
            return Ok(snapshot);
        }
        let mut away = lock(&self.away);
        let (mut since, mut issues) = (BTreeMap::new(), Vec::new());
        if !there && before.snapshot.mappings != NOTHING {
            snapshot.mappings.clone_from(&before.snapshot.mappings);
            let message = "the file is missing; what it said goes on until it is back. A file with \
                           `{\"mappings\": []}` ends all mappings";
            issues.push(Issue::error("mappings.json", message));
        }
        let (was, is) = (&before.snapshot, &mut snapshot);
        for (folder, was, is) in [
            ("templates", &was.templates, &mut is.templates),
            (
                "topic_mappings",
                &was.topic_mappings,
                &mut is.topic_mappings,
            ),
        ] {
            for (name, text) in was {
                if is.contains_key(name) {
                    continue;
                }
                let file = format!("{folder}/{name}.json");
                let known = away.since.get(&file).copied();
                let from = known.unwrap_or_else(|| Some(Instant::now()));
                if from.is_some_and(|from| from.elapsed() < AWAY) {
                    is.insert(name.clone(), text.clone());
                    let message = format!(
                        "the file is missing; what it said goes on for {} s",
                        AWAY.as_secs()
                    );
                    issues.push(Issue::error(&file, message));
                }
                since.insert(file, from);
            }
        }
        for issue in issues.iter().filter(|issue| !away.issues.contains(issue)) {
            tracing::warn!(%issue, "files");
        }
        *away = Away { since, issues };
        Ok(snapshot)
    }

    /// What is missing and stands as it was.
    pub(crate) fn missing(&self) -> Vec<Issue> {
        lock(&self.away).issues.clone()
    }

    /// A file was deleted on purpose.
    pub(crate) fn deleted(&self, which: &Which) {
        let file = match which {
            Which::Mappings => return,
            Which::Template(name) => format!("templates/{name}.json"),
            Which::TopicMapping(name) => format!("topic_mappings/{name}.json"),
        };
        lock(&self.away).since.insert(file, None);
    }

    /// Takes the files as they are, time and again: every `READ_MAPPINGS_EVERY_SECONDS`, and when they were written.
    pub(super) async fn follow_files(self, shutdown: Shutdown) {
        while !shutdown.is_stopping() {
            let taken = self.store.written();
            self.reload().await;
            let away = !lock(&self.away).since.is_empty();
            let turn = match away || self.is_waiting() {
                false => self.options.read_every,
                // What stays away counts in time, and so does what comes back.
                true => self.options.read_every.min(AWAY),
            };
            let turn = tokio::time::sleep(turn);
            tokio::select! {
                () = shutdown.wait() => {}
                () = turn => {}
                () = self.changed(taken) => {}
            }
        }
    }

    /// Waits until files were written since, and are no longer.
    async fn changed(&self, mut taken: Written) {
        let mut last = taken.clone();
        loop {
            let many = u32::try_from(last.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(LOOK.max(LOOK_AT_ONE.saturating_mul(many))).await;
            let now = self.store.written();
            if now != taken && now == last {
                if self.is_news() {
                    return;
                }
                // Saved here, and taken then.
                taken.clone_from(&now);
            }
            last = now;
        }
    }

    /// Whether the files are not what is used, or refused.
    fn is_news(&self) -> bool {
        let Ok(snapshot) = self.texts() else {
            return true;
        };
        let version = snapshot.version();
        let refused = lock(&self.refused).clone();
        self.config().version != version && refused.is_none_or(|(refused, _)| refused != version)
    }
}
