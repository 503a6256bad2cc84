//! Faults of workers: killed, stopped, frozen, panicking, stuck.

use std::time::Duration;

use xtask::failure::{Failure, Result};
use xtask::process::Signal;

use super::{PATIENCE, RATE, RECOVERED, Row, SESSION, STARTED, flow, recovered, steady};
use crate::checker::again::{Held, Repeated, repeated};
use crate::checker::{Rules, Verdict};
use crate::cluster::NODES;
use crate::journal::now;
use crate::proxy::frame::OFFSET_COMMIT;
use crate::proxy::{CallFault, Mode};
use crate::trial::Trial;
use crate::worker::Plan;
use crate::worker::service::SENT_AT_START;

/// How long a stop may take: the drain deadline and one second.
const STOPPED: Duration = Duration::from_secs(11);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "W1",
        what: "workers are killed: at random, in a call, after a call, around a commit",
        target: "0 lost; only what a worker had done shortly before its end is done again; every partition owned again within session + 2 s",
        quick: true,
        limit: 150,
        run: w1,
    },
    Row {
        name: "W3",
        what: "SIGTERM under load, with calls in flight",
        target: "0 lost, 0 duplicates; exit 0 within 10 s; the successor goes on within 2 s",
        quick: true,
        limit: 90,
        run: |trial| drained(trial, &Plan::default(), Rules::CLEAN),
    },
    Row {
        name: "W4",
        what: "SIGTERM while all brokers are gone",
        target: "exit within 11 s; 0 lost once they are back",
        quick: false,
        limit: 120,
        run: w4,
    },
    Row {
        name: "W5",
        what: "a second signal during the drain",
        target: "exit within 1 s, code 130",
        quick: true,
        limit: 60,
        run: w5,
    },
    Row {
        name: "W6",
        what: "workers join, leave and are killed every 0.5 to 3 s, cooperative and range",
        target: "0 lost; everything out within 30 s after the storm",
        quick: false,
        limit: 300,
        run: w6,
    },
    Row {
        name: "W7",
        what: "static members are stopped or killed and come back within their session",
        target: "0 revocations in the others, 0 lost",
        quick: true,
        limit: 90,
        run: w7,
    },
    Row {
        name: "W8",
        what: "a second worker with the same instance id",
        target: "exactly one goes on; the other ends with an error within 10 s",
        quick: true,
        limit: 60,
        run: |trial| twins(trial, &Plan::default(), Rules::AT_LEAST_ONCE),
    },
    Row {
        name: "W9",
        what: "one call takes longer than max.poll.interval.ms",
        target: "0 revocations, 0 lost, 0 duplicates",
        quick: false,
        limit: 90,
        run: |trial| slow(trial, false),
    },
    Row {
        name: "W10",
        what: "a call blocks every thread of the runtime for longer than max.poll.interval.ms",
        target: "0 revocations, 0 lost, 0 duplicates",
        quick: false,
        limit: 90,
        run: |trial| slow(trial, true),
    },
    Row {
        name: "W11",
        what: "every seventh call panics",
        target: "0 lost, 0 duplicates; the process lives; a partition's order holds",
        quick: true,
        limit: 60,
        run: w11,
    },
    Row {
        name: "W12",
        what: "a call never returns",
        target: "other partitions go on; nothing behind it is committed; the drain gives up at its deadline",
        quick: false,
        limit: 90,
        run: w12,
    },
    Row {
        name: "B19",
        what: "1000 records are sent without waiting, then the worker stops",
        target: "all 1000 arrive",
        quick: true,
        limit: 60,
        run: b19,
    },
];

/// A worker commits what it has done within 2 s: at the end of this interval, or of the next when its
/// outputs were on their way. The rest is for a machine that gives it no processor.
const COMMITTED: Duration = Duration::from_secs(6);

