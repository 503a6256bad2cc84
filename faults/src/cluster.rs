//! Three brokers, each behind a proxy of its own, and what can happen to them.
//!
//! In: what a row wants to happen. Out: the address of the proxies, and whether everything is well
//! again. Brokers talk to each other past the proxies.

use std::process::Stdio;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Runtime;
use xtask::failure::{Failure, OrFail, Result};
use xtask::kafka::Kafka;
use xtask::process::{self, Signal};
use xtask::workspace::Workspace;

use crate::proxy::{Mode, Proxy};

pub(crate) const NODES: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(20);
const TOOL_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    // Dropped first: it ends while the proxies still pass.
    kafka: Kafka,
    proxies: Vec<Proxy>,
    runtime: Runtime,
}

impl Cluster {
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .or_fail(|| "start the runtime of the proxies".into())?;
        let proxies = (0..NODES)
            .map(|_| Proxy::start(runtime.handle()))
            .collect::<std::io::Result<Vec<_>>>()
            .or_fail(|| "start a proxy".into())?;
        let kafka = Kafka::start_behind(workspace, proxies.iter().map(Proxy::port).collect())?;
        for (proxy, port) in proxies.iter().zip(kafka.ports()) {
            proxy.lead_to(port);
        }
        Ok(Self {
            kafka,
            proxies,
            runtime,
        })
    }

    /// The proxies, as clients want them.
    pub(crate) fn servers(&self) -> String {
        let list: Vec<String> = self
            .proxies
            .iter()
            .map(|proxy| format!("127.0.0.1:{}", proxy.port()))
            .collect();
        list.join(",")
    }

    pub(crate) fn switch(&self, mode: Mode) {
        for proxy in &self.proxies {
            proxy.switch(mode);
        }
    }

    pub(crate) fn switch_one(&self, node: usize, mode: Mode) {
        self.proxies[node].switch(mode);
    }

    /// How many frames met a fault since the last switch.
    pub(crate) fn hits(&self) -> usize {
        self.proxies.iter().map(Proxy::hits).sum()
    }

    pub(crate) fn signal(&self, node: usize, signal: Signal) {
        self.kafka.signal(node, signal);
    }

    pub(crate) fn has_ended(&mut self, node: usize) -> Result<bool> {
        self.kafka.has_ended(node)
    }

    pub(crate) fn start_node(&mut self, node: usize) -> Result<()> {
        self.kafka.start_node(node)
    }

    pub(crate) fn is_ready(&self, node: usize) -> bool {
        self.kafka.is_ready(node)
    }

    /// Takes every fault away; brokers that have ended are on their way up afterwards.
    pub(crate) fn heal(&mut self) -> Result<()> {
        self.switch(Mode::Pass);
        for node in 0..NODES {
            self.signal(node, Signal::SIGCONT);
            if self.has_ended(node)? {
                self.start_node(node)?;
            }
        }
        Ok(())
    }

    /// Whether every replica of every partition has what its leader has.
    pub(crate) fn is_in_sync(&self) -> Result<bool> {
        let consumer: BaseConsumer = self
            .client()
            .create()
            .or_fail(|| "ask for replicas".into())?;
        // Not reachable is not in sync.
        let Ok(metadata) = consumer.fetch_metadata(None, Duration::from_secs(2)) else {
            return Ok(false);
        };
        let mut partitions = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions());
        Ok(metadata.brokers().len() == NODES
            && partitions.all(|partition| partition.isr().len() == NODES && partition.leader() > 0))
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.servers())
            .set("group.id", "faults-cluster")
            .set("log_level", "2");
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        self.client()
            .create()
            .or_fail(|| "reach the cluster".into())
    }

    fn options() -> AdminOptions {
        AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT))
    }

    pub(crate) fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let doing = || format!("create {name}");
        let new = NewTopic::new(name, partitions, TopicReplication::Fixed(3));
        let new = settings
            .iter()
            .fold(new, |new, (key, value)| new.set(key, value));
        let answers = self
            .runtime
            .block_on(self.admin()?.create_topics([&new], &Self::options()))
            .or_fail(doing)?;
        one(
            answers
                .into_iter()
                .next()
                .map(|answer| answer.map_err(|(_, code)| code)),
            doing,
        )
    }

    pub(crate) fn delete_topic(&self, name: &str) -> Result<()> {
        let doing = || format!("delete {name}");
        let answers = self
            .runtime
            .block_on(self.admin()?.delete_topics(&[name], &Self::options()))
            .or_fail(doing)?;
        one(
            answers
                .into_iter()
                .next()
                .map(|answer| answer.map_err(|(_, code)| code)),
            doing,
        )
    }

    /// Deletes what rows before have left: a broker that was killed looks through all its logs before it serves.
    pub(crate) fn delete_topics(&self) -> Result<()> {
        let doing = || "delete the topics of rows before".to_owned();
        let consumer: BaseConsumer = self.client().create().or_fail(doing)?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT).or_fail(doing)?;
        let names = metadata.topics().iter().map(|topic| topic.name());
        let names: Vec<&str> = names.filter(|name| !name.starts_with("__")).collect();
        if names.is_empty() {
            return Ok(());
        }
        let answers = self
            .runtime
            .block_on(self.admin()?.delete_topics(&names, &Self::options()))
            .or_fail(doing)?;
        for answer in answers {
            one(Some(answer.map_err(|(_, code)| code)), doing)?;
        }
        Ok(())
    }

    pub(crate) fn add_partitions(&self, name: &str, count: usize) -> Result<()> {
        let doing = || format!("give {name} {count} partitions");
        let more = NewPartitions::new(name, count);
        let answers = self
            .runtime
            .block_on(self.admin()?.create_partitions([&more], &Self::options()))
            .or_fail(doing)?;
        one(
            answers
                .into_iter()
                .next()
                .map(|answer| answer.map_err(|(_, code)| code)),
            doing,
        )
    }

    /// Deletes what stands before these offsets, as retention would.
    pub(crate) fn delete_records(&self, topic: &str, before: &[(i32, i64)]) -> Result<()> {
        let doing = || format!("delete records of {topic}");
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .or_fail(doing)?;
        }
        self.runtime
            .block_on(self.admin()?.delete_records(&list, &Self::options()))
            .or_fail(doing)?;
        Ok(())
    }

    /// So many bytes per second and broker for every client that names itself, for reading and for writing;
    /// observers and the load do not name themselves.
    pub(crate) fn quota(&self, bytes: Option<u64>) -> Result<()> {
        const NAMES: &str = "producer_byte_rate,consumer_byte_rate";
        const FREE: u64 = 1_000_000_000;
        let rates = |bytes: u64| format!("producer_byte_rate={bytes},consumer_byte_rate={bytes}");
        let clients = ["--alter", "--entity-type", "clients"];
        let (change, all, nameless) = match bytes {
            Some(bytes) => ("--add-config", rates(bytes), rates(FREE)),
            None => ("--delete-config", NAMES.to_owned(), NAMES.to_owned()),
        };
        let own = [
            &clients[..],
            &["--entity-name", "rdkafka", change, &nameless],
        ]
        .concat();
        let others = [&clients[..], &["--entity-default", change, &all]].concat();
        self.tool("configs", &own)?;
        self.tool("configs", &others)
    }

    /// Runs one of Kafka's own tools.
    pub(crate) fn tool(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.kafka.tool(name, &self.servers())?;
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        process::run(command, &format!("Kafka's tool {name}"), TOOL_LIMIT)
    }
}

fn one<E: std::fmt::Display>(
    answer: Option<std::result::Result<String, E>>,
    doing: impl Fn() -> String,
) -> Result<()> {
    match answer {
        Some(answer) => answer.map(|_| ()).or_fail(doing),
        None => Err(Failure::new(format!("cannot {}: no answer", doing()))),
    }
}
