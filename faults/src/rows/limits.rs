//! More than a worker can do: more records than it handles, more keys than one at a time.

use xtask::failure::Result;

use super::{PATIENCE, RATE, RECOVERED, Row, STARTED, bounded, flow, recovered, steady};
use crate::checker::Rules;
use crate::trial::Trial;
use crate::worker::Plan;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "W15",
        what: "records come much faster than they are handled",
        target: "once its buffers are full a worker's memory grows by 20 % at most",
        quick: false,
        // Of the whole catalogue's run, ten minutes with full buffers are a part.
        limit: 300,
        run: w15,
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

fn w15(trial: &mut Trial<'_>) -> Result<()> {
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
