//! Who ends the service, and why.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::RunError;
use crate::extract::ShutdownTrigger;

/// Remembers the first reason to stop and begins the stop.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    trigger: ShutdownTrigger,
    cause: Arc<Mutex<Option<RunError>>>,
}

impl Supervisor {
    pub(crate) fn new(trigger: ShutdownTrigger) -> Self {
        Self {
            trigger,
            cause: Arc::default(),
        }
    }

    /// A policy of this component said `stop`.
    pub(crate) fn stop(&self, component: &str, reason: &str) {
        tracing::error!(component, reason, "stopping the service");
        self.fail(RunError::Stopped {
            component: component.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Something cannot go on.
    pub(crate) fn fail(&self, error: RunError) {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.get_or_insert(error);
        drop(cause);
        self.trigger.stop();
    }

    /// The reason as text, if there was one.
    pub(crate) fn cause(&self) -> Option<String> {
        self.cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(ToString::to_string)
    }

    /// The reason, if there was one.
    pub(crate) fn take_cause(&self) -> Option<RunError> {
        self.cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
