//! Functions that are called without a record: timers and hooks.
//!
//! In: what the attribute's code knows of the function. Out: an erased task that the timer or hook
//! calls, one boxed future per call; what a call that succeeds has staged is sent before it counts as done.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::agent::Verdict;
use crate::error::{AgentError, BuildIssue, IntoAgentError, panic_text};
use crate::extract::{
    AgentInfo, Call, Env, Extract, Mode, Outbox, OutputTable, OutputTarget, Partitions,
    PrepareContext, Requirements, StateRequirement,
};
use crate::middleware::{Around, CallRecords, Middleware, Wrap};
use crate::runtime::produce::Port;
use crate::schema::Schemas;
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;

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
    fn prepare(
        &self,
        env: &Env,
        component: &str,
        around: Option<Around>,
    ) -> Result<Box<dyn Task>, BuildIssue>;
}

/// What a timer or hook needs, without what it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskSpec {
    pub(crate) states: Vec<StateRequirement>,
    pub(crate) uses_outbox: bool,
    /// Where its outbox may send to.
    pub(crate) sends: Vec<TopicInfo>,
    pub(crate) wraps: Vec<Wrap>,
}

impl TaskSpec {
    /// Adds what an argument type needs.
    pub(crate) fn require<M: Mode, T: Extract<M>>(&mut self) {
        let mut requirements = Requirements::default();
        T::requires(&mut requirements);
        self.states.extend(requirements.states);
        self.uses_outbox |= requirements.uses_outbox;
    }

    pub(crate) fn send_to<V: 'static, K: 'static>(&mut self, topic: &Topic<V, K>) {
        self.sends.push(TopicInfo::of(topic));
    }

    pub(crate) fn wrap(&mut self, middleware: impl Middleware) {
        self.wraps.push(Wrap::new(middleware));
    }

    /// By names in the program: the port knows those on the broker.
    fn table(&self, schemas: &Schemas) -> OutputTable {
        let target = |topic: &TopicInfo| OutputTarget {
            id: topic.id(),
            topic: topic.output(),
        };
        OutputTable::new(self.sends.iter().map(target).collect(), schemas.clone())
    }
}

/// What a timer or hook needs and does, without when.
#[derive(Clone)]
pub(crate) struct TaskDef {
    pub(crate) spec: TaskSpec,
    /// The middlewares around its calls; resolved with those of the app and its modules.
    pub(crate) around: Option<Around>,
    factory: Arc<dyn TaskFactory>,
}

impl fmt::Debug for TaskDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDef")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl TaskDef {
    /// Resolves the function's arguments.
    pub(crate) fn prepare(
        &self,
        env: &Env,
        port: &Port,
        component: String,
    ) -> Result<PreparedTask, BuildIssue> {
        let around = self.around.clone();
        Ok(PreparedTask {
            task: self.factory.prepare(env, &component, around)?,
            component,
            table: Arc::new(self.spec.table(&env.schemas)),
            port: port.clone(),
        })
    }
}

/// A function that can be called.
pub(crate) struct PreparedTask {
    /// For messages, e.g. "hook `warm_up`".
    pub(crate) component: String,
    task: Box<dyn Task>,
    table: Arc<OutputTable>,
    port: Port,
}

impl PreparedTask {
    /// One call: done when the broker has acknowledged its outputs. A panic is an error.
    pub(crate) fn call(
        &self,
        partitions: Option<&Partitions>,
    ) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let outbox = Outbox::with_table(self.table.clone());
        let started = catch_unwind(AssertUnwindSafe(|| self.task.call(&outbox, partitions)));
        let port = self.port.clone();
        async move {
            let result = match started {
                Ok(Ok(future)) => match AssertUnwindSafe(future).catch_unwind().await {
                    Ok(result) => result.map_err(|error| error.to_string()),
                    Err(panic) => Err(format!("panicked: {}", panic_text(&*panic))),
                },
                Ok(Err(error)) => Err(error.to_string()),
                Err(panic) => Err(format!("panicked: {}", panic_text(&*panic))),
            };
            // Also after a failure: a clone that was kept is of no use any more.
            let (table, batch) = outbox.finish();
            result?;
            if batch.is_empty() {
                return Ok(());
            }
            let sender = port
                .get()
                .ok_or_else(|| "the producer is not running".to_owned())?;
            sender
                .send_table(&table, batch)
                .await
                .map(|_| ())
                .map_err(|error| AgentError::from(error).to_string())
        }
    }
}

struct Factory<M, F, H> {
    prepare: Arc<F>,
    handler: Arc<H>,
    mode: PhantomData<fn() -> M>,
}

struct Prepared<M, P, H> {
    prepared: P,
    handler: Arc<H>,
    around: Option<Around>,
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
    fn prepare(
        &self,
        env: &Env,
        component: &str,
        around: Option<Around>,
    ) -> Result<Box<dyn Task>, BuildIssue> {
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
            around,
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
        let Some(around) = &self.around else {
            return Ok(Box::pin((self.handler)(&self.prepared, &call)?));
        };
        let started = catch_unwind(AssertUnwindSafe(|| {
            let future = (self.handler)(&self.prepared, &call)?;
            Ok(future.map(|result| result.map_or_else(Verdict::Failed, |()| Verdict::Done)))
        }));
        let call = around.call(CallRecords::None, 1, started, None);
        Ok(Box::pin(call.map(|verdict| match verdict {
            Verdict::Failed(error) => Err(error),
            Verdict::Done | Verdict::PerRecord(_) => Ok(()),
        })))
    }
}

pub(crate) fn task<M, P, F, H, Fut>(spec: TaskSpec, prepare: F, handler: H) -> TaskDef
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
        spec,
        around: None,
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
