//! What can go wrong around a [`TestApp`]: refused records and commits, lost members, a broker that is gone.

use super::TestApp;
use crate::topic::Topic;
use crate::transport::TransportError;

impl TestApp {
    /// The next `records` records sent to the topic are refused, as by a broker.
    pub fn fail_next<V, K>(&self, topic: &Topic<V, K>, records: usize) {
        let error = TransportError {
            context: format!("produce to {}", topic.name),
            code: "_MSG_TIMED_OUT".to_owned(),
            message: "refused by the test".to_owned(),
            retriable: true,
            fatal: false,
        };
        self.on(topic.cluster)
            .fail_next(&self.real(topic.id()), records, &error);
    }

    /// The next `commits` commits are refused.
    pub fn fail_commits(&self, commits: usize) {
        let error = TransportError {
            context: "commit".to_owned(),
            code: "COORDINATOR_NOT_AVAILABLE".to_owned(),
            message: "refused by the test".to_owned(),
            retriable: true,
            fatal: false,
        };
        for (_, cluster) in self.memories() {
            cluster.fail_commits(commits, &error);
        }
    }

    /// Keeps acknowledgements of sent records back, or lets them go.
    pub fn hold_deliveries(&self, hold: bool) {
        self.memories()
            .for_each(|(_, cluster)| cluster.hold_deliveries(hold));
    }

    /// While they are held back: lets this many more acknowledgements go.
    pub fn release_deliveries(&self, records: usize) {
        self.memories()
            .for_each(|(_, cluster)| cluster.release_deliveries(records));
    }

    /// Producers accept at most this many records that are not acknowledged.
    pub fn producer_capacity(&self, records: usize) {
        self.memories()
            .for_each(|(_, cluster)| cluster.queue_capacity(records));
    }

    /// A worker's session expires: others get its partitions at once, and it hears of that afterwards.
    pub async fn lose_worker(&self, worker: usize) {
        for group in self.groups() {
            for (_, cluster) in self.memories() {
                cluster.lose_member(&group, &self.member(worker));
            }
        }
        self.rest().await;
    }

    /// A worker's client fails for good, as after an error no client recovers from.
    pub async fn break_client(&self, worker: usize) {
        let error = TransportError {
            context: "consumer".to_owned(),
            code: "_FATAL".to_owned(),
            message: "broken by the test".to_owned(),
            retriable: false,
            fatal: true,
        };
        for (_, cluster) in self.memories() {
            cluster.consumer_error(&self.member(worker), &error);
        }
        self.rest().await;
    }

    /// Takes the brokers of all clusters away, or gives them back.
    pub fn broker_available(&self, available: bool) {
        self.memories()
            .for_each(|(_, cluster)| cluster.set_available(available));
    }

    /// Takes the brokers of one cluster away, or gives them back; `default` is the one without a name.
    ///
    /// # Panics
    /// When the app has no such cluster.
    pub fn cluster_available(&self, cluster: &str, available: bool) {
        self.on(cluster).set_available(available);
    }

    /// Deletes records below an offset, as retention does.
    pub fn truncate<V, K>(&self, topic: &Topic<V, K>, partition: i32, below: i64) {
        self.on(topic.cluster)
            .truncate(&self.real(topic.id()), partition, below);
    }
}
