//! Tier R: the library's own conformance and fault tests against a real Kafka, and its cases of a schema registry
//! against a real one, and the Replicator's scenarios between two.

use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::kafka::{BOOTSTRAP_VARIABLE, Kafka};
use crate::process;
use crate::registry::Registry;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(15 * 60);
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
pub(crate) const LIBRARY: &str = "citizenk";

/// Tests of a package, built with these features: which target, and perhaps what their names have.
#[derive(Clone, Copy)]
pub(crate) struct Tests {
    pub(crate) package: &'static str,
    pub(crate) features: &'static str,
    pub(crate) target: &'static [&'static str],
}

impl Tests {
    const fn of(target: &'static [&'static str]) -> Self {
        Self {
            package: LIBRARY,
            features: "testing",
            target,
        }
    }

    /// `cargo test` of them.
    pub(crate) fn command(self, workspace: &Workspace) -> Command {
        let mut command = workspace.cargo();
        command
            .args(["test", "-p", self.package, "--features", self.features])
            .args(self.target);
        command
    }

    /// A compile error needs no Kafka, and building does not count against the tests' time.
    pub(crate) fn build(self, workspace: &Workspace, what: &str) -> Result<()> {
        let mut command = self.command(workspace);
        command.arg("--no-run");
        process::run(command, &format!("building {what}"), BUILD_LIMIT)
    }
}

const TESTS: &str = "citizenk/tests/real.rs";
/// Also what `python-member` runs.
pub(crate) const GROUPS: Tests = Tests::of(&["--test", "real_groups"]);
const ALL: [Tests; 7] = [
    // The cases that every broker passes, on this one.
    Tests::of(&["--test", "conformance", "real_runs"]),
    Tests::of(&["--test", "real"]),
    GROUPS,
    Tests::of(&["--test", "real_admin"]),
    Tests::of(&["--test", "real_retries"]),
    Tests::of(&["--test", "real_routers"]),
    // Of the transport's own tests, those that need a real broker: `real`, `real_transactions` and `reads`.
    Tests::of(&["--lib", "rdkafka::tests::rea"]),
];
/// What the Replicator is for, from one cluster to another.
const REPLICATOR: Tests = Tests {
    package: "replicator",
    features: "",
    target: &["--test", "scenarios", "real_runs"],
};
/// Two clusters, one of which the test ends.
const CLUSTERS: Tests = Tests::of(&["--test", "real_clusters"]);
/// Who clients are and whom they trust.
const SECURED: Tests = Tests {
    package: LIBRARY,
    features: "testing,oauth",
    target: &["--test", "real_secured"],
};
/// The cases that every schema registry passes, on a real one.
const REGISTRY: Tests = Tests {
    package: LIBRARY,
    features: "testing,registry",
    target: &["--test", "registry", "real_runs"],
};

/// The command line of a Java with Kafka's classes, one word a line.
fn tool(kafka: &Kafka) -> Result<String> {
    let command = kafka.tool("acls", "")?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    // Without the tool itself and its address.
    Ok(words[..words.len() - 3].join("\n"))
}

/// The Replicator's scenarios between two Kafkas.
fn scenarios(
    first: &Kafka,
    second: &Kafka,
    workspace: &Workspace,
    filter: &[String],
) -> Result<()> {
    let mut tests = REPLICATOR.command(workspace);
    tests
        .args(["--", "--test-threads=4"])
        .args(filter)
        .env(BOOTSTRAP_VARIABLE, first.bootstrap())
        .env("CITIZENK_SECOND_KAFKA", second.bootstrap());
    process::run(tests, "the Replicator between two real Kafkas", LIMIT)
}

/// Only the Replicator's scenarios.
pub(crate) fn replicator(workspace: &Workspace, filter: &[String]) -> Result<()> {
    REPLICATOR.build(workspace, "the Replicator's tests")?;
    let first = Kafka::start_temporary(workspace, 1)?;
    let second = Kafka::start_temporary(workspace, 1)?;
    scenarios(&first, &second, workspace, filter)
}

pub(crate) fn run(workspace: &Workspace, filter: &[String]) -> Result<()> {
    if !workspace.root().join(TESTS).is_file() {
        return Err(Failure::new(format!(
            "there are no tests against a real Kafka: {TESTS} does not exist"
        )));
    }
    for tests in ALL
        .into_iter()
        .chain([SECURED, REPLICATOR, CLUSTERS, REGISTRY])
    {
        tests.build(workspace, "the tests against a real Kafka")?;
    }
    {
        let registry = Registry::start_temporary(workspace)?;
        let mut tests = REGISTRY.command(workspace);
        tests
            .args(["--", "--test-threads=4"])
            .args(filter)
            .env("CITIZENK_REAL_REGISTRY", registry.url());
        process::run(tests, "the tests against a real schema registry", LIMIT)?;
    }
    {
        let kafka = Kafka::start_secured(workspace)?;
        let mut tests = SECURED.command(workspace);
        tests
            .args(["--", "--test-threads=4"])
            .args(filter)
            .env("CITIZENK_SECURED_KAFKA", kafka.folder())
            // What starts the tools of Kafka, for what is changed while a service runs.
            .env("CITIZENK_KAFKA_TOOL", tool(&kafka)?);
        process::run(tests, "the tests against a secured Kafka", LIMIT)?;
    }
    let kafka = Kafka::start_temporary(workspace, 1)?;
    for tests in ALL {
        let mut tests = tests.command(workspace);
        tests.args(["--", "--test-threads=4"]).args(filter);
        tests
            .env(BOOTSTRAP_VARIABLE, kafka.bootstrap())
            .env("CITIZENK_REAL_KAFKA", "1");
        process::run(tests, "the tests against a real Kafka", LIMIT)?;
    }
    let second = Kafka::start_temporary(workspace, 1)?;
    scenarios(&kafka, &second, workspace, filter)?;
    let mut tests = CLUSTERS.command(workspace);
    tests
        .arg("--")
        .args(filter)
        .env(BOOTSTRAP_VARIABLE, kafka.bootstrap())
        .env("CITIZENK_SECOND_KAFKA", second.bootstrap())
        .env("CITIZENK_SECOND_KAFKA_PID", second.pid(0).to_string());
    process::run(tests, "the tests against two real Kafkas", LIMIT)
}
