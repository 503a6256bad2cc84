//! The program as `cargo run` starts it: nothing beside it is needed.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avro-orders"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (name, _) in std::env::vars() {
        if ["KAFKA_", "CITIZENK_", "SCHEMA_", "RUST_LOG"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_runs_alone() {
    let mut running = Running(program(&["--http", "127.0.0.1:0"]).spawn().unwrap());
    let (send, lines) = mpsc::channel();
    let output = running.0.stdout.take().unwrap();
    std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines
            .take_while(|line| send.send(line.clone()).is_ok())
            .count()
    });
    let line = lines.recv_timeout(PATIENCE).unwrap();
    assert!(
        line.contains(" has spent ") && line.ends_with(" in 1 orders"),
        "{line}"
    );
}

#[test]
fn its_schemas_are_printed_and_checked() {
    let printed = program(&["schemas", "print"]).output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.status.success() && text.contains("\"timestamp-millis\""),
        "{text}"
    );
    let checked = program(&["schemas", "check", "--embedded"])
        .output()
        .unwrap();
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{text}");
    for subject in ["orders.v2-value", "orders-value", "totals-value"] {
        assert!(
            text.contains(&format!("{subject}: new and compatible")),
            "{text}"
        );
    }
}
