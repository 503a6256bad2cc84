//! Labels of metrics.

use std::fmt::Write;

use prometheus_client::encoding::{
    EncodeLabel, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, LabelValueEncoder,
};

use crate::config::DEFAULT_CLUSTER;

/// The label `cluster`; none for the cluster without a name, so that an app with one cluster has its series
/// under the labels they always had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClusterLabel(pub(crate) &'static str);

impl EncodeLabelSet for ClusterLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        if self.0 == DEFAULT_CLUSTER {
            return Ok(());
        }
        ("cluster", self.0).encode(encoder.encode_label())
    }
}

/// A lane: an agent and a partition it reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
pub(crate) struct LaneId {
    pub(crate) agent: String,
    /// The broker's name.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Empty: no group.
    pub(crate) group: String,
    #[prometheus(flatten)]
    pub(crate) cluster: ClusterLabel,
}

/// A set of words a label can say.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            #[allow(dead_code, reason = "not every set of words is looped over")]
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The label's value.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.name())
            }
        }
    };
}

words! {
    /// Why records were passed over.
    SkipReason {
        /// They could not be decoded and the policy says skip.
        Decode = "decode",
        /// The handler failed, or asked for it, and the policy says skip.
        Handler = "handler",
        /// Their outputs could not be delivered and the policy says skip.
        Produce = "produce",
        /// They have no value and the agent takes none.
        Tombstone = "tombstone",
        /// The agent was detached while others went on.
        Detached = "detached",
    }
}

words! {
    /// Where an attempt failed.
    Stage {
        Decode = "decode",
        Handler = "handler",
        /// The handler panicked.
        Panic = "panic",
        /// The handler took too long.
        Timeout = "timeout",
        Produce = "produce",
    }
}

words! {
    /// How a commit ended.
    CommitResult {
        Ok = "ok",
        Failed = "failed",
    }
}

words! {
    /// How a tick ended.
    TickResult {
        Ok = "ok",
        Failed = "failed",
        /// The last one still ran.
        Skipped = "skipped",
    }
}

words! {
    /// How a client of a stream is connected.
    ClientKind {
        Websocket = "websocket",
        Events = "events",
    }
}

words! {
    /// Why a client of a stream did not get a value.
    MissReason {
        /// It was too slow, or away for too long.
        Slow = "slow",
        /// A newer value of the same key stood behind it.
        Coalesced = "coalesced",
    }
}

words! {
    /// Why the service disconnected a client of a stream.
    LeaveReason {
        /// It fell behind.
        Slow = "slow",
        /// It gave no sign of life.
        Silent = "silent",
        /// It sent more than clients of streams may.
        Flood = "flood",
        /// The service stopped.
        Stopping = "stopping",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StreamLabels {
    pub(super) stream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ClientLabels {
    pub(super) stream: String,
    pub(super) kind: ClientKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MissLabels {
    pub(super) stream: String,
    pub(super) reason: MissReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LeftLabels {
    pub(super) stream: String,
    pub(super) reason: LeaveReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SkipLabels {
    #[prometheus(flatten)]
    pub(super) lane: LaneId,
    pub(super) reason: SkipReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorLabels {
    #[prometheus(flatten)]
    pub(super) lane: LaneId,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AgentLabels {
    pub(super) agent: String,
    pub(super) group: String,
    #[prometheus(flatten)]
    pub(super) cluster: ClusterLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GroupLabels {
    pub(super) group: String,
    #[prometheus(flatten)]
    pub(super) cluster: ClusterLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StallLabels {
    pub(super) group: String,
    pub(super) cause: &'static str,
    #[prometheus(flatten)]
    pub(super) cluster: ClusterLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CommitLabels {
    pub(super) group: String,
    pub(super) result: CommitResult,
    #[prometheus(flatten)]
    pub(super) cluster: ClusterLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
pub(super) struct PartitionLabels {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    #[prometheus(flatten)]
    pub(super) cluster: ClusterLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProducerLabels {
    pub(super) producer: String,
    #[prometheus(flatten)]
    pub(super) cluster: ClusterLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UnawaitedLabels {
    #[prometheus(flatten)]
    pub(super) producer: ProducerLabels,
    pub(super) topic: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TickLabels {
    pub(super) timer: String,
    pub(super) result: TickResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) method: &'static str,
    pub(super) route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HttpLabels {
    #[prometheus(flatten)]
    pub(super) route: RouteLabels,
    pub(super) status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InfoLabels {
    pub(super) app: String,
    pub(super) version: String,
    pub(super) broker: String,
}
