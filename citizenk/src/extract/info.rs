//! Who is called, and whether the service is stopping.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Call, EventBatch, Extract, Mode, PrepareContext, SingleEvent};
use crate::error::{AgentError, BuildIssue};

/// The agent that is called: name, partition, attempt. The `self` argument of the Python original.
///
/// ```
/// use citizenk::AgentInfo;
/// let info = AgentInfo::new("orders");
/// assert_eq!((info.name(), info.attempt()), ("orders", 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentInfo {
    name: Arc<str>,
    group: Option<Arc<str>>,
    topic: Option<Arc<str>>,
    partition: Option<i32>,
    attempt: u32,
}

impl AgentInfo {
    /// For tests of handlers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            group: None,
            topic: None,
            partition: None,
            attempt: 1,
        }
    }

    pub(crate) fn on(mut self, group: Option<&str>, topic: &Arc<str>, partition: i32) -> Self {
        self.group = group.map(Arc::from);
        self.topic = Some(topic.clone());
        self.partition = Some(partition);
        self
    }

    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The consumer group; `None` for `group = none` agents.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The topic of the lane that calls, as named on the broker.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }

    /// The partition of the lane that calls.
    #[must_use]
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// The number of this try; 1 for the first. For single events it goes on counting when a record comes
    /// back through a retry topic; for batches it starts anew.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

macro_rules! agent_info {
    ($($mode:ty),*) => {$(
        impl Extract<$mode> for AgentInfo {
            type Prepared = Self;
            fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
                Ok(cx.info.clone())
            }
            fn extract(prepared: &Self, call: &Call<'_, $mode>) -> Result<Self, AgentError> {
                Ok(Self { attempt: call.attempt, ..prepared.clone() })
            }
        }
    )*};
}

agent_info!(SingleEvent, EventBatch);

/// Tells when the service begins to stop.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use citizenk::Shutdown;
/// let (shutdown, trigger) = Shutdown::pair();
/// assert!(!shutdown.is_stopping());
/// trigger.stop();
/// shutdown.wait().await;
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Shutdown {
    stopping: watch::Receiver<bool>,
}

/// Makes its [`Shutdown`] fire.
#[derive(Clone, Debug)]
pub struct ShutdownTrigger {
    stopping: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A shutdown and what triggers it.
    #[must_use]
    pub fn pair() -> (Self, ShutdownTrigger) {
        let (sender, receiver) = watch::channel(false);
        (
            Self { stopping: receiver },
            ShutdownTrigger {
                stopping: Arc::new(sender),
            },
        )
    }

    /// Whether the service is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the service begins to stop.
    pub async fn wait(&self) {
        let mut stopping = self.stopping.clone();
        // An error means the trigger is gone: the service has ended.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

impl ShutdownTrigger {
    /// Begins the stop; later calls change nothing.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }
}

impl<M: Mode> Extract<M> for Shutdown {
    type Prepared = Self;
    fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
        Ok(cx.env.shutdown.clone())
    }
    fn extract(prepared: &Self, _: &Call<'_, M>) -> Result<Self, AgentError> {
        Ok(prepared.clone())
    }
}
