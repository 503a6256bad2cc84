//! What a middleware sees of a call.

use std::fmt;
use std::sync::Arc;

use crate::record::{Chunk, Headers, RecordRef};

/// What kind of component is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// An agent, with a record or a batch.
    Agent,
    /// A function called by the clock.
    Timer,
    /// A function called at start, stop, or when partitions come and go.
    Hook,
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::Timer => "timer",
            Self::Hook => "hook",
        })
    }
}

/// Who is called; the same for all calls.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) kind: CallKind,
    pub(crate) name: String,
    pub(crate) group: Option<String>,
}

/// The records of one call, borrowed from the lane.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallRecords<'a> {
    None,
    One(&'a Chunk, usize),
    Batch(&'a [(Chunk, usize)]),
}

impl<'a> CallRecords<'a> {
    /// The record of a call that has one.
    pub(crate) fn single(self) -> Option<(&'a Chunk, usize)> {
        match self {
            Self::One(chunk, index) => Some((chunk, index)),
            Self::None | Self::Batch(_) => None,
        }
    }
}

#[derive(Clone)]
enum Records {
    None,
    One(RecordRef),
    Batch(Arc<[RecordRef]>),
}

/// One call of a handler: who is called, with what.
///
/// Displays as one would log it: ``agent `orders` orders/3@17``.
#[derive(Clone)]
pub struct CallInfo {
    component: Arc<Component>,
    records: Records,
    attempt: u32,
}

impl CallInfo {
    /// A call without records, for tests of middlewares.
    #[must_use]
    pub fn new(kind: CallKind, name: &str) -> Self {
        let component = Component {
            kind,
            name: name.to_owned(),
            group: None,
        };
        Self::of(Arc::new(component), CallRecords::None, 1)
    }

    pub(crate) fn of(component: Arc<Component>, records: CallRecords<'_>, attempt: u32) -> Self {
        let records = match records {
            CallRecords::None => Records::None,
            CallRecords::One(chunk, index) => Records::One(RecordRef::new(chunk.clone(), index)),
            CallRecords::Batch(records) => Records::Batch(
                records
                    .iter()
                    .map(|(chunk, index)| RecordRef::new(chunk.clone(), *index))
                    .collect(),
            ),
        };
        Self {
            component,
            records,
            attempt,
        }
    }

    /// What is called.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        self.component.kind
    }

    /// The component's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.component.name
    }

    /// The agent's consumer group; `None` for timers, hooks and `group = none` agents.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.component.group.as_deref()
    }

    /// The number of this try; 1 for the first, and always for timers and hooks.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn refs(&self) -> &[RecordRef] {
        match &self.records {
            Records::None => &[],
            Records::One(record) => std::slice::from_ref(record),
            Records::Batch(records) => records,
        }
    }

    #[cfg(feature = "otel")]
    pub(crate) fn is_batch(&self) -> bool {
        matches!(self.records, Records::Batch(_))
    }

    fn one(&self) -> Option<&RecordRef> {
        match &self.records {
            Records::One(record) => Some(record),
            Records::None | Records::Batch(_) => None,
        }
    }

    /// How many records the handler gets; 0 for timers and hooks.
    #[must_use]
    pub fn records(&self) -> usize {
        self.refs().len()
    }

    /// The topic's name on the broker; `None` for timers and hooks.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.refs().first().map(|record| &**record.topic())
    }

    /// The partition all records of the call are from.
    #[must_use]
    pub fn partition(&self) -> Option<i32> {
        self.refs().first().map(RecordRef::partition)
    }

    /// The offset of the record, or of the first one of a batch.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        self.refs().first().map(RecordRef::offset)
    }

    /// The offset of the last record of a batch, or of the only one.
    #[must_use]
    pub fn last_offset(&self) -> Option<i64> {
        self.refs().last().map(RecordRef::offset)
    }

    /// The key's bytes, where there is one record.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.one().and_then(RecordRef::key)
    }

    /// The headers, where there is one record; none otherwise.
    #[must_use]
    pub fn headers(&self) -> Headers {
        self.one().map(RecordRef::headers).unwrap_or_default()
    }
}

impl fmt::Display for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind(), self.name())?;
        let (Some(first), Some(last)) = (self.refs().first(), self.refs().last()) else {
            return Ok(());
        };
        write!(f, " {first:?}")?;
        if matches!(self.records, Records::Batch(_)) {
            write!(f, "..={} ({} records)", last.offset(), self.records())?;
        }
        Ok(())
    }
}

impl fmt::Debug for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallInfo({self}, attempt {})", self.attempt)
    }
}
