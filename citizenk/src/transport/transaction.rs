//! What exactly once needs of a transport: a producer whose records and a consumer's offsets become
//! visible together or not at all (KIP-98, KIP-447).
//!
//! In: records through its [`ProducerHandle`], offsets of a group, orders to begin and end. Out: how
//! each call ended, told apart as the caller has to act on it. Every call may block its thread up to
//! the given time; a [`Transactions`] is used by one thread.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{ProducerHandle, TransportError};
use crate::record::TopicPartition;

/// Settings of one transactional producer.
#[derive(Clone, Debug)]
pub(crate) struct TransactionSpec {
    /// For logs and thread names.
    pub(crate) name: String,
    pub(crate) client_id: String,
    /// Unique among live workers; a successor with the same one fences this producer.
    pub(crate) transactional_id: String,
    /// librdkafka settings, merged and checked by `config`.
    pub(crate) settings: BTreeMap<String, String>,
}

/// A consumer's membership as of now: offsets sent with an older one are refused, which fences zombies.
/// Only the transport that made it can read it.
pub(crate) struct GroupMetadata(pub(crate) Box<dyn Any + Send>);

impl fmt::Debug for GroupMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupMetadata")
    }
}

/// What the caller has to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionFault {
    /// Nothing happened; make the same call again.
    Retriable,
    /// Abort the transaction; the producer is good for another one.
    Abortable,
    /// Fenced, or in a state that nobody knows (a commit without answer, above all): a new producer
    /// with the same id has to be initialised before anything else is believed.
    Fatal,
    /// The cluster cannot do this at all (brokers older than 2.5, no permission): stop.
    Unsupported,
}

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) struct TransactionError {
    pub(crate) fault: TransactionFault,
    pub(crate) error: TransportError,
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// How a transaction was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// More than one request to end it left, or a request that changes it got no answer: a late one could
    /// change the *next* transaction. Or a record was sent and failed, which leaves a gap in the
    /// producer's sequence numbers. The producer must be replaced before the next one begins.
    pub(crate) in_doubt: bool,
}

/// A transactional producer.
pub(crate) trait Transactions: Send + fmt::Debug {
    /// What sends into the open transaction.
    fn producer(&self) -> &Arc<dyn ProducerHandle>;
    /// Fences and ends what an earlier producer of the same id left open. Once, before all else.
    fn init(&mut self, timeout: Duration) -> Result<(), TransactionError>;
    fn begin(&mut self) -> Result<(), TransactionError>;
    /// Adds next offsets of the group to the open transaction. Fatal when the cluster gives no answer in
    /// time: the call goes on somewhere, and only a new producer fences it.
    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<(), TransactionError>;
    /// Delivers what is queued and makes the transaction visible. A refused record makes this
    /// abortable, its own error went to its sink; and so do records that are not acknowledged in time.
    fn commit(&mut self, timeout: Duration) -> Result<Ended, TransactionError>;
    /// Drops what is queued, and makes what was delivered invisible for readers of committed records.
    fn abort(&mut self, timeout: Duration) -> Result<Ended, TransactionError>;
}
