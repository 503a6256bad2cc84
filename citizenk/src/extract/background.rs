//! Tasks that outlive the call that started them.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{Call, Extract, Mode, PrepareContext, Shutdown};
use crate::error::{AgentError, BuildIssue};

/// Starts supervised tasks: counted, waited for at shutdown (within the drain deadline), a panic or
/// error is logged by the task's name.
///
/// A task belongs to no record: what it was started for is settled without it.
#[derive(Clone, Debug)]
pub struct Background {
    handle: Handle,
    running: Arc<watch::Sender<usize>>,
    shutdown: Shutdown,
}

impl Background {
    pub(crate) fn new(handle: Handle, shutdown: Shutdown) -> Self {
        Self {
            handle,
            running: Arc::new(watch::channel(0).0),
            shutdown,
        }
    }

    /// Starts a task.
    ///
    /// Long-running tasks should end when [`Background::shutdown`] fires.
    pub fn spawn<F, E>(&self, name: &str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<AgentError> + Send + 'static,
    {
        self.running.send_modify(|count| *count += 1);
        let guard = Running(self.running.clone());
        let name = name.to_owned();
        let task = self.handle.spawn(async move {
            let _guard = guard;
            if let Err(error) = task.await {
                let error: AgentError = error.into();
                tracing::error!(task = name, %error, "background task failed");
            }
        });
        drop(task);
    }

    /// Fires when the service begins to stop.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// Waits until no task runs.
    pub(crate) async fn idle(&self) {
        let mut running = self.running.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = running.wait_for(|count| *count == 0).await;
    }
}

#[derive(Debug)]
struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        // Dropping while unwinding is how a panic in a task becomes visible here.
        if std::thread::panicking() {
            tracing::error!("a background task panicked");
        }
        self.0.send_modify(|count| *count -= 1);
    }
}

impl<M: Mode> Extract<M> for Background {
    type Prepared = Self;

    fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
        Ok(cx.env.background.clone())
    }

    fn extract(prepared: &Self, _: &Call<'_, M>) -> Result<Self, AgentError> {
        Ok(prepared.clone())
    }
}
