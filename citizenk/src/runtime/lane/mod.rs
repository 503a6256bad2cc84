//! One agent on one partition: decode → assemble → invoke → produce.
//!
//! In: chunks from an [`inbox`]. Out: settled spans to an ack tracker, outputs to a producer, and, when
//! a policy says so, the end of the service to the supervisor. Types are erased here, once per lane
//! ([`LaneFactory`]): inside, decoding, batching and the handler call are monomorphic. A lane owns its
//! buffer, its outbox and its shipments; it runs on one worker at a time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

mod attempt;
mod by_hand;
pub(crate) mod core;
pub(crate) mod direct;
pub(crate) mod inbox;
mod keyed;
pub(in crate::runtime) mod letters;
mod overtaken;
mod pace;
pub(in crate::runtime) mod refusal;
pub(crate) mod returned;
mod schedule;
mod schema;
mod sequential;
pub(crate) mod shipping;
pub(crate) mod signs;

pub(crate) use self::letters::HEADER_PREFIX as DEAD_LETTER_HEADERS;

pub use self::by_hand::Agent;
use self::core::Core;
use self::inbox::Inbox;
use self::shipping::Outlet;
use crate::agent::{AgentBuilder, AgentInput, AgentSpec, InputSpec, Verdict};
use crate::error::{AgentError, BuildIssue};
use crate::extract::{AgentInfo, Call, Env, PrepareContext};
use crate::record::{Chunk, TopicPartition};
use crate::runtime::ack::{LaneAck, next_offset};
use crate::runtime::plan::{AgentPlan, RetryTopic};
use crate::runtime::supervisor::Supervisor;
use crate::runtime::transact::ledger::Ledger;
use crate::telemetry::LaneMetrics;
use crate::topic::describe::TopicInfo;

/// A lane, ready to be run to its end.
pub(crate) type LaneFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything a lane works with.
#[derive(Clone, Debug)]
pub(crate) struct LaneContext {
    pub(crate) plan: Arc<AgentPlan>,
    pub(crate) env: Env,
    /// Which of the agent's topics this is.
    pub(crate) input: usize,
    /// How many retry topics its records have been through; 0: this is one of the agent's own topics.
    pub(crate) stage: usize,
    pub(crate) partition: TopicPartition,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) ack: Arc<LaneAck>,
    pub(crate) outlet: Option<Outlet>,
    /// With exactly once outputs wait here for their transaction, and there is no outlet.
    pub(crate) ledger: Option<Arc<Ledger>>,
    pub(crate) supervisor: Supervisor,
    pub(crate) metrics: LaneMetrics,
    /// Open when the agents this one waits for have caught up.
    pub(crate) gates: Vec<watch::Receiver<bool>>,
}

impl LaneContext {
    /// Counts a chunk that was taken out of the inbox.
    fn received(&self, chunk: &Chunk, bytes: usize) {
        self.metrics.taken(chunk.len(), bytes);
        if let Some(ledger) = &self.ledger
            && let Some(last) = chunk.len().checked_sub(1)
        {
            ledger.took(next_offset(chunk.position(last)));
        }
    }

    /// The retry topic this lane reads, if it does.
    fn retry_topic(&self) -> Option<&RetryTopic> {
        self.plan.retry_topics.get(self.stage.checked_sub(1)?)
    }

    /// Whether outputs go anywhere.
    fn has_exit(&self) -> bool {
        self.outlet.is_some() || self.ledger.is_some()
    }

    fn topic(&self) -> &TopicInfo {
        &self.plan.spec.topics[self.input]
    }

    fn prepare_context(&self) -> PrepareContext<'_> {
        let group = self.plan.group.as_deref();
        PrepareContext {
            env: &self.env,
            component: &self.plan.component,
            topic: Some(self.topic()),
            info: AgentInfo::new(&self.plan.spec.name).on(
                group,
                &self.partition.topic,
                self.partition.partition,
            ),
        }
    }
}

