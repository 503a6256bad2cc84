//! Tier R: the library's own conformance and fault tests against a real Kafka, and its cases of a schema registry
//! against a real one.

use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::kafka::{BOOTSTRAP_VARIABLE, Kafka};
use crate::process;
use crate::registry::Registry;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(15 * 60);
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Also what `python-member` runs.
pub(crate) const GROUPS: &[&str] = &[
    "test",
    "-p",
    "citizenk",
    "--features",
    "testing",
    "--test",
    "real_groups",
];
const TESTS: &str = "citizenk/tests/real.rs";
const TARGETS: [&[&str]; 6] = [
    // The cases that every broker passes, on this one.
    &[
        "test",
        "-p",
        "citizenk",
        "--features",
        "testing",
        "--test",
        "conformance",
        "real_runs",
    ],
    &[
        "test",
        "-p",
        "citizenk",
        "--features",
        "testing",
        "--test",
        "real",
    ],
    GROUPS,
    &[
        "test",
        "-p",
        "citizenk",
        "--features",
        "testing",
        "--test",
        "real_admin",
    ],
    &[
        "test",
        "-p",
        "citizenk",
        "--features",
        "testing",
        "--test",
        "real_retries",
    ],
    // Of the transport's own tests, those that need a real broker: `real`, `real_transactions` and `reads`.
    &[
        "test",
        "-p",
        "citizenk",
        "--features",
        "testing",
        "--lib",
        "rdkafka::tests::rea",
    ],
];

/// Two clusters, one of which the test ends.
const CLUSTERS: &[&str] = &[
    "test",
    "-p",
    "citizenk",
    "--features",
    "testing",
    "--test",
    "real_clusters",
];

/// Who clients are and whom they trust.
const SECURED: &[&str] = &[
    "test",
    "-p",
    "citizenk",
    "--features",
    "testing,oauth",
    "--test",
    "real_secured",
];

/// The cases that every schema registry passes, on a real one.
const REGISTRY: &[&str] = &[
    "test",
    "-p",
    "citizenk",
    "--features",
    "testing,registry",
    "--test",
    "registry",
    "real_runs",
];

/// The command line of a Java with Kafka's classes, one word a line.
fn tool(kafka: &Kafka) -> Result<String> {
    let command = kafka.tool("acls", "")?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    // Without the tool itself and its address.
    Ok(words[..words.len() - 3].join("\n"))
}

pub(crate) fn run(workspace: &Workspace, filter: &[String]) -> Result<()> {
    if !workspace.root().join(TESTS).is_file() {
        return Err(Failure::new(format!(
            "there are no tests against a real Kafka: {TESTS} does not exist"
        )));
    }
    // Built first: a compile error needs no Kafka, and building does not count against the tests' time.
    for target in TARGETS.into_iter().chain([SECURED, CLUSTERS, REGISTRY]) {
        let mut build = workspace.cargo();
        build.args(target).arg("--no-run");
        process::run(
            build,
            "building the tests against a real Kafka",
            BUILD_LIMIT,
        )?;
    }
    {
        let registry = Registry::start_temporary(workspace)?;
        let mut tests = workspace.cargo();
        tests
            .args(REGISTRY)
            .args(["--", "--test-threads=4"])
            .args(filter)
            .env("CITIZENK_REAL_REGISTRY", registry.url());
        process::run(tests, "the tests against a real schema registry", LIMIT)?;
    }
    {
        let kafka = Kafka::start_secured(workspace)?;
        let mut tests = workspace.cargo();
        tests
            .args(SECURED)
            .args(["--", "--test-threads=4"])
            .args(filter)
            .env("CITIZENK_SECURED_KAFKA", kafka.folder())
            // What starts the tools of Kafka, for what is changed while a service runs.
            .env("CITIZENK_KAFKA_TOOL", tool(&kafka)?);
        process::run(tests, "the tests against a secured Kafka", LIMIT)?;
    }
    let kafka = Kafka::start_temporary(workspace, 1)?;
    for target in TARGETS {
        let mut tests = workspace.cargo();
        tests
            .args(target)
            .args(["--", "--test-threads=4"])
            .args(filter);
        tests
            .env(BOOTSTRAP_VARIABLE, kafka.bootstrap())
            .env("CITIZENK_REAL_KAFKA", "1");
        process::run(tests, "the tests against a real Kafka", LIMIT)?;
    }
    let second = Kafka::start_temporary(workspace, 1)?;
    let mut tests = workspace.cargo();
    tests
        .args(CLUSTERS)
        .arg("--")
        .args(filter)
        .env(BOOTSTRAP_VARIABLE, kafka.bootstrap())
        .env("CITIZENK_SECOND_KAFKA", second.bootstrap())
        .env("CITIZENK_SECOND_KAFKA_PID", second.pid(0).to_string());
    process::run(tests, "the tests against two real Kafkas", LIMIT)
}
