//! Metrics for Prometheus.
//!
//! In: counts, through handles that are plain atomics. Out: one text ([`Metrics::render`]). A handle is
//! asked for once per lane, consumer, producer or timer and kept; asking again gives the same counters.
//! Counters of partitions that moved away stay (they must not fall), gauges of them are removed.
//!
//! Names start with `citizenk_` and end with their unit; labels are `agent`, `topic` (the broker's name),
//! `partition`, `group` (empty for `group = none`) and, but for the cluster without a name, `cluster`.

mod handles;
mod labels;
mod streams;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use handles::Assigned;
pub(crate) use handles::{
    ConsumerMetrics, InFlight, LaneMetrics, PartitionMetrics, ProducerMetrics, TimerMetrics,
    UnawaitedErrors,
};
use labels::{
    AgentLabels, ClientLabels, CommitLabels, ErrorLabels, GroupLabels, HttpLabels, InfoLabels,
    LeftLabels, MissLabels, PartitionLabels, ProducerLabels, RouteLabels, SkipLabels, StallLabels,
    StreamLabels, TickLabels, UnawaitedLabels,
};
pub(crate) use labels::{
    ClientKind, ClusterLabel, CommitResult, LaneId, LeaveReason, SkipReason, Stage, TickResult,
};
pub(crate) use streams::{StreamClient, StreamMetrics};

/// What `/metrics` answers with.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// 100 µs to 52 s, each bound twice the last: handlers and requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new((0..20).map(|power| 0.0001 * f64::from(1_u32 << power)))
    }
}

type Floats = Gauge<f64, std::sync::atomic::AtomicU64>;

/// Every family; what handles are made from.
#[derive(Clone, Debug)]
pub(super) struct Families {
    records: Family<LaneId, Counter>,
    bytes: Family<LaneId, Counter>,
    retries: Family<LaneId, Counter>,
    dead_letters: Family<LaneId, Counter>,
    retry_records: Family<LaneId, Counter>,
    outputs: Family<LaneId, Counter>,
    in_flight: Family<LaneId, Gauge>,
    skipped: Family<SkipLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    handler: Family<AgentLabels, Histogram, Seconds>,
    rebalances: Family<GroupLabels, Counter>,
    commits: Family<CommitLabels, Counter>,
    last_commit: Family<GroupLabels, Floats>,
    lag: Family<PartitionLabels, Gauge>,
    age: Family<PartitionLabels, Floats>,
    queued: Family<PartitionLabels, Gauge>,
    queued_bytes: Family<PartitionLabels, Gauge>,
    stalled: Family<PartitionLabels, Gauge>,
    stalls: Family<StallLabels, Counter>,
    shipments: Family<AgentLabels, Histogram, Seconds>,
    paused: Family<PartitionLabels, Gauge>,
    lost: Family<PartitionLabels, Counter>,
    anew: Family<PartitionLabels, Counter>,
    produced: Family<ProducerLabels, Gauge>,
    unawaited: Family<UnawaitedLabels, Counter>,
    ticks: Family<TickLabels, Counter>,
    requests: Family<HttpLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram, Seconds>,
    stream_values: Family<StreamLabels, Counter>,
    stream_clients: Family<ClientLabels, Gauge>,
    stream_missed: Family<MissLabels, Counter>,
    stream_left: Family<LeftLabels, Counter>,
    pinned: Gauge,
    info: Family<InfoLabels, Gauge>,
}

