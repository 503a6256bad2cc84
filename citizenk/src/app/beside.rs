//! The workers of this process on a broker of this process.
//!
//! In: each worker that serves. Out: who is in a group, which the embedded broker tells nobody. All its workers are
//! in this process, so the process knows.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::live::Live;
use crate::web::GroupMember;

/// A worker's client id, and what it has.
type Worker = (String, Weak<Live>);

static WORKERS: Mutex<Vec<Worker>> = Mutex::new(Vec::new());

fn workers<R>(with: impl FnOnce(&mut Vec<Worker>) -> R) -> R {
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    workers.retain(|(_, live)| live.strong_count() > 0);
    with(&mut workers)
}

/// A worker is there until it is dropped.
pub(super) fn join(client_id: String, live: &Arc<Live>) {
    workers(|workers| workers.push((client_id, Arc::downgrade(live))));
}

/// Members of a group on the broker at this address.
pub(super) fn members(broker: &str, group: &str) -> Vec<GroupMember> {
    let all = workers(|workers| workers.clone());
    all.into_iter()
        .filter_map(|(client_id, live)| Some((client_id, live.upgrade()?.owned_on(broker, group)?)))
        .collect()
}
