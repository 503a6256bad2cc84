//! What the parts of a running app hold: counters resolved once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::labels::{
    AgentLabels, ClusterLabel, CommitLabels, CommitResult, ErrorLabels, GroupLabels, LaneId,
    PartitionLabels, ProducerLabels, SkipLabels, SkipReason, Stage, StallLabels, TickLabels,
    TickResult, UnawaitedLabels,
};
use super::{Families, Floats};

/// The counters of one lane. Cheap to clone; every method is an atomic addition or two, to be called per
/// slice of records rather than per record.
#[derive(Clone)]
pub(crate) struct LaneMetrics(Arc<Lane>);

struct Lane {
    id: LaneId,
    records: Counter,
    bytes: Counter,
    retries: Counter,
    dead_letters: Counter,
    retry_records: Counter,
    outputs: Counter,
    in_flight: Gauge,
    handler: Histogram,
    shipments: Histogram,
    // Made when first needed: most lanes never fail, and each would be a line of `/metrics`.
    skipped: [OnceLock<Counter>; SkipReason::ALL.len()],
    errors: [OnceLock<Counter>; Stage::ALL.len()],
    families: Families,
}

impl fmt::Debug for LaneMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LaneMetrics").field(&self.0.id).finish()
    }
}

fn add(counter: &Counter, count: usize) {
    // Lossless: no platform has wider addresses.
    counter.inc_by(count as u64);
}

impl LaneMetrics {
    pub(super) fn new(id: LaneId, families: Families) -> Self {
        let agent = AgentLabels {
            agent: id.agent.clone(),
            group: id.group.clone(),
            cluster: id.cluster,
        };
        Self(Arc::new(Lane {
            records: families.records.get_or_create_owned(&id),
            bytes: families.bytes.get_or_create_owned(&id),
            retries: families.retries.get_or_create_owned(&id),
            dead_letters: families.dead_letters.get_or_create_owned(&id),
            retry_records: families.retry_records.get_or_create_owned(&id),
            outputs: families.outputs.get_or_create_owned(&id),
            in_flight: families.in_flight.get_or_create_owned(&id),
            handler: families.handler.get_or_create_owned(&agent),
            shipments: families.shipments.get_or_create_owned(&agent),
            skipped: Default::default(),
            errors: Default::default(),
            id,
            families,
        }))
    }

    /// Whose counters these are.
    pub(crate) fn id(&self) -> &LaneId {
        &self.0.id
    }

    /// Records were taken.
    pub(crate) fn taken(&self, records: usize, bytes: usize) {
        add(&self.0.records, records);
        add(&self.0.bytes, bytes);
    }

    /// The share of one run of this lane in the records in flight.
    pub(crate) fn in_flight(&self) -> InFlight {
        InFlight {
            gauge: self.0.in_flight.clone(),
            held: AtomicI64::new(0),
        }
    }

    /// A call, or a slice of calls, took this long.
    pub(crate) fn handled(&self, took: Duration) {
        self.0.handler.observe(took.as_secs_f64());
    }

    /// Outputs that were sent together took this long to be acknowledged.
    pub(crate) fn shipped(&self, took: Duration) {
        self.0.shipments.observe(took.as_secs_f64());
    }

    /// Attempts after the first.
    pub(crate) fn retried(&self, attempts: usize) {
        add(&self.0.retries, attempts);
    }

    /// Records went to a dead-letter topic.
    pub(crate) fn dead_lettered(&self, records: usize) {
        add(&self.0.dead_letters, records);
    }

    /// Records went to a retry topic.
    pub(crate) fn postponed(&self, records: usize) {
        add(&self.0.retry_records, records);
    }

    /// Outputs were acknowledged.
    pub(crate) fn sent(&self, records: usize) {
        add(&self.0.outputs, records);
    }

    /// Records were passed over.
    pub(crate) fn skipped(&self, reason: SkipReason, records: usize) {
        let counter = self.0.skipped[reason as usize].get_or_init(|| {
            let lane = self.0.id.clone();
            self.0
                .families
                .skipped
                .get_or_create_owned(&SkipLabels { lane, reason })
        });
        add(counter, records);
    }

    /// Attempts failed.
    pub(crate) fn failed(&self, stage: Stage, attempts: usize) {
        let counter = self.0.errors[stage as usize].get_or_init(|| {
            let lane = self.0.id.clone();
            self.0
                .families
                .errors
                .get_or_create_owned(&ErrorLabels { lane, stage })
        });
        add(counter, attempts);
    }

