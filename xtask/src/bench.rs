//! Benchmarks: runs the bench crate, with a Kafka if one is wanted, or under valgrind for `cost`.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::{BOOTSTRAP_VARIABLE, Kafka};
use crate::process;
use crate::workspace::Workspace;

const PACKAGE: &str = "citizenk-bench";
const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(crate) fn run(workspace: &Workspace, name: &str, real: bool, args: &[String]) -> Result<()> {
    if name == "cost" {
        if real {
            return Err(Failure::new(
                "`bench cost` counts instructions of this process alone; leave out --real",
            ));
        }
        return cost(workspace, args);
    }
    let binary = build(workspace)?;
    let mut command = Command::new(binary);
    command.current_dir(workspace.root()).arg(name);
    let mut _running = None;
    if real {
        command.arg("--real");
        if env::var_os(BOOTSTRAP_VARIABLE).is_none_or(|value| value.is_empty()) {
            let kafka = Kafka::start_temporary(workspace, 1)?;
            command.env(BOOTSTRAP_VARIABLE, kafka.bootstrap());
            _running = Some(kafka);
        }
    }
    command.args(args);
    process::run(command, &format!("bench {name}"), LIMIT)
}

/// Instructions per record under callgrind, which a noisy machine does not disturb, and allocations.
/// The bench binary knows how to run itself under callgrind; here it is built and valgrind looked for.
fn cost(workspace: &Workspace, args: &[String]) -> Result<()> {
    process::find_program("valgrind", "valgrind (Debian: valgrind)")?;
    let binary = build(workspace)?;
    for what in ["--instructions", "--allocations"] {
        let mut command = Command::new(&binary);
        command
            .current_dir(workspace.root())
            .args(["cost", what])
            .args(args);
        process::run(command, &format!("cost {what}"), LIMIT)?;
    }
    Ok(())
}

/// Builds the release binary and asks cargo where it is.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = workspace.cargo();
    command.args([
        "build",
        "--release",
        "-p",
        PACKAGE,
        "--message-format=json-render-diagnostics",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .or_fail(|| "start `cargo build`".into())?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| Failure::new("`cargo build` has no output to read"))?;
    // Read beside the wait: cargo would stop at a full pipe.
    let reader = std::thread::spawn(move || {
        BufReader::new(output)
            .lines()
            .map_while(std::io::Result::ok)
            .filter_map(|line| executable(&line))
            .last()
    });
    let status = process::wait(child, "building the benchmarks", LIMIT)?;
    let found = reader
        .join()
        .map_err(|_| Failure::new("reading the output of `cargo build` failed"))?;
    if !status.success() {
        return Err(Failure::new(format!(
            "building the benchmarks failed ({status})"
        )));
    }
    found.ok_or_else(|| {
        Failure::new(format!(
            "`cargo build -p {PACKAGE}` made no binary of that name"
        ))
    })
}

/// The binary that a line of cargo's messages announces, if it is ours.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["target"]["name"] != PACKAGE {
        return None;
    }
    message["executable"].as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let ours = r#"{"reason":"compiler-artifact","target":{"name":"citizenk-bench"},"executable":"/t/b"}"#;
        assert_eq!(executable(ours), Some("/t/b".into()));
        assert_eq!(
            executable(r#"{"target":{"name":"serde"},"executable":null}"#),
            None
        );
        assert_eq!(executable("warning: text"), None);
    }
}
