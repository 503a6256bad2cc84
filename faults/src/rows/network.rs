//! Faults of the network between the clients and the brokers.

use std::time::Duration;

use xtask::failure::Result;

use super::{PATIENCE, RECOVERED, Row, STARTED, flow, recovered, steady};
use crate::checker::Rules;
use crate::cluster::NODES;
use crate::journal::now;
use crate::proxy::frame::OFFSET_COMMIT;
use crate::proxy::{CallFault, Mode};
use crate::trial::Trial;
use crate::worker::Plan;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "B6",
        what: "the way to one broker or to all is cut: both ways, one way, refused, reset",
        target: "0 lost; recovery within 16 s after healing",
        quick: false,
        limit: 240,
        run: |trial| cut(trial, &Plan::default(), Rules::ALL_GONE),
    },
    Row {
        name: "B8",
        what: "a slow network: 100 ms and 3 Mbit/s",
        target: "0 lost, 0 duplicates, 0 revocations",
        quick: false,
        limit: 120,
        run: b8,
    },
    Row {
        name: "B9",
        what: "frames are cut in the middle",
        target: "0 lost; recovery within 16 s",
        quick: true,
        limit: 120,
        run: b9,
    },
    Row {
        name: "B9b",
        what: "bits of records are flipped on their way to the workers",
        target: "0 damaged records in handlers, 0 lost; a worker may crash and is started again",
        quick: false,
        limit: 150,
        run: b9b,
    },
    Row {
        name: "B11b",
        what: "requests to commit are late, and their answers are lost",
        target: "0 lost, 0 revocations; committed offsets never go back",
        quick: false,
        limit: 90,
        run: b11b,
    },
];

pub(super) fn cut(trial: &mut Trial<'_>, plan: &Plan, rules: Rules) -> Result<()> {
    steady(trial, 2, plan)?;
    let long = trial.seconds(8, 60);
    let hold = |requests, responses| Mode::Hold {
        requests,
        responses,
    };
    let faults = [
        hold(true, true),
        hold(true, false),
        hold(false, true),
        Mode::Refuse,
        Mode::Reset,
    ];
    for (round, fault) in faults.into_iter().enumerate() {
        // The first two also to all brokers at once.
        let node = trial.dice.below(NODES);
        trial.cluster.switch_one(node, fault);
        trial.hold(long)?;
        trial.cluster.switch(Mode::Pass);
        recovered(trial, RECOVERED)?;
        if round < 2 {
            trial.cluster.switch(fault);
            trial.hold(long)?;
            trial.cluster.switch(Mode::Pass);
            recovered(trial, RECOVERED)?;
        }
    }
    trial.finish(PATIENCE, rules).map(|_| ())
}

fn b8(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    let since = now();
    trial.cluster.switch(Mode::Slow {
        delay: Duration::from_millis(100),
        jitter: Duration::from_millis(30),
        rate: Some(3_000_000 / 8),
    });
    let long = trial.seconds(20, 60);
    trial.hold(long)?;
    trial.cluster.switch(Mode::Pass);
    recovered(trial, RECOVERED)?;
    let revocations = trial.revocations(since);
    trial.expect(revocations == 0, || format!("{revocations} revocations"));
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    trial.expect(verdict.reruns == 0, || {
        format!("{} calls again", verdict.reruns)
    });
    Ok(())
}

fn b9(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    let long = trial.seconds(6, 30);
    // Most frames with records are longer than that.
    let after = 100 + trial.dice.below(200);
    trial.cluster.switch(Mode::Cut { after });
    trial.hold(long)?;
    let cut = trial.cluster.hits();
    trial.figure(format!("{cut} frames cut"));
    trial.expect(cut > 0, || {
        format!("no frame was longer than {after} bytes")
    });
    trial.cluster.switch(Mode::Pass);
    recovered(trial, RECOVERED)?;
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}

fn b9b(trial: &mut Trial<'_>) -> Result<()> {
    const WORKERS: usize = 2;
    const EVERY: usize = 2;
    steady(trial, WORKERS, &Plan::default())?;
    let (mut crashes, mut damaged) = (0, 0);
    for _ in 0..trial.rounds(3, 10) {
        // Records wait, so that an answer holds many batches, of which one is damaged.
        trial.cluster.switch(Mode::Hold {
            requests: true,
            responses: false,
        });
        trial.hold(Duration::from_secs(1))?;
        for worker in &mut trial.workers {
            worker.may_end = true;
        }
        trial.cluster.switch(Mode::Flip { every: EVERY });
        trial.hold(Duration::from_secs(2))?;
        damaged += trial.cluster.hits().div_ceil(EVERY);
        trial.cluster.switch(Mode::Pass);
        // The client library may fall over what it got; then whoever runs the service starts it again.
        let alive = trial
            .workers
            .iter()
            .filter(|worker| worker.is_alive())
            .count();
        for _ in alive..WORKERS {
            trial.worker(&Plan::default())?;
            crashes += 1;
        }
        trial.assigned(STARTED)?;
        recovered(trial, RECOVERED)?;
    }
    trial.figure(format!(
        "{damaged} answers damaged, {crashes} crashes of the client library"
    ));
    trial.expect(damaged > 0, || "no answer was damaged".to_owned());
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}

fn b11b(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    let since = now();
    for fault in [
        CallFault::DelayRequest(Duration::from_secs(2)),
        CallFault::DropResponse,
    ] {
        trial.cluster.switch(Mode::Call {
            key: OFFSET_COMMIT,
            fault,
        });
        let long = trial.seconds(6, 20);
        trial.hold(long)?;
        let met = trial.cluster.hits();
        trial.figure(format!("{met} commits met it"));
        trial.expect(met > 0, || format!("no commit met {fault:?}"));
        trial.cluster.switch(Mode::Pass);
        flow(trial)?;
    }
    let revocations = trial.revocations(since);
    trial.expect(revocations == 0, || format!("{revocations} revocations"));
    trial.finish(PATIENCE, Rules::CLEAN).map(|_| ())
}