    /// The present values, for `/stats`: name and value, reasons and stages only where they occurred.
    pub(crate) fn values(&self) -> Vec<(String, i64)> {
        let lane = &*self.0;
        let mut values = Vec::new();
        let mut push = |name: String, value: u64| {
            values.push((name, i64::try_from(value).unwrap_or(i64::MAX)));
        };
        for (name, counter) in [
            ("records", &lane.records),
            ("bytes", &lane.bytes),
            ("retries", &lane.retries),
            ("dead_letters", &lane.dead_letters),
            ("retry_records", &lane.retry_records),
            ("outputs", &lane.outputs),
        ] {
            push(name.to_owned(), counter.get());
        }
        for (reason, counter) in SkipReason::ALL.iter().zip(&lane.skipped) {
            if let Some(counter) = counter.get() {
                push(format!("skipped_{}", reason.name()), counter.get());
            }
        }
        for (stage, counter) in Stage::ALL.iter().zip(&lane.errors) {
            if let Some(counter) = counter.get() {
                push(format!("errors_{}", stage.name()), counter.get());
            }
        }
        values.push(("in_flight".to_owned(), lane.in_flight.get()));
        values
    }
}

/// Records that one run of a lane has taken and not settled. What it still holds when it is dropped (a
/// partition was taken away) is subtracted, so that the gauge cannot drift.
#[derive(Debug)]
pub(crate) struct InFlight {
    gauge: Gauge,
    held: AtomicI64,
}

impl InFlight {
    /// Records were taken.
    pub(crate) fn add(&self, records: usize) {
        let records = signed(records);
        self.held.fetch_add(records, Ordering::Relaxed);
        self.gauge.inc_by(records);
    }

    /// Records were settled, in whatever way.
    pub(crate) fn sub(&self, records: usize) {
        let records = signed(records);
        self.held.fetch_sub(records, Ordering::Relaxed);
        self.gauge.dec_by(records);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec_by(*self.held.get_mut());
    }
}

fn signed(records: usize) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

/// The counters of one consumer.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerMetrics {
    cluster: ClusterLabel,
    group: String,
    rebalances: Counter,
    ok: Counter,
    failed: Counter,
    last_commit: Floats,
    families: Families,
    assigned: Assigned,
}

impl ConsumerMetrics {
    pub(super) fn new(
        cluster: ClusterLabel,
        group: &str,
        families: Families,
        assigned: Assigned,
    ) -> Self {
        let labels = GroupLabels {
            group: group.to_owned(),
            cluster,
        };
        let commits = |result| {
            let labels = CommitLabels {
                group: group.to_owned(),
                result,
                cluster,
            };
            families.commits.get_or_create_owned(&labels)
        };
        Self {
            cluster,
            group: group.to_owned(),
            rebalances: families.rebalances.get_or_create_owned(&labels),
            ok: commits(CommitResult::Ok),
            failed: commits(CommitResult::Failed),
            last_commit: families.last_commit.get_or_create_owned(&labels),
            families,
            assigned,
        }
    }

    /// Partitions were given or taken.
    pub(crate) fn rebalanced(&self) {
        self.rebalances.inc();
    }

    /// A stall began.
    pub(crate) fn stalled(&self, cause: &'static str) {
        let group = self.group.clone();
        let labels = StallLabels {
            group,
            cause,
            cluster: self.cluster,
        };
        self.families.stalls.get_or_create_owned(&labels).inc();
    }

    /// A commit ended; `now` in milliseconds since 1970.
    pub(crate) fn committed(&self, result: CommitResult, now: i64) {
        match result {
            CommitResult::Ok => {
                self.ok.inc();
                // Exact: milliseconds since 1970 have fewer than 53 bits.
                self.last_commit.set(now as f64 / 1000.0);
            }
            CommitResult::Failed => {
                self.failed.inc();
            }
        }
    }

    /// The gauges of an assigned partition; they are removed when the last clone is dropped.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> PartitionMetrics {
        let labels = PartitionLabels {
            group: self.group.clone(),
            topic: topic.to_owned(),
            partition,
            cluster: self.cluster,
        };
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gauges) = assigned.get(&labels).and_then(Weak::upgrade) {
            return PartitionMetrics(gauges);
        }
        let gauges = Arc::new(PartitionGauges {
            lag: self.families.lag.get_or_create_owned(&labels),
            age: self.families.age.get_or_create_owned(&labels),
            queued: self.families.queued.get_or_create_owned(&labels),
            queued_bytes: self.families.queued_bytes.get_or_create_owned(&labels),
            stalled: self.families.stalled.get_or_create_owned(&labels),
            paused: self.families.paused.get_or_create_owned(&labels),
            families: self.families.clone(),
            assigned: Arc::clone(&self.assigned),
            labels: labels.clone(),
        });
        assigned.insert(labels, Arc::downgrade(&gauges));
        PartitionMetrics(gauges)
    }
}

/// The partitions somebody holds gauges of.
pub(super) type Assigned = Arc<Mutex<BTreeMap<PartitionLabels, Weak<PartitionGauges>>>>;

