//! Faults under exactly once: workers, brokers and the end of a transaction.
//!
//! Handlers may be called again; what readers of committed records see has to be exact.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use xtask::failure::Result;
use xtask::process::Signal;

use super::{PATIENCE, RECOVERED, Row, STARTED, brokers, flow, network, steady, workers};
use crate::checker::{Invariant, Rules};
use crate::history::Deed;
use crate::journal::now;
use crate::proxy::frame::{ADD_PARTITIONS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT};
use crate::proxy::{CallFault, Mode};
use crate::trial::Trial;
use crate::worker::Plan;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "W2",
        what: "exactly once: workers are killed at random, in a call, and at every step of a transaction",
        target: "outputs exactly those of the inputs, in order; no transaction left open; all out within session + 10 s",
        quick: true,
        limit: 150,
        run: w2,
    },
    Row {
        name: "W3e",
        what: "exactly once: SIGTERM under load, with calls in flight",
        target: "outputs exact, 0 calls again; exit 0 within 10 s; the successor goes on within 2 s",
        quick: false,
        limit: 90,
        run: |trial| {
            let rules = Rules {
                exactly_once: true,
                ..Rules::CLEAN
            };
            workers::drained(trial, &plan(), rules)
        },
    },
    Row {
        name: "W13",
        what: "exactly once: a worker is frozen for longer than its session and its transaction, and goes on",
        target: "nothing of it becomes visible; it notices within 5 s; outputs exact",
        quick: false,
        limit: 120,
        run: w13,
    },
    Row {
        name: "W14",
        what: "exactly once: a second worker with the same transactional id",
        target: "exactly one goes on, the other ends with an error within 10 s; outputs exact",
        quick: false,
        limit: 60,
        run: |trial| workers::twins(trial, &plan(), Rules::EXACTLY_ONCE),
    },
    Row {
        name: "B2e",
        what: "exactly once: every broker is killed and started again, one after the other",
        target: "outputs exact; records flow again within 13 s",
        quick: false,
        limit: 240,
        run: |trial| brokers::killed(trial, &plan(), Rules::EXACTLY_ONCE),
    },
    Row {
        name: "B6e",
        what: "exactly once: the way to one broker or to all is cut: both ways, one way, refused, reset",
        target: "outputs exact; recovery within 16 s after healing",
        quick: false,
        limit: 240,
        run: |trial| network::cut(trial, &plan(), Rules::EXACTLY_ONCE),
    },
    Row {
        name: "B10",
        what: "exactly once: a request to end a transaction comes when the next one is open; answers to it are lost; all are late",
        target: "outputs exact",
        quick: true,
        limit: 120,
        run: b10,
    },
    Row {
        name: "B10m",
        what: "exactly once: many short transactions whose ends are late, held, or unanswered",
        target: "outputs exact; with all rounds 10,000 transactions at least",
        quick: false,
        limit: 800,
        run: b10m,
    },
    Row {
        name: "B10x",
        what: "as B10 with a producer that is not replaced: a mistake on purpose",
        target: "the checker finds what became visible outside of its transaction",
        quick: false,
        limit: 120,
        run: b10x,
    },
];

fn plan() -> Plan {
    Plan::default().with("--guarantee", "exactly-once")
}

