//! The rows of the fault table: each a fault, what has to hold under it, and what is promised in numbers.
//!
//! A row is a script: it breaks something at a trial, waits for conditions, and has the checker judge.

mod brokers;
mod exactly;
mod library;
mod limits;
mod network;
mod pills;
mod pressure;
mod replicator;
mod topics;
mod workers;

use std::time::Duration;

use xtask::failure::Result;

use crate::trial::Trial;
use crate::worker::Plan;

/// How long a group may take to share its partitions when nothing is wrong.
const STARTED: Duration = Duration::from_secs(40);
/// The session of a member, as every worker of these tests has it.
const SESSION: Duration = Duration::from_secs(6);
/// Goal for the time until everything sent has come out once a fault is over.
const RECOVERED: Duration = Duration::from_secs(16);
/// When waiting for that ends.
const PATIENCE: Duration = Duration::from_secs(60);
const RATE: u64 = 200;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) target: &'static str,
    /// Whether it runs in CI.
    pub(crate) quick: bool,
    /// In seconds; what a row may take in all, twice that with all rounds.
    pub(crate) limit: u64,
    pub(crate) run: fn(&mut Trial<'_>) -> Result<()>,
}

/// Every row, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    [
        workers::ROWS,
        exactly::ROWS,
        brokers::ROWS,
        network::ROWS,
        topics::ROWS,
        limits::ROWS,
        pressure::ROWS,
        pills::ROWS,
        library::ROWS,
        replicator::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// So many workers share the partitions, and records flow.
fn steady(trial: &mut Trial<'_>, workers: usize, plan: &Plan) -> Result<()> {
    trial.topics(&[])?;
    for _ in 0..workers {
        trial.worker(plan)?;
    }
    trial.assigned(STARTED)?;
    trial.load(RATE)?;
    flow(trial)
}

/// Waits until records that were sent after now have come out.
fn flow(trial: &mut Trial<'_>) -> Result<()> {
    let before = trial.acknowledged();
    trial.until("records are sent", PATIENCE, |trial| {
        Ok(trial.acknowledged() > before + 20)
    })?;
    trial.caught_up(PATIENCE).map(|_| ())
}

/// The fault is over: waits until all is well, and notes how long it took.
fn recovered(trial: &mut Trial<'_>, goal: Duration) -> Result<()> {
    let took = trial.caught_up(PATIENCE)?;
    trial.target("recovery", took, goal);
    Ok(())
}

/// Waits until a process under load has filled its buffers, and expects that it takes little more memory for so `long`.
fn bounded(
    trial: &mut Trial<'_>,
    long: Duration,
    memory: impl Fn(&Trial<'_>) -> Option<u64>,
) -> Result<()> {
    /// Lanes hold so many records, and the client's own queue comes before them; a busy machine fills them later.
    const FULL: Duration = Duration::from_secs(45);
    /// Memory that has not grown by 2 % for so long is full.
    const STEADY: Duration = Duration::from_secs(10);
    let held = |trial: &Trial<'_>| memory(trial).unwrap_or(0);
    trial.hold(FULL)?;
    let mut before = 0;
    trial.until("the buffers are full", FULL, |trial| {
        let last = before;
        before = held(trial);
        trial.hold(STEADY)?;
        Ok(before > 0 && before * 100 <= last * 102)
    })?;
    let mut most = 0;
    for _ in 0..long.as_secs() {
        trial.hold(Duration::from_secs(1))?;
        most = held(trial).max(most);
    }
    let megabytes = |bytes: u64| bytes / 1_000_000;
    trial.figure(format!(
        "{} MB, then {} MB at most",
        megabytes(before),
        megabytes(most)
    ));
    trial.expect(most > 0 && most * 10 <= before * 12, || {
        format!("memory grew from {before} to {most} bytes")
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_row_says_what_it_does() {
        let names: BTreeSet<&str> = all().map(|row| row.name).collect();
        assert_eq!(names.len(), all().count());
        for row in all() {
            assert!(
                !row.what.is_empty() && !row.target.is_empty() && row.limit > 0,
                "{}",
                row.name
            );
        }
        assert!(all().any(|row| row.quick));
    }
}