fn w1(trial: &mut Trial<'_>) -> Result<()> {
    const WORKERS: usize = 3;
    steady(trial, WORKERS, &Plan::default())?;
    let rounds = trial.rounds(5, 20);
    let mut longest = Duration::ZERO;
    let mut held = Vec::new();
    // Once each in their order, then as the dice say.
    for round in 0..rounds {
        let way = if round < 5 {
            round
        } else {
            trial.dice.below(5)
        };
        let living: Vec<usize> = (0..trial.workers.len())
            .filter(|number| trial.workers[*number].is_alive())
            .collect();
        let victim = living[trial.dice.below(living.len())];
        let mut from = now();
        match way {
            // Long enough since the last rebalance: what it commits it commits by its interval.
            0 => {
                let moment = trial
                    .dice
                    .between(Duration::ZERO, Duration::from_millis(1500));
                trial.hold(COMMITTED + moment)?;
                from = now();
            }
            // Its successor kills itself, in the middle of a call or at its end.
            1 | 2 => {
                let call = (1 + trial.dice.below(200)).to_string();
                trial.kill(victim)?;
                let flag = ["--die-at-start", "--die-at-end"][way - 1];
                let doomed = trial.worker(&Plan::default().with(flag, &call))?;
                trial.workers[doomed].may_end = true;
                trial.ended(doomed, PATIENCE)?;
            }
            // While its commit is on the way, or the answer to it.
            _ => {
                let fault = [CallFault::HoldRequest, CallFault::HoldResponse][way - 3];
                trial.cluster.switch(Mode::Call {
                    key: OFFSET_COMMIT,
                    fault,
                });
                trial.until("a commit is on its way", PATIENCE, |trial| {
                    Ok(trial.cluster.hits() > 0)
                })?;
            }
        }
        trial.kill(victim)?;
        trial.cluster.switch(Mode::Pass);
        trial.worker(&Plan::default())?;
        longest = longest.max(trial.assigned(STARTED)?);
        // Until all have joined nobody commits: that request waits behind the one to join, which the
        // coordinator answers when the session of the dead one is over.
        held.push(Held { from, to: now() });
        flow(trial)?;
    }
    trial.target("owned again", longest, SESSION + Duration::from_secs(2));
    let verdict = trial.finish(PATIENCE, Rules::AT_LEAST_ONCE)?;
    explained(trial, &verdict, &held);
    Ok(())
}

/// Whatever was done again had just been done when its worker was lost.
fn explained(trial: &mut Trial<'_>, verdict: &Verdict, held: &[Held]) {
    let Verdict {
        duplicates, reruns, ..
    } = *verdict;
    trial.expect(duplicates <= reruns, || {
        format!("{duplicates} duplicates, but only {reruns} calls were made again")
    });
    let Some(history) = trial.history() else {
        return trial.miss("nothing was observed");
    };
    let committed = history.commits.len();
    let again = repeated(history, held);
    trial.expect(committed > 0, || "no offset was ever committed".into());
    let oldest = again.iter().max_by_key(|call| call.age);
    let age = oldest.map_or(Duration::ZERO, |call| call.age);
    trial.figure(format!("oldest {:.1} s", age.as_secs_f64()));
    let old = again.iter().filter(|call| call.age > COMMITTED).count();
    if let Some(Repeated { place, worker, .. }) = oldest.filter(|_| old > 0) {
        trial.miss(format!(
            "{old} of {} calls made again were done more than {:.0} s before their worker was lost, \
             such as {place:?} {:.1} s before the end of worker {worker}: their offsets should have been committed",
            again.len(),
            COMMITTED.as_secs_f64(),
            age.as_secs_f64(),
        ));
    }
}

pub(super) fn drained(trial: &mut Trial<'_>, plan: &Plan, rules: Rules) -> Result<()> {
    let plan = plan.clone().with("--delay", "20").concurrency(8);
    steady(trial, 2, &plan)?;
    for round in 0..trial.rounds(2, 6) {
        let living: Vec<usize> = (0..trial.workers.len())
            .filter(|number| trial.workers[*number].is_alive())
            .collect();
        let leaving = living[round % living.len()];
        let given: Vec<i32> = trial.workers[leaving].owned().into_iter().collect();
        let (status, took) = trial.terminate(leaving, STOPPED)?;
        trial.target("exit", took, Duration::from_secs(10));
        trial.expect(status.code() == Some(0), || {
            format!("the worker ended with {status}")
        });
        let left = now();
        trial.until("a successor goes on", PATIENCE, |trial| {
            let living = trial.workers.iter().filter(|worker| worker.is_alive());
            let mut calls = living.flat_map(|worker| &worker.journal.entries).filter(|entry| entry.time >= left);
            Ok(calls.any(|entry| matches!(&entry.deed, crate::history::Deed::Start(input) if given.contains(&input.place.partition))))
        })
        .map(|took| trial.target("successor", took, Duration::from_secs(2)))?;
        trial.worker(&plan)?;
        trial.assigned(STARTED)?;
        flow(trial)?;
    }
    let verdict = trial.finish(PATIENCE, rules)?;
    none_twice(trial, verdict.duplicates, verdict.reruns);
    Ok(())
}

fn none_twice(trial: &mut Trial<'_>, duplicates: usize, reruns: usize) {
    trial.expect(duplicates == 0 && reruns == 0, || {
        format!("{duplicates} duplicates and {reruns} calls again, none was promised")
    });
}

