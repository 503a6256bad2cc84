//! Developer commands: `cargo xtask --help`.
//!
//! Whatever needs more than Rust and a C toolchain (Java for a real Kafka, Python for the OpenAPI
//! validator, Chromium for pages, valgrind for instruction counts) lives here and not in `cargo test --workspace`. Each
//! command fetches what it needs from the package registries' ordinary clients, keeps it below the
//! target directory, is bounded in time and stops what it started.

mod asyncapi;
mod bench;
mod browser;
mod ci;
mod faults;
mod misuse;
mod openapi;
mod python;
mod real;
mod schemathesis;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use xtask::failure::{self, Result};
use xtask::workspace::{self, Workspace};
use xtask::{kafka, process, registry};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Developer commands of CitizenK for Rust"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Real Apache Kafka on this machine, from its own jars (needs Java 17 and Maven)
    Kafka {
        #[command(subcommand)]
        command: kafka::Command,
    },
    /// A real schema registry on this machine (needs Java 17 and Maven)
    Registry {
        #[command(subcommand)]
        command: registry::Command,
    },
    /// Tests of tier R: the library against a temporary Kafka and a temporary schema registry
    Real {
        /// Only what the Replicator is for, between two Kafkas
        #[arg(long)]
        replicator: bool,
        /// Only tests whose name contains one of these
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// Compile-fail tests: what rustc says about misused macros
    Misuse {
        /// Write what rustc says now as the expected text
        #[arg(long)]
        bless: bool,
        /// Only this case (a path below ui-tests)
        #[arg(long, value_name = "PATH")]
        only: Option<PathBuf>,
    },
    /// A benchmark beside its floor; `cost` counts instructions and allocations per record
    Bench {
        /// `consume`, `produce`, `transform`, `replicate`, `cost`, `rival`, or another name the bench crate knows
        name: String,
        /// Of `rival`: `consume` or `transform`; both without
        work: Option<String>,
        /// Against real Kafka: the one of KAFKA_BOOTSTRAP_SERVERS, else a temporary one
        #[arg(long)]
        real: bool,
        /// Of `replicate --real`: MirrorMaker 2 on the same Kafka, too (needs Java 17 and Maven)
        #[arg(long)]
        mirror_maker: bool,
        /// Handed to the benchmark
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Faults on three real brokers: workers killed, networks cut, leaders moved; `--list` shows them
    #[command(disable_help_flag = true)]
    Faults {
        /// `--minutes M`, `--seed S`, `--row NAME`, `--from NAME`, `--all`, `--list`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check AsyncAPI documents of examples with the official parser (needs Node.js)
    AsyncapiCheck,
    /// Check the demo's OpenAPI document with a validator that is not ours (needs Python 3)
    OpenapiCheck,
    /// Requests made up from the demo's OpenAPI document: no server error, no answer it does not have (needs Python 3)
    Schemathesis,
    /// One group of a confluent-kafka-python member and ours, on a real Kafka (needs Python 3)
    PythonMember,
    /// Records between confluent-kafka-python and ours, with a real Kafka and schema registry (needs Python 3)
    PythonSchemas,
    /// The pages of the examples in a real browser (needs Node.js and Chromium)
    Ui(browser::Options),
    /// The tiers that `.ci/run` adds to `cargo test --workspace`
    Ci,
    /// Print the cargo features that lints and tests switch on, as one `--features` value
    Features,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    process::watch_signals();
    match run(cli.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Kafka { command } => kafka::run(&workspace, command),
        Task::Registry { command } => registry::run(&workspace, command),
        Task::Real {
            replicator: true,
            filter,
        } => real::replicator(&workspace, &filter),
        Task::Real { filter, .. } => real::run(&workspace, &filter),
        Task::Misuse { bless, only } => misuse::run(&workspace, bless, only.as_deref()),
        Task::Bench {
            name,
            work,
            real,
            mirror_maker,
            args,
        } => bench::run(
            &workspace,
            &name,
            work.as_deref(),
            real,
            mirror_maker,
            &args,
        ),
        Task::Faults { args } => faults::run(&workspace, &args),
        Task::AsyncapiCheck => asyncapi::run(&workspace),
        Task::OpenapiCheck => openapi::run(&workspace),
        Task::Schemathesis => schemathesis::run(&workspace),
        Task::PythonMember => python::member(&workspace),
        Task::PythonSchemas => python::schemas(&workspace),
        Task::Ui(options) => browser::run(&workspace, &options),
        Task::Ci => ci::run(&workspace),
        Task::Features => {
            println!("{}", workspace.features().join(","));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_of_others_pass_untouched() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.task);
        let Ok(Task::Kafka {
            command: kafka::Command::Up { nodes, port },
        }) = parse("x kafka up --nodes 3 --port 9092")
        else {
            panic!("`kafka up` takes nodes and a port");
        };
        assert_eq!((nodes, port), (Some(3), Some(9092)));
        let Ok(Task::Registry {
            command: registry::Command::Up { port },
        }) = parse("x registry up --port 8081")
        else {
            panic!("`registry up` takes a port");
        };
        assert_eq!(port, Some(8081));
        let Ok(Task::Kafka {
            command: kafka::Command::Exec { tool, args },
        }) = parse("x kafka exec topics --create --topic a")
        else {
            panic!("`kafka exec` takes a tool and its own options");
        };
        assert_eq!((tool.as_str(), args.len()), ("topics", 3));
        let Ok(Task::Bench {
            name,
            work: None,
            real,
            mirror_maker: false,
            args,
        }) = parse("x bench consume --real -- --records 5")
        else {
            panic!("`bench` takes a name and what stands after the dashes");
        };
        assert_eq!((name.as_str(), real, args.len()), ("consume", true, 2));
        let Ok(Task::Bench { work, real, .. }) = parse("x bench rival --real transform") else {
            panic!("`bench rival` takes a work");
        };
        assert_eq!((work.as_deref(), real), (Some("transform"), true));
        let Ok(Task::Bench { mirror_maker, .. }) = parse("x bench replicate --real --mirror-maker")
        else {
            panic!("`bench replicate` takes a switch");
        };
        assert!(mirror_maker);
        let Ok(Task::Faults { args }) = parse("x faults --row W1 --seed 7") else {
            panic!("`faults` takes what its program takes");
        };
        assert_eq!(args.len(), 4);
        assert!(parse("x kafka up --nodes 2").is_err());
    }
}
