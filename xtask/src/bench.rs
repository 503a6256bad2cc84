//! Benchmarks: runs the bench crate, with a Kafka if one is wanted, or under valgrind for `cost`.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::{BOOTSTRAP_VARIABLE, Kafka};
use crate::process;
use crate::workspace::Workspace;

const PACKAGE: &str = "citizenk-bench";
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// Two runs of different length: their difference holds no start-up cost.
const RECORDS: [u64; 2] = [20_000, 120_000];

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
fn cost(workspace: &Workspace, args: &[String]) -> Result<()> {
    let valgrind = process::find_program("valgrind", "valgrind (Debian: valgrind)")?;
    let binary = build(workspace)?;
    let folder = workspace.target().join("callgrind");
    fs::create_dir_all(&folder).or_fail(|| format!("create {}", folder.display()))?;
    let mut totals = Vec::new();
    for records in RECORDS {
        let out = folder.join(format!("cost-{records}.out"));
        eprintln!(
            "bench cost: {records} records under callgrind (about fifty times slower than natively)"
        );
        let mut command = Command::new(&valgrind);
        command.current_dir(workspace.root()).stdout(Stdio::null());
        command
            .arg("--tool=callgrind")
            .arg("--quiet")
            .arg(format!("--callgrind-out-file={}", out.display()));
        command
            .arg(&binary)
            .args(["cost", "--records", &records.to_string()])
            .args(args);
        process::run(command, &format!("callgrind over {records} records"), LIMIT)?;
        totals.push(instructions(&out)?);
    }
    let mut native = Command::new(&binary);
    native
        .current_dir(workspace.root())
        .args(["cost", "--allocations"])
        .args(args);
    process::run(native, "counting allocations", LIMIT)?;
    println!("| records | instructions |\n|---|---|");
    for (records, total) in RECORDS.iter().zip(&totals) {
        println!("| {records} | {total} |");
    }
    // One per entry of RECORDS, pushed above.
    let per_record = per_record([totals[0], totals[1]]);
    println!("callgrind files: {}", folder.display());
    println!("bench cost instructions_per_record={per_record:.1}");
    Ok(())
}

fn per_record(totals: [u64; 2]) -> f64 {
    (totals[1] as f64 - totals[0] as f64) / (RECORDS[1] - RECORDS[0]) as f64
}

fn instructions(out: &Path) -> Result<u64> {
    let text = fs::read_to_string(out).or_fail(|| format!("read {}", out.display()))?;
    total(&text).ok_or_else(|| Failure::new(format!("{} holds no line `totals:`", out.display())))
}

/// The sum over all parts of a callgrind file.
fn total(text: &str) -> Option<u64> {
    let line = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
    };
    line("totals:").or_else(|| line("summary:"))
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
    fn totals_are_read_and_subtracted() {
        assert_eq!(total("version: 1\nsummary: 70\n\ntotals: 71\n"), Some(71));
        assert_eq!(total("summary: 70\n"), Some(70));
        assert_eq!(total("nothing"), None);
        assert!((per_record([1_000_000, 101_000_000]) - 1000.0).abs() < f64::EPSILON);
    }

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
