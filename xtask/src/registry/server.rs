//! The process of a registry: started, waited for, set up, stopped, and found again.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::dist::{self, Dist};
use crate::failure::{Failure, OrFail, Result};
use crate::kafka::cluster::tail;
use crate::kafka::config::{self, HOST};
use crate::kafka::state::is_developer_command;
use crate::process;
use crate::workspace::Workspace;

const STATE: &str = "state.json";
const LOG: &str = "server.log";
/// The API of Confluent's registry.
const API: &str = "/apis/ccompat/v7";
const START_LIMIT: Duration = Duration::from_secs(90);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const STOP_GRACE: Duration = Duration::from_secs(10);
/// A free port is found before the registry binds it: a loser of that race starts again.
const ATTEMPTS: usize = 3;
const TEMPORARY: &str = "temporary-";
/// The log of the last temporary one, for the reader of a failed test.
const LAST_LOG: &str = "last-temporary.log";

/// A registry as it was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The process a temporary one belongs to; none for `registry up`.
    pub(super) owner: Option<u32>,
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) folder: PathBuf,
}

impl State {
    pub(super) fn url(&self) -> String {
        format!("http://{HOST}:{}{API}", self.port)
    }

    /// Whether this very registry runs, and not another process under its id.
    pub(super) fn is_running(&self) -> bool {
        let mark = dist::mark(&self.folder);
        process::arguments(self.pid).is_some_and(|words| words.contains(&mark))
    }

    pub(super) fn is_orphan(&self) -> bool {
        self.owner.is_some_and(|owner| !is_developer_command(owner))
    }

    pub(super) fn stop(&self) -> Result<()> {
        let ours = |pid| pid == self.pid && self.is_running();
        if process::end(&[self.pid], ours, STOP_GRACE).is_empty() {
            Ok(())
        } else {
            Err(Failure::new(format!(
                "the registry does not end: process {}",
                self.pid
            )))
        }
    }

    /// The state in a folder; `None` if there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(STATE);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
                Failure::new(format!(
                    "{} is damaged ({error}); end its registry by hand if one runs, then remove {}",
                    path.display(),
                    folder.display()
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).or_fail(|| format!("read {}", path.display())),
        }
    }

    /// Replaces the state in one step: a reader never sees half of it.
    fn write(&self) -> Result<()> {
        let path = self.folder.join(STATE);
        let doing = || format!("write {}", path.display());
        let part = self.folder.join("state.json.part");
        fs::write(&part, serde_json::to_vec_pretty(self).or_fail(doing)?).or_fail(doing)?;
        fs::rename(&part, &path).or_fail(doing)
    }
}

/// A running registry that ends with this value.
#[derive(Debug)]
pub struct Registry {
    state: State,
    child: Child,
    kept: PathBuf,
}

impl Registry {
    /// Starts a registry that ends with this value; new versions have to be compatible (`BACKWARD`).
    ///
    /// # Errors
    /// Java or Maven is missing, the archive cannot be had or is another one, or the registry does not start.
    pub fn start_temporary(workspace: &Workspace) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        process::need_process_table()?;
        let found = Dist::ready(workspace)?;
        remove_orphans(workspace)?;
        let owner = std::process::id();
        let home = dist::folder(workspace);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = home.join(format!("{TEMPORARY}{owner}-{number}"));
        let kept = home.join(LAST_LOG);
        match start(&found, &folder, None, Some(owner)) {
            Ok((state, child)) => Ok(Self { state, child, kept }),
            Err(failure) => {
                put_away(&folder, &kept);
                Err(failure)
            }
        }
    }

    /// What clients ask.
    #[must_use]
    pub fn url(&self) -> String {
        self.state.url()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        match self.state.stop() {
            Ok(()) => {
                // Ended above; this only collects its exit status.
                let _ = self.child.try_wait();
                put_away(&self.state.folder, &self.kept);
            }
            // The folder stays: its state file is how a later command finds the process.
            Err(failure) => eprintln!("warning: {failure}"),
        }
    }
}

/// Keeps the log, removes the rest.
fn put_away(folder: &Path, kept: &Path) {
    let log = folder.join(LOG);
    if log.is_file()
        && let Err(error) = fs::rename(&log, kept)
    {
        eprintln!("warning: cannot keep {}: {error}", log.display());
    }
    if folder.exists()
        && let Err(error) = fs::remove_dir_all(folder)
    {
        eprintln!("warning: cannot remove {}: {error}", folder.display());
    }
}

/// Starts a registry in a folder of its own; when that fails nothing of it is left running.
pub(super) fn start(
    found: &Dist,
    folder: &Path,
    port: Option<u16>,
    owner: Option<u32>,
) -> Result<(State, Child)> {
    let mut attempt = 1;
    loop {
        let free = match port {
            Some(port) => config::given_ports(port, 1)?,
            None => config::free_ports(1)?,
        };
        if folder.exists() {
            fs::remove_dir_all(folder).or_fail(|| format!("remove {}", folder.display()))?;
        }
        fs::create_dir_all(folder).or_fail(|| format!("create {}", folder.display()))?;
        let (state, mut child) = launch(found, folder, free[0], owner)?;
        let Err(failure) = wait_until_ready(&state, &mut child).and_then(|()| set_up(&state))
        else {
            return Ok((state, child));
        };
        state.stop()?;
        let _ = child.try_wait();
        let raced = log(folder).contains("in use");
        if port.is_some() || !raced || attempt == ATTEMPTS || failure.is_interrupted() {
            return Err(failure);
        }
        attempt += 1;
        eprintln!("registry: another program took the port first; attempt {attempt} of {ATTEMPTS}");
    }
}

