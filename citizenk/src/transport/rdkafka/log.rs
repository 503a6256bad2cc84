//! librdkafka's log lines as `tracing` events, limited per kind of line: a broker that is away would
//! otherwise fill the log.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use super::client::lock;
use crate::telemetry::Quiet;

#[derive(Debug, Default)]
pub(super) struct LogLimiter {
    quiet: Mutex<Quiet<u64>>,
}

impl LogLimiter {
    /// Writes a line of the client `name`. Never unwinds: it is called from C.
    pub(super) fn write(&self, name: &str, level: i32, facility: &str, line: &str) {
        let mut hasher = DefaultHasher::new();
        // The line begins with the thread and the broker it is about; what follows has counters.
        let about = line.find("]:").map_or("", |end| &line[..end]);
        (level, facility, about).hash(&mut hasher);
        let Some(held_back) = lock(&self.quiet).admit(hasher.finish(), Instant::now()) else {
            return;
        };
        let _ = catch_unwind(AssertUnwindSafe(|| match level {
            ..=3 => {
                tracing::error!(target: "librdkafka", client = name, facility, held_back, "{line}");
            }
            4 => {
                tracing::warn!(target: "librdkafka", client = name, facility, held_back, "{line}");
            }
            5 | 6 => {
                tracing::info!(target: "librdkafka", client = name, facility, held_back, "{line}");
            }
            _ => {
                tracing::debug!(target: "librdkafka", client = name, facility, "{line}");
            }
        }));
    }
}
