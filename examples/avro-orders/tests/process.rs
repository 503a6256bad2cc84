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
    let line = first_line(&mut running);
    assert!(
        line.contains(" has spent ") && line.ends_with(" in 1 orders"),
        "{line}"
    );
}

fn first_line(running: &mut Running) -> String {
    let (send, lines) = mpsc::channel();
    let output = running.0.stdout.take().unwrap();
    std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines
            .take_while(|line| send.send(line.clone()).is_ok())
            .count()
    });
    lines.recv_timeout(PATIENCE).unwrap()
}

/// Left out where `cargo xtask python-schemas` has not started them.
#[test]
fn it_runs_on_a_real_kafka_and_a_real_registry() {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(_), Some(servers), Some(registry)) = (
        variable("CITIZENK_REAL_KAFKA"),
        variable("KAFKA_BOOTSTRAP_SERVERS"),
        variable("CITIZENK_REAL_REGISTRY"),
    ) else {
        return;
    };
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let prefix = format!("e{}-", now.as_nanos());
    let program = |arguments: &[&str]| {
        let mut command = program(arguments);
        command
            .args(["--topic-prefix", &prefix, "--group", &prefix])
            .env("KAFKA_BOOTSTRAP_SERVERS", &servers)
            .env("SCHEMA_REGISTRY_URL", &registry);
        command
    };
    let checked = || {
        let checked = program(&["schemas", "check"]).output().unwrap();
        let text = String::from_utf8(checked.stdout).unwrap();
        assert!(checked.status.success(), "{text}");
        text
    };
    let before = checked();
    assert_eq!(
        before.matches(": new and compatible").count(),
        3,
        "{before}"
    );
    let arguments = ["--http", "127.0.0.1:0", "--create-topics"];
    let mut running = Running(program(&arguments).spawn().unwrap());
    let line = first_line(&mut running);
    assert!(line.contains(" has spent "), "{line}");
    let after = checked();
    assert!(!after.contains("new and compatible"), "{after}");
    for subject in ["orders.v2-value", "orders-value", "totals-value"] {
        assert!(after.contains(&format!("{prefix}{subject}")), "{after}");
    }
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
