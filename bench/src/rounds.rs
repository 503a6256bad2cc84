//! A contest: fills the topics, lets the contestants run in turns, checks that none lost a record.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::contest::{Contestant, PER_ORDER, Run, Work};
use crate::reading::Reading;
use crate::report::Report;
use crate::table::{Conditions, Table};
use crate::{child, floor};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// On a Kafka.
const PARTITIONS: i32 = 4;
/// The mock keeps 5 MiB per partition; below that by a fifth, for what its batches add.
const MOCK_ROOM: usize = 4 * 1024 * 1024;
/// Key, offsets and lengths of a record in a batch, about.
const FRAME: usize = 16;
/// The mock looks up offsets one by one and has one thread.
const MOCK_RECORDS: u64 = 400_000;
const REAL_RECORDS: u64 = 1_000_000;
/// A contestant has this time, and a little per record.
const LIMIT: Duration = Duration::from_secs(60);
const LIMIT_PER_RECORD: Duration = Duration::from_micros(100);

/// What to hold.
#[derive(Clone, Debug)]
pub(crate) struct Contest {
    pub(crate) work: Work,
    pub(crate) real: bool,
    pub(crate) records: Option<u64>,
    pub(crate) rounds: usize,
    pub(crate) bytes: usize,
    pub(crate) partitions: Option<i32>,
    pub(crate) only: Vec<Contestant>,
}

/// So many partitions that the mock drops nothing.
pub(crate) fn mock_partitions(records: u64, bytes: usize) -> i32 {
    let per_partition = (MOCK_ROOM / (bytes + FRAME)).max(1) as u64;
    i32::try_from(records.div_ceil(per_partition))
        .unwrap_or(i32::MAX)
        .max(PARTITIONS)
}

pub(crate) fn limit(records: u64) -> Duration {
    LIMIT + LIMIT_PER_RECORD * u32::try_from(records).unwrap_or(u32::MAX)
}

/// Writes readings, evenly over the partitions; a key stays in one.
pub(crate) fn fill_readings(
    servers: &str,
    topic: &str,
    partitions: i32,
    records: u64,
    bytes: usize,
) -> Result<()> {
    floor::fill(servers, topic, records, |sequence, key, value| {
        let reading = Reading::nth(sequence, bytes);
        write!(key, "{}", reading.sensor)?;
        serde_json::to_writer(value, &reading)?;
        Ok(i32::try_from(reading.sensor)? % partitions)
    })
}

/// Writes records of a size that no reading may have, keyed and spread as those.
pub(crate) fn fill_texts(
    servers: &str,
    topic: &str,
    partitions: i32,
    records: u64,
    bytes: usize,
) -> Result<()> {
    floor::fill(servers, topic, records, |sequence, key, value| {
        let sensor = Reading::sensor_of(sequence);
        write!(key, "{sensor}")?;
        value.extend(Reading::text(sequence).bytes().cycle().take(bytes));
        Ok(i32::try_from(sensor)? % partitions)
    })
}

/// A contest under way.
struct Held {
    contest: Contest,
    cluster: Cluster,
    records: u64,
    partitions: i32,
    /// What all but `produce` read, and `produce outbox`.
    input: String,
    run_number: usize,
}

impl Contest {
    pub(crate) fn hold(self) -> Result<Table> {
        let cluster = if self.real {
            Cluster::real()?
        } else {
            Cluster::mock()?
        };
        let default = if self.real {
            REAL_RECORDS
        } else {
            MOCK_RECORDS
        };
        let records = self.records.unwrap_or(default).max(10);
        let least = if self.real {
            1
        } else {
            mock_partitions(records, self.bytes)
        };
        let usual = if self.real { PARTITIONS } else { least };
        let partitions = self.partitions.unwrap_or(usual).max(least);
        let input = format!("bench-{}-{}-in", self.work.name(), std::process::id());
        Held {
            contest: self,
            cluster,
            records,
            partitions,
            input,
            run_number: 0,
        }
        .hold()
    }
}

