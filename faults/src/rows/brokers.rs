//! Faults of brokers: restarted, killed, frozen, their leaders moved.

use std::fs;
use std::time::Duration;

use serde_json::json;
use xtask::failure::{OrFail, Result};
use xtask::process::Signal;

use super::{PATIENCE, RECOVERED, Row, SESSION, STARTED, flow, recovered, steady};
use crate::checker::Rules;
use crate::cluster::NODES;
use crate::journal::now;
use crate::observe::Source;
use crate::proxy::frame::OFFSET_COMMIT;
use crate::proxy::{CallFault, Mode};
use crate::trial::Trial;
use crate::worker::Plan;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "B1",
        what: "every broker is stopped cleanly and started again, one after the other",
        target: "0 lost, 0 duplicates, 0 revocations",
        quick: true,
        limit: 180,
        run: b1,
    },
    Row {
        name: "B2",
        what: "every broker is killed and started again, one after the other",
        target: "0 lost; records flow again within 13 s",
        quick: false,
        limit: 240,
        run: |trial| killed(trial, &Plan::default(), Rules::AT_LEAST_ONCE),
    },
    Row {
        name: "B3",
        what: "all brokers are down",
        target: "workers live on below 5 % of a processor each; 0 lost; recovery within 16 s",
        quick: false,
        limit: 150,
        run: b3,
    },
    Row {
        name: "B4",
        what: "a broker is frozen, shorter and longer than a session",
        target: "0 lost; recovery within 16 s",
        quick: false,
        limit: 180,
        run: b4,
    },
    Row {
        name: "B5",
        what: "leaders move under load",
        target: "0 lost, 0 duplicates, 0 revocations; no pause above 3 s",
        quick: true,
        limit: 90,
        run: b5,
    },
    Row {
        name: "B11",
        what: "the group's coordinator is killed while a commit is on its way and while a worker stops",
        target: "0 lost; exit within 11 s, no crash",
        quick: false,
        limit: 180,
        run: b11,
    },
];

/// Ends a broker, and waits until it has ended.
fn end(trial: &mut Trial<'_>, node: usize, signal: Signal) -> Result<()> {
    trial.cluster.signal(node, signal);
    trial
        .until("the broker ends", PATIENCE, |trial| {
            trial.cluster.has_ended(node)
        })
        .map(|_| ())
}

fn b1(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 3, &Plan::default())?;
    let since = now();
    for round in 0..trial.rounds(NODES, 5 * NODES) {
        end(trial, round % NODES, Signal::SIGTERM)?;
        trial.heal()?;
    }
    let gap = trial.longest_gap(since);
    trial.figure(format!("longest pause {:.1} s", gap.as_secs_f64()));
    undisturbed(trial, since)
}

/// Nobody lost a partition, nothing came twice.
fn undisturbed(trial: &mut Trial<'_>, since: u64) -> Result<()> {
    let revocations = trial.revocations(since);
    trial.figure(format!("{revocations} revocations"));
    trial.expect(revocations == 0, || format!("{revocations} revocations"));
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    trial.expect(verdict.duplicates == 0 && verdict.reruns == 0, || {
        format!(
            "{} duplicates and {} calls again",
            verdict.duplicates, verdict.reruns
        )
    });
    Ok(())
}

pub(super) fn killed(trial: &mut Trial<'_>, plan: &Plan, rules: Rules) -> Result<()> {
    steady(trial, 3, plan)?;
    let mut longest = Duration::ZERO;
    for round in 0..trial.rounds(NODES, 5 * NODES) {
        let node = round % NODES;
        end(trial, node, Signal::SIGKILL)?;
        let (seen, sent) = (trial.seen(), trial.acknowledged());
        let flows = trial.until("records flow again", PATIENCE, |trial| {
            Ok(trial.seen() > seen + 50 && trial.acknowledged() > sent + 50)
        })?;
        longest = longest.max(flows);
        trial.heal()?;
        trial.caught_up(PATIENCE)?;
    }
    trial.target("flows again", longest, Duration::from_secs(13));
    trial.finish(PATIENCE, rules).map(|_| ())
}

