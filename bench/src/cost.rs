//! What citizenk itself adds to a record: instructions and allocations, not time.
//!
//! Three ways: `--records N` runs the app on its in-memory transport, without any broker or second
//! thread, so that callgrind counts the same instructions every time; `--instructions` runs floor and
//! app under callgrind on a real client against the mock broker; `--allocations` counts both's
//! allocations there.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::child;
use crate::cluster::Cluster;
use crate::contest::{Contestant, Run, Work, in_memory};
use crate::rounds::{self, fill_readings, mock_partitions};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Enough for a steady state, and little enough for callgrind.
const ALLOCATION_RECORDS: u64 = 200_000;
const INSTRUCTION_RECORDS: [u64; 2] = [20_000, 120_000];
/// More than this difference per record is an allocation per record; less is one per chunk.
const PER_CHUNK: f64 = 0.05;
/// callgrind is so much slower.
const SLOWDOWN: u32 = 20;

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
    /// About how long a record is
    #[arg(long, default_value_t = 180)]
    bytes: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.allocations {
        allocations(options.bytes)?;
    }
    if options.instructions {
        instructions(options.bytes)?;
    }
    match options.records {
        Some(records) => in_memory::run(options.part, records, options.bytes),
        None if options.allocations || options.instructions => Ok(()),
        None => Err("say --records N, --allocations or --instructions".into()),
    }
}

/// A mock broker with a topic of so many readings.
fn prepared(records: u64, bytes: usize) -> Result<(Cluster, Run)> {
    let mut cluster = Cluster::mock()?;
    let topic = format!("bench-cost-{records}");
    let partitions = mock_partitions(records, bytes);
    cluster.create(&topic, partitions)?;
    fill_readings(cluster.servers(), &topic, partitions, records, bytes)?;
    let run = Run {
        work: Work::Consume,
        contestant: Contestant::Floor,
        servers: cluster.servers().to_owned(),
        group: format!("{topic}-floor"),
        topic,
        output: "unused".to_owned(),
        records,
        bytes,
        embedded: true,
        allocations: false,
    };
    Ok((cluster, run))
}

fn turn(run: &Run, contestant: Contestant, allocations: bool) -> Run {
    let group = format!("{}-{}", run.topic, contestant.name());
    Run { contestant, group, allocations, ..run.clone() }
}

fn allocations(bytes: usize) -> Result<()> {
    let (_cluster, run) = prepared(ALLOCATION_RECORDS, bytes)?;
    let count = |contestant| -> Result<f64> {
        let command = child::command(&turn(&run, contestant, true), &[])?;
        Ok(child::report(command, rounds::limit(ALLOCATION_RECORDS))?.allocations)
    };
    let floor = count(Contestant::Floor)?;
    let ours = count(Contestant::Ours)?;
    let extra = ours - floor;
    println!("| | allocations per record |\n|---|---|");
    println!("| floor (decode only) | {floor:.4} |\n| ours | {ours:.4} |\n| added | {extra:.4} |");
    println!("bench cost allocations floor={floor:.4} ours={ours:.4} added={extra:.4}");
    if extra < PER_CHUNK {
        Ok(())
    } else {
        Err(format!("citizenk allocates {extra:.2} times per record; it must not").into())
    }
}

fn instructions(bytes: usize) -> Result<()> {
    let mut totals = [[0_u64; 2]; 2];
    for (column, records) in INSTRUCTION_RECORDS.into_iter().enumerate() {
        let (_cluster, run) = prepared(records, bytes)?;
        for (row, contestant) in [Contestant::Floor, Contestant::Ours].into_iter().enumerate() {
            totals[row][column] = callgrind(&turn(&run, contestant, false))?;
        }
    }
    let [floor, ours] = totals.map(per_record);
    println!("| | instructions per record |\n|---|---|");
    println!("| floor | {floor:.0} |\n| ours | {ours:.0} |\n| added | {:.0} |", ours - floor);
    println!(
        "bench cost instructions ratio={:.3} floor={floor:.0} ours={ours:.0}",
        floor / ours
    );
    Ok(())
}

/// Two runs of different length: their difference holds no start and no end.
fn per_record(totals: [u64; 2]) -> f64 {
    let [short, long] = INSTRUCTION_RECORDS;
    (totals[1] as f64 - totals[0] as f64) / (long - short) as f64
}

/// All instructions of the contestant's process, librdkafka's among them.
fn callgrind(run: &Run) -> Result<u64> {
    let name = format!("citizenk-bench-{}-{}-{}.out", std::process::id(), run.contestant.name(), run.records);
    let out: PathBuf = std::env::temp_dir().join(name);
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(&out);
    let under = ["valgrind".into(), "--tool=callgrind".into(), "--quiet".into(), file];
    child::report(child::command(run, &under)?, rounds::limit(run.records) * SLOWDOWN)?;
    let text = std::fs::read_to_string(&out)?;
    std::fs::remove_file(&out)?;
    total(&text).ok_or_else(|| "callgrind wrote no total".into())
}

/// The sum over all parts of a callgrind file.
fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("totals:")?.trim().parse().ok())
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
