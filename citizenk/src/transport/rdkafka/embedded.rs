//! The broker inside this process: librdkafka's mock cluster.
//!
//! In: how many brokers, which topics. Out: an address that any client can connect to. Owned by the
//! transports and clients that use it; it ends with the last of them. It keeps 5 MiB or 100,000
//! records per partition and drops older ones.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::client::{Client, Hooks, Polled, lock};
use super::conf::{Conf, c_text};
use super::error;
use crate::transport::TransportError;

/// How to start a broker in this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EmbeddedOptions {
    pub(crate) brokers: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { brokers: 1 }
    }
}

/// The number of requests to write records in Kafka's protocol.
#[cfg(any(test, feature = "testing"))]
const PRODUCE: i16 = 0;

/// Why an embedded broker refuses to write records.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendRefusal {
    /// `NOT_ENOUGH_REPLICAS`: clients try again by themselves.
    NotEnoughReplicas,
    /// `MSG_SIZE_TOO_LARGE`: larger than the topic takes.
    TooLarge,
    /// `TOPIC_AUTHORIZATION_FAILED`: the client may not write there.
    NotAuthorized,
    /// `INVALID_RECORD`: the broker's checks found something.
    InvalidRecord,
}

#[cfg(any(test, feature = "testing"))]
impl SendRefusal {
    fn code(self) -> Code {
        match self {
            Self::NotEnoughReplicas => Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Self::TooLarge => Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            Self::NotAuthorized => Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Self::InvalidRecord => Code::RD_KAFKA_RESP_ERR_INVALID_RECORD,
        }
    }
}

pub(crate) struct EmbeddedBroker {
    cluster: *mut rd::rd_kafka_mock_cluster_t,
    bootstrap: String,
    brokers: usize,
    topics: Mutex<BTreeMap<String, usize>>,
    /// The client that librdkafka wants for the cluster's book-keeping.
    _client: Arc<Client>,
}

// SAFETY: the mock cluster hands every call to its own thread or locks itself.
unsafe impl Send for EmbeddedBroker {}
// SAFETY: as above.
unsafe impl Sync for EmbeddedBroker {}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedBroker({})", self.bootstrap)
    }
}

impl EmbeddedBroker {
    pub(crate) fn start(options: EmbeddedOptions) -> Result<Arc<Self>, TransportError> {
        let brokers = options.brokers.max(1);
        let context = || "starting the embedded broker".to_owned();
        let count =
            i32::try_from(brokers).map_err(|_| error::invalid(context(), "too many brokers"))?;
        let mut conf = Conf::new("embedded broker");
        conf.set("log.queue", "true")?;
        // Every connection a client of this process closes is worth a line to librdkafka.
        conf.set("log_level", "3")?;
        let hooks = Hooks::new("embedded", None, Arc::default());
        let client = Client::new(conf, Polled::Main, false, hooks, None)?;
        // SAFETY: the client is alive and outlives the cluster, which is destroyed in `drop`.
        let cluster = unsafe { rd::rd_kafka_mock_cluster_new(client.rk(), count) };
        if cluster.is_null() {
            return Err(error::with_message(
                context(),
                Code::RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE,
                "no loopback port could be opened",
            ));
        }
        // SAFETY: the cluster is alive; its address is a terminated text, copied here. The first
        // member of a group need not wait for others: there is one process.
        let bootstrap = unsafe {
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
            error::text(rd::rd_kafka_mock_cluster_bootstraps(cluster))
        };
        Ok(Arc::new(Self {
            cluster,
            bootstrap,
            brokers,
            topics: Mutex::default(),
            _client: client,
        }))
    }

    pub(crate) fn bootstrap_servers(&self) -> &str {
        &self.bootstrap
    }

    /// Creates the topic unless it exists.
    pub(crate) fn create_topic(&self, name: &str, partitions: usize) -> Result<(), TransportError> {
        let context = || format!("creating topic `{name}`");
        if name.is_empty() || name.contains('\0') {
            return Err(error::invalid(context(), "not a topic name"));
        }
        let count = i32::try_from(partitions.max(1))
            .map_err(|_| error::invalid(context(), "too many partitions"))?;
        let mut topics = lock(&self.topics);
        if topics.contains_key(name) {
            return Ok(());
        }
        let replicas = i32::try_from(self.brokers.min(3)).unwrap_or(1);
        let c_name = c_text(name);
        // SAFETY: the cluster is alive, the name is copied.
        let code = unsafe {
            rd::rd_kafka_mock_topic_create(self.cluster, c_name.as_ptr(), count, replicas)
        };
        if code != Code::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS {
            error::check(code, context)?;
        }
        topics.insert(name.to_owned(), partitions);
        Ok(())
    }

    /// The next requests to write records are refused.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn refuse_sends(&self, refusal: SendRefusal, requests: usize) {
        let codes = vec![refusal.code(); requests];
        // SAFETY: the cluster is alive, the codes are copied.
        unsafe {
            rd::rd_kafka_mock_push_request_errors_array(
                self.cluster,
                PRODUCE,
                codes.len(),
                codes.as_ptr(),
            );
        }
    }

    /// Forgets what [`Self::refuse_sends`] has left.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn accept_sends(&self) {
        // SAFETY: the cluster is alive.
        unsafe { rd::rd_kafka_mock_clear_request_errors(self.cluster, PRODUCE) }
    }

    /// For faults that tests order.
    #[cfg(test)]
    pub(super) fn cluster(&self) -> *mut rd::rd_kafka_mock_cluster_t {
        self.cluster
    }

    /// Takes all brokers off the network, or brings them back.
    #[cfg(test)]
    pub(super) fn set_down(&self, down: bool) {
        for broker in 1..=self.brokers as i32 {
            // SAFETY: the cluster is alive; the call waits for the cluster's own thread.
            unsafe {
                if down {
                    rd::rd_kafka_mock_broker_set_down(self.cluster, broker);
                } else {
                    rd::rd_kafka_mock_broker_set_up(self.cluster, broker);
                }
            }
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        // SAFETY: made by us, destroyed once, before the client it belongs to.
        unsafe { rd::rd_kafka_mock_cluster_destroy(self.cluster) }
    }
}
