//! Runs the hooks for assigned and revoked partitions beside the polling thread.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::extract::Partitions;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::task::PreparedTask;
use crate::transport::Drain;

/// The hooks of one app; called on the polling thread, run on the runtime.
#[derive(Clone)]
pub(crate) struct PartitionHooks {
    pub(crate) assigned: Arc<Vec<PreparedTask>>,
    pub(crate) revoked: Arc<Vec<PreparedTask>>,
    pub(crate) handle: Handle,
    pub(crate) supervisor: Supervisor,
}

impl fmt::Debug for PartitionHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PartitionHooks({} assigned, {} revoked)",
            self.assigned.len(),
            self.revoked.len()
        )
    }
}

async fn run(hooks: &[PreparedTask], partitions: &Partitions, supervisor: &Supervisor) {
    for hook in hooks {
        if let Err(reason) = hook.call(Some(partitions)).await {
            supervisor.stop(&hook.component, &reason);
        }
    }
}

impl PartitionHooks {
    /// Starts the hooks; the lanes of the partitions wait for the returned gate.
    pub(crate) fn assigned(&self, partitions: Partitions) -> Option<watch::Receiver<bool>> {
        if self.assigned.is_empty() {
            return None;
        }
        let (open, gate) = watch::channel(false);
        let (hooks, supervisor) = (self.assigned.clone(), self.supervisor.clone());
        self.handle.spawn(async move {
            run(&hooks, &partitions, &supervisor).await;
            open.send_replace(true);
            // The gate stays open as long as somebody looks at it.
            open.closed().await;
        });
        Some(gate)
    }

    /// Starts the hooks once the lanes have drained; what is returned is empty when both have ended.
    pub(crate) fn revoked(&self, partitions: Partitions, lanes: Drain) -> Drain {
        if self.revoked.is_empty() {
            return lanes;
        }
        let all = Drain::default();
        let token = all.add();
        let (hooks, supervisor) = (self.revoked.clone(), self.supervisor.clone());
        self.handle.spawn(async move {
            lanes.wait().await;
            run(&hooks, &partitions, &supervisor).await;
            drop(token);
        });
        all
    }
}

/// Calls start-up or shutdown hooks in order; the first error ends it.
pub(crate) async fn call_all(hooks: &[PreparedTask]) -> Result<(), (String, String)> {
    for hook in hooks {
        hook.call(None)
            .await
            .map_err(|reason| (hook.component.clone(), reason))?;
    }
    Ok(())
}
