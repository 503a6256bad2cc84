//! Returned values that become records.

use std::marker::PhantomData;

use super::Verdict;
use crate::error::{AgentError, IntoAgentError};
use crate::extract::{Call, EventBatch, Mode, Outbox, SingleEvent};
use crate::record::RecordRef;
use crate::topic::Topic;

/// Where an agent's returned values go; made by the attribute's code.
#[derive(Debug)]
pub struct Reply<M> {
    area: ReplyArea,
    mode: PhantomData<fn() -> M>,
}

/// What outputs are staged with.
#[derive(Debug)]
pub struct ReplyArea {
    outbox: Outbox,
    /// The input record, whose key the outputs get.
    input: Option<RecordRef>,
}

impl<M: Mode> Reply<M> {
    pub(crate) fn new(call: &Call<'_, M>) -> Self {
        let input = call
            .record
            .map(|(chunk, index)| RecordRef::new(chunk.clone(), index));
        Self {
            area: ReplyArea {
                outbox: call.outbox(),
                input,
            },
            mode: PhantomData,
        }
    }

    /// Stages what the handler returned.
    pub fn send<V, K, R: IntoOutput<V, K, M>>(self, topic: &Topic<V, K>, returned: R) -> Verdict {
        match returned.stage(&self.area, topic) {
            Ok(()) => Verdict::Done,
            Err(error) => Verdict::Failed(error),
        }
    }
}

impl ReplyArea {
    fn keyed_as_input<V, K>(&self, topic: &Topic<V, K>, value: &V) -> Result<(), AgentError> {
        let record = self.outbox.record(topic);
        match &self.input {
            Some(input) => record.key_of(input).send_ref(value)?,
            None => record.send_ref(value)?,
        }
        Ok(())
    }

    fn keyed<V, K>(&self, topic: &Topic<V, K>, key: &K, value: &V) -> Result<(), AgentError> {
        self.outbox.record(topic).key(key).send_ref(value)?;
        Ok(())
    }
}

/// Return types of handlers with `output = TOPIC`: `V`, `Option<V>`, `Vec<V>`, `(K, V)` and `Option` or
/// `Vec` of pairs; also as a `Result`. Values without a key get the input record's; a batch has many
/// keys, so its handler returns pairs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go to an output topic of `{V}` with key `{K}`",
    label = "not an output",
    note = "return `{V}`, `Option<{V}>`, `Vec<{V}>` or pairs `({K}, {V})`, also as a `Result`; a batch returns `Vec<({K}, {V})>`"
)]
pub trait IntoOutput<V, K, M> {
    #[doc(hidden)]
    fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError>;
}

impl<V, K> IntoOutput<V, K, SingleEvent> for V {
    fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError> {
        reply.keyed_as_input(topic, &self)
    }
}

impl<V, K> IntoOutput<V, K, SingleEvent> for Option<V> {
    fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError> {
        self.map_or(Ok(()), |value| reply.keyed_as_input(topic, &value))
    }
}

impl<V, K> IntoOutput<V, K, SingleEvent> for Vec<V> {
    fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError> {
        self.iter()
            .try_for_each(|value| reply.keyed_as_input(topic, value))
    }
}

impl<V, K> IntoOutput<V, K, SingleEvent> for (K, V) {
    fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError> {
        reply.keyed(topic, &self.0, &self.1)
    }
}

macro_rules! pairs {
    ($($mode:ty),*) => {$(
        impl<V, K> IntoOutput<V, K, $mode> for Vec<(K, V)> {
            fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError> {
                self.iter().try_for_each(|(key, value)| reply.keyed(topic, key, value))
            }
        }

        impl<V, K> IntoOutput<V, K, $mode> for Option<(K, V)> {
            fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError> {
                self.map_or(Ok(()), |(key, value)| reply.keyed(topic, &key, &value))
            }
        }
    )*};
}

pairs!(SingleEvent, EventBatch);

// One impl per shape: a blanket over `Result<T: IntoOutput<..>>` would overlap with `V` itself.
macro_rules! results {
    ($($mode:ty: $($shape:ty),*;)*) => {$($(
        impl<V, K, E: IntoAgentError> IntoOutput<V, K, $mode> for Result<$shape, E> {
            fn stage(self, reply: &ReplyArea, topic: &Topic<V, K>) -> Result<(), AgentError> {
                let value = self.map_err(IntoAgentError::into_agent_error)?;
                IntoOutput::<V, K, $mode>::stage(value, reply, topic)
            }
        }
    )*)*};
}

results! {
    SingleEvent: V, Option<V>, Vec<V>, (K, V), Option<(K, V)>, Vec<(K, V)>;
    EventBatch: Option<(K, V)>, Vec<(K, V)>;
}
