//! Sees that files changed before they are read again in their turn.

use std::time::Duration;

use citizenk::prelude::*;

use super::Engine;
use super::run::lock;
use crate::store::Written;

/// Between two looks at when files were written; a change counts after two.
const LOOK: Duration = Duration::from_millis(60);
/// For each of many files more.
const LOOK_AT_ONE: Duration = Duration::from_micros(500);

impl Engine {
    /// Takes the files as they are, time and again: every `READ_MAPPINGS_EVERY_SECONDS`, and when they were written.
    pub(super) async fn follow_files(self, shutdown: Shutdown) {
        while !shutdown.is_stopping() {
            let taken = self.store.written();
            self.reload().await;
            let turn = tokio::time::sleep(self.options.read_every);
            tokio::select! {
                () = shutdown.wait() => {}
                () = turn => {}
                () = self.changed(taken) => {}
            }
        }
    }

    /// Waits until files were written since, and are no longer: an editor may take one away before it writes it anew,
    /// and a file that is missing says that nothing runs.
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
        let Ok(snapshot) = self.store.read() else {
            return true;
        };
        let version = snapshot.version();
        let refused = lock(&self.refused).clone();
        self.config().version != version && refused.is_none_or(|(refused, _)| refused != version)
    }
}