/// All metrics of one app; clones share them.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
    /// One handle per lane, so that two askers share it and `/stats` can list them.
    lanes: Mutex<BTreeMap<LaneId, LaneMetrics>>,
    assigned: Assigned,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn family<S: Clone + std::hash::Hash + Eq + EncodeLabelSet>() -> Family<S, Histogram, Seconds> {
    Family::new_with_constructor(Seconds)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let families = Families {
            records: Family::default(),
            bytes: Family::default(),
            retries: Family::default(),
            dead_letters: Family::default(),
            retry_records: Family::default(),
            outputs: Family::default(),
            in_flight: Family::default(),
            skipped: Family::default(),
            errors: Family::default(),
            handler: family(),
            rebalances: Family::default(),
            commits: Family::default(),
            last_commit: Family::default(),
            lag: Family::default(),
            age: Family::default(),
            queued: Family::default(),
            queued_bytes: Family::default(),
            stalled: Family::default(),
            stalls: Family::default(),
            shipments: family(),
            paused: Family::default(),
            lost: Family::default(),
            anew: Family::default(),
            produced: Family::default(),
            unawaited: Family::default(),
            ticks: Family::default(),
            requests: Family::default(),
            request_seconds: family(),
            stream_values: Family::default(),
            stream_clients: Family::default(),
            stream_missed: Family::default(),
            stream_left: Family::default(),
            pinned: Gauge::default(),
            info: Family::default(),
        };
        Self(Arc::new(Inner {
            registry: registry(&families),
            families,
            lanes: Mutex::default(),
            assigned: Assigned::default(),
        }))
    }

    /// The text for Prometheus, in OpenMetrics' format.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` does not fail; should an encoder do, a short answer is better than none.
        if let Err(error) = encode(&mut text, &self.0.registry) {
            tracing::error!("metrics could not be written: {error}");
        }
        text
    }

    /// What this process is: a gauge that is always 1, with the facts as labels.
    pub(crate) fn set_info(&self, app: &str, version: &str, broker: impl fmt::Display) {
        self.0.families.info.clear();
        let labels = InfoLabels {
            app: app.to_owned(),
            version: version.to_owned(),
            broker: broker.to_string(),
        };
        self.0.families.info.get_or_create_owned(&labels).set(1);
    }

    /// The handle of a lane.
    pub(crate) fn lane(&self, id: &LaneId) -> LaneMetrics {
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes
            .entry(id.clone())
            .or_insert_with(|| LaneMetrics::new(id.clone(), self.0.families.clone()))
            .clone()
    }

    /// Every lane there was, in order.
    pub(crate) fn lanes(&self) -> Vec<LaneMetrics> {
        let lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.values().cloned().collect()
    }

    /// The handle of a group's consumer.
    pub(crate) fn consumer(&self, cluster: &'static str, group: &str) -> ConsumerMetrics {
        ConsumerMetrics::new(
            ClusterLabel(cluster),
            group,
            self.0.families.clone(),
            Arc::clone(&self.0.assigned),
        )
    }

    /// The handle of a producer.
    pub(crate) fn producer(&self, cluster: &'static str, name: &str) -> ProducerMetrics {
        ProducerMetrics::new(cluster, name, self.0.families.clone())
    }

    /// The handle of a timer.
    pub(crate) fn timer(&self, name: &str) -> TimerMetrics {
        TimerMetrics::new(name, &self.0.families.ticks)
    }

    /// The handle of a stream to live clients.
    pub(crate) fn stream(&self, name: &str) -> StreamMetrics {
        StreamMetrics::new(name, self.0.families.clone())
    }

    /// A request was answered. `route` is the matched pattern, never the path: clients choose paths.
    pub(crate) fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let families = &self.0.families;
        let route = RouteLabels {
            method,
            route: route.to_owned(),
        };
        families
            .request_seconds
            .get_or_create_owned(&route)
            .observe(took.as_secs_f64());
        let labels = HttpLabels { route, status };
        families.requests.get_or_create_owned(&labels).inc();
    }

    /// Chunks that something holds: queues, calls, events that user code keeps.
    pub(crate) fn pinned_chunks(&self, chunks: usize) {
        self.0
            .families
            .pinned
            .set(i64::try_from(chunks).unwrap_or(i64::MAX));
    }
}

