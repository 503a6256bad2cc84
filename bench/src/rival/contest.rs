//! Fills the topics, lets everybody run in turns, checks every run, then counts instructions and
//! allocations on the mock broker.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use super::Options;
use super::entrants::{self, Entrant, OUTPUT};
use super::table::{Conditions, Cost, Table};
use crate::child;
use crate::cluster::Cluster;
use crate::contest::{Run, Work};
use crate::cost::{SLOWDOWN, under_callgrind};
use crate::report::Report;
use crate::rounds::{self, fill_readings, mock_partitions};
use crate::usage::load;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const PARTITIONS: i32 = 4;
/// One acknowledgement after the other: a linger and a round trip per record.
const SLOW_LIMIT: Duration = Duration::from_secs(240);
/// Two runs of different length: their difference holds no start and no end.
const INSTRUCTION_RECORDS: [u64; 2] = [10_000, 60_000];
const ALLOCATION_RECORDS: u64 = 100_000;

/// A cluster with readings: all of them, and a topic with as many as the slow ones get.
struct Ground<'a> {
    options: &'a Options,
    work: Work,
    cluster: Cluster,
    records: u64,
    partitions: i32,
    inputs: [String; 2],
    run_number: usize,
}

impl<'a> Ground<'a> {
    fn new(work: Work, options: &'a Options, real: bool, records: u64) -> Result<Self> {
        let (mut cluster, partitions) = if real {
            (Cluster::real()?, PARTITIONS)
        } else {
            (Cluster::mock()?, mock_partitions(records, options.bytes))
        };
        let base = format!("bench-rival-{}-{}-in", work.name(), std::process::id());
        let inputs = [base.clone(), format!("{base}-few")];
        let slow = entrants::of(work).into_iter().find(Entrant::is_slow);
        let few = slow.map_or(0, |entrant| entrant.share(records));
        for (topic, count) in inputs.iter().zip([records, few]) {
            if count > 0 {
                cluster.create(topic, partitions)?;
                fill_readings(cluster.servers(), topic, partitions, count, options.bytes)?;
            }
        }
        if work == Work::Transform {
            cluster.create(OUTPUT, partitions)?;
        }
        Ok(Self {
            options,
            work,
            cluster,
            records,
            partitions,
            inputs,
            run_number: 0,
        })
    }

    fn next_run(&mut self, entrant: &Entrant, allocations: bool) -> Result<Run> {
        self.run_number += 1;
        let topic = self.inputs[usize::from(entrant.is_slow())].clone();
        let group = format!("{topic}-{}-{}", entrant.name(), self.run_number);
        let output = match (self.work, entrant) {
            (Work::Transform, Entrant::Own(_)) => {
                let output = format!("{group}-out");
                self.cluster.create(&output, self.partitions)?;
                output
            }
            (Work::Transform, Entrant::Rival(_)) => OUTPUT.to_owned(),
            _ => "unused".to_owned(),
        };
        Ok(Run {
            work: self.work,
            contestant: entrant.contestant(),
            servers: self.cluster.servers().to_owned(),
            topic,
            output,
            group,
            records: entrant.share(self.records),
            bytes: self.options.bytes,
            embedded: self.cluster.is_mock(),
            allocations,
        })
    }

    fn command(&self, entrant: &Entrant, run: &Run) -> Result<Command> {
        entrant.command(run, &self.options.binary, &[])
    }

    /// Runs it and looks at what it left: no record too many, none too few.
    fn run(&mut self, entrant: &Entrant, allocations: bool) -> Result<Report> {
        let run = self.next_run(entrant, allocations)?;
        let writes = self.work == Work::Transform;
        let before = if writes {
            self.cluster.written(&run.output)?
        } else {
            0
        };
        let report = child::report(self.command(entrant, &run)?, limit(entrant, run.records))
            .map_err(|error| format!("{}: {error}", entrant.name()))?;
        let wanted = i64::try_from(run.records)?;
        let mut found = vec![
            ("counted", i64::try_from(report.records)?),
            ("committed", self.cluster.committed(&run.topic, &run.group)?),
        ];
        if writes {
            let written = self.cluster.written(&run.output)?;
            found.push(("written", written - before));
        }
        if let Some((what, is)) = found.iter().find(|(_, is)| *is != wanted) {
            let name = entrant.name();
            return Err(format!("{name} has {what} {is} records instead of {wanted}").into());
        }
        if writes && matches!(entrant, Entrant::Own(_)) {
            self.cluster.delete(&run.output)?;
        }
        Ok(report)
    }
}

