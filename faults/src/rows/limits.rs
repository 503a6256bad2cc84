//! More than a worker can do: more records than it handles, more keys than one at a time.

use std::time::Duration;

use xtask::failure::Result;

use super::{PATIENCE, RATE, RECOVERED, Row, STARTED, bounded, flow, recovered, steady};
use crate::checker::Rules;
use crate::trial::Trial;
use crate::worker::Plan;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "W15",
        what: "records of 10 KB to 1 MB of 200 partitions come ten times as fast as they are handled",
        target: "what the settings allow and 20 % is never passed, and memory does not go on growing",
        quick: false,
        // With all rounds ten minutes, and what it takes to begin and to end.
        limit: 400,
        run: w15,
    },
    Row {
        name: "W15n",
        what: "small records of six partitions come much faster than they are handled",
        target: "once its buffers are full a worker's memory grows by 20 % at most",
        quick: false,
        // Of the whole catalogue's run, ten minutes with full buffers are a part.
        limit: 300,
        run: w15n,
    },
    Row {
        name: "W17",
        what: "calls of up to 50 ms, 8 keys of a partition at once",
        target: "each key in order, 0 lost, 0 duplicates; no slower than the records come",
        quick: false,
        limit: 90,
        run: w17,
    },
];

/// What `docs/delivery.md` says a consumer of three brokers may hold.
const fn prefetch(partitions: u64) -> u64 {
    const PER_CONSUMER: u64 = (16 + 3 * 16) << 20;
    const PER_PARTITION: u64 = (1 + 1) << 20;
    PER_CONSUMER + partitions * PER_PARTITION
}

fn w15(trial: &mut Trial<'_>) -> Result<()> {
    const PARTITIONS: i32 = 200;
    /// Records per second and their bytes: ten times what so many partitions with calls of 8 s can do.
    const LOADS: [(u64, usize); 3] = [(230, 10_000), (20, 100_000), (1, 950_000)];
    const CALL: &str = "8000";
    trial.partitions = PARTITIONS;
    trial.topics(&[])?;
    let worker = trial.worker(&Plan::default().with("--delay", CALL))?;
    trial.assigned(STARTED)?;
    let held = |trial: &Trial<'_>| trial.workers[worker].memory().unwrap_or(0);
    let rest = held(trial);
    for (rate, bytes) in LOADS {
        trial.load_padded(rate, bytes)?;
    }
    let half = trial.seconds(90, 300);
    let mut most = [0; 2];
    for most in &mut most {
        for _ in 0..half.as_secs() {
            trial.hold(Duration::from_secs(1))?;
            *most = held(trial).max(*most);
        }
    }
    trial.end_load()?;
    let waiting = trial.waiting_bytes();
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let configured = prefetch(PARTITIONS as u64);
    trial.figure(format!(
        "{} MB at rest, then {} and {} MB at most, {} MB are configured; {} MB wait",
        megabytes(rest),
        megabytes(most[0]),
        megabytes(most[1]),
        megabytes(configured),
        megabytes(waiting),
    ));
    let total = most[0].max(most[1]);
    trial.expect(
        rest > 0 && total > rest && total - rest <= configured / 5 * 6,
        || format!("{total} bytes, {rest} at rest"),
    );
    trial.expect(most[1] <= most[0] / 5 * 6, || {
        format!("memory grew from {} to {} bytes", most[0], most[1])
    });
    trial.expect(waiting > configured, || {
        format!("only {waiting} bytes wait: the worker was not too slow")
    });
    let (status, _) = trial.terminate(worker, PATIENCE)?;
    trial.expect(status.success(), || {
        format!("the worker ended with {status}")
    });
    Ok(())
}

fn w15n(trial: &mut Trial<'_>) -> Result<()> {
    /// Ten times what six partitions with calls of 50 ms can do.
    const FAST: u64 = 1200;
    const PADDING: usize = 2000;
    trial.topics(&[])?;
    let worker = trial.worker(&Plan::default().with("--delay", "50"))?;
    trial.assigned(STARTED)?;
    trial.load_padded(FAST, PADDING)?;
    let long = trial.seconds(30, 600);
    bounded(trial, long, |trial| trial.workers[worker].memory())?;
    let backlog = trial.acknowledged().saturating_sub(trial.seen());
    trial.figure(format!("{backlog} records behind"));
    trial.expect(backlog > 10_000, || {
        format!("only {backlog} records wait: the worker was not too slow")
    });
    trial.end_load()?;
    let (status, _) = trial.terminate(worker, PATIENCE)?;
    trial.expect(status.success(), || {
        format!("the worker ended with {status}")
    });
    Ok(())
}

fn w17(trial: &mut Trial<'_>) -> Result<()> {
    let plan = Plan::default().with("--jitter", "50").concurrency(8);
    steady(trial, 1, &plan)?;
    let enough = trial.acknowledged() + trial.rounds(2000, 20_000);
    trial.until("records are sent", 10 * PATIENCE, |trial| {
        Ok(trial.acknowledged() > enough)
    })?;
    flow(trial)?;
    recovered(trial, RECOVERED)?;
    trial.figure(format!("{RATE} records per second"));
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    trial.expect(verdict.duplicates == 0 && verdict.reruns == 0, || {
        format!(
            "{} duplicates and {} calls again",
            verdict.duplicates, verdict.reruns
        )
    });
    Ok(())
}
