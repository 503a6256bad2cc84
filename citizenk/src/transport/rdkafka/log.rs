//! librdkafka's log lines as `tracing` events, limited per kind of line: a broker that is away would
//! otherwise fill the log.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::client::lock;

/// Lines of one kind are let through once in this time.
const QUIET: Duration = Duration::from_secs(5);
/// More kinds than this are not told apart for long: the memory starts anew.
const KINDS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct LogLimiter {
    seen: Mutex<HashMap<u64, (Instant, u64)>>,
}

impl LogLimiter {
    /// How many lines of this kind were held back since the last one, or `None` to hold this back.
    fn admit(&self, kind: u64, now: Instant) -> Option<u64> {
        let mut seen = lock(&self.seen);
        if seen.len() >= KINDS && !seen.contains_key(&kind) {
            seen.clear();
        }
        match seen.entry(kind) {
            Entry::Vacant(entry) => {
                entry.insert((now, 0));
                Some(0)
            }
            Entry::Occupied(mut entry) => {
                let (last, held) = entry.get_mut();
                if now.duration_since(*last) < QUIET {
                    *held += 1;
                    return None;
                }
                *last = now;
                Some(std::mem::take(held))
            }
        }
    }

    /// Writes a line of the client `name`. Never unwinds: it is called from C.
    pub(super) fn write(&self, name: &str, level: i32, facility: &str, line: &str) {
        let mut hasher = DefaultHasher::new();
        // The line begins with the thread and the broker it is about; what follows has counters.
        let about = line.find("]:").map_or("", |end| &line[..end]);
        (level, facility, about).hash(&mut hasher);
        let Some(held_back) = self.admit(hasher.finish(), Instant::now()) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_line_passes_once_and_says_how_many_were_held_back() {
        let limiter = LogLimiter::default();
        let start = Instant::now();
        assert_eq!(limiter.admit(1, start), Some(0));
        assert_eq!(limiter.admit(1, start), None);
        assert_eq!(limiter.admit(2, start), Some(0));
        assert_eq!(limiter.admit(1, start + QUIET), Some(1));
    }
}
