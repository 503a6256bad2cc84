//! How much of a partition may be in memory, and how long it may stand still.

use std::time::Duration;

use super::lane::inbox::Room;
use crate::agent::AgentSpec;
use crate::config::Settings;

/// Records of a partition that lanes have taken and not settled: above, its intake stops.
const UNSETTLED: i64 = 10_000;
/// Records that may wait for a lane, however small.
const RECORDS: usize = 4096;
/// Those on a retry topic wait for long: no more of them in memory than makes a batch.
const RETURNED: usize = 256;

/// Limits of every partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Zero: stalls are not looked for.
    pub(crate) stall_after: Duration,
    /// Bytes of keys and values that may wait for one agent.
    pub(crate) buffer_bytes: usize,
}

impl Limits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            stall_after: settings.stall_after.value,
            buffer_bytes: settings.partition_buffer_bytes.value,
        }
    }

    /// What may wait for a lane of this agent; `returned`: on one of its retry topics.
    pub(crate) fn room(&self, agent: &AgentSpec, returned: bool) -> Room {
        let least = if returned { RETURNED } else { RECORDS };
        Room {
            records: (agent.tuning.batch_size * 2).max(least),
            bytes: agent.tuning.buffer_bytes.unwrap_or(self.buffer_bytes),
        }
    }
}

/// Whether so many offsets were taken and not settled that the partition's intake has to stop. A batch
/// that is larger than the limit must still fill.
pub(crate) fn too_many_unsettled(taken: i64, batch_size: usize) -> bool {
    taken
        >= UNSETTLED.max(
            i64::try_from(batch_size)
                .unwrap_or(i64::MAX)
                .saturating_mul(2),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intake_stops_at_the_cap_unless_a_batch_needs_more() {
        assert!(!too_many_unsettled(9_999, 1));
        assert!(too_many_unsettled(10_000, 1));
        assert!(!too_many_unsettled(39_999, 20_000));
        assert!(too_many_unsettled(40_000, 20_000));
    }
}