fn w4(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    for node in 0..NODES {
        trial.cluster.signal(node, Signal::SIGKILL);
    }
    trial.until("all brokers are gone", PATIENCE, |trial| {
        (0..NODES).try_fold(
            true,
            |gone, node| Ok(trial.cluster.has_ended(node)? && gone),
        )
    })?;
    let mut longest = Duration::ZERO;
    for number in 0..2 {
        let (status, took) = trial.terminate(number, Duration::from_secs(15))?;
        longest = longest.max(took);
        trial.expect(status.code().is_some(), || {
            format!("worker {number} crashed: {status}")
        });
    }
    trial.target("exit", longest, STOPPED);
    trial.heal()?;
    trial.worker(&Plan::default())?;
    recovered(trial, PATIENCE)?;
    trial.finish(PATIENCE, Rules::ALL_GONE).map(|_| ())
}

fn w5(trial: &mut Trial<'_>) -> Result<()> {
    trial.topics(&[])?;
    trial.worker(&Plan::default().with("--delay", "60000"))?;
    trial.assigned(STARTED)?;
    trial.load(RATE)?;
    trial.until("calls have begun", PATIENCE, |trial| {
        Ok(trial.workers[0].journal.entries.len() > 3)
    })?;
    trial.workers[0].may_end = true;
    trial.workers[0].signal(Signal::SIGTERM);
    trial.until("the first signal is known", PATIENCE, |trial| {
        Ok(trial.workers[0].log().contains("SIGTERM"))
    })?;
    let (status, took) = trial.terminate(0, PATIENCE)?;
    trial.target("exit", took, Duration::from_secs(1));
    trial.expect(status.code() == Some(130), || {
        format!("the worker ended with {status}")
    });
    trial.worker(&Plan::default())?;
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}

fn w6(trial: &mut Trial<'_>) -> Result<()> {
    trial.partitions = 24;
    let most = trial.rounds(4, 8);
    let assignor = ["cooperative-sticky", "range"][trial.dice.below(2)];
    trial.figure(assignor);
    let plan = Plan::default().with(
        "--consumer",
        &format!("partition.assignment.strategy={assignor}"),
    );
    steady(trial, 2, &plan)?;
    let storm = trial.seconds(40, 150);
    let (begun, mut moves) = (std::time::Instant::now(), 0);
    while begun.elapsed() < storm {
        let living: Vec<usize> = (0..trial.workers.len())
            .filter(|number| trial.workers[*number].is_alive() && !trial.workers[*number].may_end)
            .collect();
        if living.len() < 2 || (living.len() < most && trial.dice.below(2) == 0) {
            trial.worker(&plan)?;
        } else {
            let number = living[trial.dice.below(living.len())];
            let signal = [Signal::SIGTERM, Signal::SIGKILL][trial.dice.below(2)];
            // Nobody waits for its end: others may join and leave meanwhile.
            trial.workers[number].may_end = true;
            trial.workers[number].signal(signal);
        }
        moves += 1;
        let pause = trial
            .dice
            .between(Duration::from_millis(500), Duration::from_secs(3));
        trial.hold(pause)?;
    }
    trial.figure(format!("{moves} moves"));
    recovered(trial, Duration::from_secs(30))?;
    trial.assigned(STARTED)?;
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}

fn w7(trial: &mut Trial<'_>) -> Result<()> {
    trial.topics(&[])?;
    let plan = |number: usize| Plan::default().instance(&format!("member-{number}"));
    for number in 0..3 {
        trial.worker(&plan(number))?;
    }
    trial.assigned(STARTED)?;
    trial.load(RATE)?;
    flow(trial)?;
    let mut current = [0, 1, 2];
    let since = now();
    for round in 0..trial.rounds(3, 9) {
        let member = round % 3;
        if round % 2 == 0 {
            let (status, _) = trial.terminate(current[member], STOPPED)?;
            trial.expect(status.success(), || {
                format!("the worker ended with {status}")
            });
        } else {
            trial.kill(current[member])?;
        }
        current[member] = trial.worker(&plan(member))?;
        trial.assigned(STARTED)?;
        flow(trial)?;
    }
    let revocations = trial.revocations(since);
    trial.figure(format!("{revocations} revocations"));
    trial.expect(revocations == 0, || {
        format!("{revocations} revocations in members that stayed")
    });
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}