fn launch(found: &Dist, folder: &Path, port: u16, owner: Option<u32>) -> Result<(State, Child)> {
    let path = folder.join(LOG);
    let doing = || format!("open {}", path.display());
    let file = File::create(&path).or_fail(doing)?;
    let mut command = found.command(port, folder);
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().or_fail(doing)?)
        .stderr(file);
    if owner.is_none() {
        // Out of reach of the terminal's Ctrl-C and of a `timeout` around us.
        command.process_group(0);
    }
    let mut child = command.spawn().or_fail(|| "start `java`".into())?;
    let state = State {
        owner,
        pid: child.id(),
        port,
        folder: folder.to_owned(),
    };
    if let Err(failure) = state.write() {
        // Without the file nobody would find it again.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failure);
    }
    Ok((state, child))
}

fn wait_until_ready(state: &State, child: &mut Child) -> Result<()> {
    let begun = Instant::now();
    let mut told = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait().or_fail(|| "watch the registry".into())? {
            return Err(Failure::new(format!(
                "the registry ended ({status}):\n{}",
                tail(&log(&state.folder))
            )));
        }
        if ask(state.port, "GET", "/subjects", "").is_ok_and(|status| status == 200) {
            eprintln!(
                "registry: ready after {:.1} s",
                begun.elapsed().as_secs_f64()
            );
            return Ok(());
        }
        let passed = begun.elapsed();
        if passed >= START_LIMIT {
            return Err(Failure::new(format!(
                "the registry was not ready after {} s:\n{}",
                START_LIMIT.as_secs(),
                tail(&log(&state.folder))
            )));
        }
        if passed >= told + process::TELL {
            told = passed;
            eprintln!(
                "registry: not ready after {} s (at most {} s)",
                passed.as_secs(),
                START_LIMIT.as_secs()
            );
        }
        process::pause()?;
    }
}

/// Its own default lets everything pass.
fn set_up(state: &State) -> Result<()> {
    let body = r#"{"compatibility": "BACKWARD"}"#;
    match ask(state.port, "PUT", "/config", body).or_fail(|| "set up the registry".into())? {
        200 => Ok(()),
        status => Err(Failure::new(format!(
            "the registry refuses to check compatibility: it answered {status}"
        ))),
    }
}

/// One request; answers the status.
fn ask(port: u16, method: &str, path: &str, body: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((HOST, port)), ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    write!(
        stream,
        "{method} {API}{path} HTTP/1.1\r\nhost: {HOST}:{port}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    status(&text).ok_or_else(|| io::Error::other("the answer is no HTTP"))
}

fn status(answer: &str) -> Option<u16> {
    answer
        .strip_prefix("HTTP/1.1 ")?
        .split([' ', '\r'])
        .next()?
        .parse()
        .ok()
}

pub(super) fn log(folder: &Path) -> String {
    fs::read(folder.join(LOG))
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

/// The states of temporary registries of this workspace; one without was not started yet.
pub(super) fn temporary(workspace: &Workspace) -> Result<Vec<State>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dist::folder(workspace)).into_iter().flatten() {
        let entry = entry.or_fail(|| "list the folder of the registry".into())?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            found.extend(State::read(&entry.path())?);
        }
    }
    Ok(found)
}

/// Ends temporary registries whose command is gone and removes their folders.
pub(super) fn remove_orphans(workspace: &Workspace) -> Result<usize> {
    let mut ended = 0;
    for state in temporary(workspace)?
        .iter()
        .filter(|state| state.is_orphan())
    {
        state.stop()?;
        fs::remove_dir_all(&state.folder)
            .or_fail(|| format!("remove {}", state.folder.display()))?;
        ended += 1;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(pid: u32, owner: Option<u32>) -> State {
        State {
            owner,
            pid,
            port: 8081,
            folder: std::env::temp_dir().join(format!("xtask-state-{}", std::process::id())),
        }
    }

    #[test]
    fn another_process_under_the_same_id_is_left_alone() {
        let here = state(std::process::id(), Some(u32::MAX));
        assert!(!here.is_running() && here.is_orphan());
        here.stop().expect("there is nothing to stop");
    }

    #[test]
    fn written_state_is_read_back() {
        let state = state(42, None);
        fs::create_dir_all(&state.folder).expect("the temporary folder is writable");
        assert_eq!(State::read(&state.folder).expect("none is no error"), None);
        state.write().expect("the folder is writable");
        assert_eq!(
            State::read(&state.folder).expect("just written"),
            Some(state.clone())
        );
        assert!(!state.is_orphan());
        fs::remove_dir_all(state.folder).expect("it is ours");
    }

    #[test]
    fn the_status_is_the_second_word() {
        assert_eq!(status("HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status("nonsense"), None);
    }
}
