//! The contestants: each does the same work in its own way, in a process of its own.
//!
//! In: what to read and write ([`Run`]), from the process that holds the contest. Out: a report on
//! standard output.

use std::error::Error;

use citizenk::Guarantee;
use clap::{Args, ValueEnum};

use crate::counts::Counts;
use crate::report::Report;
use crate::{allocations, floor};

pub(crate) mod in_memory;
pub(crate) mod ours;
mod stream;

/// Kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    Consume,
    Produce,
    Transform,
    /// Bytes as they are, to the same partitions, with their timestamps and headers
    Copy,
}

/// Ways to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    /// librdkafka's C interface by hand
    Floor,
    /// An agent, or the `Producer`
    Ours,
    /// `transform` on a Kafka only: the agent with `guarantee = exactly_once`
    ExactlyOnce,
    /// An agent over a `Batch`; only beside the rival
    Batch,
    /// `produce` only: an agent that sends a thousand records per input through its `Outbox`
    Outbox,
    /// rdkafka's `StreamConsumer` with its defaults; `FutureProducer`
    Stream,
    /// `consume` only: `StreamConsumer` with the settings that all others have
    Tuned,
}

impl Contestant {
    /// As it is called in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "ours",
            Self::ExactlyOnce => "exactly-once",
            Self::Batch => "batch",
            Self::Outbox => "outbox",
            Self::Stream => "stream",
            Self::Tuned => "tuned",
        }
    }
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Produce => "produce",
            Self::Transform => "transform",
            Self::Copy => "copy",
        }
    }

    /// The floor first.
    pub(crate) fn contestants(self) -> &'static [Contestant] {
        use Contestant::{ExactlyOnce, Floor, Ours, Outbox, Stream, Tuned};
        match self {
            Self::Consume => &[Floor, Ours, Stream, Tuned],
            Self::Produce => &[Floor, Ours, Outbox, Stream],
            Self::Transform => &[Floor, Ours, ExactlyOnce, Stream],
            Self::Copy => &[Floor, Ours],
        }
    }
}

/// What a contestant is to do.
#[derive(Clone, Debug, Args)]
pub(crate) struct Run {
    #[arg(value_enum)]
    pub(crate) work: Work,
    #[arg(value_enum)]
    pub(crate) contestant: Contestant,
    #[arg(long)]
    pub(crate) servers: String,
    /// Read by all but `produce`, written by `produce`
    #[arg(long)]
    pub(crate) topic: String,
    /// Written by `transform` and `copy`; read by `produce outbox`
    #[arg(long)]
    pub(crate) output: String,
    #[arg(long)]
    pub(crate) group: String,
    #[arg(long)]
    pub(crate) records: u64,
    #[arg(long)]
    pub(crate) bytes: usize,
    /// The broker is librdkafka's mock
    #[arg(long)]
    pub(crate) embedded: bool,
    #[arg(long)]
    pub(crate) allocations: bool,
}

/// Records that an agent of `produce outbox` sends for one that it reads.
pub(crate) const PER_ORDER: u64 = 1000;

/// Does the work and prints the report.
pub(crate) fn run(run: &Run) -> Result<(), Box<dyn Error>> {
    let counts = Counts::new(run.records);
    if run.allocations {
        allocations::start();
    }
    match (run.work, run.contestant) {
        (Work::Consume, Contestant::Floor) => floor::consume(run, &counts)?,
        (Work::Produce, Contestant::Floor) => floor::produce(run, &counts)?,
        (Work::Transform, Contestant::Floor) => floor::transform(run, &counts)?,
        (Work::Copy, Contestant::Floor) => floor::copy(run, &counts)?,
        (Work::Copy, Contestant::Ours) => ours::copy(run, &counts)?,
        (Work::Consume, Contestant::Ours) => ours::consume(run, &counts)?,
        (Work::Consume, Contestant::Batch) => ours::consume_batch(run, &counts)?,
        (Work::Transform, Contestant::Batch) => ours::transform_batch(run, &counts)?,
        (Work::Produce, Contestant::Ours) => ours::produce(run, &counts)?,
        (Work::Produce, Contestant::Outbox) => ours::outbox(run, &counts)?,
        (Work::Transform, Contestant::Ours) => {
            ours::transform(run, &counts, Guarantee::AtLeastOnce)?
        }
        (Work::Transform, Contestant::ExactlyOnce) => {
            ours::transform(run, &counts, Guarantee::ExactlyOnce)?;
        }
        (Work::Consume, Contestant::Stream) => stream::consume(run, &counts, false)?,
        (Work::Consume, Contestant::Tuned) => stream::consume(run, &counts, true)?,
        (Work::Produce, Contestant::Stream) => stream::produce(run, &counts)?,
        (Work::Transform, Contestant::Stream) => stream::transform(run, &counts)?,
        (work, contestant) => {
            return Err(format!("{} has no contestant {}", work.name(), contestant.name()).into());
        }
    }
    Report::new(&counts.milestones()?).print()?;
    Ok(())
}
