//! What a contestant tells the process that started it: one line of JSON on its standard output.

use serde::{Deserialize, Serialize};

use crate::counts::Milestones;
use crate::usage::{self, Mark};

/// One run of one contestant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Records that were counted; the asked number, unless some came twice.
    pub(crate) records: u64,
    /// From the first record to the last.
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    /// From the first record until everything was acknowledged and committed and the group was left.
    pub(crate) stopped_wall: f64,
    pub(crate) stopped_cpu: f64,
    /// The whole process, with start and end.
    pub(crate) process_cpu: f64,
    pub(crate) peak_kib: u64,
    /// Per record of the last four fifths; 0 unless counted.
    pub(crate) allocations: f64,
}

impl Report {
    /// To be called when the contestant has stopped.
    pub(crate) fn new(milestones: &Milestones) -> Self {
        let stopped = Mark::now();
        let Milestones {
            first,
            warmed,
            last,
            steady,
            seen,
        } = milestones;
        Self {
            records: *seen,
            wall: last.wall_since(first),
            cpu: last.cpu_since(first),
            stopped_wall: stopped.wall_since(first),
            stopped_cpu: stopped.cpu_since(first),
            process_cpu: usage::cpu().as_secs_f64(),
            peak_kib: usage::peak_kib(),
            allocations: last.allocations_since(warmed) as f64 / *steady as f64,
        }
    }

    pub(crate) fn print(&self) -> Result<(), serde_json::Error> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }

    /// The last line of a contestant's output.
    pub(crate) fn read(output: &str) -> Option<Self> {
        serde_json::from_str(output.lines().last()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;

    #[test]
    fn a_report_is_the_last_line_of_the_output() {
        let counts = Counts::new(2);
        counts.count();
        counts.count();
        let report = Report::new(&counts.milestones().unwrap());
        assert_eq!(report.records, 2);
        assert!(report.stopped_wall >= report.wall);
        let line = serde_json::to_string(&report).unwrap();
        assert_eq!(Report::read(&format!("noise\n{line}\n")), Some(report));
        assert_eq!(Report::read("noise"), None);
        assert_eq!(Report::read(""), None);
    }
}
