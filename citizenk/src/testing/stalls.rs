//! Clients that deliver nothing.

use super::TestApp;
use crate::topic::Topic;
use crate::transport::memory::Withheld;

impl TestApp {
    /// The client delivers nothing of the partition, as one that has lost a wake-up; `None` ends that.
    pub fn withhold<V, K>(&self, topic: &Topic<V, K>, partition: i32, until: Option<Withheld>) {
        self.on(topic.cluster)
            .withhold(&self.real(topic.id()), partition, until);
    }

    /// The partition ends with so many offsets that are no records, as marks of transactions are.
    pub fn empty_end<V, K>(&self, topic: &Topic<V, K>, partition: i32, offsets: i64) {
        self.on(topic.cluster)
            .set_empty_end(&self.real(topic.id()), partition, offsets);
    }
}
