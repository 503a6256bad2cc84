//! The Replicator beside the same copy written by hand, on one Kafka: as it comes, with a filter, with three value
//! mappings; beside MirrorMaker 2, where that is asked for; and how much later records arrive because of it.
//!
//! In: the Replicator's binary. Out: CPU seconds per million records and records per core, beside the goals. Its
//! mapping is paused while its topic is filled and measured from its resuming to the last record.

mod delay;
mod idle;
mod mirror;
mod service;

use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::contest::{Contestant, Run, Work};
use crate::rounds::limit;
use crate::stats::{Spread, ratio};
use crate::{child, floor, usage};

use self::mirror::{MirrorMaker, Mirrored};
use self::service::Service;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const PARTITIONS: i32 = 4;

#[derive(Args)]
pub(crate) struct Options {
    /// On the Kafka of KAFKA_BOOTSTRAP_SERVERS; there is no other
    #[arg(long)]
    real: bool,
    /// The Replicator
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Of each size [default: 200 MB of them, 500,000 to 2,000,000]
    #[arg(long)]
    records: Option<u64>,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long records are; repeatable [default: 100 and 1000]
    #[arg(long)]
    bytes: Vec<usize>,
    /// How long records are written at 10,000 a second to see how much later they arrive; 0: not at all
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many mappings without records are watched for 20 s; 0: none
    #[arg(long, default_value_t = 1000)]
    idle: usize,
    /// Leave out the copies
    #[arg(long)]
    no_copies: bool,
    /// Copy with MirrorMaker 2, too: Java's class path; `cargo xtask bench replicate --mirror-maker` fetches it
    #[arg(long, value_name = "CLASSES", requires = "mirror_folder")]
    mirror_maker: Option<OsString>,
    /// Where its properties and its log are written
    #[arg(long, value_name = "FOLDER")]
    mirror_folder: Option<PathBuf>,
}

impl Options {
    /// So many that what a start and an end cost counts for little.
    fn records(&self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes.max(1)).unwrap_or(u64::MAX);
        let most = (200_000_000 / bytes).clamp(500_000, 2_000_000);
        self.records.unwrap_or(most)
    }
}

/// What a mapping does with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Raw,
    Filter,
    Tables,
}

