//! `state.json`: which processes a cluster consists of, so that a later command finds them again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::config;
use crate::process;

const FILE: &str = "state.json";

/// A cluster as it was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The process a temporary cluster belongs to; none for `kafka up`.
    pub(crate) owner: Option<u32>,
    pub(crate) nodes: Vec<NodeState>,
}

/// One node's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) id: usize,
    pub(crate) pid: u32,
    pub(crate) port: u16,
    /// Its last argument: what tells it from any other process that may get its id later.
    pub(crate) properties: PathBuf,
}

impl NodeState {
    /// Whether this very node runs.
    pub(crate) fn is_running(&self) -> bool {
        self.is_process(self.pid)
    }

    fn is_process(&self, pid: u32) -> bool {
        pid == self.pid
            && process::arguments(pid).is_some_and(|arguments| self.is_command(&arguments))
    }

    fn is_command(&self, arguments: &[String]) -> bool {
        let properties = self.properties.display().to_string();
        arguments
            .iter()
            .any(|word| word == super::cluster::MAIN_CLASS)
            && arguments.last() == Some(&properties)
    }
}

/// How many of a cluster's nodes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    All,
    Some(usize),
    None,
}

impl State {
    pub(crate) fn bootstrap(&self) -> String {
        config::bootstrap(self.nodes.iter().map(|node| node.port))
    }

    pub(crate) fn life(&self) -> Life {
        match self.nodes.iter().filter(|node| node.is_running()).count() {
            0 => Life::None,
            count if count == self.nodes.len() => Life::All,
            count => Life::Some(count),
        }
    }

    /// Whether a temporary cluster has outlived the command that started it.
    pub(crate) fn is_orphan(&self) -> bool {
        self.owner.is_some_and(|owner| !is_developer_command(owner))
    }

    /// Ends every node that runs; all are asked at once, for they wait for one another.
    pub(crate) fn stop(&self, grace: std::time::Duration) -> Result<()> {
        let pids: Vec<u32> = self.nodes.iter().map(|node| node.pid).collect();
        let left = process::end(
            &pids,
            |pid| self.nodes.iter().any(|node| node.is_process(pid)),
            grace,
        );
        if left.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(format!(
                "Kafka does not end: processes {left:?}"
            )))
        }
    }

    /// The state in a cluster's folder; `None` if there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::new(format!(
                    "cannot read {}: {error}",
                    path.display()
                )));
            }
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            Failure::new(format!(
                "{} is damaged ({error}); end its Kafka by hand if one runs, then remove {}",
                path.display(),
                folder.display()
            ))
        })
    }

    /// Replaces the state in one step: a reader never sees half of it.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let doing = || format!("write {}", path.display());
        let text = serde_json::to_vec_pretty(self).or_fail(doing)?;
        let part = folder.join("state.json.part");
        fs::write(&part, text).or_fail(doing)?;
        fs::rename(&part, &path).or_fail(doing)
    }
}

/// Whether a process is one that starts and ends clusters.
pub(crate) fn is_developer_command(pid: u32) -> bool {
    process::arguments(pid).is_some_and(|arguments| {
        arguments
            .first()
            .is_some_and(|program| program.contains("xtask") || program.contains("citizenk-faults"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn node(pid: u32) -> NodeState {
        NodeState {
            id: 1,
            pid,
            port: 9092,
            properties: "/k/node-1/node.properties".into(),
        }
    }

    fn state(pid: u32) -> State {
        State {
            owner: Some(7),
            nodes: vec![node(pid)],
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("xtask-state-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        folder
    }

    #[test]
    fn written_state_is_read_back() {
        let folder = folder("round");
        assert_eq!(
            State::read(&folder).expect("nothing there is no error"),
            None
        );
        state(42).write(&folder).expect("the folder is writable");
        assert_eq!(
            State::read(&folder).expect("it was just written"),
            Some(state(42))
        );
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn damaged_state_names_the_file() {
        let folder = folder("damaged");
        fs::write(folder.join(FILE), "{\"nodes\":").expect("the folder is writable");
        let failure = State::read(&folder).expect_err("half a document");
        assert!(
            failure.to_string().contains("state.json is damaged"),
            "{failure}"
        );
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn another_process_under_the_same_id_is_left_alone() {
        let here = state(std::process::id());
        assert_eq!(here.life(), Life::None);
        here.stop(Duration::from_secs(5))
            .expect("there is nothing to stop");
    }

    #[test]
    fn a_node_is_known_by_class_and_file() {
        let words = |list: &[&str]| {
            list.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let file = "/k/node-1/node.properties";
        assert!(node(1).is_command(&words(&["java", "-cp", "libs/*", "kafka.Kafka", file])));
        assert!(!node(1).is_command(&words(&["java", "kafka.Kafka", "/other/node.properties"])));
        assert!(!node(1).is_command(&words(&["vim", file])));
    }

    #[test]
    fn an_owner_that_is_gone_makes_an_orphan() {
        assert!(
            State {
                owner: Some(u32::MAX),
                nodes: vec![]
            }
            .is_orphan()
        );
        assert!(
            !State {
                owner: Some(std::process::id()),
                nodes: vec![]
            }
            .is_orphan()
        );
        assert!(
            !State {
                owner: None,
                nodes: vec![]
            }
            .is_orphan()
        );
    }
}