fn w2(trial: &mut Trial<'_>) -> Result<()> {
    const WORKERS: usize = 3;
    /// In a call; the others are steps of a transaction.
    const IN_CALL: usize = 1;
    let steps = [
        None,
        None,
        Some((ADD_PARTITIONS_TO_TXN, CallFault::HoldResponse)),
        Some((TXN_OFFSET_COMMIT, CallFault::HoldResponse)),
        Some((END_TXN, CallFault::HoldRequest)),
        Some((END_TXN, CallFault::HoldResponse)),
    ];
    // One of them has an instance id: its successor ends at once what it left open.
    let plan_of = |member: usize| match member {
        0 => plan().instance("member-0"),
        _ => plan(),
    };
    trial.topics(&[])?;
    let mut members = [0; WORKERS];
    for (member, number) in members.iter_mut().enumerate() {
        *number = trial.worker(&plan_of(member))?;
    }
    trial.assigned(STARTED)?;
    trial.load(super::RATE)?;
    flow(trial)?;
    let first = trial.dice.below(steps.len());
    let mut longest = Duration::ZERO;
    for round in 0..trial.rounds(3, 18) {
        // With three rounds every other one, with all of them each of them three times.
        let way = if trial.long { round } else { first + 2 * round } % steps.len();
        let member = (first + round) % WORKERS;
        let victim = members[member];
        if let Some((key, fault)) = steps[way] {
            trial.cluster.switch(Mode::Call { key, fault });
            // Each worker has one such call at a time, so the victim is at this step as well.
            trial.until("every worker is at this step", PATIENCE, |trial| {
                Ok(trial.cluster.hits() >= WORKERS)
            })?;
        } else if way == IN_CALL {
            let flag = ["--die-at-start", "--die-at-end"][trial.dice.below(2)];
            let call = (1 + trial.dice.below(200)).to_string();
            trial.kill(victim)?;
            members[member] = trial.worker(&plan_of(member).with(flag, &call))?;
            let doomed = members[member];
            trial.workers[doomed].may_end = true;
            trial.ended(doomed, PATIENCE)?;
        } else {
            let moment = trial
                .dice
                .between(Duration::ZERO, Duration::from_millis(1500));
            trial.hold(moment)?;
        }
        if trial.workers[members[member]].is_alive() {
            trial.kill(members[member])?;
        }
        trial.cluster.switch(Mode::Pass);
        members[member] = trial.worker(&plan_of(member))?;
        longest = longest.max(trial.caught_up(PATIENCE)?);
        trial.assigned(STARTED)?;
    }
    trial.target("all out", longest, RECOVERED);
    trial.finish(PATIENCE, Rules::EXACTLY_ONCE).map(|_| ())
}

fn w13(trial: &mut Trial<'_>) -> Result<()> {
    /// Longer than a session (6 s) and than a transaction (10 s, and the broker's look).
    const FROZEN: Duration = Duration::from_secs(13);
    steady(trial, 2, &plan())?;
    let mut current = [0, 1];
    for _ in 0..trial.rounds(2, 6) {
        let member = trial.dice.below(2);
        let (zombie, other) = (current[member], current[1 - member]);
        let moment = trial
            .dice
            .between(Duration::ZERO, Duration::from_millis(500));
        trial.hold(moment)?;
        let begun = Instant::now();
        // It may notice by an end as well as by coming back.
        trial.workers[zombie].may_end = true;
        trial.workers[zombie].signal(Signal::SIGSTOP);
        trial.until("its partitions have moved", PATIENCE, |trial| {
            let all = usize::try_from(trial.partitions).unwrap_or(0);
            Ok(trial.workers[other].owned().len() == all)
        })?;
        trial.hold(FROZEN.saturating_sub(begun.elapsed()))?;
        trial.caught_up(PATIENCE)?;
        let since = now();
        trial.workers[zombie].signal(Signal::SIGCONT);
        let noticed = trial.until("it notices", PATIENCE, |trial| {
            let zombie = &trial.workers[zombie];
            let mut later = zombie
                .journal
                .entries
                .iter()
                .filter(|entry| entry.time >= since);
            Ok(!zombie.is_alive()
                || later
                    .any(|entry| matches!(&entry.deed, Deed::Revoked(list) if !list.is_empty())))
        })?;
        trial.target("noticed", noticed, Duration::from_secs(5));
        if let Some((status, _)) = trial.workers[zombie].ended {
            trial.figure(format!("it ended with {status}"));
            trial.expect(status.code().is_some(), || {
                format!("the worker crashed: {status}")
            });
            current[member] = trial.worker(&plan())?;
        } else {
            trial.workers[zombie].may_end = false;
            let log = trial.workers[zombie].log();
            let refused = log.matches("the transaction failed").count()
                + log.matches("the outcome of a transaction").count();
            trial.figure(format!("{refused} of its transactions refused"));
        }
        let (came, stayed) = (current[member], other);
        let back = trial.until("both have partitions", STARTED, |trial| {
            Ok([came, stayed]
                .iter()
                .all(|number| !trial.workers[*number].owned().is_empty()))
        })?;
        trial.assigned(STARTED)?;
        trial.figure(format!("shared again {:.1} s", back.as_secs_f64()));
        flow(trial)?;
    }
    trial.finish(PATIENCE, Rules::EXACTLY_ONCE).map(|_| ())
}

