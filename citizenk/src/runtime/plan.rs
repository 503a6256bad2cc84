//! Agents as resolved for one run: names on the broker, policies, output tables, counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::agent::AgentSpec;
use crate::extract::OutputTable;
use crate::policy::Policy;

/// One agent of a running app.
#[derive(Debug)]
pub(crate) struct AgentPlan {
    pub(crate) spec: AgentSpec,
    /// For messages: "agent `orders`".
    pub(crate) component: String,
    /// `None`: reads without a group.
    pub(crate) group: Option<String>,
    /// The topics' names on the broker, in the order of `spec.topics`.
    pub(crate) real_topics: Vec<Arc<str>>,
    pub(crate) start_latest: bool,
    pub(crate) on_decode: Policy,
    pub(crate) on_error: Policy,
    pub(crate) on_produce: Policy,
    /// Everything the agent may write: output, sends, dead-letter topics.
    pub(crate) table: Arc<OutputTable>,
    pub(crate) counters: Arc<AgentCounters>,
}

/// What an agent did so far; plain atomics, added to per chunk or per exception.
#[derive(Debug, Default)]
pub(crate) struct AgentCounters {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) skipped_decode: AtomicU64,
    pub(crate) skipped_handler: AtomicU64,
    pub(crate) skipped_produce: AtomicU64,
    pub(crate) skipped_tombstone: AtomicU64,
    pub(crate) errors_decode: AtomicU64,
    pub(crate) errors_handler: AtomicU64,
    pub(crate) errors_panic: AtomicU64,
    pub(crate) errors_timeout: AtomicU64,
    pub(crate) errors_produce: AtomicU64,
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl AgentCounters {
    pub(crate) fn received(&self, records: usize) {
        add(&self.received, records);
    }

    pub(crate) fn sent(&self, records: usize) {
        add(&self.sent, records);
    }

    pub(crate) fn retried(&self) {
        add(&self.retries, 1);
    }

    pub(crate) fn dead_lettered(&self) {
        add(&self.dead_letters, 1);
    }

    pub(crate) fn skipped(&self, stage: &str) {
        let counter = match stage {
            "decode" => &self.skipped_decode,
            "produce" => &self.skipped_produce,
            "tombstone" => &self.skipped_tombstone,
            _ => &self.skipped_handler,
        };
        add(counter, 1);
    }

    pub(crate) fn error(&self, kind: &str) {
        let counter = match kind {
            "decode" => &self.errors_decode,
            "panic" => &self.errors_panic,
            "timeout" => &self.errors_timeout,
            "produce" => &self.errors_produce,
            _ => &self.errors_handler,
        };
        add(counter, 1);
    }
}
