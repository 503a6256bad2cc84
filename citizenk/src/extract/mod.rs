//! Arguments of handlers besides the records.
//!
//! In: what a lane, timer or hook knows ([`PrepareContext`] once, [`Call`] per call). Out: the
//! argument's value. Prepared once per lane, so that extracting costs no look-up and no allocation.

use std::marker::PhantomData;

mod app;
mod background;
mod env;
mod forward;
mod info;
mod outbox;
mod outputs;
mod partitions;
mod producer;
mod reader;
mod record;
mod state;

pub use app::AppInfo;
pub use background::Background;
pub(crate) use env::Env;
pub use forward::Forwarding;
pub use info::{AgentInfo, Shutdown, ShutdownTrigger};
pub use outbox::{Outbox, OutboxError, OutboxRecord, StagedPair};
pub(crate) use outputs::{OutputTable, OutputTarget};
pub use partitions::Partitions;
pub(crate) use producer::{LoneReply, ProducePort, ProduceReply};
pub use producer::{ProduceError, Producer, ProducerRecord, Sending, Sent};
pub(crate) use reader::{
    Begin, Counts, Extent, Extents, Found, FoundStream, Offsets, ReadPort, ReadRequest,
};
pub use reader::{Position, PositionError, Progress, Read, ReadError, Reader, RecordStream};
pub use record::{Key, Meta};
pub use state::State;
pub(crate) use state::{StateMap, StateRequirement, missing_state};

use crate::error::{AgentError, BuildIssue};
use crate::record::{Chunk, RecordRef};
use crate::topic::describe::TopicInfo;

/// Handlers that take one event at a time.
#[derive(Debug)]
pub enum SingleEvent {}
/// Handlers that take batches.
#[derive(Debug)]
pub enum EventBatch {}
/// Timers.
#[derive(Debug)]
pub enum Tick {}
/// Start-up and shutdown hooks.
#[derive(Debug)]
pub enum Hook {}
/// Hooks for assigned and revoked partitions.
#[derive(Debug)]
pub enum PartitionHook {}

/// Where a handler is called from: [`SingleEvent`], [`EventBatch`], [`Tick`], [`Hook`],
/// [`PartitionHook`].
pub trait Mode: 'static {}
impl Mode for SingleEvent {}
impl Mode for EventBatch {}
impl Mode for Tick {}
impl Mode for Hook {}
impl Mode for PartitionHook {}

/// Types that may be arguments of handlers of mode `M`.
///
/// Write your own in ten lines:
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::extract::{Call, Extract, PrepareContext, SingleEvent};
///
/// struct Tenant(String);
///
/// impl Extract<SingleEvent> for Tenant {
///     type Prepared = ();
///     fn prepare(_: &PrepareContext<'_>) -> Result<(), BuildIssue> { Ok(()) }
///     fn extract(_: &(), call: &Call<'_, SingleEvent>) -> Result<Self, AgentError> {
///         let headers = call.headers();
///         headers.text("tenant").map(|t| Tenant(t.to_owned())).ok_or_else(|| AgentError::skip("no tenant header"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument here",
    label = "not available in `{M}` mode",
    note = "every agent may take `State<T>`, `Outbox`, `Shutdown`, `AgentInfo`; single-event agents also `Key<K>`, `Headers`, `Meta` - in a batch take `Batch<Event<T>>` and read them from each event"
)]
pub trait Extract<M: Mode>: Sized + Send {
    /// What is looked up once per lane.
    type Prepared: Send + Sync + 'static;

    /// What must be there for this argument; checked when the app is built.
    #[doc(hidden)]
    fn requires(_: &mut Requirements) {}

    /// Looks up what does not change between calls.
    ///
    /// # Errors
    /// When the argument can never be extracted here, e.g. a key of another type than the topic's.
    fn prepare(cx: &PrepareContext<'_>) -> Result<Self::Prepared, BuildIssue>;

    /// Makes the argument of one call.
    ///
    /// # Errors
    /// The agent's `on_error` policy decides about them.
    fn extract(prepared: &Self::Prepared, call: &Call<'_, M>) -> Result<Self, AgentError>;
}

/// What the arguments of a component need; collected without running anything.
#[derive(Debug, Default)]
pub struct Requirements {
    pub(crate) states: Vec<StateRequirement>,
    pub(crate) uses_outbox: bool,
}

/// What is known when a lane, timer or hook is made.
#[derive(Debug)]
pub struct PrepareContext<'a> {
    pub(crate) env: &'a Env,
    /// For messages, e.g. "agent `orders`".
    pub(crate) component: &'a str,
    /// The topic the lane reads; none for timers and hooks.
    pub(crate) topic: Option<&'a TopicInfo>,
    pub(crate) info: AgentInfo,
}

impl PrepareContext<'_> {
    /// The component that asks, e.g. "agent `orders`".
    #[must_use]
    pub fn component(&self) -> &str {
        self.component
    }

    /// A state value of the app, as [`State`] gives it.
    #[must_use]
    pub fn state<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.env.states.get::<T>()
    }
}

/// What is known of one call.
pub struct Call<'a, M> {
    pub(crate) record: Option<(&'a Chunk, usize)>,
    pub(crate) outbox: &'a Outbox,
    pub(crate) partitions: Option<&'a Partitions>,
    /// 1 for the first try.
    pub(crate) attempt: u32,
    pub(crate) mode: PhantomData<M>,
}

impl<M> std::fmt::Debug for Call<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl<M> Call<'_, M> {
    /// The number of this try; 1 for the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Where outputs of this try are staged.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }
}

impl Call<'_, SingleEvent> {
    pub(crate) fn record(&self) -> RecordRef {
        // A single-event call is made by its lane for a record, always.
        match self.record {
            Some((chunk, index)) => RecordRef::new(chunk.clone(), index),
            None => RecordRef::new(
                std::sync::Arc::new(crate::record::OwnedRecord::default()),
                0,
            ),
        }
    }

    /// The record's headers.
    #[must_use]
    pub fn headers(&self) -> crate::Headers {
        self.record().headers()
    }

    pub(crate) fn visit_headers(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        if let Some((chunk, index)) = self.record {
            chunk.headers(index, visit);
        }
    }

    /// The record's key bytes.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.record.and_then(|(chunk, index)| chunk.key(index))
    }
}
