//! The counters of a stream to live clients.

use std::fmt;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::Families;
use super::labels::{
    ClientKind, ClientLabels, LeaveReason, LeftLabels, MissLabels, MissReason, StreamLabels,
};

/// The counters of one stream.
#[derive(Clone)]
pub(crate) struct StreamMetrics(Arc<Inner>);

struct Inner {
    name: String,
    values: Counter,
    families: Families,
}

impl fmt::Debug for StreamMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamMetrics({})", self.0.name)
    }
}

/// Counts a client while it lives.
#[derive(Debug)]
pub(crate) struct StreamClient(Gauge);

impl Drop for StreamClient {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl StreamMetrics {
    pub(super) fn new(name: &str, families: Families) -> Self {
        let labels = StreamLabels {
            stream: name.to_owned(),
        };
        Self(Arc::new(Inner {
            name: name.to_owned(),
            values: families.stream_values.get_or_create_owned(&labels),
            families,
        }))
    }

    /// A value was given to the stream.
    pub(crate) fn published(&self) {
        self.0.values.inc();
    }

    /// A client came; it is counted until the answer is dropped.
    pub(crate) fn client(&self, kind: ClientKind) -> StreamClient {
        let labels = ClientLabels {
            stream: self.0.name.clone(),
            kind,
        };
        let clients = self.0.families.stream_clients.get_or_create_owned(&labels);
        clients.inc();
        StreamClient(clients)
    }

    /// A client will not get so many values.
    pub(crate) fn missed(&self, values: u64) {
        self.skipped(values, MissReason::Slow);
    }

    /// A client got newer values of the same keys instead of these.
    pub(crate) fn coalesced(&self, values: u64) {
        self.skipped(values, MissReason::Coalesced);
    }

    fn skipped(&self, values: u64, reason: MissReason) {
        if values > 0 {
            let labels = MissLabels {
                stream: self.0.name.clone(),
                reason,
            };
            let missed = self.0.families.stream_missed.get_or_create_owned(&labels);
            missed.inc_by(values);
        }
    }

    /// A client was disconnected.
    pub(crate) fn disconnected(&self, reason: LeaveReason) {
        let labels = LeftLabels {
            stream: self.0.name.clone(),
            reason,
        };
        self.0
            .families
            .stream_left
            .get_or_create_owned(&labels)
            .inc();
        tracing::debug!(
            stream = self.0.name,
            reason = reason.name(),
            "a client was disconnected"
        );
    }
}
