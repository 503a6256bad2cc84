//! What a running service says about itself: metrics, and log lines that do not flood.
//!
//! In: counts from lanes, consumers, producers, timers and the web server; lines of the client library.
//! Out: one text for Prometheus, and `tracing` events. The app owns the one [`Metrics`] and gives clones
//! away; whoever counts asks for its handle once and keeps it, so that nothing is looked up per record.

#[cfg(feature = "cli")]
pub(crate) mod logs;
mod metrics;
mod quiet;
pub(crate) mod trace;

pub(crate) use metrics::{
    CONTENT_TYPE, ClientKind, ClusterLabel, CommitResult, ConsumerMetrics, InFlight, LaneId,
    LaneMetrics, LeaveReason, Metrics, PartitionMetrics, ProducerMetrics, SkipReason, Stage,
    StreamClient, StreamMetrics, TickResult, TimerMetrics, UnawaitedErrors,
};
pub(crate) use quiet::Quiet;
