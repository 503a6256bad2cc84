//! The broker of runs without `--real`: librdkafka's mock cluster, in the process that starts the
//! contestants, so that its CPU time is nobody's.
//!
//! It keeps 5 MiB or 100,000 message sets per partition: whoever fills topics stays below.

use std::ffi::{CStr, CString};

use rdkafka::bindings as rd;

use super::Result;
use super::client::{Client, Conf, check};

pub(crate) struct MockBroker {
    cluster: *mut rd::rd_kafka_mock_cluster_t,
    servers: String,
    /// What librdkafka keeps the cluster's books with; dropped after the cluster.
    _client: Client,
}

impl MockBroker {
    pub(crate) fn start() -> Result<Self> {
        let mut conf = Conf::new("127.0.0.1:1")?;
        // It never connects anywhere, and need not say so.
        conf.set("log_level", "0")?;
        let client = conf.client(rd::rd_kafka_type_t::RD_KAFKA_PRODUCER)?;
        // SAFETY: the client lives and outlives the cluster.
        let cluster = unsafe { rd::rd_kafka_mock_cluster_new(client.rk(), 1) };
        if cluster.is_null() {
            return Err("the mock broker found no port".into());
        }
        // SAFETY: the cluster lives; its address is a text that ends. There is one member per group, so
        // none need wait for others.
        let servers = unsafe {
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
            CStr::from_ptr(rd::rd_kafka_mock_cluster_bootstraps(cluster))
                .to_string_lossy()
                .into_owned()
        };
        Ok(Self {
            cluster,
            servers,
            _client: client,
        })
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let c_name = CString::new(name)?;
        // SAFETY: the cluster lives; the name is copied.
        let code =
            unsafe { rd::rd_kafka_mock_topic_create(self.cluster, c_name.as_ptr(), partitions, 1) };
        check(code, name)
    }
}

impl Drop for MockBroker {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once, before its client.
        unsafe { rd::rd_kafka_mock_cluster_destroy(self.cluster) }
    }
}
