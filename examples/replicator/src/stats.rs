//! Stats in the documented shape, with richer fields beside.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::run::{Phase, lock};
use crate::engine::{Engine, Live, RunKey};

/// One worker's stats.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Stats {
    /// Now (UTC), e.g. `2023-05-25 18:20:43.875557`.
    pub(crate) time: String,
    /// When this worker started (UTC).
    pub(crate) started: String,
    /// Records handed to the target that it has not acknowledged.
    pub(crate) queue: u64,
    /// A row for each source and target of each mapping.
    pub(crate) mappings: Vec<Row>,
    /// `time` as RFC 3339.
    pub(crate) time_iso: String,
    /// `time` in milliseconds since the Unix epoch.
    pub(crate) time_ms: i64,
    /// Which worker this is.
    pub(crate) worker: u32,
    /// The version of the configuration it runs.
    pub(crate) version: String,
}

/// One source and target of a mapping.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Row {
    /// The mapping's name.
    pub(crate) name: String,
    /// What is read.
    pub(crate) source_topic_name: String,
    /// What is written.
    pub(crate) target_topic_name: String,
    /// The filter.
    pub(crate) valid_jmespath: Option<String>,
    /// The group that is deleted on the target.
    pub(crate) target_service_consumer_group: Option<String>,
    /// Whether that group has members.
    pub(crate) consumer_group_up: bool,
    /// The source's partitions this worker reads.
    pub(crate) assignments: Vec<i32>,
    /// Records that wait at the source.
    pub(crate) lag: i64,
    /// Records read since this worker started.
    pub(crate) source_count: u64,
    /// Records the target acknowledged.
    pub(crate) target_count: u64,
    /// The mapping's category.
    pub(crate) group: String,
    /// Whether it is to run.
    pub(crate) enabled: bool,
    /// `starting`, `running`, `catching_up`, `idle`, `paused`, `waiting`, `error`, `completed` or `disabled`.
    pub(crate) state: Cow<'static, str>,
    /// Why it waits or fails.
    pub(crate) detail: Option<String>,
    /// Whether the source is a file.
    pub(crate) source_is_file: bool,
    /// Whether the target is a file.
    pub(crate) target_is_file: bool,
    /// Records the target has not acknowledged.
    pub(crate) queue: u64,
    /// Records that filter or sample left out.
    pub(crate) filtered_count: u64,
    /// Records that `key:partition` dropped, or that came from the target.
    pub(crate) dropped_count: u64,
    /// Records whose value is no JSON where it must be.
    pub(crate) decode_error_count: u64,
    /// Records the filter had no answer for.
    pub(crate) error_count: u64,
    /// Records with a partition the target does not have; they hold their source partition.
    pub(crate) partition_error_count: u64,
    /// How often a record, or a file that cannot be written, began to hold its partition.
    pub(crate) held_count: u64,
    /// Keys and values that were in none of their tables.
    pub(crate) unmapped_count: u64,
    /// Offsets without a record: retention, compaction, marks of transactions.
    pub(crate) gap_count: u64,
    /// Records that retention deleted before they were read.
    pub(crate) lost_count: u64,
    /// Bytes of keys and values read.
    pub(crate) bytes_in: u64,
    /// Bytes of keys and values handed to the target.
    pub(crate) bytes_out: u64,
    /// Records read a second, at the last tick.
    pub(crate) rate_in: f64,
    /// Records acknowledged a second.
    pub(crate) rate_out: f64,
    /// Age of records when they are handled: half are younger.
    pub(crate) latency_ms_p50: u32,
    /// 99 of 100 are younger.
    pub(crate) latency_ms_p99: u32,
    /// When the last record was read, in milliseconds since the Unix epoch.
    pub(crate) last_message_at: Option<i64>,
    /// How far a file is, from 0 to 1.
    pub(crate) progress: Option<f64>,
}

/// A row with its time, for tools that want no nesting.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FlatRow {
    /// As in [`Stats`].
    pub(crate) time: String,
    /// As in [`Stats`].
    pub(crate) time_iso: String,
    /// As in [`Stats`].
    pub(crate) time_ms: i64,
    /// As in [`Stats`].
    pub(crate) worker: u32,
    /// The same as a text, which charts label rows with: `worker 0`.
    #[serde(default)]
    pub(crate) worker_name: String,
    /// The row.
    #[serde(flatten)]
    pub(crate) row: Row,
}

/// As the documentation writes times.
fn written(millis: i64) -> (String, String) {
    let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    (
        time.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
        time.to_rfc3339(),
    )
}

fn state(phase: &Phase, lag: i64, rate: f64) -> (&'static str, Option<String>) {
    match phase {
        Phase::Starting => ("starting", None),
        Phase::Running if lag > 1000 && (lag as f64) > rate * 10.0 => ("catching_up", None),
        Phase::Running if rate == 0.0 && lag == 0 => ("idle", None),
        Phase::Running => ("running", None),
        Phase::Waiting(why) => ("waiting", Some(why.clone())),
        Phase::Paused => ("paused", None),
        Phase::Completed => ("completed", None),
        Phase::Failed(why) => ("error", Some(why.clone())),
    }
}

impl Engine {
    /// This worker's stats, up to now.
    pub(crate) fn stats(&self, all: bool) -> Stats {
        let now = self.now();
        let (time, time_iso) = written(now);
        let mut mappings: Vec<Row> = self
            .live()
            .iter()
            .map(|(key, live)| self.row(key, live))
            .collect();
        if all {
            let config = self.config();
            for effective in config
                .loaded
                .mappings
                .iter()
                .filter(|effective| !effective.mapping.enabled)
            {
                let mapping = &effective.mapping;
                mappings.extend(mapping.pairs().iter().map(|pair| {
                    let mut row = Row::of(mapping, pair.source, pair.target);
                    row.state = "disabled".into();
                    row
                }));
            }
        }
        Stats {
            time,
            started: written(self.started.get().copied().unwrap_or(now)).0,
            queue: mappings.iter().map(|row| row.queue).sum(),
            mappings,
            time_iso,
            time_ms: now,
            worker: self.options.worker_index,
            version: self.config().version.clone(),
        }
    }

