//! Nothing is broken and nothing gets through: outputs that do not leave, quotas, a client that fetches nothing.

use std::time::{Duration, Instant};

use xtask::failure::Result;

use super::{PATIENCE, RATE, RECOVERED, Row, STARTED, flow, recovered, steady};
use crate::checker::Rules;
use crate::cluster::NODES;
use crate::history::Deed;
use crate::journal::now;
use crate::proxy::frame::{FETCH, PRODUCE};
use crate::proxy::{CallFault, Mode};
use crate::trial::Trial;
use crate::worker::Plan;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "B14",
        what: "outputs do not leave, and the producer's queue takes 1,000",
        target: "calls wait, at most 10 % of a processor is used; they go on within 0.5 s; 0 lost, 0 duplicates, in order",
        quick: false,
        limit: 120,
        run: b14,
    },
    Row {
        name: "B17",
        what: "the brokers' quota is 1 MB per second, for reading and for writing",
        target: "no time-outs, 0 revocations, 0 duplicates; the lag is in the metrics",
        quick: false,
        limit: 180,
        run: |trial| {
            let result = b17(trial);
            // Quotas are the cluster's: other rows have none.
            trial.cluster.quota(None)?;
            result
        },
    },
    Row {
        name: "B20",
        what: "the client's requests for records are lost, and nothing else is",
        target: "reported within 30 s: readiness, metric, log; 0 lost, all out within 70 s after that is over",
        quick: false,
        limit: 240,
        run: b20,
    },
];

/// Calls that have begun.
fn calls(trial: &Trial<'_>) -> usize {
    let entries = trial
        .workers
        .iter()
        .flat_map(|worker| &worker.journal.entries);
    entries
        .filter(|entry| matches!(entry.deed, Deed::Start(_)))
        .count()
}

fn b14(trial: &mut Trial<'_>) -> Result<()> {
    const QUEUE: usize = 1000;
    const BACKLOG: usize = 12_000;
    const IDLE: Duration = Duration::from_secs(5);
    trial.topics(&[])?;
    trial.load(10 * RATE)?;
    trial.until("records wait", PATIENCE, |trial| {
        Ok(trial.acknowledged() > BACKLOG)
    })?;
    // From here on only the worker writes.
    trial.end_load()?;
    trial.cluster.switch(Mode::Call {
        key: PRODUCE,
        fault: CallFault::HoldRequest,
    });
    trial.worker(
        &Plan::default()
            .with(
                "--producer",
                &format!("queue.buffering.max.messages={QUEUE}"),
            )
            .with("--producer", "message.timeout.ms=60000"),
    )?;
    trial.assigned(STARTED)?;
    let mut last = 0;
    let mut since = Instant::now();
    trial.until("calls wait", PATIENCE, |trial| {
        let begun = calls(trial);
        if begun != last {
            (last, since) = (begun, Instant::now());
        }
        Ok(begun > 0 && since.elapsed() > Duration::from_secs(2))
    })?;
    let before = trial.workers[0].processor().unwrap_or(0.0);
    trial.hold(IDLE)?;
    let used = trial.workers[0].processor().unwrap_or(0.0) - before;
    let share = 100.0 * used / IDLE.as_secs_f64();
    let begun = calls(trial);
    trial.figure(format!(
        "{begun} of {} calls begun, {share:.1} % of a processor",
        trial.acknowledged()
    ));
    trial.expect(share <= 10.0, || {
        format!("{share:.1} % of a processor while nothing leaves")
    });
    trial.expect((QUEUE..BACKLOG).contains(&begun), || {
        format!("{begun} calls have begun: they do not wait for room in a queue of {QUEUE}")
    });
    let committed: i64 = trial.committed()?.values().sum();
    trial.expect(committed == 0, || {
        format!("{committed} records are committed, none has left")
    });
    let passed = now();
    trial.cluster.switch(Mode::Pass);
    recovered(trial, RECOVERED)?;
    let entries = trial.workers[0].journal.entries.iter();
    let next = entries
        .filter(|entry| matches!(entry.deed, Deed::Start(_)) && entry.time >= passed)
        .map(|entry| entry.time)
        .min();
    let resumed = Duration::from_micros(next.unwrap_or(u64::MAX).saturating_sub(passed));
    trial.figure(format!("{} ms until the next call", resumed.as_millis()));
    trial.target("next call", resumed, Duration::from_millis(500));
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    none_twice(trial, verdict.duplicates, verdict.reruns);
    Ok(())
}

