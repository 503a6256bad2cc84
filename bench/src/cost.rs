//! What citizenk itself adds to a record: instructions and allocations, not time.
//!
//! Three ways: `--records N` runs the app on its in-memory transport, without any broker or second
//! thread, so that callgrind counts the same instructions every time; `--instructions` runs floor and
//! app under callgrind on a real client against the mock broker; `--allocations` counts both's
//! allocations there.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::child;
use crate::cluster::Cluster;
use crate::contest::{Contestant, Run, Work, in_memory};
use crate::rounds::{self, fill_readings, fill_texts, mock_partitions};
use crate::stats::ratio;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Enough for a steady state, and little enough for callgrind.
const ALLOCATION_RECORDS: u64 = 200_000;
const INSTRUCTION_RECORDS: [u64; 2] = [20_000, 120_000];
/// More than this difference per record is an allocation per record; less is one per chunk.
const PER_CHUNK: f64 = 0.05;
/// callgrind is so much slower.
pub(crate) const SLOWDOWN: u32 = 20;

/// What of the in-memory run to do, so that the difference of two totals is one part's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Decode and count, nothing else
    Decode,
    /// Put the records on the in-memory log
    Push,
    /// Put them there and let an agent read, decode and count them
    Ours,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run this many records on the in-memory transport; for callgrind
    #[arg(long)]
    records: Option<u64>,
    /// With --records
    #[arg(long, value_enum, default_value = "ours")]
    part: Part,
    /// Count allocations per record of the floor and of an agent
    #[arg(long)]
    allocations: bool,
    /// Count instructions per record of the floor and of an agent (needs valgrind)
    #[arg(long)]
    instructions: bool,
    /// With --allocations and --instructions
    #[arg(long, value_enum, default_value = "consume")]
    work: Work,
    /// With --instructions: keep callgrind's files in this folder
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// About how long a record is
    #[arg(long, default_value_t = 180)]
    bytes: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.allocations {
        allocations(options.work, options.bytes)?;
    }
    if options.instructions {
        instructions(options.work, options.bytes, options.keep.as_deref())?;
    }
    match options.records {
        Some(records) => in_memory::run(options.part, records, options.bytes),
        None if options.allocations || options.instructions => Ok(()),
        None => Err("say --records N, --allocations or --instructions".into()),
    }
}

/// A mock broker with a topic of so many readings.
struct Ground {
    cluster: Cluster,
    work: Work,
    input: String,
    partitions: i32,
    records: u64,
    bytes: usize,
}

impl Ground {
    fn new(work: Work, records: u64, bytes: usize) -> Result<Self> {
        let mut cluster = Cluster::mock()?;
        let input = format!("bench-cost-{records}");
        let partitions = mock_partitions(records, bytes);
        if work != Work::Produce {
            cluster.create(&input, partitions)?;
        }
        match work {
            Work::Produce => {}
            Work::Copy => fill_texts(cluster.servers(), &input, partitions, records, bytes)?,
            Work::Consume | Work::Transform => {
                fill_readings(cluster.servers(), &input, partitions, records, bytes)?;
            }
        }
        Ok(Self {
            cluster,
            work,
            input,
            partitions,
            records,
            bytes,
        })
    }

    /// A run that reads the readings, or writes to a topic of its own.
    fn run(&mut self, contestant: Contestant, allocations: bool) -> Result<Run> {
        let own = format!("{}-{}", self.input, contestant.name());
        let (topic, output) = match self.work {
            Work::Consume | Work::Transform | Work::Copy => (self.input.clone(), own.clone()),
            Work::Produce => (own.clone(), self.input.clone()),
        };
        if self.work != Work::Consume {
            self.cluster.create(&own, self.partitions)?;
        }
        Ok(Run {
            work: self.work,
            contestant,
            servers: self.cluster.servers().to_owned(),
            group: own,
            topic,
            output,
            records: self.records,
            bytes: self.bytes,
            embedded: true,
            allocations,
        })
    }
}

