//! Faults of topics: changed, deleted, cut by retention, and records they do not take.

use std::collections::BTreeMap;
use std::time::Duration;

use xtask::failure::Result;

use super::{PATIENCE, RATE, Row, STARTED, flow, steady};
use crate::checker::Rules;
use crate::trial::Trial;
use crate::worker::Plan;

/// How often clients of these tests look for new partitions.
const REFRESH: Duration = Duration::from_secs(5);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "B12",
        what: "partitions are added under load",
        target: "they are read within a refresh of the metadata and a rebalance (10 s), 0 lost",
        quick: true,
        limit: 90,
        run: b12,
    },
    Row {
        name: "B12b",
        what: "the input topic is deleted and made again",
        target: "the worker lives, reads all of the new topic within 30 s and commits it",
        quick: false,
        limit: 150,
        run: b12b,
    },
    Row {
        name: "B13",
        what: "retention passes the committed offset",
        target: "reading goes on at the first record; exactly the lost ones are logged",
        quick: true,
        limit: 90,
        run: b13,
    },
    Row {
        name: "B16",
        what: "outputs above the client's limit, inputs above a fetch",
        target: "only the large outputs are left out, each logged; no partition stalls",
        quick: true,
        limit: 90,
        run: |trial| b16(trial, &Plan::default(), 2_000_000, Rules::CLEAN),
    },
    Row {
        name: "B16b",
        what: "outputs above the topic's limit",
        target: "only the large outputs are left out, each logged; no partition stalls",
        quick: false,
        limit: 90,
        run: |trial| {
            b16(
                trial,
                &Plan::default().with("--producer", "message.max.bytes=4000000"),
                400_000,
                Rules::CLEAN,
            )
        },
    },
    Row {
        name: "B16e",
        what: "exactly once: outputs above the topic's limit",
        target: "only the large outputs are left out, each logged; the others exact",
        quick: false,
        limit: 120,
        run: |trial| {
            let plan = Plan::default()
                .with("--guarantee", "exactly-once")
                .with("--producer", "message.max.bytes=4000000");
            b16(trial, &plan, 400_000, Rules::EXACTLY_ONCE)
        },
    },
];

fn b12(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 2, &Plan::default())?;
    trial.partitions += 3;
    trial.cluster.add_partitions(
        &trial.input.topic.clone(),
        usize::try_from(trial.partitions).unwrap_or(0),
    )?;
    trial.load(RATE / 2)?;
    let took = trial.assigned(STARTED)?;
    trial.target("owned", took, REFRESH + Duration::from_secs(5));
    flow(trial)?;
    let verdict = trial.finish(PATIENCE, Rules::CLEAN)?;
    trial.expect(verdict.duplicates == 0, || {
        format!("{} duplicates", verdict.duplicates)
    });
    Ok(())
}

fn b12b(trial: &mut Trial<'_>) -> Result<()> {
    steady(trial, 1, &Plan::default())?;
    trial.end_load()?;
    trial.caught_up(PATIENCE)?;
    let topic = trial.input.topic.clone();
    trial.cluster.delete_topic(&topic)?;
    trial
        .until("the worker notices", PATIENCE, |trial| {
            let log = trial.workers[0].log();
            Ok(log.contains("Unknown topic")
                || log.contains("nknown partition")
                || log.contains("UNKNOWN_TOPIC"))
        })
        .map(|took| trial.target("noticed", took, Duration::from_secs(30)))?;
    trial.cluster.create_topic(&topic, trial.partitions, &[])?;
    let enough = |trial: &Trial<'_>| trial.acknowledged() + 100;
    for _ in 0..2 {
        let enough = enough(trial);
        trial.load(RATE)?;
        trial.until("records are sent", PATIENCE, |trial| {
            Ok(trial.acknowledged() > enough)
        })?;
        trial.end_load()?;
    }
    let all = trial.sent();
    let took = trial.until("the new topic is read", PATIENCE, |trial| {
        Ok(trial.missing(&all)?.is_empty())
    })?;
    trial.target("read again", took, Duration::from_secs(30));
    let noticed = trial.workers[0]
        .log()
        .contains("reading goes on at its first record");
    trial.figure(["assigned anew", "out of range"][usize::from(noticed)]);
    // Its offsets are committed, although those of the old one were higher.
    trial.terminate(0, PATIENCE)?;
    let committed = trial.committed()?;
    let left: Vec<_> = trial
        .input
        .inputs()?
        .into_iter()
        .filter(|input| {
            committed
                .get(&input.place.partition)
                .is_none_or(|next| *next <= input.place.offset)
        })
        .collect();
    trial.figure(format!("{} of {} not committed", left.len(), all.len()));
    trial.expect(left.is_empty(), || {
        format!("{} records of the new topic are not committed", left.len())
    });
    // Offsets began anew: the invariants that compare places do not apply to both topics together.
    trial.stop_workers()
}