fn none_twice(trial: &mut Trial<'_>, duplicates: usize, reruns: usize) {
    trial.expect(duplicates == 0 && reruns == 0, || {
        format!("{duplicates} duplicates and {reruns} calls again, none was promised")
    });
}

fn b17(trial: &mut Trial<'_>) -> Result<()> {
    const QUOTA: u64 = 1_000_000;
    const PADDING: usize = 8000;
    /// Four times what the three brokers let through, which begin with ten seconds' worth.
    const FAST: u64 = 1500;
    // A quota is one of each client: of one worker, then.
    steady(trial, 1, &Plan::default())?;
    trial.cluster.quota(Some(QUOTA))?;
    let since = now();
    trial.load_padded(FAST, PADDING)?;
    let long = trial.seconds(15, 60);
    let (begun, mut most) = (Instant::now(), 0.0_f64);
    while begun.elapsed() < long {
        trial.hold(Duration::from_millis(500))?;
        most = most.max(lag(trial)?);
    }
    trial.end_load()?;
    let waiting = trial.acknowledged().saturating_sub(trial.seen());
    trial.figure(format!(
        "lag of {most} in the metrics, {waiting} records behind"
    ));
    trial.expect(waiting > 1000, || {
        format!("only {waiting} records are behind: the quota does not count")
    });
    trial.expect(most > 1000.0, || format!("the metrics say {most}"));
    // What waits is read no faster than the quota lets through.
    let due = waiting as u64 * PADDING as u64 / (NODES as u64 * QUOTA);
    let took = trial.caught_up(Duration::from_secs(due) + 2 * PATIENCE)?;
    trial.figure(format!("caught up {:.0} s", took.as_secs_f64()));
    trial.until("the metrics say that all is done", PATIENCE, |trial| {
        Ok(lag(trial)? == 0.0)
    })?;
    let revocations = trial.revocations(since);
    trial.expect(revocations == 0, || format!("{revocations} revocations"));
    for number in 0..trial.workers.len() {
        let log = trial.workers[number].log();
        let bad = log
            .lines()
            .find(|line| line.contains("imed out") || line.contains("TIMED_OUT"));
        let bad = bad.map(str::to_owned);
        trial.expect(bad.is_none(), || {
            format!("worker {number}: {}", bad.unwrap_or_default())
        });
    }
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    none_twice(trial, verdict.duplicates, verdict.reruns);
    Ok(())
}

/// What the workers say they are behind.
fn lag(trial: &Trial<'_>) -> Result<f64> {
    let lags = trial
        .workers
        .iter()
        .map(|worker| worker.metric("citizenk_consumer_lag_records"));
    lags.sum()
}

/// Records flow, then no request for more arrives.
fn deaf(trial: &mut Trial<'_>) -> Result<Instant> {
    steady(trial, 1, &Plan::default())?;
    trial.cluster.switch(Mode::Call {
        key: FETCH,
        fault: CallFault::LoseRequest,
    });
    let begun = Instant::now();
    // What was under way arrives; from then on every record waits.
    trial.until("requests are lost", PATIENCE, |trial| {
        Ok(trial.cluster.hits() > 0)
    })?;
    Ok(begun)
}

fn b20(trial: &mut Trial<'_>) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(30);
    let begun = deaf(trial)?;
    trial.until("the stall is reported", 2 * PATIENCE, |trial| {
        let (status, body) = trial.workers[0].get("/health/ready")?;
        Ok(status == 503 && body.contains("the Kafka client delivers nothing"))
    })?;
    trial.target("reported", begun.elapsed(), LIMIT);
    let stalled = trial.workers[0].metric("citizenk_consumer_stalled")?;
    trial.figure(format!("{stalled} partitions stalled"));
    trial.expect(stalled >= 1.0, || "the metric does not say it".into());
    let log = trial.workers[0].log();
    trial.expect(log.contains("no progress"), || {
        "the log does not say it".into()
    });
    trial.cluster.switch(Mode::Pass);
    // A request that nobody answers is over after 60 s (`socket.timeout.ms`).
    recovered(trial, Duration::from_secs(70))?;
    trial.until("readiness says that it is over", PATIENCE, |trial| {
        Ok(trial.workers[0].get("/health/ready")?.0 == 200)
    })?;
    flow(trial)?;
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    none_twice(trial, verdict.duplicates, verdict.reruns);
    Ok(())
}
