//! What can go wrong, and what to do about it.

use std::fmt;

use crate::error::TransportError;

/// Why a request of administration failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminError {
    /// The cluster's name in the app.
    pub cluster: String,
    /// What was asked for, e.g. "creating".
    pub operation: &'static str,
    /// Of what, e.g. "topic `orders`".
    pub subject: String,
    /// What kind of failure it is.
    pub kind: AdminErrorKind,
    /// The broker's or the client's name for it, e.g. `TOPIC_ALREADY_EXISTS`; empty where neither was asked.
    pub code: String,
    /// What the broker, the client or this library says.
    pub message: String,
}

/// Kinds of [`AdminError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminErrorKind {
    /// The request cannot be right; nothing was sent, or the broker refused it as it is.
    Invalid,
    /// There is no such topic, partition or group.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// The group has members, or a transaction with offsets of it is still open.
    NotEmpty,
    /// The offsets are no longer those the plan was made from.
    Changed,
    /// The cluster does not allow it to this user.
    NotAuthorized,
    /// No answer came in time, or nobody is there.
    Unreachable,
    /// This cluster cannot do it: the embedded broker, or one that is too old.
    Unsupported,
    /// Anything else the broker says.
    Broker,
}

impl AdminErrorKind {
    fn of(error: &TransportError) -> Self {
        match error.code.as_str() {
            "UNKNOWN_TOPIC_OR_PART"
            | "_UNKNOWN_TOPIC"
            | "_UNKNOWN_PARTITION"
            | "GROUP_ID_NOT_FOUND"
            | "_UNKNOWN_GROUP" => Self::NotFound,
            "TOPIC_ALREADY_EXISTS" => Self::AlreadyExists,
            "NON_EMPTY_GROUP"
            | "UNKNOWN_MEMBER_ID"
            | "REBALANCE_IN_PROGRESS"
            | "GROUP_SUBSCRIBED_TO_TOPIC"
            | "ILLEGAL_GENERATION"
            | "STALE_MEMBER_EPOCH"
            | "UNSTABLE_OFFSET_COMMIT" => Self::NotEmpty,
            "TOPIC_AUTHORIZATION_FAILED"
            | "GROUP_AUTHORIZATION_FAILED"
            | "CLUSTER_AUTHORIZATION_FAILED"
            | "SASL_AUTHENTICATION_FAILED"
            | "_AUTHENTICATION" => Self::NotAuthorized,
            "_TIMED_OUT" | "_TIMED_OUT_QUEUE" | "REQUEST_TIMED_OUT" | "_TRANSPORT"
            | "_ALL_BROKERS_DOWN" | "_RESOLVE" | "_DESTROY" => Self::Unreachable,
            "_UNSUPPORTED_FEATURE" | "_NOT_IMPLEMENTED" | "UNSUPPORTED_VERSION" => {
                Self::Unsupported
            }
            "_INVALID_ARG"
            | "TOPIC_EXCEPTION"
            | "INVALID_PARTITIONS"
            | "INVALID_REPLICATION_FACTOR"
            | "INVALID_REPLICA_ASSIGNMENT"
            | "INVALID_CONFIG"
            | "INVALID_REQUEST"
            | "INVALID_GROUP_ID"
            | "POLICY_VIOLATION" => Self::Invalid,
            _ => Self::Broker,
        }
    }

    /// What to do.
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::Invalid | Self::Broker => None,
            Self::NotFound => Some("check the name; it is the name on the broker that counts here"),
            Self::AlreadyExists => Some("describe it, or choose another name"),
            Self::NotEmpty => Some(
                "stop the group's members first; a transaction they left open ends by itself within its timeout",
            ),
            Self::Changed => Some("make the plan again"),
            Self::NotAuthorized => Some("ask for an ACL, or use another user"),
            Self::Unreachable => Some(
                "check that the cluster is up and reached at the given addresses, or give the request more time",
            ),
            Self::Unsupported => Some("use a cluster that has it"),
        }
    }
}

impl AdminError {
    pub(super) fn of(
        cluster: &str,
        operation: &'static str,
        subject: impl Into<String>,
        error: TransportError,
    ) -> Self {
        Self {
            cluster: cluster.to_owned(),
            operation,
            subject: subject.into(),
            kind: AdminErrorKind::of(&error),
            code: error.code,
            message: error.message,
        }
    }

    pub(super) fn own(
        cluster: &str,
        operation: &'static str,
        subject: impl Into<String>,
        kind: AdminErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            cluster: cluster.to_owned(),
            operation,
            subject: subject.into(),
            kind,
            code: String::new(),
            message: message.into(),
        }
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster,
            operation,
            subject,
            kind,
            code,
            message,
        } = self;
        write!(f, "cluster `{cluster}`: {operation} {subject}: {message}")?;
        if !code.is_empty() {
            write!(f, " ({code})")?;
        }
        match kind.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for AdminError {}