/// Transactions of 2 s, so that there is time to look at one; calls that give up after as long.
fn long_transactions() -> Plan {
    plan()
        .with("--interval", "2000")
        .with("--producer", "socket.timeout.ms=2000")
}

/// The first request to end a transaction arrives when its retry has ended that transaction and the
/// next one is open.
fn late_end(trial: &mut Trial<'_>) -> Result<()> {
    /// By now the watcher has seen what was committed before.
    const SEEN: Duration = Duration::from_millis(500);
    trial.cluster.switch(Mode::Call {
        key: END_TXN,
        fault: CallFault::HoldFirstRequest,
    });
    trial.until("a request is held", PATIENCE, |trial| {
        Ok(trial.cluster.hits() > 0)
    })?;
    trial.hold(SEEN)?;
    let seen = trial.seen();
    trial.until("its retry ends the transaction", PATIENCE, |trial| {
        Ok(trial.seen() > seen)
    })?;
    trial.until("the next one is open", PATIENCE, |trial| {
        trial.is_in_transaction()
    })?;
    trial.cluster.switch(Mode::Pass);
    Ok(())
}

fn b10(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 1, &long_transactions())?;
    for round in 0..trial.rounds(3, 18) {
        let call = |fault| Mode::Call {
            key: END_TXN,
            fault,
        };
        match round % 3 {
            0 => late_end(trial)?,
            1 => {
                trial.cluster.switch(call(CallFault::DropFirstResponse));
                trial.until("the retry is answered", PATIENCE, |trial| {
                    Ok(trial.cluster.hits() > 1)
                })?;
            }
            // Later than the client waits, retries as well: its outcome has to be found out.
            _ => {
                let late = Duration::from_secs(3);
                trial.cluster.switch(call(CallFault::DelayRequest(late)));
                trial.until("a retry is late as well", PATIENCE, |trial| {
                    Ok(trial.cluster.hits() > 1)
                })?;
            }
        }
        trial.cluster.switch(Mode::Pass);
        flow(trial)?;
    }
    trial.finish(PATIENCE, Rules::EXACTLY_ONCE).map(|_| ())
}

fn b10m(trial: &mut Trial<'_>) -> Result<()> {
    const WORKERS: usize = 3;
    /// Longer than calls wait for an answer.
    const LATE: Duration = Duration::from_millis(1500);
    let plan = plan()
        .with("--interval", "10")
        .with("--producer", "socket.timeout.ms=1000");
    steady(trial, WORKERS, &plan)?;
    let enough = trial.rounds(200, 10_000);
    let mut met = 0;
    let long = trial.seconds(40, 1200);
    let begun = Instant::now();
    while begun.elapsed() < long {
        let faults = [
            CallFault::DropFirstResponse,
            CallFault::HoldFirstRequest,
            CallFault::DelayRequest(LATE),
            CallFault::DropResponse,
        ];
        let fault = faults[trial.dice.below(faults.len())];
        trial.cluster.switch(Mode::Call {
            key: END_TXN,
            fault,
        });
        let lasts = trial.dice.between(Duration::from_millis(20), 2 * LATE);
        trial.hold(lasts)?;
        met += trial.cluster.hits();
        trial.cluster.switch(Mode::Pass);
        let pause = trial.dice.between(Duration::from_millis(500), 2 * LATE);
        trial.hold(pause)?;
    }
    trial.figure(format!("{met} requests or answers met a fault"));
    trial.finish(PATIENCE, Rules::EXACTLY_ONCE)?;
    // Offsets of one transaction have one time; those of two may.
    let commits = trial.history().map(|history| &history.commits);
    let times: BTreeSet<u64> = commits
        .into_iter()
        .flatten()
        .map(|commit| commit.time)
        .collect();
    let transactions = times.len();
    trial.figure(format!("at least {transactions} transactions"));
    trial.expect(transactions >= enough, || {
        format!("only {transactions} transactions")
    });
    Ok(())
}

fn b10x(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 1, &long_transactions().flag("--keep-producer"))?;
    for _ in 0..trial.rounds(1, 3) {
        late_end(trial)?;
        flow(trial)?;
    }
    trial.end_load()?;
    trial.caught_up(PATIENCE)?;
    trial.stop_workers()?;
    trial.convict(
        Rules::EXACTLY_ONCE,
        &[Invariant::EarlyRead, Invariant::ExactOutput],
    )
}
