//! Why a read ended, or what it could not give.

use std::time::Duration;

use crate::error::{DecodeError, TransportError};

/// Why a read ended, or what it could not give.
///
/// After [`ReadError::Deleted`] and [`ReadError::Decode`] the stream goes on; every other error is its last
/// item (see [`ReadError::is_final`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The cluster has no such topic.
    #[error("topic `{topic}` does not exist on the cluster")]
    NoSuchTopic {
        /// Its name on the broker.
        topic: String,
    },
    /// The topic has fewer partitions.
    #[error("topic `{topic}` has no partition {partition}; it has {partitions}, numbered from 0")]
    NoSuchPartition {
        /// Its name on the broker.
        topic: String,
        /// What was asked for.
        partition: i32,
        /// How many there are.
        partitions: usize,
    },
    /// The topic's values can only be written.
    #[error("topic `{topic}` is declared for output only; read it with `Reader::raw`")]
    OutputOnly {
        /// Its name on the broker.
        topic: String,
    },
    /// The broker lacks something.
    #[error("topic `{topic}`: {what} is not available on the embedded broker")]
    Unsupported {
        /// Its name on the broker.
        topic: String,
        /// What was asked for.
        what: &'static str,
    },
    /// Offsets that were asked for are gone, by retention or because they were deleted. The stream goes on
    /// behind them.
    #[error("{topic}/{partition}: offsets {from} to {to} were deleted before they were read", to = to - 1)]
    Deleted {
        /// The topic's name on the broker.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// The first offset that is gone.
        from: i64,
        /// The first that is not.
        to: i64,
    },
    /// The topic was deleted and created anew, or cut, while it was read.
    #[error("{topic}/{partition}@{offset}: the topic was created anew while it was read")]
    Recreated {
        /// The topic's name on the broker.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// Where the read stood.
        offset: i64,
    },
    /// A record is not what the topic's format says. The stream goes on behind it.
    #[error("{topic}/{partition}@{offset}: {source}")]
    Decode {
        /// The topic's name on the broker.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What the codec says.
        source: DecodeError,
    },
    /// Nothing came for too long, although the end was not reached.
    #[error(
        "{topic}/{partition}@{offset}: no record came for {waited:?}{}",
        last.as_ref().map(|error| format!("; the client's last error: {error}")).unwrap_or_default()
    )]
    Silent {
        /// The topic's name on the broker.
        topic: String,
        /// A partition that is not read to its end.
        partition: i32,
        /// Where it stands.
        offset: i64,
        /// How long nothing came.
        waited: Duration,
        /// What the client complained of meanwhile.
        last: Option<Box<TransportError>>,
    },
    /// The client or the cluster failed.
    #[error("topic `{topic}`: {source}")]
    Transport {
        /// Its name on the broker.
        topic: String,
        /// What the client says.
        source: TransportError,
    },
}

impl ReadError {
    /// Whether the stream ends with this error.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Deleted { .. } | Self::Decode { .. })
    }
}