/// Makes lanes of one agent; the only place where its types are known.
pub(crate) trait LaneFactory: Send + Sync {
    /// Resolves the handler's arguments once, to find what is missing before anything starts.
    fn check(&self, env: &Env, plan: &AgentPlan) -> Vec<BuildIssue>;
    /// A lane for one partition.
    fn lane(&self, cx: LaneContext) -> Result<LaneFuture, BuildIssue>;
    /// Calls the handler once with a record that did not come through Kafka.
    fn call(&self, cx: direct::DirectCall) -> direct::DirectFuture;
}

/// An agent: its settings and its handler.
#[derive(Clone)]
pub struct AgentDef {
    pub(crate) spec: AgentSpec,
    pub(crate) factory: Arc<dyn LaneFactory>,
}

impl fmt::Debug for AgentDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

struct Factory<In: AgentInput, F, H> {
    inputs: Vec<InputSpec<In::Value>>,
    prepare: F,
    handler: Arc<H>,
}

impl<In, P, F, H, Fut> Factory<In, F, H>
where
    In: AgentInput,
    P: Send + Sync + 'static,
    F: Fn(&PrepareContext<'_>) -> Result<P, BuildIssue> + Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    fn core(&self, cx: LaneContext) -> Result<Core<In, P, H>, BuildIssue> {
        let prepared = (self.prepare)(&cx.prepare_context())?;
        let decode = self.inputs[cx.input].bind(&cx.env.schemas);
        Ok(Core::new(decode, prepared, self.handler.clone(), cx))
    }
}

impl<In, P, F, H, Fut> LaneFactory for Factory<In, F, H>
where
    In: AgentInput,
    P: Send + Sync + 'static,
    F: Fn(&PrepareContext<'_>) -> Result<P, BuildIssue> + Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    fn check(&self, env: &Env, plan: &AgentPlan) -> Vec<BuildIssue> {
        let mut issues = Vec::new();
        for topic in &plan.spec.topics {
            let info = AgentInfo::new(&plan.spec.name);
            let cx = PrepareContext {
                env,
                component: &plan.component,
                topic: Some(topic),
                info,
            };
            if let Err(issue) = (self.prepare)(&cx)
                && !issues.contains(&issue)
            {
                issues.push(issue);
            }
        }
        issues
    }

    fn lane(&self, cx: LaneContext) -> Result<LaneFuture, BuildIssue> {
        let concurrency = cx.plan.spec.tuning.concurrency;
        let mut others = Vec::new();
        // Records of all of the agent's topics meet on a retry topic.
        let sources = if cx.stage == 0 { 1 } else { self.inputs.len() };
        for input in 1..sources {
            others.push(self.core(LaneContext {
                input,
                ..cx.clone()
            })?);
        }
        let core = self.core(cx)?;
        Ok(if concurrency > 1 && !In::BATCH {
            let cores = std::iter::once(core).chain(others).map(Arc::new);
            Box::pin(keyed::run(cores.collect(), concurrency))
        } else {
            Box::pin(sequential::run(core, others))
        })
    }

    fn call(&self, call: direct::DirectCall) -> direct::DirectFuture {
        match self.core(call.cx.clone()) {
            Ok(core) => Box::pin(direct::run(core, call.record)),
            Err(issue) => Box::pin(async move { Err(AgentError::new(issue.to_string())) }),
        }
    }
}

/// Joins an agent's settings and its handler; what `#[citizenk::agent]` expands to ends here.
#[doc(hidden)]
pub fn handle<In, P, F, H, Fut>(
    builder: AgentBuilder<In::Value, In::Mode>,
    prepare: F,
    handler: H,
) -> AgentDef
where
    In: AgentInput,
    P: Send + Sync + 'static,
    F: Fn(&PrepareContext<'_>) -> Result<P, BuildIssue> + Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    let AgentBuilder {
        mut spec, inputs, ..
    } = builder;
    spec.is_batch = In::BATCH;
    let factory = Factory::<In, F, H> {
        inputs,
        prepare,
        handler: Arc::new(handler),
    };
    AgentDef {
        spec,
        factory: Arc::new(factory),
    }
}
