//! A consumer's membership, to be sent with a transaction's offsets.

use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka::bindings as rd;

use super::client::Client;
use super::error;

/// It stays as it was when it was taken.
#[derive(Clone, Debug)]
pub(super) struct Membership(Arc<Metadata>);

#[derive(Debug)]
struct Metadata(NonNull<rd::rd_kafka_consumer_group_metadata_t>);

// SAFETY: an owned, immutable copy of texts and numbers.
unsafe impl Send for Metadata {}
// SAFETY: as above: nothing changes it while it lives.
unsafe impl Sync for Metadata {}

impl Membership {
    /// `None` when the client has no group.
    pub(super) fn of(client: &Client) -> Option<Self> {
        // SAFETY: the client is alive; what is answered is ours or null.
        let raw = unsafe { rd::rd_kafka_consumer_group_metadata(client.rk()) };
        NonNull::new(raw).map(|raw| Self(Arc::new(Metadata(raw))))
    }

    pub(super) fn as_ptr(&self) -> *const rd::rd_kafka_consumer_group_metadata_t {
        self.0.0.as_ptr()
    }

    /// The member's name; `None` before it has one.
    pub(super) fn member_id(&self) -> Option<String> {
        // SAFETY: alive; the text is terminated and copied.
        let member = unsafe {
            error::text(rd::rd_kafka_consumer_group_metadata_member_id(
                self.as_ptr(),
            ))
        };
        Some(member).filter(|member| !member.is_empty())
    }

    /// Whether there is a membership that a broker can check. Without one it would take offsets from
    /// anybody.
    pub(super) fn is_checkable(&self) -> bool {
        // SAFETY: alive.
        let generation =
            unsafe { rd::rd_kafka_consumer_group_metadata_generation_id(self.as_ptr()) };
        self.member_id().is_some() && generation >= 0
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { rd::rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) }
    }
}
