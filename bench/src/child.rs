//! Starts a contestant in a process of its own, so that CPU time and memory are its alone, and waits a
//! bounded time for its report.

use std::error::Error;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::cluster::BOOTSTRAP;
use crate::contest::{Contestant, Run, Work};
use crate::report::Report;
use crate::settings;

/// The name of the hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "child";

/// The command line that does `run`, perhaps under another program.
pub(crate) fn command(run: &Run, under: &[OsString]) -> Result<Command, Box<dyn Error>> {
    let mut command = program(&std::env::current_exe()?, under);
    command.args([SUBCOMMAND, run.work.name(), run.contestant.name()]);
    command.args([
        "--servers",
        &run.servers,
        "--topic",
        &run.topic,
        "--output",
        &run.output,
    ]);
    command.args(["--group", &run.group]);
    command.args([
        "--records",
        &run.records.to_string(),
        "--bytes",
        &run.bytes.to_string(),
    ]);
    if run.embedded {
        command.arg("--embedded");
    }
    if run.allocations {
        command.arg("--allocations");
    }
    without_surroundings(&mut command);
    command.env(BOOTSTRAP, &run.servers);
    command.env("CITIZENK_HTTP", "127.0.0.1:0");
    if let Some(names) = names(run) {
        command.env("CITIZENK_TOPICS", names);
    }
    command.envs(settings::variables(run.embedded));
    Ok(command)
}

/// The binary, perhaps under another program.
pub(crate) fn program(binary: &Path, under: &[OsString]) -> Command {
    match under.split_first() {
        None => Command::new(binary),
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(binary);
            command
        }
    }
}

/// What the benchmark's own surroundings set must not reach one contestant only.
pub(crate) fn without_surroundings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("KAFKA_") || text.starts_with("CITIZENK_") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
}

/// What citizenk's topics are called on the broker; naming one that the app has not is an error.
fn names(run: &Run) -> Option<String> {
    let Run { topic, output, .. } = run;
    Some(match (run.work, run.contestant) {
        (Work::Copy, _) => return None,
        (Work::Transform, _) => format!("readings={topic},converted={output}"),
        (Work::Produce, Contestant::Outbox) => format!("readings={topic},orders={output}"),
        (Work::Consume | Work::Produce, _) => format!("readings={topic}"),
    })
}

/// Runs it to its end and reads its report.
pub(crate) fn report(command: Command, limit: Duration) -> Result<Report, Box<dyn Error>> {
    let output = output(command, limit)?;
    Report::read(&output).ok_or_else(|| format!("a contestant reported nothing: {output:?}").into())
}

/// Runs it to its end and answers what it printed.
pub(crate) fn output(mut command: Command, limit: Duration) -> Result<String, Box<dyn Error>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = match read(&mut child, limit) {
        Ok(output) => output,
        Err(error) => {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("a contestant failed ({status})").into());
    }
    Ok(output)
}

/// Its output, which ends when it ends.
fn read(child: &mut Child, limit: Duration) -> Result<String, Box<dyn Error>> {
    let mut pipe = child.stdout.take().ok_or("the child has no output")?;
    let (done, read) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut text = String::new();
        let result = pipe.read_to_string(&mut text).map(|_| text);
        // Nobody listens any more when the time was over.
        let _ = done.send(result);
    });
    match read.recv_timeout(limit) {
        Ok(text) => Ok(text?),
        Err(_) => Err(format!("a contestant did not end within {} s", limit.as_secs()).into()),
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
    fn failures_and_silence_are_errors() {
        let limit = Duration::from_secs(10);
        let error = |script| report(shell(script), limit).unwrap_err().to_string();
        assert!(error("exit 3").contains("failed"));
        assert!(error("echo hello").contains("hello"));
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let error = report(shell("exec sleep 60"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("did not end"));
    }
}