fn limit(entrant: &Entrant, records: u64) -> Duration {
    if entrant.is_slow() {
        SLOW_LIMIT
    } else {
        rounds::limit(records)
    }
}

pub(super) fn hold(work: Work, options: &Options) -> Result<Table> {
    let chosen = |entrant: &Entrant| {
        let only = &options.only;
        only.is_empty()
            || entrant.is_always_there()
            || only.iter().any(|name| name == entrant.name())
    };
    let mut results: Vec<(Entrant, Vec<Report>)> = entrants::of(work)
        .into_iter()
        .filter(chosen)
        .map(|entrant| (entrant, Vec::new()))
        .collect();
    let mut loads = Vec::new();
    let mut ground = Ground::new(work, options, options.real, options.records)?;
    let count = results.len();
    for round in 0..options.rounds.max(1) {
        // Each round another begins.
        for turn in 0..count {
            let (entrant, reports) = &mut results[(round + turn) % count];
            let load = load();
            let report = ground.run(entrant, false)?;
            eprintln!(
                "round {} {}: last record after {:.3} CPU s, {:.3} s; stopped after {:.3} CPU s, {:.3} s; load {:.1}",
                round + 1,
                entrant.name(),
                report.cpu,
                report.wall,
                report.stopped_cpu,
                report.stopped_wall,
                load.unwrap_or(f64::NAN),
            );
            loads.extend(load);
            reports.push(report);
        }
    }
    let conditions = Conditions {
        work,
        broker: if ground.cluster.is_mock() {
            "librdkafka's mock broker"
        } else {
            "Kafka"
        },
        records: options.records,
        bytes: options.bytes,
        partitions: ground.partitions,
        loads,
    };
    drop(ground);
    let costs = if options.no_cost {
        vec![Cost::default(); count]
    } else {
        costs(work, options, &results)?
    };
    Table::new(conditions, &results, costs).ok_or_else(|| "no round was held".into())
}

/// Instructions and allocations per record of everybody, in the order of the results.
fn costs(work: Work, options: &Options, results: &[(Entrant, Vec<Report>)]) -> Result<Vec<Cost>> {
    let mut costs = vec![Cost::default(); results.len()];
    let mut ground = Ground::new(work, options, false, ALLOCATION_RECORDS)?;
    for ((entrant, _), cost) in results.iter().zip(&mut costs) {
        cost.allocations = Some(ground.run(entrant, true)?.allocations);
    }
    drop(ground);
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("instructions are not counted: valgrind is not on the PATH");
        return Ok(costs);
    }
    let mut totals = vec![[0_u64; 2]; results.len()];
    for (column, records) in INSTRUCTION_RECORDS.into_iter().enumerate() {
        let mut ground = Ground::new(work, options, false, records)?;
        for ((entrant, _), totals) in results.iter().zip(&mut totals) {
            let run = ground.next_run(entrant, false)?;
            let name = format!("{}-{}-{records}.out", work.name(), entrant.name());
            let limit = limit(entrant, run.records) * SLOWDOWN;
            totals[column] = under_callgrind(&name, None, limit, |under| {
                entrant.command(&run, &options.binary, under)
            })
            .map_err(|error| format!("{} under callgrind: {error}", entrant.name()))?;
        }
    }
    for (((entrant, _), cost), [short, long]) in results.iter().zip(&mut costs).zip(totals) {
        let records = INSTRUCTION_RECORDS.map(|records| entrant.share(records) as f64);
        cost.instructions = Some((long as f64 - short as f64) / (records[1] - records[0]));
    }
    Ok(costs)
}