/// The gauges of one assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct PartitionMetrics(Arc<PartitionGauges>);

pub(super) struct PartitionGauges {
    labels: PartitionLabels,
    lag: Gauge,
    age: Floats,
    queued: Gauge,
    queued_bytes: Gauge,
    stalled: Gauge,
    paused: Gauge,
    families: Families,
    assigned: Assigned,
}

impl fmt::Debug for PartitionGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PartitionGauges")
            .field(&self.labels)
            .finish()
    }
}

impl PartitionMetrics {
    /// Records between the settled position and the end.
    pub(crate) fn lag(&self, records: i64) {
        self.0.lag.set(records);
    }

    /// How old the oldest record is that is not settled, in milliseconds.
    pub(crate) fn age(&self, millis: i64) {
        // Lossless below 285,000 years; clocks may differ, but no record comes from the future.
        self.0.age.set(millis.max(0) as f64 / 1000.0);
    }

    /// What waits for the slowest agent.
    pub(crate) fn queued(&self, records: usize, bytes: usize) {
        self.0.queued.set(signed(records));
        self.0.queued_bytes.set(signed(bytes));
    }

    pub(crate) fn stalled(&self, stalled: bool) {
        self.0.stalled.set(i64::from(stalled));
    }

    pub(crate) fn paused(&self, paused: bool) {
        self.0.paused.set(i64::from(paused));
    }

    /// Records were deleted before they were read.
    pub(crate) fn lost(&self, records: u64) {
        let lost = &self.0.families.lost;
        lost.get_or_create_owned(&self.0.labels).inc_by(records);
    }

    /// The topic was created anew, and is read from its first record.
    pub(crate) fn created_anew(&self) {
        let anew = &self.0.families.anew;
        anew.get_or_create_owned(&self.0.labels).inc();
    }
}

impl Drop for PartitionGauges {
    fn drop(&mut self) {
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        // Given back meanwhile, the partition has a newer handle on the same gauges, which must stay.
        let mine = |held: &Weak<Self>| std::ptr::eq(held.as_ptr(), self);
        if assigned.get(&self.labels).is_some_and(mine) {
            assigned.remove(&self.labels);
            // A partition that moved away has no lag here; a frozen value would raise false alarms.
            self.families.lag.remove(&self.labels);
            self.families.paused.remove(&self.labels);
            self.families.age.remove(&self.labels);
            self.families.queued.remove(&self.labels);
            self.families.queued_bytes.remove(&self.labels);
            self.families.stalled.remove(&self.labels);
        }
    }
}

/// The metrics of one producer.
#[derive(Clone, Debug)]
pub(crate) struct ProducerMetrics {
    labels: ProducerLabels,
    in_flight: Gauge,
    families: Families,
}

impl ProducerMetrics {
    pub(super) fn new(cluster: &'static str, name: &str, families: Families) -> Self {
        let labels = ProducerLabels {
            producer: name.to_owned(),
            cluster: ClusterLabel(cluster),
        };
        Self {
            in_flight: families.produced.get_or_create_owned(&labels),
            labels,
            families,
        }
    }

    /// Counts sends to the topic that failed when nobody waited for them any more.
    pub(crate) fn unawaited(&self, topic: &str) -> UnawaitedErrors {
        let labels = UnawaitedLabels {
            producer: self.labels.clone(),
            topic: topic.to_owned(),
        };
        UnawaitedErrors(self.families.unawaited.get_or_create_owned(&labels))
    }

    /// Records sent and not yet acknowledged.
    pub(crate) fn in_flight(&self, records: usize) {
        self.in_flight
            .set(i64::try_from(records).unwrap_or(i64::MAX));
    }
}

/// Counts sends to one topic that failed unheard.
#[derive(Clone, Debug)]
pub(crate) struct UnawaitedErrors(Counter);

impl UnawaitedErrors {
    pub(crate) fn failed(&self) {
        self.0.inc();
    }
}

/// The counters of one timer.
#[derive(Clone, Debug)]
pub(crate) struct TimerMetrics {
    ok: Counter,
    failed: Counter,
    skipped: Counter,
}

impl TimerMetrics {
    pub(super) fn new(timer: &str, ticks: &Family<TickLabels, Counter>) -> Self {
        let counter = |result| {
            let timer = timer.to_owned();
            ticks.get_or_create_owned(&TickLabels { timer, result })
        };
        Self {
            ok: counter(TickResult::Ok),
            failed: counter(TickResult::Failed),
            skipped: counter(TickResult::Skipped),
        }
    }

    /// A tick ended, or was skipped.
    pub(crate) fn ticked(&self, result: TickResult) {
        match result {
            TickResult::Ok => self.ok.inc(),
            TickResult::Failed => self.failed.inc(),
            TickResult::Skipped => self.skipped.inc(),
        };
    }
}
