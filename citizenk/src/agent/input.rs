//! First arguments of agents.

use super::{Batch, Event};
use crate::extract::{EventBatch, Mode, SingleEvent};
use crate::message::Message;
use crate::record::{Chunk, RecordRef};

/// What one record becomes for a handler: the value, or the value as an event; with or without
/// tombstones.
///
/// Sealed by [`Message`]: `Order`, `Option<Order>`, and events of these.
pub trait Payload: Send + 'static {
    /// The topic's value type.
    type Value: Send + 'static;

    /// `None`: this payload does not admit tombstones.
    #[doc(hidden)]
    fn from_value(value: Option<Self::Value>) -> Option<Self>
    where
        Self: Sized;
}

#[diagnostic::do_not_recommend]
impl<T: Message> Payload for T {
    type Value = T;

    fn from_value(value: Option<T>) -> Option<T> {
        value
    }
}

#[diagnostic::do_not_recommend]
impl<T: Message> Payload for Option<T> {
    type Value = T;

    fn from_value(value: Option<T>) -> Option<Option<T>> {
        Some(value)
    }
}

/// First arguments of agents: `Event<T>`, `Batch<T>`, `Batch<Event<T>>`; `Option<T>` as `T` admits
/// tombstones.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot receive records",
    label = "not an agent input",
    note = "use `Event<T>`, `Batch<T>` or `Batch<Event<T>>`"
)]
pub trait AgentInput: Sized + Send + 'static {
    /// The topic's value type.
    type Value: Send + 'static;
    /// Decides which other arguments there may be.
    type Mode: Mode;
    /// Records on their way into an input.
    #[doc(hidden)]
    type Buffer: Default + Send + 'static;

    /// Whether one input takes many records.
    #[doc(hidden)]
    const BATCH: bool;

    /// Adds a record; `false` when it is a tombstone that this input does not admit.
    #[doc(hidden)]
    fn push(buffer: &mut Self::Buffer, value: Option<Self::Value>, place: Place<'_>) -> bool;

    /// Makes the input of what was added; `None` when nothing was.
    #[doc(hidden)]
    fn take(buffer: &mut Self::Buffer) -> Option<Self>;

    /// The input of one record alone; `None` when it is a tombstone that this input does not admit.
    #[doc(hidden)]
    fn one(value: Option<Self::Value>, place: Place<'_>) -> Option<Self> {
        let mut buffer = Self::Buffer::default();
        if Self::push(&mut buffer, value, place) {
            Self::take(&mut buffer)
        } else {
            None
        }
    }
}

/// Where a record stands; makes a reference only for those who want one.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) index: usize,
}

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.record().fmt(f)
    }
}

impl Place<'_> {
    pub(crate) fn record(&self) -> RecordRef {
        RecordRef::new(self.chunk.clone(), self.index)
    }
}

impl<T: Payload> AgentInput for Event<T> {
    type Value = T::Value;
    type Mode = SingleEvent;
    type Buffer = Option<Self>;
    const BATCH: bool = false;

    fn push(buffer: &mut Self::Buffer, value: Option<T::Value>, place: Place<'_>) -> bool {
        *buffer = T::from_value(value).map(|value| Self::from_record(value, place.record()));
        buffer.is_some()
    }

    fn take(buffer: &mut Self::Buffer) -> Option<Self> {
        buffer.take()
    }

    #[inline]
    fn one(value: Option<T::Value>, place: Place<'_>) -> Option<Self> {
        T::from_value(value).map(|value| Self::from_record(value, place.record()))
    }
}

/// Items of batches: payloads, or events of payloads.
pub trait BatchItem: Send + Sized + 'static {
    /// The topic's value type.
    type Value: Send + 'static;
    #[doc(hidden)]
    fn item(value: Option<Self::Value>, place: Place<'_>) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: Message> BatchItem for T {
    type Value = T;
    fn item(value: Option<T>, _: Place<'_>) -> Option<T> {
        value
    }
}

#[diagnostic::do_not_recommend]
impl<T: Message> BatchItem for Option<T> {
    type Value = T;
    fn item(value: Option<T>, _: Place<'_>) -> Option<Self> {
        Some(value)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Payload> BatchItem for Event<T> {
    type Value = T::Value;
    fn item(value: Option<T::Value>, place: Place<'_>) -> Option<Self> {
        T::from_value(value).map(|value| Self::from_record(value, place.record()))
    }
}

impl<I: BatchItem> AgentInput for Batch<I> {
    type Value = I::Value;
    type Mode = EventBatch;
    type Buffer = Vec<I>;
    const BATCH: bool = true;

    fn push(buffer: &mut Vec<I>, value: Option<I::Value>, place: Place<'_>) -> bool {
        match I::item(value, place) {
            Some(item) => {
                buffer.push(item);
                true
            }
            None => false,
        }
    }

    fn take(buffer: &mut Vec<I>) -> Option<Self> {
        (!buffer.is_empty()).then(|| {
            // The next batch is likely as long as this one.
            let next = Vec::with_capacity(buffer.len());
            Self::from_values(std::mem::replace(buffer, next))
        })
    }
}

/// Inputs that take many records.
#[diagnostic::on_unimplemented(
    message = "`{Self}` receives one record at a time",
    label = "not a batch",
    note = "`batch_size` needs `Batch<T>`"
)]
pub trait BatchInput {}

impl<I> BatchInput for Batch<I> {}
