//! What a run did over time, for charts; and the tick that measures it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;

use citizenk::admin::{AdminError, AdminErrorKind};
use futures_util::future::join_all;
use serde::Serialize;

use super::run::Phase;
use super::run::lock;
use super::{ASK, Ends, Engine, Live, RunKey};

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

/// So many topics are asked about at once.
const AT_ONCE: usize = 16;
/// Ends of so many topics are asked for at a tick; the others keep their turn.
const BUSY_TOPICS: usize = 100;
/// Of those where nothing happens.
const IDLE_TOPICS: usize = 10;

impl Live {
    /// Whether there is something to see: records came since the last look, some wait, or something is wrong.
    fn is_busy(&self) -> bool {
        let last = lock(&self.history).last();
        let read = self.run.counters.source.load(Ordering::Relaxed);
        let moved = last.is_none_or(|last| last.lag > 0 || last.source_count != read);
        moved || self.run.phase() != Phase::Running
    }
}

impl Engine {
    /// Measures every run; no cluster is asked.
    pub(super) fn tick(&self) {
        let now = self.now();
        for (key, live) in &self.live() {
            let positions = live.positions();
            live.run.settle(&positions);
            let sample = self.sample(key, live, &positions, now);
            lock(&live.history).push(sample);
        }
        self.ticked.send_modify(|ticks| *ticks += 1);
    }

    /// Asks the source where its topics end.
    pub(super) async fn measure_lags(&self) {
        let Ok(tools) = self.tools() else { return };
        let Ok(admin) = tools.admin.on("source") else {
            return;
        };
        let admin = admin.timeout(ASK);
        let runs = self.live();
        let mut topics: BTreeMap<&str, (bool, Vec<&Live>)> = BTreeMap::new();
        for (key, live) in &runs {
            if live.started && live.replay.is_none() {
                let (busy, readers) = topics.entry(&key.pair.source).or_default();
                *busy |= live.is_busy();
                readers.push(live);
            }
        }
        let (mut busy, mut idle): (Vec<_>, Vec<_>) =
            topics.iter().partition(|(_, (busy, _))| *busy);
        let turn = usize::try_from(*self.ticked.borrow()).unwrap_or(0);
        for (topics, most) in [(&mut busy, BUSY_TOPICS), (&mut idle, IDLE_TOPICS)] {
            if topics.len() > most {
                let skip = turn * most % topics.len();
                topics.rotate_left(skip);
                topics.truncate(most);
            }
        }
        let asked: Vec<_> = busy.into_iter().chain(idle).collect();
        for some in asked.chunks(AT_ONCE) {
            let answers = some.iter().map(|(topic, _)| admin.watermarks(topic));
            let answers = join_all(answers).await;
            let dead = answers.iter().all(|answer| match answer {
                Ok(_) => false,
                Err(error) => error.kind != AdminErrorKind::NotFound,
            });
            for ((topic, (_, readers)), answer) in some.iter().zip(answers) {
                let ends = answer.map(|offsets| -> Ends {
                    let ends = offsets.into_iter();
                    ends.map(|at| (at.partition.partition, (at.low, at.high)))
                        .collect()
                });
                for live in readers {
                    self.hear(topic, live, ends.as_ref());
                }
                if let Ok(ends) = ends {
                    lock(&self.lags).insert((**topic).to_owned(), ends);
                }
            }
            if dead {
                // The others would wait as long for the same answer.
                break;
            }
        }
    }

    /// What the source said of a run's topic.
    fn hear(&self, topic: &str, live: &Live, ends: Result<&Ends, &AdminError>) {
        let why = match ends {
            Ok(ends) => {
                live.run.lose(ends, &live.positions());
                None
            }
            Err(error) if error.kind == AdminErrorKind::NotFound => {
                Some(super::apply::no_topic("source", topic))
            }
            Err(error) => Some(format!("the source cluster does not answer: {error}")),
        };
        if lock(&live.run.troubles).silent(why.clone()) {
            tracing::warn!(topic, why, "where it ends is not known");
        }
    }

    /// The records that wait, by partition: next offset, first and last that is kept.
    pub(crate) fn partitions(
        &self,
        key: &RunKey,
        positions: &BTreeMap<i32, Option<i64>>,
    ) -> Vec<(i32, Option<i64>, i64, i64)> {
        let ends = lock(&self.lags)
            .get(&key.pair.source)
            .cloned()
            .unwrap_or_default();
        let with_ends = |(partition, next): (&i32, &Option<i64>)| {
            let (low, high) = ends.get(partition).copied().unwrap_or_default();
            (*partition, *next, low, high)
        };
        positions.iter().map(with_ends).collect()
    }

    pub(crate) fn lag(
        &self,
        key: &RunKey,
        live: &Live,
        positions: &BTreeMap<i32, Option<i64>>,
    ) -> i64 {
        if let Some(replay) = &live.replay {
            let progress = replay.progress();
            return i64::try_from(progress.records - progress.next.min(progress.records))
                .unwrap_or(0);
        }
        let lag = |(_, next, low, high): (i32, Option<i64>, i64, i64)| {
            // Nothing was read yet, and nothing is to be.
            next.map_or(0, |next| (high - next.max(low)).max(0))
        };
        self.partitions(key, positions).into_iter().map(lag).sum()
    }

    fn sample(
        &self,
        key: &RunKey,
        live: &Live,
        positions: &BTreeMap<i32, Option<i64>>,
        now: i64,
    ) -> Sample {
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
            lag: self.lag(key, live, positions),
            latency_ms_p50: quantile(50),
            latency_ms_p99: quantile(99),
            errors: get(&counters.failed) + get(&counters.undecodable) + get(&counters.held),
        }
    }
}
