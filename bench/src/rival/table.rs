//! The table of a contest against the rival: everybody's figures and how many times ours they are.

use std::fmt::Write;

use serde::Serialize;

use super::entrants::Entrant;
use crate::contest::Work;
use crate::report::Report;
use crate::stats::{Spread, ratio};

/// Per record; none where it was not counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Cost {
    pub(super) instructions: Option<f64>,
    pub(super) allocations: Option<f64>,
}

/// What was run.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    pub(super) work: Work,
    pub(super) broker: &'static str,
    pub(super) records: u64,
    pub(super) bytes: usize,
    pub(super) partitions: i32,
    /// The machine's load average before each run.
    pub(super) loads: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Line {
    contestant: &'static str,
    what: String,
    records: u64,
    /// CPU seconds per million records.
    cpu: Spread,
    /// Seconds per million records.
    wall: Spread,
    peak_mib: f64,
    cost: Cost,
    /// This ÷ ours, of the medians.
    cpu_of_ours: f64,
    wall_of_ours: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Table {
    name: &'static str,
    broker: &'static str,
    records: u64,
    bytes: usize,
    partitions: i32,
    rounds: usize,
    load: Option<Spread>,
    lines: Vec<Line>,
}

impl Line {
    fn new(
        work: Work,
        entrant: &Entrant,
        reports: &[Report],
        records: u64,
        cost: Cost,
    ) -> Option<Self> {
        let records = entrant.share(records);
        let million = records as f64 / 1e6;
        // Only a reader is done with its last record; a writer when all is acknowledged.
        let of = |report: &Report| match work {
            Work::Consume => (report.cpu, report.wall),
            Work::Produce | Work::Transform | Work::Copy => {
                (report.stopped_cpu, report.stopped_wall)
            }
        };
        Some(Self {
            contestant: entrant.name(),
            what: entrant.describe(),
            records,
            cpu: Spread::of(reports.iter().map(|report| of(report).0 / million))?,
            wall: Spread::of(reports.iter().map(|report| of(report).1 / million))?,
            peak_mib: Spread::of(reports.iter().map(|report| report.peak_kib as f64 / 1024.0))?
                .median,
            cost,
            cpu_of_ours: 1.0,
            wall_of_ours: 1.0,
        })
    }
}

impl Table {
    /// Ours is the second. None without a round.
    pub(super) fn new(
        conditions: Conditions,
        results: &[(Entrant, Vec<Report>)],
        costs: Vec<Cost>,
    ) -> Option<Self> {
        let Conditions {
            work,
            broker,
            records,
            bytes,
            partitions,
            loads,
        } = conditions;
        let mut lines: Vec<Line> = results
            .iter()
            .zip(costs)
            .map(|((entrant, reports), cost)| Line::new(work, entrant, reports, records, cost))
            .collect::<Option<_>>()?;
        let ours = lines.iter().find(|line| line.contestant == "ours")?;
        let (cpu, wall) = (ours.cpu.median, ours.wall.median);
        for line in &mut lines {
            line.cpu_of_ours = ratio(line.cpu.median, cpu);
            line.wall_of_ours = ratio(line.wall.median, wall);
        }
        Some(Self {
            name: work.name(),
            broker,
            records,
            bytes,
            partitions,
            rounds: results.first()?.1.len(),
            load: Spread::of(loads),
            lines,
        })
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "{} on {}: {} records of {} bytes, {} partitions, {} rounds; median (least–most)",
            self.name, self.broker, self.records, self.bytes, self.partitions, self.rounds
        );
        // Writing to a string cannot fail.
        if let Some(load) = &self.load {
            let _ = write!(
                text,
                "; load average {:.1} ({:.1}–{:.1})",
                load.median, load.least, load.most
            );
        }
        text.push_str("\n\n| contestant | what | records | CPU s per million | × ours | wall s per million | × ours | instructions per record | allocations per record | peak MiB |\n|---|---|---|---|---|---|---|---|---|---|\n");
        for line in &self.lines {
            let Line { cpu, wall, .. } = line;
            let count = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.3} ({:.3}–{:.3}) | {:.2} | {:.2} ({:.2}–{:.2}) | {:.2} | {} | {} | {:.0} |",
                line.contestant,
                line.what,
                line.records,
                cpu.median,
                cpu.least,
                cpu.most,
                line.cpu_of_ours,
                wall.median,
                wall.least,
                wall.most,
                line.wall_of_ours,
                count(line.cost.instructions, 0),
                count(line.cost.allocations, 2),
                line.peak_mib,
            );
        }
        text
    }

    /// `bench rival NAME CONTESTANT=cpu/cpu÷ours/wall÷ours …`
    pub(super) fn last_line(&self) -> String {
        let mut text = format!("bench rival {}", self.name);
        for line in &self.lines {
            let _ = write!(
                text,
                " {}={:.3}/{:.2}/{:.2}",
                line.contestant, line.cpu.median, line.cpu_of_ours, line.wall_of_ours
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::entrants;
    use super::*;

    fn report(cpu: f64, wall: f64) -> Report {
        Report {
            records: 1,
            wall,
            cpu,
            stopped_wall: wall,
            stopped_cpu: cpu,
            process_cpu: cpu,
            peak_kib: 20 * 1024,
            allocations: 0.0,
        }
    }

    fn table(work: Work, reports: &[Report]) -> Option<Table> {
        let results: Vec<_> = entrants::of(work)
            .into_iter()
            .zip(reports)
            .map(|(entrant, report)| (entrant, vec![report.clone()]))
            .collect();
        let conditions = Conditions {
            work,
            broker: "mock",
            records: 2_000_000,
            bytes: 200,
            partitions: 4,
            loads: vec![1.0, 3.0],
        };
        let costs = vec![Cost::default(); results.len()];
        Table::new(conditions, &results, costs)
    }

    #[test]
    fn everybody_is_compared_with_ours() {
        let reports = [(1.6, 1.0), (2.0, 2.0), (2.0, 2.0), (3.0, 8.0)];
        let reports = reports.map(|(cpu, wall)| report(cpu, wall));
        let table = table(Work::Consume, &reports).unwrap();
        assert_eq!(
            table.last_line(),
            "bench rival consume floor=0.800/0.80/0.50 ours=1.000/1.00/1.00 \
             ours-batch=1.000/1.00/1.00 rival-batch=1.500/1.50/4.00"
        );
        let text = table.markdown();
        assert!(text.contains("load average 2.0 (1.0–3.0)"), "{text}");
        assert!(
            text.contains("`Commit::Tracked`, default settings"),
            "{text}"
        );
    }

    #[test]
    fn fewer_records_are_scaled_to_a_million() {
        let reports = vec![report(1.0, 1.0); 8];
        let table = table(Work::Transform, &reports).unwrap();
        let slow = table.lines.last().unwrap();
        assert_eq!(slow.records, 10_000);
        assert!((slow.cpu.median - 100.0).abs() < 1e-9);
        assert!((slow.cpu_of_ours - 200.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(table(Work::Consume, &[]).is_none());
    }
}
