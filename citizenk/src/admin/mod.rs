//! Administration of a cluster: topics, groups, offsets.
//!
//! In: typed requests to an [`Admin`], checked before anything is sent (`check`). Out: typed
//! answers (`types`), or an [`AdminError`] that names what was asked of whom and what to do. What would
//! become of a group's offsets is a plan first ([`OffsetPlan`]), made by a pure function (`plan`), as is
//! what differs between a topic and its declaration (`declared`). The requests go through an `AdminPort`,
//! which a transport owns and serves on a thread of its own.

mod check;
mod client;
mod declared;
mod error;
mod groups;
mod plan;
mod port;
mod types;

pub use client::Admin;
pub(crate) use declared::{Difference, Wanted, problems};
pub use error::{AdminError, AdminErrorKind};
pub use plan::{OffsetChange, OffsetPlan, ResetTo};
pub(crate) use port::{AdminPort, AdminReply, Each, Spot};
pub use types::{
    BrokerNode, ClusterDescription, ConfigChange, ConfigEntry, ConfigSource, GroupDescription,
    GroupListing, GroupOffset, GroupProtocol, GroupState, MemberDescription, NewTopic,
    PartitionDescription, PartitionId, PartitionOffsets, TopicDescription, TopicListing,
};