fn b3(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    for node in 0..NODES {
        trial.cluster.signal(node, Signal::SIGKILL);
    }
    let down = trial.seconds(12, 70);
    let used = |trial: &Trial<'_>| {
        trial
            .workers
            .iter()
            .filter_map(|worker| worker.processor())
            .sum::<f64>()
    };
    // The first seconds are the end of what was under way.
    trial.hold(Duration::from_secs(2))?;
    let before = used(trial);
    trial.hold(down)?;
    let share = (used(trial) - before) / down.as_secs_f64() / trial.workers.len() as f64;
    trial.figure(format!("{:.1} % of a processor while down", 100.0 * share));
    trial.expect(share <= 0.05, || {
        format!(
            "a worker uses {:.1} % of a processor while brokers are down",
            100.0 * share
        )
    });
    trial.heal()?;
    recovered(trial, RECOVERED)?;
    trial.finish(PATIENCE, Rules::ALL_GONE).map(|_| ())
}

fn b4(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    for (round, seconds) in [4, 10, 20, 40]
        .into_iter()
        .take(trial.rounds(2, 4))
        .enumerate()
    {
        let node = round % NODES;
        trial.cluster.signal(node, Signal::SIGSTOP);
        trial.hold(Duration::from_secs(seconds))?;
        trial.cluster.signal(node, Signal::SIGCONT);
        recovered(trial, RECOVERED)?;
        trial.heal()?;
    }
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}

fn b5(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    let since = now();
    for round in 0..trial.rounds(1, 3) {
        // The same replicas in another order: the first one is to lead.
        let partitions: Vec<_> = [&trial.input.topic, &trial.output.topic]
            .into_iter()
            .flat_map(|topic| {
                (0..trial.partitions).map(move |partition| {
                    let first = usize::try_from(partition).unwrap_or(0) + round;
                    let replicas: Vec<usize> =
                        (0..NODES).map(|step| 1 + (first + step) % NODES).collect();
                    json!({"topic": topic, "partition": partition, "replicas": replicas})
                })
            })
            .collect();
        let file = trial.folder.join("leaders.json");
        let text = json!({"version": 1, "partitions": partitions}).to_string();
        fs::write(&file, text).or_fail(|| format!("write {}", file.display()))?;
        let file = file.display().to_string();
        trial.cluster.tool(
            "reassign-partitions",
            &["--reassignment-json-file", &file, "--execute"],
        )?;
        trial.cluster.tool(
            "leader-election",
            &["--election-type", "preferred", "--all-topic-partitions"],
        )?;
        flow(trial)?;
    }
    let gap = trial.longest_gap(since);
    trial.target("longest pause", gap, Duration::from_secs(3));
    undisturbed(trial, since)
}

/// The broker that keeps the group's offsets.
fn coordinator(trial: &Trial<'_>) -> Result<usize> {
    // As Java hashes a string.
    let hash = trial.group.bytes().fold(0_i32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(i32::from(byte))
    });
    let offsets = Source {
        servers: trial.cluster.servers(),
        topic: "__consumer_offsets".to_owned(),
    };
    // Three partitions, as the cluster is configured; nodes are counted from 1.
    let leader = offsets.leader((hash & i32::MAX) % 3)?;
    Ok(usize::try_from(leader - 1).unwrap_or(0))
}

fn b11(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    for round in 0..trial.rounds(1, 4) {
        trial.cluster.switch(Mode::Call {
            key: OFFSET_COMMIT,
            fault: [CallFault::HoldResponse, CallFault::DropResponse][round % 2],
        });
        trial.until("a commit is on its way", PATIENCE, |trial| {
            Ok(trial.cluster.hits() > 0)
        })?;
        let node = coordinator(trial)?;
        end(trial, node, Signal::SIGKILL)?;
        trial.cluster.switch(Mode::Pass);
        trial.heal()?;
        recovered(trial, RECOVERED)?;

        let node = coordinator(trial)?;
        let leaving = trial.workers.len() - 1;
        trial.workers[leaving].may_end = true;
        trial.workers[leaving].signal(Signal::SIGTERM);
        end(trial, node, Signal::SIGKILL)?;
        let (status, took) = trial.ended(leaving, PATIENCE)?;
        trial.target("exit", took, SESSION + Duration::from_secs(5));
        trial.expect(status.code().is_some(), || {
            format!("the worker crashed: {status}")
        });
        trial.heal()?;
        trial.worker(&Plan::default())?;
        trial.assigned(STARTED)?;
        recovered(trial, RECOVERED)?;
    }
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE).map(|_| ())
}