fn allocations(work: Work, bytes: usize) -> Result<()> {
    let mut ground = Ground::new(work, ALLOCATION_RECORDS, bytes)?;
    let mut count = |contestant| -> Result<f64> {
        let command = child::command(&ground.run(contestant, true)?, &[])?;
        Ok(child::report(command, rounds::limit(ALLOCATION_RECORDS))?.allocations)
    };
    let floor = count(Contestant::Floor)?;
    let ours = count(Contestant::Ours)?;
    let extra = ours - floor;
    let name = work.name();
    println!("| {name} | allocations per record |\n|---|---|");
    println!("| floor | {floor:.4} |\n| ours | {ours:.4} |\n| added | {extra:.4} |");
    println!("bench cost allocations work={name} floor={floor:.4} ours={ours:.4} added={extra:.4}");
    if work != Work::Consume || extra < PER_CHUNK {
        Ok(())
    } else {
        Err(format!("citizenk allocates {extra:.2} times per record; it must not").into())
    }
}

fn instructions(work: Work, bytes: usize, keep: Option<&Path>) -> Result<()> {
    if let Some(folder) = keep {
        std::fs::create_dir_all(folder)?;
    }
    let mut totals = [[0_u64; 2]; 2];
    for (column, records) in INSTRUCTION_RECORDS.into_iter().enumerate() {
        let mut ground = Ground::new(work, records, bytes)?;
        for (row, contestant) in [Contestant::Floor, Contestant::Ours]
            .into_iter()
            .enumerate()
        {
            totals[row][column] = callgrind(&ground.run(contestant, false)?, keep)?;
        }
    }
    let [floor, ours] = totals.map(per_record);
    let (name, ratio) = (work.name(), ratio(floor, ours));
    println!("| {name} | instructions per record |\n|---|---|");
    println!(
        "| floor | {floor:.0} |\n| ours | {ours:.0} |\n| added | {:.0} |",
        ours - floor
    );
    println!(
        "bench cost instructions work={name} ratio={ratio:.3} floor={floor:.0} ours={ours:.0}"
    );
    Ok(())
}

/// Two runs of different length: their difference holds no start and no end.
fn per_record(totals: [u64; 2]) -> f64 {
    let [short, long] = INSTRUCTION_RECORDS;
    (totals[1] as f64 - totals[0] as f64) / (long - short) as f64
}

/// All instructions of the contestant's process, librdkafka's among them.
fn callgrind(run: &Run, keep: Option<&Path>) -> Result<u64> {
    let name = format!(
        "{}-{}-{}.out",
        run.work.name(),
        run.contestant.name(),
        run.records
    );
    under_callgrind(
        &name,
        keep,
        rounds::limit(run.records) * SLOWDOWN,
        |under| child::command(run, under),
    )
}

/// All instructions of the process that the command for these leading words starts.
pub(crate) fn under_callgrind(
    name: &str,
    keep: Option<&Path>,
    limit: Duration,
    command: impl FnOnce(&[OsString]) -> Result<Command>,
) -> Result<u64> {
    let out = match keep {
        Some(folder) => folder.join(name),
        None => std::env::temp_dir().join(format!("citizenk-bench-{}-{name}", std::process::id())),
    };
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(&out);
    let under = [
        "valgrind".into(),
        "--tool=callgrind".into(),
        "--quiet".into(),
        file,
    ];
    child::report(command(&under)?, limit)?;
    let text = std::fs::read_to_string(&out)?;
    if keep.is_none() {
        std::fs::remove_file(&out)?;
    }
    total(&text).ok_or_else(|| "callgrind wrote no total".into())
}

/// The sum over all parts of a callgrind file.
fn total(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("totals:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_and_subtracted() {
        assert_eq!(total("version: 1\nsummary: 70\n\ntotals: 71\n"), Some(71));
        assert_eq!(total("nothing"), None);
        assert!((per_record([1_000_000, 101_000_000]) - 1000.0).abs() < f64::EPSILON);
    }
}
