//! Waiting for the schema a record was written with.

use std::time::Duration;

use super::core::{Core, Next};
use crate::agent::AgentInput;
use crate::error::{DecodeError, Obtained};

/// Pauses while nobody can be asked, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

impl<In: AgentInput, P, H> Core<In, P, H> {
    /// Fetches what is missing. `Again`: it is there; `Done`: the record cannot be decoded, and `error` says
    /// why; `Halt`: the lane is told to end. Meanwhile the lane takes nothing, so that its partition is held
    /// back and nothing is passed over.
    pub(super) async fn obtain(&self, error: &mut DecodeError) -> Next {
        let Some(missing) = error.obtain().cloned() else {
            return Next::Done;
        };
        let mut pause = PAUSES.0;
        loop {
            let obtained = tokio::select! {
                biased;
                _ = self.cx.inbox.closed() => return Next::Halt,
                obtained = missing.obtain() => obtained,
            };
            match obtained {
                Obtained::There => return Next::Again,
                Obtained::Nowhere(reason) => {
                    *error = reason;
                    return Next::Done;
                }
                Obtained::Unavailable(reason) => {
                    tracing::warn!(
                        agent = self.cx.plan.spec.name, partition = %self.cx.partition, schema = %missing.id(), %reason, ?pause,
                        "the schema of a record cannot be fetched; its partition waits"
                    );
                    if self.pause(pause).await == Next::Halt {
                        return Next::Halt;
                    }
                    pause = (2 * pause).min(PAUSES.1);
                }
            }
        }
    }
}
