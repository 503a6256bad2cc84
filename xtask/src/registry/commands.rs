//! `cargo xtask registry up | down | status`.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;

use super::URL_VARIABLE;
use super::dist::{self, Dist};
use super::server::{self, State};
use crate::failure::{Failure, OrFail, Result};
use crate::process;
use crate::workspace::Workspace;

/// What can be done with a schema registry.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a registry and leave it running; prints the `export` line to evaluate
    Up {
        /// Its port [default: a free one]
        #[arg(long)]
        port: Option<u16>,
    },
    /// Stop the registry; what it has is gone
    Down {
        /// Only temporary registries whose command is gone
        #[arg(long)]
        orphans: bool,
    },
    /// Say what runs
    Status,
}

/// Carries a command out.
///
/// # Errors
/// Java or Maven is missing, the archive cannot be had, or the registry does not start or end.
pub fn run(workspace: &Workspace, command: Command) -> Result<()> {
    process::need_process_table()?;
    match command {
        Command::Up { port } => up(workspace, port),
        Command::Down { orphans } => down(workspace, orphans),
        Command::Status => status(workspace),
    }
}

/// Where the one of `registry up` lives.
fn folder(workspace: &Workspace) -> PathBuf {
    dist::folder(workspace).join("server")
}

fn up(workspace: &Workspace, port: Option<u16>) -> Result<()> {
    // First the archive: that takes the lock by itself.
    let found = Dist::ready(workspace)?;
    let _lock = crate::kafka::dist::lock_folder(&dist::folder(workspace))?;
    let folder = folder(workspace);
    if let Some(state) = State::read(&folder)?.filter(State::is_running) {
        if port.is_some_and(|port| port != state.port) {
            return Err(Failure::new(format!(
                "the registry is up at {}, not as asked; stop it first: cargo xtask registry down",
                state.url()
            )));
        }
        eprintln!("registry: already up");
        print_export(&state);
        return Ok(());
    }
    let (state, _) = server::start(&found, &folder, port, None)?;
    print_export(&state);
    Ok(())
}

/// The only line on the standard output, so that `eval "$(cargo xtask registry up)"` works.
fn print_export(state: &State) {
    println!("export {URL_VARIABLE}={}", state.url());
}

fn down(workspace: &Workspace, orphans: bool) -> Result<()> {
    let _lock = crate::kafka::dist::lock_folder(&dist::folder(workspace))?;
    let ended = server::remove_orphans(workspace)?;
    if ended > 0 {
        eprintln!("registry: temporary ones removed whose command was gone: {ended}");
    }
    if orphans {
        return Ok(());
    }
    let folder = folder(workspace);
    match State::read(&folder)? {
        Some(state) if state.is_running() => {
            state.stop()?;
            eprintln!("registry: stopped");
        }
        _ => eprintln!("registry: nothing was up"),
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).or_fail(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

fn status(workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    match State::read(&folder)? {
        Some(state) if state.is_running() => {
            println!("up: {} (process {})", state.url(), state.pid);
        }
        Some(_) => println!(
            "down (it ended by itself; its log is in {})",
            folder.display()
        ),
        None => println!("down (start it: cargo xtask registry up)"),
    }
    for state in server::temporary(workspace)? {
        let of = if state.is_orphan() {
            "a command that is gone (remove it: cargo xtask registry down)"
        } else {
            "a running command"
        };
        let life = if state.is_running() {
            "running"
        } else {
            "gone"
        };
        println!(
            "temporary, of {of}: {} ({life}, process {})",
            state.url(),
            state.pid
        );
    }
    Ok(())
}
