//! Rows that need no broker of their own: tests of the library, with all their cases.
//!
//! `cargo test` runs each with a few.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use xtask::failure::{Failure, OrFail, Result};
use xtask::process;
use xtask::workspace::Workspace;

use super::Row;
use crate::trial::Trial;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "W16",
        what: "500 workers come and go in one process, stopped or dropped, each with its broker",
        target: "no thread and no file more than before, at most 8 MB more memory; each ends within 1 s",
        quick: false,
        limit: 900,
        run: |trial| {
            let rounds = trial.rounds(60, 500).to_string();
            let test = Test {
                arguments: &["--test", "leaks"],
                variable: ("CITIZENK_LEAK_ROUNDS", &rounds),
                says: "after",
            };
            test.run(trial)
        },
    },
    Row {
        name: "W18",
        what: "1,000,000 histories of a partition: every order of settling, gaps, revokes, seeks, earlier assignments",
        target: "committed is the lowest that is not settled, by this assignment; every mistake on purpose is found",
        quick: false,
        limit: 1200,
        run: |trial| {
            let cases = trial.rounds(100_000, 1_000_000).to_string();
            let test = Test {
                arguments: &["--lib", "runtime::ack"],
                variable: ("PROPTEST_CASES", &cases),
                says: "test result",
            };
            trial.figure(format!("{cases} cases"));
            test.run(trial)
        },
    },
    Row {
        name: "D1f",
        what: "10,000,000 broken texts through all that reads them before a handler does",
        target: "no panic; what is read can be written and read again",
        quick: false,
        limit: 1800,
        run: |trial| {
            let inputs = trial.rounds(1_000_000, 10_000_000).to_string();
            let test = Test {
                arguments: &["--lib", "codec::fuzz"],
                variable: ("CITIZENK_FUZZ", &inputs),
                says: "inputs,",
            };
            test.run(trial)
        },
    },
    Row {
        name: "D3",
        what: "a message whose schema does not fit what its topic's readers know",
        target: "the start ends with topic and field, nothing is written",
        quick: false,
        limit: 300,
        run: |trial| {
            Test::whole(&[
                "--features",
                "avro,registry",
                "--lib",
                "a_schema_that_does_not_fit",
            ])
            .run(trial)
        },
    },
    Row {
        name: "D4",
        what: "a registry that refuses, hangs, fails, answers garbage or without end, or sends elsewhere",
        target: "each try ≤ 5 s, answers bounded, no redirect followed, failures remembered for 1 s",
        quick: false,
        limit: 300,
        run: |trial| Test::whole(&["--features", "registry", "--lib", "registry::"]).run(trial),
    },
    Row {
        name: "D4s",
        what: "a service whose registry goes away, and comes back",
        target: "known schemas pass without a call, unknown ones wait and are never skipped",
        quick: false,
        limit: 300,
        run: |trial| Test::whole(&["--features", "avro,registry", "--test", "schemas"]).run(trial),
    },
    Row {
        name: "D5",
        what: "10,000,000 broken frames and Avro values, 100,000 broken schemas",
        target: "no panic; no more memory than a fixed multiple of the value's length",
        quick: false,
        limit: 1800,
        run: |trial| {
            let inputs = trial.rounds(1_000_000, 10_000_000).to_string();
            let test = Test {
                arguments: &["--features", "avro", "--test", "avro_bounds"],
                variable: ("CITIZENK_FUZZ", &inputs),
                says: "inputs,",
            };
            test.run(trial)
        },
    },
    Row {
        name: "B15",
        what: "outputs are accepted and then refused: too few replicas, too large, not allowed, invalid",
        target: "0 commits past what was refused unless the policy says so; then each once",
        quick: false,
        limit: 300,
        run: |trial| Test::whole(&["--test", "conformance", "refusal_runs"]).run(trial),
    },
];

/// A test of the library.
struct Test<'a> {
    arguments: &'a [&'a str],
    /// What says how many cases.
    variable: (&'a str, &'a str),
    /// What the line has in it that says how it went.
    says: &'a str,
}

impl<'a> Test<'a> {
    /// With all its cases, always.
    fn whole(arguments: &'a [&'a str]) -> Self {
        Self {
            arguments,
            variable: ("RUST_BACKTRACE", "0"),
            says: "test result",
        }
    }

    fn run(&self, trial: &mut Trial<'_>) -> Result<()> {
        /// The row's own limit comes first.
        const LIMIT: Duration = Duration::from_secs(60 * 60);
        let doing = || "run a test of the library".to_owned();
        let file = trial.folder.join("test.log");
        let output = File::create(&file).or_fail(doing)?;
        let mut cargo = Workspace::find()?.cargo();
        cargo
            .args(["test", "-p", "citizenk", "--features", "testing"])
            .args(self.arguments)
            .args(["--", "--nocapture"])
            .env(self.variable.0, self.variable.1)
            .stdin(Stdio::null())
            .stdout(output.try_clone().or_fail(doing)?)
            .stderr(output);
        let begun = Instant::now();
        let result = process::run(cargo, "the test", LIMIT);
        let text = fs::read_to_string(&file).or_fail(doing)?;
        let said = text.lines().filter(|line| line.contains(self.says));
        for line in said {
            trial.figure(line.trim().to_owned());
        }
        trial.figure(format!("{} s", begun.elapsed().as_secs()));
        let tail: Vec<&str> = text.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        result.map_err(|failure| Failure::new(format!("{failure}:\n{}", tail.join("\n"))))
    }
}
