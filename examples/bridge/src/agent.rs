//! A bridge as an agent: raw records from one cluster to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use citizenk::prelude::*;
use citizenk::{Agent, AgentDef, Policy, RawRecords};

use crate::api::{Bridge, Start};
use crate::filter::Filter;

const RAW: Topic<RawBytes> = Topic::raw("any");

/// What a bridge has done in this process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) read: AtomicU64,
    pub(crate) copied: AtomicU64,
}

/// The agent's name, which is its consumer group too.
pub(crate) fn name_of(bridge: &str) -> String {
    format!("bridge-{bridge}")
}

/// Keys, headers and timestamps are kept; the key chooses the partition, as the target may have another
/// number of them.
pub(crate) fn agent(bridge: &Bridge, filter: Option<Filter>, counters: Arc<Counters>) -> AgentDef {
    let name = name_of(&bridge.name);
    let target = RAW.named(&bridge.target);
    let builder = Agent::builder::<RawRecords>(&name)
        .raw([&bridge.source])
        .group(&name)
        .sends(&target)
        .on_error(Policy::retry(5));
    let builder = match bridge.start {
        Start::Earliest => builder.start_earliest(),
        Start::Latest => builder.start_latest(),
    };
    builder.handle(move |records: RawRecords, out: Outbox| {
        let wanted = records.iter().filter(|record| {
            filter
                .as_ref()
                .is_none_or(|filter| filter.passes(record.value()))
        });
        let staged = out.forward_by_key(&target, wanted);
        counters
            .read
            .fetch_add(records.len() as u64, Ordering::Relaxed);
        counters
            .copied
            .fetch_add(out.len() as u64, Ordering::Relaxed);
        async move { staged }
    })
}