    fn row(&self, key: &RunKey, live: &Live) -> Row {
        let (positions, phase) = live.look();
        let rules = live.run.rules();
        let sample = lock(&live.history).last().unwrap_or_default();
        let counters = &live.run.counters;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let mut row = Row::of(&rules.mapping, &key.pair.source, &key.pair.target);
        row.lag = self.lag(key, live, &positions);
        let (state, detail) = state(&phase, row.lag, sample.rate_in);
        (row.state, row.detail) = (state.into(), detail);
        row.assignments = positions.into_keys().collect();
        let groups = lock(&self.groups);
        row.consumer_group_up = rules
            .mapping
            .service_group()
            .and_then(|group| groups.get(group))
            .is_some_and(|info| info.members > 0);
        drop(groups);
        row.source_count = get(&counters.source);
        row.target_count = get(&counters.target);
        row.queue = live.run.queue();
        row.filtered_count = get(&counters.filtered);
        row.dropped_count = get(&counters.dropped);
        row.decode_error_count = get(&counters.undecodable);
        row.error_count = get(&counters.failed);
        row.partition_error_count = get(&counters.partition_errors);
        row.held_count = get(&counters.held);
        row.unmapped_count = get(&counters.unmapped);
        row.gap_count = get(&counters.gaps);
        row.lost_count = get(&counters.lost);
        row.bytes_in = get(&counters.bytes_in);
        row.bytes_out = get(&counters.bytes_out);
        (row.rate_in, row.rate_out) = (sample.rate_in, sample.rate_out);
        (row.latency_ms_p50, row.latency_ms_p99) = (sample.latency_ms_p50, sample.latency_ms_p99);
        row.last_message_at = Some(counters.last_at.load(Ordering::Relaxed)).filter(|at| *at > 0);
        row.progress = live.replay.as_ref().map(|replay| {
            let progress = replay.progress();
            progress.next as f64 / progress.records.max(1) as f64
        });
        row
    }
}

impl Row {
    fn of(mapping: &crate::domain::Mapping, source: &str, target: &str) -> Self {
        Self {
            name: mapping.name.clone(),
            source_topic_name: source.to_owned(),
            target_topic_name: target.to_owned(),
            valid_jmespath: mapping.valid_jmespath.clone(),
            target_service_consumer_group: mapping.target_service_consumer_group.clone(),
            consumer_group_up: false,
            assignments: Vec::new(),
            lag: 0,
            source_count: 0,
            target_count: 0,
            group: mapping.group.clone(),
            enabled: mapping.enabled,
            state: "starting".into(),
            detail: None,
            source_is_file: mapping.source_is_file,
            target_is_file: mapping.target_is_file,
            queue: 0,
            filtered_count: 0,
            dropped_count: 0,
            decode_error_count: 0,
            error_count: 0,
            partition_error_count: 0,
            held_count: 0,
            unmapped_count: 0,
            gap_count: 0,
            lost_count: 0,
            bytes_in: 0,
            bytes_out: 0,
            rate_in: 0.0,
            rate_out: 0.0,
            latency_ms_p50: 0,
            latency_ms_p99: 0,
            last_message_at: None,
            progress: None,
        }
    }
}

impl Stats {
    /// One row for each mapping, with the time in each.
    pub(crate) fn flat(self) -> Vec<FlatRow> {
        let row = |row| FlatRow {
            time: self.time.clone(),
            time_iso: self.time_iso.clone(),
            time_ms: self.time_ms,
            worker: self.worker,
            worker_name: format!("worker {}", self.worker),
            row,
        };
        self.mappings.into_iter().map(row).collect()
    }

    /// In the text format of Prometheus.
    pub(crate) fn prometheus(&self) -> String {
        type Metric = (&'static str, &'static str, fn(&Row) -> f64);
        const METRICS: [Metric; 10] = [
            ("replicator_source_records_total", "counter", |row| {
                row.source_count as f64
            }),
            ("replicator_target_records_total", "counter", |row| {
                row.target_count as f64
            }),
            ("replicator_filtered_records_total", "counter", |row| {
                row.filtered_count as f64
            }),
            ("replicator_dropped_records_total", "counter", |row| {
                row.dropped_count as f64
            }),
            ("replicator_decode_errors_total", "counter", |row| {
                row.decode_error_count as f64
            }),
            ("replicator_errors_total", "counter", |row| {
                row.error_count as f64
            }),
            ("replicator_lost_records_total", "counter", |row| {
                row.lost_count as f64
            }),
            ("replicator_lag_records", "gauge", |row| row.lag as f64),
            ("replicator_queue_records", "gauge", |row| row.queue as f64),
            ("replicator_failed", "gauge", |row| {
                f64::from(row.state == "error")
            }),
        ];
        let quoted = |text: &str| {
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
        };
        let mut text = String::new();
        for (name, kind, value) in METRICS {
            text.push_str(&format!("# TYPE {name} {kind}\n"));
            for row in &self.mappings {
                let (mapping, source, target) = (
                    quoted(&row.name),
                    quoted(&row.source_topic_name),
                    quoted(&row.target_topic_name),
                );
                let labels =
                    format!("mapping=\"{mapping}\",source=\"{source}\",target=\"{target}\"");
                text.push_str(&format!("{name}{{{labels}}} {}\n", value(row)));
            }
        }
        text
    }
}
