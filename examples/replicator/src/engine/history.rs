//! What a run did over time, for charts; and the tick that measures it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::run::lock;
use super::{Engine, Live, RunKey};

/// How a run was at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub(crate) struct Sample {
    /// Milliseconds since the Unix epoch.
    pub(crate) time_ms: i64,
    /// Records read so far.
    pub(crate) source_count: u64,
    /// Records acknowledged so far.
    pub(crate) target_count: u64,
    /// Records read a second, since the sample before.
    pub(crate) rate_in: f64,
    /// Records acknowledged a second.
    pub(crate) rate_out: f64,
    /// Records that wait at the source.
    pub(crate) lag: i64,
    /// Half of the batches were younger than this when they were read, in milliseconds.
    pub(crate) latency_ms_p50: u32,
    /// 99 of 100 were.
    pub(crate) latency_ms_p99: u32,
    /// Records that could not be handled so far.
    pub(crate) errors: u64,
}

/// The last hour in every detail, a day by the minute.
#[derive(Debug, Default)]
pub(crate) struct History {
    recent: VecDeque<Sample>,
    minutes: VecDeque<Sample>,
}

const RECENT: usize = 720;
const MINUTES: usize = 1440;

impl History {
    pub(crate) fn last(&self) -> Option<Sample> {
        self.recent.back().copied()
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
        if self
            .minutes
            .back()
            .is_none_or(|last| sample.time_ms - last.time_ms >= 60_000)
        {
            if self.minutes.len() >= MINUTES {
                self.minutes.pop_front();
            }
            self.minutes.push_back(sample);
        }
    }

    /// The samples since a time, in detail as far as there are details.
    pub(crate) fn since(&self, time_ms: i64) -> Vec<Sample> {
        let detailed = self.recent.front().map_or(i64::MAX, |first| first.time_ms);
        let minutes = self
            .minutes
            .iter()
            .filter(|sample| sample.time_ms < detailed);
        minutes
            .chain(&self.recent)
            .filter(|sample| sample.time_ms >= time_ms)
            .copied()
            .collect()
    }
}

/// Partitions of so many topics are asked for at a tick; the others keep their turn.
const TOPICS_PER_TICK: usize = 100;

impl Engine {
    /// Measures every run.
    pub(super) async fn tick(&self) {
        self.measure_lags().await;
        let now = self.now();
        for (key, live) in self.live() {
            live.run.settle(&self.positions(&key));
            let sample = self.sample(&key, &live, now);
            lock(&live.history).push(sample);
        }
        self.ticked.send_modify(|ticks| *ticks += 1);
    }

    async fn measure_lags(&self) {
        let Ok(tools) = self.tools() else { return };
        let Ok(admin) = tools.admin.on("source") else {
            return;
        };
        let runs = self.live();
        let mut topics: Vec<String> = runs
            .iter()
            .filter(|(_, live)| live.started && live.replay.is_none())
            .map(|(key, _)| key.pair.source.clone())
            .collect();
        topics.sort();
        topics.dedup();
        let turn = usize::try_from(*self.ticked.borrow()).unwrap_or(0);
        let skip = if topics.len() > TOPICS_PER_TICK {
            turn * TOPICS_PER_TICK % topics.len()
        } else {
            0
        };
        topics.rotate_left(skip);
        for topic in topics.into_iter().take(TOPICS_PER_TICK) {
            let Ok(offsets) = admin.watermarks(&topic).await else {
                continue;
            };
            let ends: BTreeMap<i32, (i64, i64)> = offsets
                .into_iter()
                .map(|at| (at.partition.partition, (at.low, at.high)))
                .collect();
            for (key, live) in runs.iter().filter(|(key, _)| key.pair.source == topic) {
                live.run.lose(&ends, &self.positions(key));
            }
            lock(&self.lags).insert(topic, ends);
        }
    }

    /// The records that wait, by partition: next offset, first and last that is kept.
    pub(crate) fn partitions(&self, key: &RunKey) -> Vec<(i32, Option<i64>, i64, i64)> {
        let ends = lock(&self.lags)
            .get(&key.pair.source)
            .cloned()
            .unwrap_or_default();
        let positions = self.positions(key);
        let with_ends = |(partition, next): (i32, Option<i64>)| {
            let (low, high) = ends.get(&partition).copied().unwrap_or_default();
            (partition, next, low, high)
        };
        positions.into_iter().map(with_ends).collect()
    }

    pub(crate) fn lag(&self, key: &RunKey, live: &Live) -> i64 {
        if let Some(replay) = &live.replay {
            let progress = replay.progress();
            return i64::try_from(progress.records - progress.next.min(progress.records))
                .unwrap_or(0);
        }
        let lag = |(_, next, low, high): (i32, Option<i64>, i64, i64)| {
            // Nothing was read yet, and nothing is to be.
            next.map_or(0, |next| (high - next.max(low)).max(0))
        };
        self.partitions(key).into_iter().map(lag).sum()
    }

    fn sample(&self, key: &RunKey, live: &Live, now: i64) -> Sample {
        let counters = &live.run.counters;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (source_count, target_count) = (get(&counters.source), get(&counters.target));
        let before = lock(&live.history).last();
        let rate = |now_count: u64, count: fn(&Sample) -> u64| {
            before.map_or(0.0, |before| {
                let seconds = (now - before.time_ms).max(1) as f64 / 1000.0;
                let exact = now_count.saturating_sub(count(&before)) as f64 / seconds;
                // What is measured by a tick is not known better than this.
                (exact * 100.0).round() / 100.0
            })
        };
        let mut latencies: Vec<u32> = lock(&live.run.latencies).drain(..).collect();
        latencies.sort_unstable();
        let quantile = |of_hundred: usize| {
            let index = (latencies.len() * of_hundred / 100).min(latencies.len().saturating_sub(1));
            latencies.get(index).copied().unwrap_or(0)
        };
        Sample {
            time_ms: now,
            source_count,
            target_count,
            rate_in: rate(source_count, |sample| sample.source_count),
            rate_out: rate(target_count, |sample| sample.target_count),
            lag: self.lag(key, live),
            latency_ms_p50: quantile(50),
            latency_ms_p99: quantile(99),
            errors: get(&counters.failed)
                + get(&counters.undecodable)
                + get(&counters.partition_errors),
        }
    }
}