pub(super) fn twins(trial: &mut Trial<'_>, plan: &Plan, rules: Rules) -> Result<()> {
    let plan = plan.clone().instance("twin");
    steady(trial, 1, &plan)?;
    let second = trial.worker(&plan)?;
    trial.workers[0].may_end = true;
    trial.workers[second].may_end = true;
    let took = trial.until("one of the two ends", PATIENCE, |trial| {
        Ok(trial.workers.iter().any(|worker| !worker.is_alive()))
    })?;
    trial.target("exit", took, Duration::from_secs(10));
    let loser = usize::from(trial.workers[0].is_alive());
    let code = trial.workers[loser]
        .ended
        .and_then(|(status, _)| status.code());
    let log = trial.workers[loser].log();
    trial.figure(format!(
        "the {} ended with {code:?}",
        ["first", "second"][loser]
    ));
    trial.expect(code.is_some_and(|code| code != 0), || {
        format!("the loser ended with {code:?}")
    });
    trial.expect(log.contains("error:") && log.contains("instance"), || {
        format!("the loser does not say why:\n{log}")
    });
    flow(trial)?;
    trial.expect(
        trial
            .workers
            .iter()
            .filter(|worker| worker.is_alive())
            .count()
            == 1,
        || "none goes on".into(),
    );
    trial.finish(PATIENCE, rules).map(|_| ())
}

fn slow(trial: &mut Trial<'_>, freeze: bool) -> Result<()> {
    const LONG: Duration = Duration::from_secs(20);
    let mut plan = Plan::default()
        .with("--slow-key", "7")
        .with("--slow-for", &LONG.as_millis().to_string());
    if freeze {
        plan = plan.flag("--freeze");
    }
    trial.topics(&[])?;
    trial.worker(&plan)?;
    trial.worker(&Plan::default())?;
    trial.assigned(STARTED)?;
    let since = now();
    trial.load(RATE / 2)?;
    // Those that freeze are twice as many as there are threads: they take turns.
    let turns = if freeze { 2 } else { 1 };
    trial.hold(turns * LONG + Duration::from_secs(2))?;
    recovered(trial, RECOVERED)?;
    let revocations = trial.revocations(since);
    trial.figure(format!("{revocations} revocations"));
    trial.expect(revocations == 0, || format!("{revocations} revocations"));
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    none_twice(trial, verdict.duplicates, verdict.reruns);
    Ok(())
}

fn w11(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default().with("--panic-every", "7"))?;
    let until = trial.acknowledged() + trial.rounds(1000, 5000);
    trial.until("records are sent", PATIENCE, |trial| {
        Ok(trial.acknowledged() > until)
    })?;
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    none_twice(trial, verdict.duplicates, verdict.reruns);
    Ok(())
}

fn w12(trial: &mut Trial<'_>) -> Result<()> {
    const STUCK: u32 = 7;
    trial.topics(&[])?;
    let partition = i32::try_from(STUCK).unwrap_or(0) % trial.partitions;
    trial.worker(
        &Plan::default()
            .with("--stuck-key", &STUCK.to_string())
            .with("--drain", "5s"),
    )?;
    trial.assigned(STARTED)?;
    trial.load(RATE)?;
    let long = trial.seconds(8, 30);
    trial.hold(long)?;
    trial.end_load()?;
    let others: Vec<_> = trial
        .sent()
        .into_iter()
        .filter(|input| input.place.partition != partition)
        .collect();
    trial
        .until("the other partitions go on", PATIENCE, |trial| {
            Ok(trial.missing(&others)?.is_empty())
        })
        .map(|took| trial.target("others", took, Duration::from_secs(3)))?;
    let (status, took) = trial.terminate(0, PATIENCE)?;
    trial.target("exit", took, Duration::from_secs(6));
    trial.figure(format!("{status}"));
    trial.expect(status.code() == Some(4), || {
        format!("a drain that is cut off ends with code 4: {status}")
    });
    trial.worker(&Plan::default())?;
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}

fn b19(trial: &mut Trial<'_>) -> Result<()> {
    const SENT: usize = 1000;
    trial.topics(&[])?;
    trial.worker(&Plan::default().with("--send", &SENT.to_string()))?;
    trial.until("all are handed over", STARTED, |trial| {
        Ok(trial.workers[0]
            .journal
            .entries
            .iter()
            .any(|entry| matches!(entry.deed, crate::history::Deed::Mark(_))))
    })?;
    let (status, took) = trial.terminate(0, STOPPED)?;
    trial.figure(format!("exit {:.1} s", took.as_secs_f64()));
    trial.expect(status.success(), || {
        format!("the worker ended with {status}")
    });
    let outputs = trial.output.outputs()?;
    let arrived = outputs
        .iter()
        .filter(|output| output.id.producer == SENT_AT_START)
        .count();
    trial.figure(format!("{arrived} of {SENT} arrived"));
    if arrived == SENT {
        Ok(())
    } else {
        Err(Failure::new(format!("{arrived} of {SENT} arrived")))
    }
}
