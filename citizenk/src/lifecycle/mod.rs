//! Functions called when the service starts, stops, or gets and loses partitions.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

mod partitions;

pub(crate) use partitions::{PartitionHooks, call_all};

use crate::agent::Origin;
use crate::error::{AgentError, BuildIssue};
use crate::extract::{Call, Extract, Mode, PrepareContext};
use crate::middleware::Middleware;
use crate::runtime::task::{self, TaskDef, TaskSpec};
use crate::topic::Topic;

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// Before consumers start; an error ends the program.
    Startup,
    /// After consumers have stopped and committed.
    Shutdown,
    /// After partitions were assigned, before their records are handled.
    Assigned,
    /// After the revoked partitions' calls have ended, before their offsets are committed.
    Revoked,
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
            Self::Assigned => "assigned",
            Self::Revoked => "revoked",
        })
    }
}

/// A hook: when and what.
#[derive(Clone, Debug)]
pub struct HookDef {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) event: HookEvent,
    pub(crate) task: TaskDef,
}

/// Collects a hook's settings; what `#[on_event]` expands to.
#[derive(Debug)]
pub struct HookBuilder<M> {
    name: String,
    origin: Origin,
    event: HookEvent,
    task: TaskSpec,
    mode: PhantomData<fn() -> M>,
}

/// Starts a hook; `M` is [`Hook`](crate::extract::Hook) or
/// [`PartitionHook`](crate::extract::PartitionHook).
#[must_use]
pub fn hook<M: Mode>(name: &str, origin: Origin, event: HookEvent) -> HookBuilder<M> {
    HookBuilder {
        name: name.to_owned(),
        origin,
        event,
        task: TaskSpec::default(),
        mode: PhantomData,
    }
}

impl<M: Mode> HookBuilder<M> {
    /// Declares a topic the function's outbox may send to.
    #[must_use]
    pub fn sends<V: 'static, K: 'static>(mut self, topic: &Topic<V, K>) -> Self {
        self.task.send_to(topic);
        self
    }

    /// Puts a [middleware](crate::middleware) around each call, inside of those of the app and modules; the
    /// first one given is the outermost.
    #[must_use]
    pub fn wrap(mut self, middleware: impl Middleware) -> Self {
        self.task.wrap(middleware);
        self
    }

    /// Declares an argument type of the function.
    #[must_use]
    pub fn requires<T: Extract<M>>(mut self) -> Self {
        self.task.require::<M, T>();
        self
    }
}

/// Joins a hook's settings and its function.
pub fn hook_handle<M, P, F, H, Fut>(builder: HookBuilder<M>, prepare: F, handler: H) -> HookDef
where
    M: Mode,
    P: Send + Sync + 'static,
    F: Fn(&PrepareContext<'_>) -> Result<P, BuildIssue> + Send + Sync + 'static,
    H: Fn(&P, &Call<'_, M>) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    let HookBuilder {
        name,
        origin,
        event,
        task,
        ..
    } = builder;
    HookDef {
        name,
        origin,
        event,
        task: task::task(task, prepare, handler),
    }
}
