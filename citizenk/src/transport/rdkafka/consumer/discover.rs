//! Looks for partitions when there is no group to assign them: a request to the broker may take long,
//! so it has a thread of its own.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::super::client::lock;
use super::super::error;
use super::Shared;
use crate::transport::TransportError;

/// How often new partitions are looked for.
const EVERY: Duration = Duration::from_secs(10);
/// How often a topic that does not exist yet is looked for.
const MISSING: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn start(shared: &Arc<Shared>, name: &str) -> Result<(), TransportError> {
    let shared = shared.clone();
    std::thread::Builder::new()
        .name(format!("ck-{name}-topics"))
        .spawn(move || {
            loop {
                let (topics, version) = {
                    let wanted = lock(&shared.wanted);
                    (wanted.topics.clone(), wanted.version)
                };
                let complete = look(&shared, &topics);
                let wait = if complete { EVERY } else { MISSING };
                let closing = lock(&shared.closing);
                let (closing, _) = shared
                    .stop
                    .wait_timeout_while(closing, wait, |closing| {
                        closing.is_none() && lock(&shared.wanted).version == version
                    })
                    .unwrap_or_else(PoisonError::into_inner);
                if closing.is_some() {
                    return;
                }
            }
        })
        .map(drop)
        .map_err(|error| error::invalid("starting a thread", error.to_string()))
}

/// Reports the topics that exist; answers whether all do.
fn look(shared: &Shared, topics: &[String]) -> bool {
    let found = match shared.client.metadata_of(topics, TIMEOUT) {
        Ok(found) => found,
        // That the broker cannot be reached comes to the polling thread as an error of its own.
        Err(error) => {
            tracing::debug!(%error, topics = topics.len(), "looking for partitions");
            return false;
        }
    };
    let complete = found.len() == topics.len();
    if !found.is_empty() {
        let found = found.into_iter();
        *lock(&shared.found) = found.map(|topic| (topic.name, topic.partitions)).collect();
        shared.wake();
    }
    complete
}
