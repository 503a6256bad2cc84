//! Child processes: found, run under a deadline, and ended by their id.
//!
//! Children stay in our process group, so that Ctrl-C and a `timeout` around us reach them too; what
//! is started here and has to outlive us (`kafka up`) asks for a group of its own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::failure::{Failure, OrFail, Result};

/// How often a waiting loop looks again.
const POLL: Duration = Duration::from_millis(50);
/// How often a long wait says that it still waits.
pub const TELL: Duration = Duration::from_secs(5);
/// How long a child may take to end by itself once it was asked to.
const GRACE: Duration = Duration::from_secs(5);

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns Ctrl-C and requests to terminate into a flag, so that guards still run and stop Kafka.
pub fn watch_signals() {
    let flag = Arc::clone(STOP.get_or_init(Arc::default));
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal as i32, Arc::clone(&flag)) {
            eprintln!("warning: {signal} will end this command without tidying up: {error}");
        }
    }
}

/// Whether somebody asked us to stop.
pub fn stop_requested() -> bool {
    STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Waits one poll interval; fails when somebody asked us to stop.
pub fn pause() -> Result<()> {
    sleep();
    if stop_requested() {
        Err(Failure::interrupted())
    } else {
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes give no event to wait on portably; no async runtime here"
)]
fn sleep() {
    std::thread::sleep(POLL);
}

/// The program on the PATH, or an error that says what to install.
pub fn find_program(name: &str, install: &str) -> Result<PathBuf> {
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| Failure::new(format!("`{name}` is not on the PATH; install {install}")))
}

/// Runs the command to its end, or ends it and its descendants at the deadline.
pub fn run(mut command: Command, what: &str, limit: Duration) -> Result<()> {
    let child = command.spawn().or_fail(|| format!("start {what}"))?;
    let status = wait(child, what, limit)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{what} failed ({status})")))
    }
}

/// Waits for a child under a deadline; at the deadline, or when asked to stop, ends its whole tree.
pub fn wait(child: Child, what: &str, limit: Duration) -> Result<ExitStatus> {
    wait_telling(child, what, limit, |_| {})
}

/// Like [`wait`], calling `tell` with the time that has passed every five seconds.
pub fn wait_telling(
    mut child: Child,
    what: &str,
    limit: Duration,
    mut tell: impl FnMut(Duration),
) -> Result<ExitStatus> {
    let begun = Instant::now();
    let mut told = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait().or_fail(|| format!("wait for {what}"))? {
            // A terminal's Ctrl-C reaches the child first: its end is then not its own failure.
            return if stop_requested() {
                Err(Failure::interrupted())
            } else {
                Ok(status)
            };
        }
        let passed = begun.elapsed();
        if passed >= told + TELL {
            told = passed;
            tell(passed);
        }
        let failure = if passed >= limit {
            Some(Failure::new(format!(
                "{what} took longer than {} s and was ended",
                limit.as_secs()
            )))
        } else {
            pause().err()
        };
        if let Some(failure) = failure {
            end(&descendants(child.id()), is_running, GRACE);
            child.wait().or_fail(|| format!("collect {what}"))?;
            return Err(failure);
        }
    }
}

/// Ends processes: a request first, force after `grace`. Returns those that even then remain.
///
/// `ours` is asked before each signal, for an id may meanwhile belong to another process.
pub fn end(pids: &[u32], ours: impl Fn(u32) -> bool, grace: Duration) -> Vec<u32> {
    for (wanted, limit) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, GRACE)] {
        for pid in pids.iter().filter(|pid| ours(**pid)) {
            signal(*pid, wanted);
        }
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline && pids.iter().any(|pid| ours(*pid)) {
            // Not interruptible: this is the tidying up that a first Ctrl-C asked for.
            sleep();
        }
    }
    pids.iter().copied().filter(|pid| ours(*pid)).collect()
}

/// A process and its living descendants, itself first.
fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(parent) = fs::read_to_string(entry.path().join("stat"))
            .ok()
            .as_deref()
            .and_then(parent_of)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    family
}

/// The parent's id in a line of `/proc/PID/stat`; the name before it may hold spaces and brackets.
fn parent_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// The arguments of a running process; `None` if there is no such process or it has ended.
pub fn arguments(pid: u32) -> Option<Vec<String>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // A zombie has no command line left.
    if line.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(&line);
    Some(
        text.trim_end_matches('\0')
            .split('\0')
            .map(str::to_owned)
            .collect(),
    )
}

/// Whether a process lives; one that ended but was not yet collected does not.
pub fn is_running(pid: u32) -> bool {
    arguments(pid).is_some()
}

/// Sends a signal to one process; that it has just ended is no error.
pub fn signal(pid: u32, signal: Signal) {
    // 0 and negative ids address whole groups: never send those.
    let Some(id) = i32::try_from(pid).ok().filter(|id| *id > 0) else {
        return;
    };
    match kill(Pid::from_raw(id), signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
        Err(error) => eprintln!("warning: {signal} to process {pid}: {error}"),
    }
}

/// Whether this system has the process table that stopping by id is checked against.
pub fn need_process_table() -> Result<()> {
    match fs::metadata("/proc/self/cmdline") {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::new(
            "this command checks processes in /proc, which this system lacks; use `docker compose up` (compose.yaml) instead",
        )),
        Err(error) => Err(Failure::new(format!(
            "cannot read /proc/self/cmdline: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn parent_is_found_behind_an_odd_name() {
        assert_eq!(parent_of("12 (a ) b) S 7 12 12 0"), Some(7));
        assert_eq!(parent_of("nonsense"), None);
    }

    #[test]
    fn the_exit_status_is_reported() {
        assert!(run(shell("exit 0"), "a command", Duration::from_secs(10)).is_ok());
        let failure = run(shell("exit 3"), "the third", Duration::from_secs(10))
            .expect_err("it exits with 3");
        assert!(
            failure.to_string().contains("the third") && failure.to_string().contains('3'),
            "{failure}"
        );
    }

    #[test]
    fn a_deadline_ends_grandchildren_too() {
        let child = shell("sleep 60 & wait")
            .spawn()
            .expect("every Unix has a shell");
        let root = child.id();
        let deadline = Instant::now() + Duration::from_secs(10);
        let grandchild = loop {
            if let [_, grandchild, ..] = descendants(root)[..] {
                break grandchild;
            }
            assert!(Instant::now() < deadline, "the shell started nothing");
            sleep();
        };
        let failure =
            wait(child, "a sleeper", Duration::from_millis(1)).expect_err("it sleeps for a minute");
        assert!(
            failure.to_string().contains("a sleeper took longer"),
            "{failure}"
        );
        assert!(!is_running(root) && !is_running(grandchild));
    }

    #[test]
    fn arguments_of_this_test_are_readable() {
        assert!(arguments(std::process::id()).is_some_and(|list| !list.is_empty()));
        assert!(arguments(u32::MAX).is_none());
    }

    #[test]
    fn a_missing_program_says_what_to_install() {
        let failure =
            find_program("no-such-program", "the package `x`").expect_err("nobody has that");
        assert!(
            failure.to_string().contains("no-such-program")
                && failure.to_string().contains("package `x`")
        );
    }
}
