//! Agents whose returned values go to live clients: websockets and event streams.
//!
//! In: what such an agent says of its clients, and what its handler returns. Out: a value in the agent's
//! [stream](crate::fanout). The web serves it.

use std::any::type_name;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::{AgentBuilder, Verdict};
use crate::error::{AgentError, BuildIssue, IntoAgentError};
use crate::extract::{Call, Extract, Mode, PrepareContext};
use crate::fanout::{Kept, SlowClient, Stream};
use crate::message::Message;
use crate::record::RecordRef;

/// Whether a client wants a value.
pub(crate) type Wants = Box<dyn Fn(&Kept) -> bool + Send + Sync>;

/// What makes of a client's query string what it wants; the error is the web's.
#[derive(Clone)]
pub struct StreamFilter {
    pub(crate) of_query: QueryFilter,
    /// The values it judges, for messages.
    pub(crate) value: &'static str,
}

type QueryFilter = Arc<dyn Fn(&str) -> Result<Wants, Box<dyn Error + Send + Sync>> + Send + Sync>;

impl fmt::Debug for StreamFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamFilter({})", self.value)
    }
}

impl StreamFilter {
    pub(crate) fn new<V: 'static>(
        of_query: impl Fn(&str) -> Result<Wants, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            of_query: Arc::new(of_query),
            value: type_name::<V>(),
        }
    }
}

/// What an agent says of its live clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamSpec {
    pub(crate) websocket: Option<String>,
    pub(crate) events: Option<String>,
    pub(crate) slow: SlowClient,
    pub(crate) filter: Option<StreamFilter>,
    /// Of the values.
    pub(crate) schema: Option<fn(&mut SchemaGenerator) -> Schema>,
}

impl StreamSpec {
    pub(crate) fn is_served(&self) -> bool {
        self.websocket.is_some() || self.events.is_some()
    }
}

impl<V: 'static, M> AgentBuilder<V, M> {
    /// Serves what the handler returns to websockets at this path. See [`AgentBuilder::stream`].
    #[must_use]
    pub fn websocket(mut self, path: &str) -> Self {
        self.spec.stream.websocket = Some(path.to_owned());
        self
    }

    /// Serves what the handler returns as an event stream (SSE) at this path.
    #[must_use]
    pub fn events(mut self, path: &str) -> Self {
        self.spec.stream.events = Some(path.to_owned());
        self
    }

    /// What happens to clients that fall behind; default: they miss the oldest of 1024 values.
    #[must_use]
    pub fn slow_client(mut self, slow: SlowClient) -> Self {
        self.spec.stream.slow = slow;
        self
    }

    /// Gives each client the values its query string asks for; made by the attribute's `filter`.
    #[doc(hidden)]
    #[must_use]
    pub fn stream_filter(mut self, filter: StreamFilter) -> Self {
        self.spec.stream.filter = Some(filter);
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn streams<R: IntoStream>(mut self) -> Self {
        self.spec.stream.schema = Some(|generator| generator.subschema_for::<R::Item>());
        self
    }
}

/// The live clients of an agent with `websocket` or `events`, as its handler's code sees them.
#[derive(Clone, Debug)]
pub struct Clients {
    stream: Stream,
    record: Option<RecordRef>,
}

impl<M: Mode> Extract<M> for Clients {
    type Prepared = Self;

    fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
        Ok(Self {
            stream: cx.env.streams.stream(cx.info.name()),
            record: None,
        })
    }

    fn extract(prepared: &Self, call: &Call<'_, M>) -> Result<Self, AgentError> {
        let record = call.record;
        Ok(Self {
            stream: prepared.stream.clone(),
            record: record.map(|(chunk, index)| RecordRef::new(chunk.clone(), index)),
        })
    }
}

impl Clients {
    fn publish<V: Serialize>(
        &self,
        value: V,
        keep: impl FnOnce(V) -> Option<Kept>,
    ) -> Result<(), AgentError> {
        let json = serde_json::to_vec(&value).map_err(AgentError::new)?;
        let key = self.record.as_ref().and_then(RecordRef::key);
        let key = key.map(Bytes::copy_from_slice);
        self.stream.publish(key, json.into(), keep(value));
        Ok(())
    }

    /// What a handler returned, for every client.
    #[doc(hidden)]
    pub fn returned<R: IntoStream>(&self, returned: R) -> Verdict {
        verdict(
            returned
                .item()
                .and_then(|item| item.map_or(Ok(()), |item| self.publish(item, |_| None))),
        )
    }

    /// The same, for clients with filters.
    #[doc(hidden)]
    pub fn returned_kept<R: IntoStream>(&self, returned: R) -> Verdict
    where
        R::Item: Send + Sync,
    {
        verdict(returned.item().and_then(|item| {
            item.map_or(Ok(()), |item| {
                self.publish(item, |item| Some(Arc::new(item) as Kept))
            })
        }))
    }
}

fn verdict(published: Result<(), AgentError>) -> Verdict {
    match published {
        Ok(()) => Verdict::Done,
        Err(error) => Verdict::Failed(error),
    }
}

/// Return types of agents with `websocket` or `events`: a message, which every live client gets as JSON, or
/// `None` for nothing; also as a `Result`. A `Vec` is one JSON array.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go to live clients",
    label = "not a value for clients",
    note = "return a type with `#[citizenk::message]`, `serde_json::Value`, a `Vec` of these, or `Option` or `Result` of it"
)]
pub trait IntoStream {
    /// The value a client gets.
    type Item: Serialize + JsonSchema + 'static;

    #[doc(hidden)]
    fn item(self) -> Result<Option<Self::Item>, AgentError>;
}

#[diagnostic::do_not_recommend]
impl<T: Message + Serialize + JsonSchema> IntoStream for T {
    type Item = T;
    fn item(self) -> Result<Option<T>, AgentError> {
        Ok(Some(self))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Message + Serialize + JsonSchema> IntoStream for Option<T> {
    type Item = T;
    fn item(self) -> Result<Self, AgentError> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoStream, E: IntoAgentError> IntoStream for Result<T, E> {
    type Item = T::Item;
    fn item(self) -> Result<Option<T::Item>, AgentError> {
        self.map_err(IntoAgentError::into_agent_error)?.item()
    }
}
