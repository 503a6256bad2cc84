//! Fault tests on real brokers: `cargo xtask faults`.
//!
//! In: a seed and which rows. Out: a line per row with what was measured, exit code 1 if anything was
//! not as promised.
//!
//! ```text
//! load ─▶ proxies ─▶ three brokers ─▶ proxies ─▶ workers ─▶ proxies ─▶ brokers ─▶ watcher
//!                        ▲                ▲          ▲
//!                        └────────────── row ────────┘        (breaks things, waits for conditions)
//! load, topics, committed offsets, journals, watcher ─▶ history ─▶ checker ─▶ verdict
//! ```
//!
//! A row starts workers (this program again, as a service), breaks brokers, network or workers, heals,
//! and hands everything that was observed to the checker. Brokers stay from row to row; topics, group
//! and workers are each row's own.

mod checker;
mod cluster;
mod dice;
mod history;
mod journal;
mod load;
mod observe;
mod pills;
mod proxy;
mod rows;
mod trial;
mod worker;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use xtask::failure::{Failure, Result};
use xtask::process;
use xtask::workspace::Workspace;

use crate::cluster::Cluster;
use crate::dice::Dice;
use crate::rows::Row;
use crate::trial::{Terms, Trial};

#[derive(Parser)]
#[command(
    name = "cargo xtask faults",
    about = "Fault tests on three real brokers",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Subcommand)]
enum Part {
    /// The service under test
    #[command(name = worker::SUBCOMMAND, hide = true)]
    Worker {
        #[command(flatten)]
        options: Box<worker::service::Options>,
        #[command(flatten)]
        service: Box<citizenk::cli::RunArgs>,
    },
}

/// Which rows, and how often.
#[derive(Args)]
struct Choice {
    /// Repeat rows at random, with seeds of their own, for so many minutes
    #[arg(long)]
    minutes: Option<u64>,
    /// What every choice depends on [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Only this row; repeatable
    #[arg(long, value_name = "NAME")]
    row: Vec<String>,
    /// Leave out the rows before this one, in the order of `--list`
    #[arg(long, value_name = "NAME", conflicts_with = "row")]
    from: Option<String>,
    /// Every row, with all its rounds, instead of the quick ones
    #[arg(long)]
    all: bool,
    /// Print times without judging them, and wait longer: for a machine that may be slow
    #[arg(long)]
    untimed: bool,
    /// List the rows
    #[arg(long)]
    list: bool,
    /// Give every worker a mistake on purpose, which the checker has to find
    #[arg(long, hide = true, value_name = "FLAG", allow_hyphen_values = true)]
    mistake: Vec<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Part::Worker { options, service }) = cli.part {
        return ExitCode::from(worker::service::run(*options, *service).code());
    }
    process::watch_signals();
    match run(&cli.choice) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(choice: &Choice) -> Result<bool> {
    if choice.list {
        for row in rows::all() {
            println!(
                "{:5} {:5} {}\n{:12}{}",
                row.name,
                if row.quick { "quick" } else { "" },
                row.what,
                "",
                row.target
            );
        }
        return Ok(true);
    }
    let rows = chosen(choice)?;
    let seed = choice.seed.unwrap_or_else(|| {
        let passed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::from(passed.subsec_nanos()) ^ passed.as_secs()
    });
    println!("faults: seed {seed}");
    let workspace = Workspace::find()?;
    let folder = workspace.target().join("faults");
    let mut cluster = Cluster::start(&workspace)?;
    let mut bad = Vec::new();
    let mut go = |row: &'static Row, seed: u64| -> Result<()> {
        let terms = Terms {
            row: row.name,
            seed,
            long: choice.all,
            limit: Duration::from_secs(if choice.all {
                2 * row.limit + 120
            } else {
                row.limit
            }),
            mistake: choice.mistake.clone(),
            untimed: choice.untimed,
        };
        if !one(&mut cluster, row, terms, &folder)? {
            bad.push(format!("{} (--seed {seed})", row.name));
        }
        Ok(())
    };
    match choice.minutes {
        None => {
            for row in &rows {
                go(row, seed)?;
            }
        }
        Some(minutes) => {
            let (begun, mut dice) = (Instant::now(), Dice::new(seed));
            while begun.elapsed() < Duration::from_secs(60 * minutes) {
                // Small, to be typed again.
                let (row, seed) = (rows[dice.below(rows.len())], dice.next() % 1_000_000);
                go(row, seed)?;
            }
        }
    }
    if bad.is_empty() {
        println!("faults: all as promised");
    } else {
        println!("faults: NOT as promised: {}", bad.join(", "));
    }
    Ok(bad.is_empty())
}

fn chosen(choice: &Choice) -> Result<Vec<&'static Row>> {
    let all: Vec<_> = rows::all().collect();
    let place = |name: &String| {
        let found = all
            .iter()
            .position(|row| row.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Failure::new(format!(
                "there is no row `{name}`; `cargo xtask faults --list` shows them"
            ))
        })
    };
    if choice.row.is_empty() {
        let wanted = |row: &&Row| choice.all || choice.minutes.is_some() || row.quick;
        let first = choice.from.as_ref().map_or(Ok(0), place)?;
        return Ok(all[first..].iter().copied().filter(wanted).collect());
    }
    let find = |name: &String| Ok(all[place(name)?]);
    choice.row.iter().map(find).collect()
}

/// Runs a row, prints its line, and heals whatever it left broken.
fn one(cluster: &mut Cluster, row: &Row, terms: Terms, folder: &Path) -> Result<bool> {
    let begun = Instant::now();
    let mut trial = Trial::new(cluster, terms, folder)?;
    let outcome = trial.begin().and_then(|()| (row.run)(&mut trial));
    let (figures, misses) = trial.result(outcome)?;
    cluster.heal()?;
    let verdict = if misses.is_empty() { "ok  " } else { "FAIL" };
    println!(
        "{verdict} {:5} {:4} s  {figures}",
        row.name,
        begun.elapsed().as_secs()
    );
    for miss in &misses {
        println!("       {}", miss.replace('\n', "\n       "));
    }
    Ok(misses.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn rows_are_chosen_by_name_speed_or_all() {
        let choose = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' '))
                .map_err(|error| Failure::new(error.to_string()))?;
            chosen(&cli.choice).map(|rows| rows.len())
        };
        assert_eq!(choose("x --row w1 --row B9").ok(), Some(2));
        assert_eq!(choose("x --all").ok(), Some(rows::all().count()));
        assert!(choose("x").ok() < choose("x --all").ok());
        let last = rows::all().last().map_or("", |row| row.name);
        assert_eq!(choose(&format!("x --all --from {last}")).ok(), Some(1));
        assert!(choose("x --from W99").is_err_and(|failure| failure.to_string().contains("W99")));
        assert!(choose("x --row W99").is_err_and(|failure| failure.to_string().contains("W99")));
    }
}
