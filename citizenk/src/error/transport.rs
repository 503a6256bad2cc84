//! Failures of the client or the cluster.

/// A failure of the client or the cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{context}: {message} ({code})")]
pub struct TransportError {
    /// What was being done, to what.
    pub context: String,
    /// The client's error name, e.g. `_MSG_TIMED_OUT`.
    pub code: String,
    /// The client's description.
    pub message: String,
    /// Doing the same again may succeed.
    pub retriable: bool,
    /// The client instance cannot be used any more.
    pub fatal: bool,
}