fn b13(trial: &mut Trial<'_>) -> Result<()> {
    const GONE: i64 = 25;
    steady(trial, 1, &Plan::default())?;
    trial.end_load()?;
    trial.caught_up(PATIENCE)?;
    trial.terminate(0, PATIENCE)?;
    // Everything up to here is committed.
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for input in trial.input.inputs()? {
        ends.insert(input.place.partition, input.place.offset + 1);
    }
    trial.load(RATE)?;
    let enough = trial.acknowledged() + 600;
    trial.until("records wait", PATIENCE, |trial| {
        Ok(trial.acknowledged() > enough)
    })?;
    trial.end_load()?;
    let before: Vec<(i32, i64)> = ends
        .iter()
        .map(|(partition, end)| (*partition, end + GONE))
        .collect();
    trial
        .cluster
        .delete_records(&trial.input.topic.clone(), &before)?;
    let kept = trial.input.inputs()?;
    let second = trial.worker(&Plan::default())?;
    trial.until("what is left comes out", PATIENCE, |trial| {
        Ok(trial.missing(&kept)?.is_empty())
    })?;
    trial.stop_workers()?;
    let log = trial.workers[second].log();
    let counted: i64 = log
        .lines()
        .filter(|line| line.contains("deleted by retention"))
        .filter_map(|line| {
            line.split("count=")
                .nth(1)?
                .split_whitespace()
                .next()?
                .parse::<i64>()
                .ok()
        })
        .sum();
    let gone = GONE * i64::try_from(before.len()).unwrap_or(0);
    trial.figure(format!("{counted} of {gone} lost records logged"));
    trial.expect(counted == gone, || {
        format!("retention took {gone} records, {counted} were logged")
    });
    trial.judge(Rules::AT_LEAST_ONCE).map(|_| ())
}

fn b16(trial: &mut Trial<'_>, plan: &Plan, large: usize, rules: Rules) -> Result<()> {
    const LARGE: u32 = 7;
    trial.topics(&[("max.message.bytes", "200000")])?;
    let plan = plan
        .clone()
        .with("--large-key", &LARGE.to_string())
        .with("--large", &large.to_string());
    trial.worker(
        &plan
            .with("--refused", "skip")
            .with("--consumer", "fetch.message.max.bytes=20000"),
    )?;
    trial.assigned(STARTED)?;
    trial.load(RATE / 2)?;
    // Longer than what a fetch asks for.
    trial.load_padded(RATE / 10, 60_000)?;
    trial.until("records are sent", PATIENCE, |trial| {
        Ok(trial.acknowledged() > 600)
    })?;
    trial.end_load()?;
    let (refused, others): (Vec<_>, Vec<_>) = trial
        .sent()
        .into_iter()
        .partition(|input| input.key == LARGE);
    trial.until("all others come out", PATIENCE, |trial| {
        Ok(trial.missing(&others)?.is_empty())
    })?;
    trial.stop_workers()?;
    let logged = trial.workers[0].log().matches("output skipped").count();
    trial.figure(format!(
        "{logged} of {} refused outputs logged",
        refused.len()
    ));
    trial.expect(logged == refused.len(), || {
        format!(
            "{} outputs were too large, {logged} were logged",
            refused.len()
        )
    });
    let missing = trial.missing(&refused)?.len();
    trial.expect(missing == refused.len(), || {
        format!(
            "{} outputs were too large, {missing} did not come out",
            refused.len()
        )
    });
    trial
        .judge(Rules {
            complete: false,
            ..rules
        })
        .map(|_| ())
}
