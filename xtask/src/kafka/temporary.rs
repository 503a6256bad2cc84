//! A Kafka for one command: stopped when the guard is dropped, found later if that never happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::failure::{OrFail, Result};
use crate::kafka::cluster::{self, Plan, Started};
use crate::kafka::dist::{self, Dist};
use crate::kafka::secured;
use crate::kafka::state::State;
use crate::kafka::tools;
use crate::process;
use crate::workspace::Workspace;

const TOOL_LIMIT: Duration = Duration::from_secs(60);
const PREFIX: &str = "temporary-";
/// Where the logs of the last temporary cluster are kept, for the reader of a failed test.
const LAST_LOGS: &str = "last-temporary-logs";

/// A running temporary cluster; nodes are counted from 0.
#[derive(Debug)]
pub struct Kafka {
    dist: Dist,
    started: Started,
    folder: PathBuf,
    logs: PathBuf,
}

impl Kafka {
    /// Starts a cluster that ends with this value.
    ///
    /// # Errors
    /// Java or Maven is missing, or Kafka does not start.
    pub fn start_temporary(workspace: &Workspace, nodes: usize) -> Result<Self> {
        Self::start(workspace, nodes, None, false)
    }

    /// Like [`Kafka::start_temporary`], one node per port; clients are told to connect to these ports,
    /// brokers reach one another without them.
    ///
    /// # Errors
    /// As [`Kafka::start_temporary`].
    pub fn start_behind(workspace: &Workspace, ports: Vec<u16>) -> Result<Self> {
        Self::start(workspace, ports.len(), Some(ports), false)
    }

    /// One node that asks its clients who they are: [`Kafka::folder`] has its certificates, and
    /// `listeners.json` with the port of each mechanism.
    ///
    /// # Errors
    /// As [`Kafka::start_temporary`].
    pub fn start_secured(workspace: &Workspace) -> Result<Self> {
        let kafka = Self::start(workspace, 1, None, true)?;
        for arguments in secured::ACLS {
            let mut tool = kafka.tool("acls", &kafka.bootstrap())?;
            tool.args(arguments).stdout(Stdio::null());
            process::run(tool, "adding ACLs", TOOL_LIMIT)?;
        }
        Ok(kafka)
    }

    /// Where its files are while it runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn start(
        workspace: &Workspace,
        nodes: usize,
        advertised: Option<Vec<u16>>,
        secured: bool,
    ) -> Result<Self> {
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
            &Plan {
                nodes,
                port: None,
                advertised,
                owner: Some(owner),
                secured,
            },
        ) {
            Ok(started) => Ok(Self {
                dist,
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

    /// What clients connect to; not the front, where there is one.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.started.state.bootstrap()
    }

    /// Where each node itself takes its clients' connections.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.started.nodes.iter().map(|node| node.port).collect()
    }

    /// The process of a node, for a test that ends it.
    #[must_use]
    pub fn pid(&self, node: usize) -> u32 {
        self.started.state.nodes[node].pid
    }

    /// Sends a signal to the process of a node.
    pub fn signal(&self, node: usize, signal: process::Signal) {
        let state = &self.started.state.nodes[node];
        if state.is_running() {
            process::signal(state.pid, signal);
        }
    }

    /// Whether the process of a node has ended.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn has_ended(&mut self, node: usize) -> Result<bool> {
        Ok(self.started.ended(node)?.is_some())
    }

    /// Starts a node again that has ended, with the data it had.
    ///
    /// # Errors
    /// Java cannot be started.
    pub fn start_node(&mut self, node: usize) -> Result<()> {
        self.started.start_node(&self.dist, &self.folder, node)
    }

    /// Whether a node has joined the cluster since its process was started, and takes connections.
    #[must_use]
    pub fn is_ready(&self, node: usize) -> bool {
        self.started.is_ready(node)
    }

    /// One of Kafka's own tools by its name (`topics`, `leader-election`), with the address of a node.
    ///
    /// # Errors
    /// There is no such tool.
    pub fn tool(&self, name: &str, address: &str) -> Result<Command> {
        tools::command(&self.dist, name, address)
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
