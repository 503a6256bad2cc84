//! Beside the nearest other library: RustStream with its Kafka broker, in a program of its own
//! (`bench/rival`) that reports in the same way.
//!
//! In: where that program is and what to hold. Out: a table for each work. Each contestant is a process of
//! its own, in turns, on the same topics; see docs/benchmarks.md for what is compared.

mod contest;
mod entrants;
mod table;

use std::error::Error;
use std::path::PathBuf;

use clap::Args;

use crate::contest::Work;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// [default: consume, then transform]
    #[arg(value_enum)]
    work: Option<Work>,
    /// The rival's program
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// On the Kafka of KAFKA_BOOTSTRAP_SERVERS instead of librdkafka's mock broker
    #[arg(long)]
    real: bool,
    /// Of contestants that await record by record, a two-hundredth
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Turns of each contestant
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// About how long a record is
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Only these beside the floor and ours; repeatable
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Leave out instructions and allocations per record, which are counted on the mock broker
    #[arg(long)]
    no_cost: bool,
    /// Write the figures to this file, too, once per work (`NAME` becomes consume or transform)
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let works = match options.work {
        None => vec![Work::Consume, Work::Transform],
        Some(work @ (Work::Produce | Work::Copy)) => {
            return Err(format!("the rival has no `{}`", work.name()).into());
        }
        Some(work) => vec![work],
    };
    for work in works {
        let table = contest::hold(work, options)?;
        if let Some(file) = &options.json {
            let text = serde_json::to_string_pretty(&table)?;
            std::fs::write(file.replace("NAME", work.name()), text)?;
        }
        println!("{}", table.markdown());
        println!("{}\n", table.last_line());
    }
    Ok(())
}