impl Way {
    const ALL: [Self; 3] = [Self::Raw, Self::Filter, Self::Tables];

    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw copy",
            Self::Filter => "filter",
            Self::Tables => "three value mappings",
        }
    }

    fn settings(self) -> Value {
        match self {
            Self::Raw => json!({}),
            Self::Filter => {
                json!({ "valid_jmespath": "value.kind == 'order' && value.amount > `5`" })
            }
            Self::Tables => json!({ "value_mappings": {
                "value.kind": { "order": "ordered" },
                "value.shop": { "17": 71 },
                "value.user.country": { "IT": "it" },
            }}),
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Seconds.
    cpu: f64,
    wall: f64,
    peak_kib: u64,
}

fn fill(servers: &str, topic: &str, records: u64, bytes: usize) -> Result<()> {
    floor::fill(servers, topic, records, |sequence, key, value| {
        write!(key, "{}", sequence % 1000)?;
        write!(
            value,
            r#"{{"kind":"order","shop":17,"user":{{"country":"IT"}},"amount":{},"text":""#,
            10 + sequence % 80
        )?;
        let left = bytes.saturating_sub(value.len() + 2);
        value.extend(std::iter::repeat_n(b'x', left));
        value.extend(b"\"}");
        Ok(i32::try_from(sequence % 1000)? % PARTITIONS)
    })
}

fn by_hand(cluster: &mut Cluster, records: u64, bytes: usize, turn: &str) -> Result<Measured> {
    let (topic, output) = (format!("{turn}-in"), format!("{turn}-out"));
    for name in [&topic, &output] {
        cluster.create(name, PARTITIONS)?;
    }
    fill(cluster.servers(), &topic, records, bytes)?;
    let run = Run {
        work: Work::Copy,
        contestant: Contestant::Floor,
        servers: cluster.servers().to_owned(),
        topic: topic.clone(),
        output: output.clone(),
        group: turn.to_owned(),
        records,
        bytes,
        embedded: false,
        allocations: false,
    };
    let report = child::report(child::command(&run, &[])?, limit(records))?;
    for name in [&topic, &output] {
        cluster.delete(name)?;
    }
    Ok(Measured {
        cpu: report.stopped_cpu,
        wall: report.stopped_wall,
        peak_kib: report.peak_kib,
    })
}

fn replicated(
    cluster: &mut Cluster,
    binary: &Path,
    way: Way,
    records: u64,
    bytes: usize,
    turn: &str,
) -> Result<Measured> {
    let (topic, output) = (format!("{turn}-in"), format!("{turn}-out"));
    for name in [&topic, &output] {
        cluster.create(name, PARTITIONS)?;
    }
    let servers = cluster.servers().to_owned();
    let mut service = Service::start(binary, &servers, turn, &output, &way.settings())?;
    service.pause()?;
    fill(&servers, &topic, records, bytes)?;
    let measured = service.measure(records, limit(records))?;
    service.stop()?;
    let written = cluster.written(&output)?;
    if written != i64::try_from(records)? {
        return Err(format!("{written} copies of {records} records").into());
    }
    for name in [&topic, &output] {
        cluster.delete(name)?;
    }
    Ok(measured)
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.real {
        return Err("`bench replicate` needs a Kafka: give it --real".into());
    }
    let sizes = match options.bytes.as_slice() {
        [] => &[100, 1000],
        given => given,
    };
    let mut cluster = Cluster::real()?;
    let mirror_maker = options
        .mirror_maker
        .as_deref()
        .zip(options.mirror_folder.as_deref())
        .map(|(classes, folder)| MirrorMaker { classes, folder });
    let mut last = String::new();
    for bytes in sizes.iter().filter(|_| !options.no_copies) {
        let mut floors = Vec::new();
        let mut ways = Way::ALL.map(|way| (way, Vec::new()));
        let mut mirrored = Vec::new();
        let records = options.records(*bytes);
        for round in 0..options.rounds.max(1) {
            let turn =
                |name: &str| format!("replicate-{}-{bytes}-{round}-{name}", std::process::id());
            floors.push(by_hand(&mut cluster, records, *bytes, &turn("floor"))?);
            for (way, measured) in &mut ways {
                let turn = turn(&way.name().replace(' ', "-"));
                let binary = &options.binary;
                let run = replicated(&mut cluster, binary, *way, records, *bytes, &turn)?;
                measured.push(run);
            }
            if let Some(mirror_maker) = &mirror_maker {
                let turn = turn("mirror-maker");
                let run = mirror_maker.measure(&mut cluster, records, *bytes, &turn)?;
                mirrored.push(run);
            }
        }
        last = table(*bytes, records, &floors, &ways, &mirrored).ok_or("no round was held")?;
    }
    if options.seconds > 0 {
        delay::measure(&mut cluster, &options.binary, options.seconds)?;
    }
    if options.idle > 0 {
        let lasts = Duration::from_secs(20);
        idle::measure(&mut cluster, &options.binary, options.idle, lasts)?;
    }
    println!("{last}");
    Ok(())
}

fn median(runs: &[Measured], of: fn(&Measured) -> f64) -> Option<Spread> {
    Spread::of(runs.iter().map(of))
}

/// Prints the table; answers the last line.
fn table(
    bytes: usize,
    records: u64,
    floors: &[Measured],
    ways: &[(Way, Vec<Measured>)],
    mirrored: &[Mirrored],
) -> Option<String> {
    let millions = records as f64 / 1e6;
    let load = usage::load().unwrap_or_default();
    println!(
        "\n**replicate, Kafka, {records} records of {bytes} bytes, {} rounds** (load {load:.1})\n",
        floors.len()
    );
    println!(
        "| | CPU s per million | spread | records per core and s | wall s | peak MiB | ratio | goal |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let floor = median(floors, |run| run.cpu)?.median;
    let raw = ways
        .iter()
        .find(|(way, _)| *way == Way::Raw)
        .and_then(|(_, runs)| median(runs, |run| run.cpu))?
        .median;
    let row = |name: &str, runs: &[Measured], ratio: String, goal: &str| -> Option<()> {
        let cpu = median(runs, |run| run.cpu)?;
        let wall = median(runs, |run| run.wall)?.median;
        let peak = runs.iter().map(|run| run.peak_kib).max()? / 1024;
        println!(
            "| {name} | {:.3} | {:.3}–{:.3} | {:.0} | {wall:.2} | {peak} | {ratio} | {goal} |",
            cpu.median / millions,
            cpu.least / millions,
            cpu.most / millions,
            records as f64 / cpu.median,
        );
        Some(())
    };
    row("by hand", floors, String::new(), "")?;
    for (way, runs) in ways {
        let cpu = median(runs, |run| run.cpu)?.median;
        let (text, goal) = match way {
            Way::Raw => (
                format!("{:.2} of by hand", ratio(floor, cpu)),
                "0.85; 345,000 a core at 1 KB if by hand allows",
            ),
            Way::Filter => (format!("{:.2} of raw", ratio(raw, cpu)), "0.60"),
            Way::Tables => (format!("{:.2} of raw", ratio(raw, cpu)), "0.40"),
        };
        row(way.name(), runs, text, goal)?;
    }
    let mut last = format!(
        "bench replicate ratio={:.3} floor={:.3} ours={:.3}",
        ratio(floor, raw),
        floor / millions,
        raw / millions
    );
    let (warm, whole): (Vec<_>, Vec<_>) = mirrored.iter().map(|run| (run.warm, run.whole)).unzip();
    if let (Some(warm_cpu), Some(whole_cpu)) =
        (median(&warm, |run| run.cpu), median(&whole, |run| run.cpu))
    {
        let (warm_cpu, whole_cpu) = (warm_cpu.median, whole_cpu.median);
        let times = |cpu| format!("{:.2} × raw copy", ratio(cpu, raw));
        row("MirrorMaker 2, warm", &warm, times(warm_cpu), "5.5 ×")?;
        let name = "MirrorMaker 2, from its first record";
        row(name, &whole, times(whole_cpu), "")?;
        last += &format!(
            " mirror={:.3} times={:.3}",
            warm_cpu / millions,
            ratio(warm_cpu, raw)
        );
    }
    Some(last)
}
