//! `cargo xtask kafka up | down | status | exec`.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::cluster::{self, Plan};
use crate::kafka::dist::{self, Dist};
use crate::kafka::state::{Life, State};
use crate::kafka::{BOOTSTRAP_VARIABLE, temporary, tools};
use crate::process;
use crate::workspace::Workspace;

/// What can be done with a Kafka.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start Kafka and leave it running; prints the `export` line to evaluate
    Up {
        /// One node, or three that replicate as in production
        #[arg(long, value_parser = nodes_parser())]
        nodes: Option<usize>,
        /// First of consecutive client ports [default: free ones]
        #[arg(long, value_name = "BASE")]
        port: Option<u16>,
    },
    /// Stop Kafka and remove its data
    Down {
        /// Only temporary clusters whose command is gone
        #[arg(long)]
        orphans: bool,
    },
    /// Say what runs
    Status,
    /// Run one of Kafka's own tools against the running cluster
    Exec {
        /// Such as `topics` or `console-consumer`, or the full name of a class
        tool: String,
        /// Its arguments; `--bootstrap-server` is added
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

/// One or three: two have no majority to lose a node from.
fn nodes_parser() -> impl TypedValueParser<Value = usize> {
    PossibleValuesParser::new(["1", "3"]).try_map(|text| text.parse::<usize>())
}

/// Carries a command out.
///
/// # Errors
/// Java or Maven is missing, Kafka does not start or end, or the tool does not exist.
pub fn run(workspace: &Workspace, command: Command) -> Result<()> {
    process::need_process_table()?;
    match command {
        Command::Up { nodes, port } => up(workspace, nodes, port),
        Command::Down { orphans } => down(workspace, orphans),
        Command::Status => status(workspace),
        Command::Exec { tool, args } => tools::exec(workspace, &tool, &args),
    }
}

/// Where the cluster of `kafka up` lives.
pub(super) fn folder(workspace: &Workspace) -> PathBuf {
    dist::folder(workspace).join("cluster")
}

fn up(workspace: &Workspace, nodes: Option<usize>, port: Option<u16>) -> Result<()> {
    // First the jars: that takes the lock by itself.
    let dist = Dist::ready(workspace)?;
    let _lock = dist::lock(workspace)?;
    let folder = folder(workspace);
    if let Some(state) = State::read(&folder)? {
        match what_now(&state, state.life(), nodes, port)? {
            Now::Keep => {
                eprintln!(
                    "kafka: already up with {}",
                    cluster::count(state.nodes.len())
                );
                print_export(&state);
                return Ok(());
            }
            Now::Replace => {
                eprintln!("kafka: the cluster of before is gone; its remains are removed")
            }
        }
    }
    let plan = Plan {
        secured: false,
        nodes: nodes.unwrap_or(1),
        port,
        advertised: None,
        owner: None,
    };
    let started = cluster::start(&dist, &folder, &plan)?;
    print_export(&started.state);
    Ok(())
}

/// What `up` does about a cluster that was started before.
#[derive(Debug, PartialEq, Eq)]
enum Now {
    Keep,
    Replace,
}

fn what_now(state: &State, life: Life, nodes: Option<usize>, port: Option<u16>) -> Result<Now> {
    let all = state.nodes.len();
    let first_port = state.nodes.first().map(|node| node.port);
    match life {
        Life::None => Ok(Now::Replace),
        Life::Some(count) => Err(Failure::new(format!(
            "only {count} of {all} nodes still run; stop them first: cargo xtask kafka down"
        ))),
        Life::All if nodes.is_some_and(|wanted| wanted != all) => Err(Failure::new(format!(
            "Kafka is up with {}, not as asked; stop it first: cargo xtask kafka down",
            cluster::count(all)
        ))),
        Life::All if port.is_some() && port != first_port => Err(Failure::new(format!(
            "Kafka is up on {}, not as asked; stop it first: cargo xtask kafka down",
            state.bootstrap()
        ))),
        Life::All => Ok(Now::Keep),
    }
}

/// The only line on the standard output, so that `eval "$(cargo xtask kafka up)"` works.
fn print_export(state: &State) {
    println!("export {BOOTSTRAP_VARIABLE}={}", state.bootstrap());
}

fn down(workspace: &Workspace, orphans: bool) -> Result<()> {
    let _lock = dist::lock(workspace)?;
    let ended = temporary::remove_orphans(workspace)?;
    if ended > 0 {
        eprintln!("kafka: temporary clusters removed whose command was gone: {ended}");
    }
    if orphans {
        return Ok(());
    }
    let folder = folder(workspace);
    match State::read(&folder)? {
        None => eprintln!("kafka: nothing was up"),
        Some(state) if state.life() == Life::None => {
            eprintln!("kafka: nothing ran any more; its remains are removed");
        }
        Some(state) => {
            state.stop(cluster::STOP_GRACE)?;
            eprintln!("kafka: {} stopped", cluster::count(state.nodes.len()));
        }
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).or_fail(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

fn status(workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    match State::read(&folder)? {
        Some(state) if state.life() != Life::None => {
            println!("up: {}", state.bootstrap());
            print_nodes(&state);
        }
        Some(state) if state.nodes.is_empty() => println!("down (its start did not finish)"),
        Some(_) => println!("down (it ended by itself; logs in {})", folder.display()),
        None => println!("down (start it: cargo xtask kafka up)"),
    }
    for (folder, state) in temporary::all(workspace)? {
        let Some(state) = state else { continue };
        let of = if state.is_orphan() {
            "a command that is gone (remove it: cargo xtask kafka down)"
        } else {
            "a running command"
        };
        println!("temporary, of {of}: {}", folder.display());
        print_nodes(&state);
    }
    Ok(())
}

fn print_nodes(state: &State) {
    for node in &state.nodes {
        let life = if node.is_running() { "running" } else { "gone" };
        println!(
            "  node {}: {life}, process {}, port {}, {}",
            node.id,
            node.pid,
            node.port,
            node.properties.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::state::NodeState;

    fn state(nodes: usize) -> State {
        let node = |id| NodeState {
            id,
            pid: 1,
            port: 9000 + id as u16,
            properties: "p".into(),
        };
        State {
            owner: None,
            nodes: (1..=nodes).map(node).collect(),
        }
    }

    #[test]
    fn a_running_cluster_is_kept_if_it_is_what_was_asked_for() {
        assert_eq!(
            what_now(&state(1), Life::All, None, None).expect("nothing special asked"),
            Now::Keep
        );
        assert_eq!(
            what_now(&state(3), Life::All, Some(3), Some(9001)).expect("as asked"),
            Now::Keep
        );
        assert!(what_now(&state(1), Life::All, Some(3), None).is_err());
        assert!(what_now(&state(1), Life::All, None, Some(9092)).is_err());
    }

    #[test]
    fn remains_are_replaced_and_half_a_cluster_is_not_touched() {
        assert_eq!(
            what_now(&state(3), Life::None, None, None).expect("all gone"),
            Now::Replace
        );
        let failure = what_now(&state(3), Life::Some(2), None, None).expect_err("one has died");
        assert!(failure.to_string().contains("2 of 3"), "{failure}");
    }
}
