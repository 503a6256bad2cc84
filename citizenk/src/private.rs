//! What the attributes' code names. Not for anybody else; changes without notice.

use std::future::Future;
use std::time::Duration;

pub use schemars;
pub use serde;
#[cfg(feature = "avro")]
pub use serde_json::Value;

/// What `#[citizenk::message(avro)]` expands to names these.
#[cfg(feature = "avro")]
pub mod avro {
    pub use crate::schema::avro::{
        AvroType, Branch, FieldName, Fields, Own, Part, Position, Read, SchemaBuilder, TypeName,
        Written, present, read, schema, skip, unknown,
    };
}

pub use crate::agent::{
    AgentBuilder, AgentHandle, AgentInput, BatchInput, Clients, IntoOutcome, IntoOutput,
    IntoStream, Origin, Reply, StreamFilter, Verdict,
};
pub use crate::app::{Component, ComponentDef, Module};
pub use crate::error::AgentError;
pub use crate::extract::{
    Call, EventBatch, Extract, Hook, Mode, PartitionHook, PrepareContext, SingleEvent, Tick,
};
pub use crate::fanout::SlowClient;
pub use crate::lifecycle::{HookBuilder, HookEvent, hook, hook_handle};
pub use crate::message::Message;
pub use crate::policy::{Guarantee, Policy};
pub use crate::runtime::lane::handle;
pub use crate::runtime::task::IntoTaskResult;
pub use crate::timer::{Schedule, TimerBuilder, timer, timer_handle};

/// Starts an agent whose first argument is `In`.
#[must_use]
pub fn agent<In: AgentInput>(name: &str, origin: Origin) -> AgentBuilder<In::Value, In::Mode> {
    AgentBuilder::new(name, origin, In::BATCH)
}

/// Sets the batch size, which only batches have.
#[must_use]
pub fn batch_size<In: AgentInput + BatchInput>(
    builder: AgentBuilder<In::Value, In::Mode>,
    size: usize,
) -> AgentBuilder<In::Value, In::Mode> {
    builder.batch_size(size)
}

/// A duration the attribute has checked.
#[must_use]
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The verdict of what a handler returned.
pub fn outcome<M, R: IntoOutcome<M>>(returned: R) -> Verdict {
    returned.into_verdict()
}

/// Where returned values go.
#[must_use]
pub fn reply<M: Mode>(call: &Call<'_, M>) -> Reply<M> {
    Reply::new(call)
}

/// The result of a timer or hook.
///
/// # Errors
/// The function's own.
pub fn task_outcome<R: IntoTaskResult>(returned: R) -> Result<(), AgentError> {
    returned.into_task_result()
}

/// Its name is what rustc prints when a handler's future is not `Send`.
///
/// The opaque type is `Send` whatever `F` is, so that the mistake is reported here only.
pub fn agent_future_must_be_send<F: Future + Send>(
    future: F,
) -> impl Future<Output = F::Output> + Send {
    future
}

/// What `#[citizenk::route]` expands to names these.
#[cfg(feature = "web")]
pub mod web {
    pub use axum::extract::{FromRequest, FromRequestParts, Request};
    pub use axum::http::Method;
    pub use axum::http::request::Parts;
    pub use axum::response::{IntoResponse, Response};

    pub use crate::web::{
        ApiInput, ApiOutput, HttpAnswer, HttpArgument, HttpPart, IncomingMessage, InputProbe,
        IntoPair, NoInputProbe, NoOutputProbe, Operation, OutputProbe, Probe, RouteDef, last, part,
        respond, route, stream_filter, websocket_in,
    };
    pub use crate::web::{JointAnswer, KeyPlace, MergeFn, broadcast_router, merging, topic_router};
}
