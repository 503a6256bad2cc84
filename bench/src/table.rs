//! The table of a contest, its last line, and both as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::contest::{Contestant, Work};
use crate::report::Report;
use crate::stats::{Spread, ratio};

/// A contestant's figures over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    contestant: &'static str,
    /// CPU seconds per million records.
    cpu: Spread,
    /// CPU seconds of start and end, per run.
    around: Spread,
    wall: Spread,
    records_per_second: f64,
    peak_mib: f64,
    /// Floor ÷ this: of the medians, and of each round.
    cpu_ratio: f64,
    cpu_ratio_rounds: Spread,
    wall_ratio: f64,
    #[serde(skip)]
    rounds: Vec<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Table {
    name: &'static str,
    broker: &'static str,
    records: u64,
    bytes: usize,
    partitions: i32,
    rounds: usize,
    lines: Vec<Line>,
}

/// What was run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) work: Work,
    pub(crate) broker: &'static str,
    pub(crate) records: u64,
    pub(crate) bytes: usize,
    pub(crate) partitions: i32,
}

impl Line {
    fn new(work: Work, contestant: Contestant, reports: &[Report], records: u64) -> Option<Self> {
        let million = records as f64 / 1e6;
        // Only a reader is done with its last record; a writer when all is acknowledged.
        let (cpu, wall): (Vec<f64>, Vec<f64>) = reports
            .iter()
            .map(|report| match work {
                Work::Consume => (report.cpu, report.wall),
                Work::Produce | Work::Transform | Work::Copy => {
                    (report.stopped_cpu, report.stopped_wall)
                }
            })
            .unzip();
        let rounds: Vec<f64> = cpu.iter().map(|cpu| cpu / million).collect();
        let wall = Spread::of(wall)?;
        let around = reports
            .iter()
            .zip(&cpu)
            .map(|(report, cpu)| report.process_cpu - cpu);
        Some(Self {
            contestant: contestant.name(),
            cpu: Spread::of(rounds.iter().copied())?,
            around: Spread::of(around)?,
            wall,
            records_per_second: records as f64 / wall.median,
            peak_mib: Spread::of(reports.iter().map(|report| report.peak_kib as f64 / 1024.0))?
                .median,
            cpu_ratio: 1.0,
            cpu_ratio_rounds: Spread::of([1.0])?,
            wall_ratio: 1.0,
            rounds,
        })
    }
}

impl Table {
    /// The first contestant is the floor. None without a round.
    pub(crate) fn new(
        conditions: Conditions,
        results: &[(Contestant, Vec<Report>)],
    ) -> Option<Self> {
        let Conditions {
            work,
            broker,
            records,
            bytes,
            partitions,
        } = conditions;
        let mut lines: Vec<Line> = results
            .iter()
            .map(|(contestant, reports)| Line::new(work, *contestant, reports, records))
            .collect::<Option<_>>()?;
        let (floor, others) = lines.split_first_mut()?;
        for line in others {
            line.cpu_ratio = ratio(floor.cpu.median, line.cpu.median);
            line.wall_ratio = ratio(floor.wall.median, line.wall.median);
            let pairs = floor.rounds.iter().zip(&line.rounds);
            line.cpu_ratio_rounds = Spread::of(pairs.map(|(floor, other)| ratio(*floor, *other)))?;
        }
        let rounds = floor.rounds.len();
        Some(Self {
            name: work.name(),
            broker,
            records,
            bytes,
            partitions,
            rounds,
            lines,
        })
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "{} on {}: {} records of {} bytes, {} partitions, {} rounds; median (least–most)\n\n",
            self.name, self.broker, self.records, self.bytes, self.partitions, self.rounds
        );
        text.push_str(
            "| contestant | CPU s per million | ratio by CPU (rounds) | wall s | ratio by wall | records/s | peak MiB | CPU s of start and end |\n|---|---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let Line {
                cpu,
                cpu_ratio_rounds: rounds,
                wall,
                ..
            } = line;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {:.3} ({:.3}–{:.3}) | {:.2} ({:.2}–{:.2}) | {:.2} ({:.2}–{:.2}) | {:.2} | {:.0} | {:.0} | {:.3} |",
                line.contestant,
                cpu.median,
                cpu.least,
                cpu.most,
                line.cpu_ratio,
                rounds.least,
                rounds.most,
                wall.median,
                wall.least,
                wall.most,
                line.wall_ratio,
                line.records_per_second,
                line.peak_mib,
                line.around.median,
            );
        }
        text
    }

    /// `bench NAME ratio=… wall=… floor=… ours=…`: ratios are floor ÷ ours, the others CPU seconds per
    /// million records.
    pub(crate) fn last_line(&self) -> String {
        let mut text = format!("bench {}", self.name);
        if let Some(ours) = self.lines.iter().find(|line| line.contestant == "ours") {
            let _ = write!(
                text,
                " ratio={:.3} wall={:.3}",
                ours.cpu_ratio, ours.wall_ratio
            );
        }
        for line in &self.lines {
            let _ = write!(text, " {}={:.3}", line.contestant, line.cpu.median);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cpu: f64, wall: f64) -> Report {
        Report {
            records: 2_000_000,
            wall,
            cpu,
            stopped_wall: wall + 1.0,
            stopped_cpu: cpu + 1.0,
            process_cpu: cpu + 1.5,
            peak_kib: 20 * 1024,
            allocations: 0.0,
        }
    }

    fn table(work: Work) -> Table {
        let conditions = Conditions {
            work,
            broker: "mock",
            records: 2_000_000,
            bytes: 180,
            partitions: 4,
        };
        let results = [
            (
                Contestant::Floor,
                vec![report(1.6, 2.0), report(1.8, 2.0), report(1.4, 2.0)],
            ),
            (
                Contestant::Ours,
                vec![report(2.0, 2.5), report(2.2, 2.5), report(2.0, 2.5)],
            ),
        ];
        Table::new(conditions, &results).unwrap()
    }

    #[test]
    fn ratios_are_floor_divided_by_ours() {
        let table = table(Work::Consume);
        assert_eq!(
            table.last_line(),
            "bench consume ratio=0.800 wall=0.800 floor=0.800 ours=1.000"
        );
        let text = table.markdown();
        assert!(
            text.contains("| ours | 1.000 (1.000–1.100) | 0.80 (0.70–0.82) |"),
            "{text}"
        );
        assert!(text.contains("| 800000 | 20 | 1.500 |"), "{text}");
    }

    #[test]
    fn what_writes_is_measured_until_it_has_stopped() {
        let line = table(Work::Transform).last_line();
        assert!(line.ends_with("floor=1.300 ours=1.500"), "{line}");
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let conditions = Conditions {
            work: Work::Consume,
            broker: "",
            records: 1,
            bytes: 1,
            partitions: 1,
        };
        assert!(Table::new(conditions, &[]).is_none());
        assert!(Table::new(conditions, &[(Contestant::Floor, vec![])]).is_none());
    }
}