impl Held {
    fn hold(mut self) -> Result<Table> {
        let chosen = |contestant: &Contestant| {
            let only = &self.contest.only;
            // The mock broker hides nothing that is not committed.
            let possible = self.contest.real || *contestant != Contestant::ExactlyOnce;
            let wanted =
                only.is_empty() || *contestant == Contestant::Floor || only.contains(contestant);
            possible && wanted
        };
        let contestants = self.contest.work.contestants().iter().copied();
        let mut results: Vec<(Contestant, Vec<Report>)> = contestants
            .filter(chosen)
            .map(|contestant| (contestant, Vec::new()))
            .collect();
        self.fill()?;
        for round in 0..self.contest.rounds.max(1) {
            let count = results.len();
            // Each round another begins.
            for turn in 0..count {
                let (contestant, reports) = &mut results[(round + turn) % count];
                let report = self.run(*contestant)?;
                eprintln!(
                    "round {} {}: last record after {:.3} CPU s, {:.3} s; stopped after {:.3} CPU s, {:.3} s",
                    round + 1,
                    contestant.name(),
                    report.cpu,
                    report.wall,
                    report.stopped_cpu,
                    report.stopped_wall
                );
                reports.push(report);
            }
        }
        let conditions = Conditions {
            work: self.contest.work,
            broker: if self.cluster.is_mock() {
                "librdkafka's mock broker"
            } else {
                "Kafka"
            },
            records: self.records,
            bytes: self.contest.bytes,
            partitions: self.partitions,
        };
        Table::new(conditions, &results).ok_or_else(|| "no round was held".into())
    }

    fn fill(&mut self) -> Result<()> {
        let input = self.input.clone();
        self.cluster.create(&input, self.partitions)?;
        let servers = self.cluster.servers();
        match self.contest.work {
            Work::Consume | Work::Transform => fill_readings(
                servers,
                &input,
                self.partitions,
                self.records,
                self.contest.bytes,
            ),
            Work::Copy => fill_texts(
                servers,
                &input,
                self.partitions,
                self.records,
                self.contest.bytes,
            ),
            Work::Produce => {
                let orders = self.records.div_ceil(PER_ORDER);
                floor::fill(servers, &input, orders, |number, key, value| {
                    write!(key, "{number}")?;
                    write!(value, "{}", number * PER_ORDER)?;
                    Ok(i32::try_from(number)? % self.partitions)
                })
            }
        }
    }

    fn run(&mut self, contestant: Contestant) -> Result<Report> {
        self.run_number += 1;
        let work = self.contest.work;
        let group = format!("{}-{}-{}", self.input, contestant.name(), self.run_number);
        let written = (work != Work::Consume).then(|| format!("{group}-out"));
        if let Some(topic) = &written {
            self.cluster.create(topic, self.partitions)?;
        }
        let (topic, output) = match (work, &written) {
            (Work::Produce, Some(written)) => (written.clone(), self.input.clone()),
            (_, Some(written)) => (self.input.clone(), written.clone()),
            (_, None) => (self.input.clone(), "unused".to_owned()),
        };
        let run = Run {
            work,
            contestant,
            servers: self.cluster.servers().to_owned(),
            topic,
            output,
            group,
            records: self.records,
            bytes: self.contest.bytes,
            embedded: self.cluster.is_mock(),
            allocations: false,
        };
        let report = child::report(child::command(&run, &[])?, limit(self.records))
            .map_err(|error| format!("{} {}: {error}", work.name(), contestant.name()))?;
        self.verify(&run, &report, written.as_deref())?;
        if let Some(topic) = &written {
            self.cluster.delete(topic)?;
        }
        Ok(report)
    }

    /// No record too many, none too few, in the counter, the offsets and the output.
    fn verify(&self, run: &Run, report: &Report, written: Option<&str>) -> Result<()> {
        let wanted = i64::try_from(self.records)?;
        let mut found = vec![("counted", i64::try_from(report.records)?, wanted)];
        if let Some(topic) = written {
            let count = match run.contestant {
                Contestant::ExactlyOnce => self.cluster.finished(topic)?,
                _ => self.cluster.written(topic)?,
            };
            found.push(("written", count, wanted));
        }
        if run.work != Work::Produce {
            let committed = self.cluster.committed(&self.input, &run.group)?;
            found.push(("committed", committed, wanted));
        } else if run.contestant == Contestant::Outbox {
            let orders = i64::try_from(self.records.div_ceil(PER_ORDER))?;
            let committed = self.cluster.committed(&self.input, &run.group)?;
            found.push(("committed", committed, orders));
        }
        match found.iter().find(|(_, is, should)| is != should) {
            None => Ok(()),
            Some((what, is, should)) => {
                let who = run.contestant.name();
                Err(format!("{who} has {what} {is} records instead of {should}").into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mock_gets_enough_partitions() {
        assert_eq!(mock_partitions(10, 180), 4);
        let partitions = mock_partitions(400_000, 180);
        assert!(
            400_000 / i64::from(partitions) * 196 <= 5 * 1024 * 1024,
            "{partitions}"
        );
        assert!(mock_partitions(400_000, 4000) > partitions);
    }
}
