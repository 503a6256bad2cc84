//! Functions that are called without a record: timers and hooks.
//!
//! In: what the attribute's code knows of the function. Out: an erased task that the timer or hook
//! calls, one boxed future per call.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{AgentError, BuildIssue, IntoAgentError};
use crate::extract::{
    AgentInfo, Call, Env, Extract, Mode, Outbox, Partitions, PrepareContext, Requirements,
    StateRequirement,
};

pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = Result<(), AgentError>> + Send>>;

/// A task whose arguments are prepared.
pub(crate) trait Task: Send + Sync {
    fn call(
        &self,
        outbox: &Outbox,
        partitions: Option<&Partitions>,
    ) -> Result<TaskFuture, AgentError>;
}

/// Makes a task once the app's state is there.
pub(crate) trait TaskFactory: Send + Sync {
    fn prepare(&self, env: &Env, component: &str) -> Result<Box<dyn Task>, BuildIssue>;
}

/// What a timer or hook needs and does, without when.
#[derive(Clone)]
pub(crate) struct TaskDef {
    pub(crate) states: Vec<StateRequirement>,
    pub(crate) factory: Arc<dyn TaskFactory>,
}

impl fmt::Debug for TaskDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDef")
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

/// Adds what an argument type needs.
pub(crate) fn require<M: Mode, T: Extract<M>>(states: &mut Vec<StateRequirement>) {
    let mut requirements = Requirements::default();
    T::requires(&mut requirements);
    states.extend(requirements.states);
}

struct Factory<M, F, H> {
    prepare: Arc<F>,
    handler: Arc<H>,
    mode: PhantomData<fn() -> M>,
}

struct Prepared<M, P, H> {
    prepared: P,
    handler: Arc<H>,
    mode: PhantomData<fn() -> M>,
}

impl<M, P, F, H, Fut> TaskFactory for Factory<M, F, H>
where
    M: Mode,
    P: Send + Sync + 'static,
    F: Fn(&PrepareContext<'_>) -> Result<P, BuildIssue> + Send + Sync + 'static,
    H: Fn(&P, &Call<'_, M>) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    fn prepare(&self, env: &Env, component: &str) -> Result<Box<dyn Task>, BuildIssue> {
        let cx = PrepareContext {
            env,
            component,
            topic: None,
            info: AgentInfo::new(component),
        };
        let prepared = (self.prepare)(&cx)?;
        Ok(Box::new(Prepared {
            prepared,
            handler: self.handler.clone(),
            mode: PhantomData::<fn() -> M>,
        }))
    }
}

impl<M, P, H, Fut> Task for Prepared<M, P, H>
where
    M: Mode,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, M>) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    fn call(
        &self,
        outbox: &Outbox,
        partitions: Option<&Partitions>,
    ) -> Result<TaskFuture, AgentError> {
        let call = Call {
            record: None,
            outbox,
            partitions,
            attempt: 1,
            mode: PhantomData,
        };
        Ok(Box::pin((self.handler)(&self.prepared, &call)?))
    }
}

pub(crate) fn task<M, P, F, H, Fut>(
    states: Vec<StateRequirement>,
    prepare: F,
    handler: H,
) -> TaskDef
where
    M: Mode,
    P: Send + Sync + 'static,
    F: Fn(&PrepareContext<'_>) -> Result<P, BuildIssue> + Send + Sync + 'static,
    H: Fn(&P, &Call<'_, M>) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    let factory = Factory {
        prepare: Arc::new(prepare),
        handler: Arc::new(handler),
        mode: PhantomData::<fn() -> M>,
    };
    TaskDef {
        states,
        factory: Arc::new(factory),
    }
}

/// Return types of timers and hooks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a result of a timer or hook",
    label = "not a result of a timer or hook",
    note = "return `()` or `citizenk::Result<()>`"
)]
pub trait IntoTaskResult {
    #[doc(hidden)]
    fn into_task_result(self) -> Result<(), AgentError>;
}

impl IntoTaskResult for () {
    fn into_task_result(self) -> Result<(), AgentError> {
        Ok(())
    }
}

impl<E: IntoAgentError> IntoTaskResult for Result<(), E> {
    fn into_task_result(self) -> Result<(), AgentError> {
        self.map_err(IntoAgentError::into_agent_error)
    }
}