/// Names, units and what they mean. `_total` is added to counters when they are written.
fn registry(families: &Families) -> Registry {
    let mut registry = Registry::with_prefix("citizenk");
    let Families {
        records,
        bytes,
        retries,
        dead_letters,
        retry_records,
        outputs,
        in_flight,
        skipped,
        errors,
        handler,
        rebalances,
        commits,
        last_commit,
        lag,
        age,
        queued,
        queued_bytes,
        stalled,
        stalls,
        shipments,
        paused,
        lost,
        anew,
        produced,
        unawaited,
        ticks,
        requests,
        request_seconds,
        stream_values,
        stream_clients,
        stream_missed,
        stream_left,
        pinned,
        info,
    } = families.clone();
    registry.register("records", "Records given to an agent", records);
    registry.register_with_unit(
        "record",
        "Bytes of keys and values given to an agent",
        Unit::Bytes,
        bytes,
    );
    registry.register("retries", "Attempts after the first", retries);
    registry.register(
        "dead_letters",
        "Records sent to a dead-letter topic",
        dead_letters,
    );
    registry.register(
        "retry_records",
        "Records sent to a retry topic",
        retry_records,
    );
    registry.register(
        "outputs",
        "Records sent by an agent and acknowledged",
        outputs,
    );
    registry.register(
        "in_flight_records",
        "Records taken and not yet settled",
        in_flight,
    );
    registry.register("skipped", "Records passed over, by reason", skipped);
    registry.register("errors", "Failed attempts, by stage", errors);
    registry.register_with_unit(
        "handler_duration",
        "Time of a handler's calls",
        Unit::Seconds,
        handler,
    );
    registry.register(
        "rebalances",
        "Changes of a consumer's partitions",
        rebalances,
    );
    registry.register("commits", "Offset commits, by result", commits);
    registry.register_with_unit(
        "last_commit_timestamp",
        "When offsets were last committed (seconds since 1970; its age is time() minus this)",
        Unit::Seconds,
        last_commit,
    );
    registry.register(
        "consumer_lag_records",
        "Records between the settled position and the end",
        lag,
    );
    registry.register_with_unit(
        "consumer_lag",
        "Age of the oldest record that is not settled, by its own time; 0 without lag",
        Unit::Seconds,
        age,
    );
    registry.register(
        "consumer_queued_records",
        "Records handed over and not yet taken by the slowest agent",
        queued,
    );
    registry.register_with_unit(
        "consumer_queued",
        "Bytes of the keys and values of those records",
        Unit::Bytes,
        queued_bytes,
    );
    registry.register(
        "consumer_stalled",
        "1 while a partition makes no progress though there are records",
        stalled,
    );
    registry.register("stalls", "Stalls that began, by cause", stalls);
    registry.register_with_unit(
        "produce_duration",
        "Time from sending outputs together to the last one's acknowledgement",
        Unit::Seconds,
        shipments,
    );
    registry.register(
        "consumer_paused",
        "1 while a partition is not fetched",
        paused,
    );
    registry.register(
        "retention_lost_records",
        "Records deleted before they were read",
        lost,
    );
    registry.register(
        "partitions_created_anew",
        "Partitions found to end before the offset to read next, and read from their first record",
        anew,
    );
    registry.register(
        "producer_in_flight_records",
        "Records sent and not yet acknowledged",
        produced,
    );
    registry.register(
        "producer_unawaited_errors",
        "Sends outside of calls that failed when nobody waited for them any more",
        unawaited,
    );
    registry.register("timer_ticks", "Ticks of a timer, by result", ticks);
    registry.register("http_requests", "Requests answered", requests);
    registry.register_with_unit(
        "http_request_duration",
        "Time to answer requests",
        Unit::Seconds,
        request_seconds,
    );
    registry.register(
        "stream_values",
        "Values given to a stream for live clients",
        stream_values,
    );
    registry.register(
        "stream_clients",
        "Clients connected to a stream",
        stream_clients,
    );
    registry.register(
        "stream_missed_values",
        "Values clients did not get, added up over clients, by reason",
        stream_missed,
    );
    registry.register(
        "stream_disconnects",
        "Clients the service disconnected, by reason",
        stream_left,
    );
    registry.register(
        "pinned_chunks",
        "Fetched chunks that user code keeps after its call",
        pinned,
    );
    registry.register("info", "What this process is; always 1", info);
    registry
}

#[cfg(test)]
mod tests;
