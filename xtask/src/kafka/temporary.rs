//! A Kafka for one command: stopped when the guard is dropped, found later if that never happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::failure::{OrFail, Result};
use crate::kafka::cluster::{self, Plan, Started};
use crate::kafka::dist::{self, Dist};
use crate::kafka::state::State;
use crate::process;
use crate::workspace::Workspace;

const PREFIX: &str = "temporary-";
/// Where the logs of the last temporary cluster are kept, for the reader of a failed test.
const LAST_LOGS: &str = "last-temporary-logs";

/// A running temporary cluster.
#[derive(Debug)]
pub(crate) struct Kafka {
    started: Started,
    folder: PathBuf,
    logs: PathBuf,
}

impl Kafka {
    /// Starts a cluster that ends with this value.
    pub(crate) fn start_temporary(workspace: &Workspace, nodes: usize) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        process::need_process_table()?;
        let dist = Dist::ready(workspace)?;
        remove_orphans(workspace)?;
        let owner = std::process::id();
        let home = dist::folder(workspace);
        let folder = home.join(format!(
            "{PREFIX}{owner}-{}",
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        let logs = home.join(LAST_LOGS);
        match cluster::start(
            &dist,
            &folder,
            Plan {
                nodes,
                port: None,
                owner: Some(owner),
            },
        ) {
            Ok(started) => Ok(Self {
                started,
                folder,
                logs,
            }),
            Err(failure) => {
                put_away(&folder, &logs);
                Err(failure)
            }
        }
    }

    /// What clients connect to.
    pub(crate) fn bootstrap(&self) -> String {
        self.started.state.bootstrap()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        match cluster::stop(&mut self.started) {
            Ok(()) => put_away(&self.folder, &self.logs),
            // The folder stays: its state file is how a later command finds the process.
            Err(failure) => eprintln!("warning: {failure}"),
        }
    }
}

/// Keeps the logs, removes the rest.
fn put_away(folder: &Path, logs: &Path) {
    let _ = fs::remove_dir_all(logs);
    let kept = fs::create_dir_all(logs).and_then(|()| {
        for entry in fs::read_dir(folder)? {
            let node = entry?;
            let log = node.path().join("server.log");
            if log.is_file() {
                fs::rename(log, logs.join(node.file_name()).with_extension("log"))?;
            }
        }
        Ok(())
    });
    if let Err(error) = kept.and_then(|()| fs::remove_dir_all(folder)) {
        eprintln!("warning: cannot put away {}: {error}", folder.display());
    }
}

/// The folders and states of the temporary clusters of this workspace.
pub(crate) fn all(workspace: &Workspace) -> Result<Vec<(PathBuf, Option<State>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dist::folder(workspace)).into_iter().flatten() {
        let entry = entry.or_fail(|| "list the folder of Kafka".into())?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let state = State::read(&entry.path())?;
            found.push((entry.path(), state));
        }
    }
    Ok(found)
}

/// Ends temporary clusters whose command is gone (killed, power failure) and removes their folders.
pub(crate) fn remove_orphans(workspace: &Workspace) -> Result<usize> {
    let mut ended = 0;
    for (folder, state) in all(workspace)? {
        // Without a state nothing was started yet; its command may be about to.
        let Some(state) = state.filter(State::is_orphan) else {
            continue;
        };
        state.stop(cluster::STOP_GRACE)?;
        fs::remove_dir_all(&folder).or_fail(|| format!("remove {}", folder.display()))?;
        ended += 1;
    }
    Ok(ended)
}
