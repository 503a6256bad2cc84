//! Dead letters: the record's bytes, key and headers, and why it is there.

use std::fmt;

use crate::config::DEFAULT_CLUSTER;
use crate::extract::{Outbox, OutputTable};
use crate::record::Chunk;
use crate::staging::{RecordWriter, Staged, StagedBatch};
use crate::telemetry::SkipReason;
use crate::time::Clock;
use crate::transport::TransportError;

/// Where a record failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Decode,
    Handler,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Handler => "handler",
        }
    }

    pub(crate) fn skip_reason(self) -> SkipReason {
        match self {
            Self::Decode => SkipReason::Decode,
            Self::Handler => SkipReason::Handler,
        }
    }

    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Decode => "could not decode the record",
            Self::Handler => "failed",
        }
    }
}

/// A record that failed.
pub(crate) struct Letter<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) index: usize,
    pub(crate) stage: Stage,
    pub(crate) attempts: u32,
    pub(crate) reason: &'a (dyn fmt::Display + Sync),
}

/// `topic/partition@offset`.
pub(crate) struct PlaceText<'a>(&'a Chunk, usize);

impl fmt::Display for PlaceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}@{}",
            self.0.topic(),
            self.0.partition(),
            self.0.offset(self.1)
        )
    }
}

impl<'a> Letter<'a> {
    pub(crate) fn place(&self) -> PlaceText<'a> {
        PlaceText(self.chunk, self.index)
    }

    /// The trace the record came with.
    #[cfg(feature = "otel")]
    pub(crate) fn trace(&self) -> Option<opentelemetry::Context> {
        crate::telemetry::trace::context_of(|visit| self.chunk.headers(self.index, visit))
    }
}

/// Headers a dead letter gets besides the record's own.
pub(crate) const HEADER_PREFIX: &str = "citizenk.dead-letter.";

/// A reason longer than this is cut: brokers limit the size of a record.
const MAX_REASON: usize = 2000;

/// What of a reason goes into a header.
pub(crate) fn short(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON)]
}

pub(crate) fn stage(
    outbox: &Outbox,
    topic: usize,
    (agent, cluster): (&str, &str),
    letter: &Letter<'_>,
    clock: &Clock,
) {
    let reason = letter.reason.to_string();
    let (chunk, index) = (letter.chunk, letter.index);
    outbox.stage_raw(topic, |mut writer| {
        if let Some(key) = chunk.key(index) {
            writer.key_bytes(key);
        }
        chunk.headers(index, &mut |name, value| {
            // A letter that failed again keeps only its latest story.
            if !name.starts_with(HEADER_PREFIX) {
                writer.header(name, value);
            }
        });
        let facts: [(&str, &dyn fmt::Display); 8] = [
            ("reason", &short(&reason)),
            ("stage", &letter.stage.name()),
            ("agent", &agent),
            ("topic", chunk.topic()),
            ("partition", &chunk.partition()),
            ("offset", &chunk.offset(index)),
            ("attempts", &letter.attempts),
            (
                "time",
                &clock
                    .now()
                    .to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            ),
        ];
        let timestamp = chunk.timestamp(index).millis();
        let timestamp = timestamp
            .as_ref()
            .map(|millis| ("timestamp", millis as &dyn fmt::Display));
        for (name, value) in facts.into_iter().chain(timestamp) {
            writer.header(
                &format!("{HEADER_PREFIX}{name}"),
                Some(value.to_string().as_bytes()),
            );
        }
        from_cluster(&mut writer, cluster);
        writer.finish(chunk.payload(index));
    });
}

/// Two clusters may have topics of one name; that of the cluster without a name needs no header.
fn from_cluster(writer: &mut RecordWriter<'_>, cluster: &str) {
    if cluster != DEFAULT_CLUSTER {
        writer.header(&format!("{HEADER_PREFIX}cluster"), Some(cluster.as_bytes()));
    }
}

/// The letter of an output that the broker refused: its own bytes, and why.
pub(crate) fn stage_output(
    letters: &mut StagedBatch,
    topic: usize,
    agent: &str,
    output: &Staged<'_>,
    table: &OutputTable,
    error: &TransportError,
) {
    let mut writer = letters.record(topic);
    if let Some(key) = output.key {
        writer.key_bytes(key);
    }
    for (name, value) in output.headers() {
        writer.header(name, value);
    }
    let refused = &table.targets()[output.topic].topic;
    let facts = [
        ("reason", error.to_string()),
        ("stage", "produce".to_owned()),
    ];
    for (name, value) in facts {
        writer.header(&format!("{HEADER_PREFIX}{name}"), Some(value.as_bytes()));
    }
    writer.header(&format!("{HEADER_PREFIX}agent"), Some(agent.as_bytes()));
    writer.header(
        &format!("{HEADER_PREFIX}topic"),
        Some(refused.name.as_bytes()),
    );
    from_cluster(&mut writer, refused.cluster);
    writer.finish(output.value);
}
