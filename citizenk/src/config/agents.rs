//! `[agents.NAME]`: tuning of an agent without touching its code.

use std::time::Duration;

use super::file::Reader;
use super::source::{Setting, Source};
use super::tree::Table;
use crate::time::parse_duration;

/// What a settings file says about one agent. `None` leaves what the program says.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentTuning {
    /// Where the table is, for the error that no such agent exists.
    pub(crate) source: Source,
    /// Records per call, at least 1.
    pub(crate) batch_size: Option<Setting<usize>>,
    /// How long a batch waits to fill, from its first record.
    pub(crate) batch_timeout: Option<Setting<Duration>>,
    /// Keys of one partition handled at once, at least 1.
    pub(crate) concurrency: Option<Setting<usize>>,
    /// How long one attempt may take.
    pub(crate) timeout: Option<Setting<Duration>>,
    /// Bytes of one partition that may wait for this agent.
    pub(crate) buffer_bytes: Option<Setting<usize>>,
    /// `false`: the agent does not start.
    pub(crate) enabled: Option<Setting<bool>>,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    path: &str,
    source: Source,
    mut table: Table,
) -> AgentTuning {
    let mut duration = |reader: &mut Reader<'_>, key: &str| {
        let text = reader.text(&mut table, path, key)?;
        match parse_duration(&text) {
            Ok(duration) if !duration.is_zero() => Some(Setting::new(duration, text.source)),
            result => {
                let message = match result {
                    Err(error) => error.to_string(),
                    Ok(_) => "must be longer than zero".to_owned(),
                };
                reader
                    .errors
                    .push(text.source.error(&format!("{path}.{key}"), message));
                None
            }
        }
    };
    let batch_timeout = duration(reader, "batch_timeout");
    let timeout = duration(reader, "timeout");
    let tuning = AgentTuning {
        source,
        batch_size: reader.positive(&mut table, path, "batch_size"),
        batch_timeout,
        concurrency: reader.positive(&mut table, path, "concurrency"),
        timeout,
        buffer_bytes: reader.positive(&mut table, path, "buffer_bytes"),
        enabled: reader.boolean(&mut table, path, "enabled"),
    };
    reader.rest(
        table,
        path,
        &[
            "batch_size",
            "batch_timeout",
            "concurrency",
            "timeout",
            "buffer_bytes",
            "enabled",
        ],
    );
    tuning
}
