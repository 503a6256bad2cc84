//! Benchmarks: runs the bench crate, with a Kafka if one is wanted, or under valgrind for `cost`.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::{self, BOOTSTRAP_VARIABLE, Kafka};
use crate::process;
use crate::workspace::Workspace;

const PACKAGE: &str = "citizenk-bench";
const REPLICATE: &str = "replicate";
const RIVAL: &str = "rival";
const RIVAL_PACKAGE: &str = "citizenk-rival";
const RIVAL_MANIFEST: &str = "bench/rival/Cargo.toml";
/// It runs both works, one contestant record by record, and all of them under callgrind.
const RIVAL_LIMIT: Duration = Duration::from_secs(90 * 60);
const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(crate) fn run(
    workspace: &Workspace,
    name: &str,
    work: Option<&str>,
    real: bool,
    mirror_maker: bool,
    args: &[String],
) -> Result<()> {
    if let (Some(work), true) = (work, name != RIVAL) {
        return Err(Failure::new(format!(
            "`bench {name}` takes no {work:?}; options of the benchmark stand behind `--`"
        )));
    }
    if mirror_maker && !(name == REPLICATE && real) {
        return Err(Failure::new(format!(
            "MirrorMaker 2 runs beside the Replicator on a Kafka: `bench {REPLICATE} --real --mirror-maker`"
        )));
    }
    if name == "cost" {
        if real {
            return Err(Failure::new(
                "`bench cost` counts instructions of this process alone; leave out --real",
            ));
        }
        return cost(workspace, args);
    }
    // What has to be fetched is missed before minutes of building, not after.
    let classes = mirror_maker
        .then(|| kafka::mirror_maker(workspace))
        .transpose()?;
    let binary = build(workspace)?;
    let mut command = Command::new(binary);
    command.current_dir(workspace.root()).arg(name).args(work);
    if name == RIVAL {
        command.arg("--binary").arg(build_rival(workspace)?);
    }
    if name == REPLICATE {
        let mut build = workspace.cargo();
        build.args([
            "build",
            "--release",
            "-p",
            "replicator",
            "--bin",
            "replicator",
        ]);
        command.arg("--binary").arg(built(build, "replicator")?);
    }
    if let Some(classes) = classes {
        command.arg("--mirror-maker").arg(classes);
        let folder = workspace.target().join("mirror-maker");
        command.arg("--mirror-folder").arg(folder);
    }
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
    let limit = if name == RIVAL { RIVAL_LIMIT } else { LIMIT };
    process::run(command, &format!("bench {name}"), limit)
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

/// Builds the release binary.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = workspace.cargo();
    command.args(["build", "--release", "-p", PACKAGE]);
    built(command, PACKAGE)
}

/// Fetches the rival's crates, which nothing else of this repository needs, and builds its program.
fn build_rival(workspace: &Workspace) -> Result<PathBuf> {
    let manifest = workspace.root().join(RIVAL_MANIFEST);
    let mut fetch = workspace.cargo();
    fetch
        .args(["fetch", "--locked", "--manifest-path"])
        .arg(&manifest);
    if let Err(failure) = process::run(fetch, "fetching the rival's crates", LIMIT) {
        return Err(Failure::new(format!(
            "{failure}: without a network `bench rival` runs only where `cargo fetch --manifest-path \
             {RIVAL_MANIFEST}` succeeded before; the other benchmarks need no crate of it"
        )));
    }
    let mut command = workspace.cargo();
    command
        .args(["build", "--release", "--locked", "--offline"])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(workspace.target().join(RIVAL));
    built(command, RIVAL_PACKAGE)
}

/// Runs `cargo build` and asks it where the binary is.
fn built(mut command: Command, package: &str) -> Result<PathBuf> {
    command.arg("--message-format=json-render-diagnostics");
    let package_name = package.to_owned();
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
            .filter_map(|line| executable(&line, &package_name))
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
            "`cargo build -p {package}` made no binary of that name"
        ))
    })
}

/// The binary that a line of cargo's messages announces, if it is ours.
fn executable(line: &str, package: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["target"]["name"] != package {
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
        assert_eq!(executable(ours, PACKAGE), Some("/t/b".into()));
        assert_eq!(
            executable(r#"{"target":{"name":"serde"},"executable":null}"#, PACKAGE),
            None
        );
        assert_eq!(executable("warning: text", PACKAGE), None);
    }
}
