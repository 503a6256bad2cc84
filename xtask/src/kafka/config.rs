//! The properties of a node, its ports and the cluster's id: plain text, no process.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use crate::failure::{Failure, OrFail, Result};

/// Where every listener binds: this cluster has no passwords and is for this machine only.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Something between clients and a node, such as a proxy that breaks connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Front {
    /// Where clients are told to connect instead.
    pub(crate) advertised: u16,
    /// Where the other brokers connect, so that what happens to clients does not happen to them.
    pub(crate) broker_port: u16,
}

/// One node as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: usize,
    /// Where clients connect, and the other brokers unless they have a way of their own.
    pub(crate) port: u16,
    pub(crate) front: Option<Front>,
    /// Where the controllers' quorum talks.
    pub(crate) controller_port: u16,
    pub(crate) folder: PathBuf,
}

impl Node {
    pub(crate) fn properties_file(&self) -> PathBuf {
        self.folder.join("node.properties")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

/// `host:port` of every node, as clients want it.
pub(crate) fn bootstrap(ports: impl IntoIterator<Item = u16>) -> String {
    let list: Vec<String> = ports
        .into_iter()
        .map(|port| format!("{HOST}:{port}"))
        .collect();
    list.join(",")
}

/// The `node.properties` of one node of a cluster.
///
/// The settings make tests fast without making them dishonest: short delays where Kafka waits for
/// crowds of members, low *minimums* where a client may ask for less, replication as in production
/// when there are three nodes.
pub(crate) fn properties(node: &Node, cluster: &[Node]) -> String {
    let replicas = cluster.len().min(3);
    let in_sync = replicas.div_ceil(2);
    let voters: Vec<String> = cluster
        .iter()
        .map(|peer| format!("{}@{HOST}:{}", peer.id, peer.controller_port))
        .collect();
    // A lone node is a newcomer's and a demo's cluster: a producer may name a topic into being, as
    // on the embedded broker (consumers never do: librdkafka does not ask for it). Three nodes stand
    // for production, where a misspelled topic has to be an error.
    let auto_create = cluster.len() == 1;

    let mut text = String::new();
    let mut set = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key}={value}");
    };
    set("process.roles", &"broker,controller");
    set("node.id", &node.id);
    set("controller.quorum.voters", &voters.join(","));
    let clients = format!("PLAINTEXT://{HOST}");
    let controllers = format!("CONTROLLER://{HOST}:{}", node.controller_port);
    let (port, advertised) = (
        node.port,
        node.front.map_or(node.port, |front| front.advertised),
    );
    let (brokers, among_brokers) = match node.front {
        Some(front) => (
            format!(",BROKERS://{HOST}:{}", front.broker_port),
            "BROKERS",
        ),
        None => (String::new(), "PLAINTEXT"),
    };
    set(
        "listeners",
        &format!("{clients}:{port}{brokers},{controllers}"),
    );
    set(
        "advertised.listeners",
        &format!("{clients}:{advertised}{brokers}"),
    );
    set("inter.broker.listener.name", &among_brokers);
    set("controller.listener.names", &"CONTROLLER");
    set(
        "listener.security.protocol.map",
        &"PLAINTEXT:PLAINTEXT,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
    );
    set(
        "log.dirs",
        &escape(&node.folder.join("data").display().to_string()),
    );

    if node.front.is_some() && cluster.len() == 1 {
        // So that an ACL may turn clients away; more nodes than one do not find together without users.
        set(
            "authorizer.class.name",
            &"org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        );
        set("allow.everyone.if.no.acl.found", &true);
    }
    set("auto.create.topics.enable", &auto_create);
    // As many as the embedded broker gives a topic, so that an example behaves alike on both.
    set("num.partitions", &4);
    set("default.replication.factor", &replicas);
    set("min.insync.replicas", &in_sync);
    set("unclean.leader.election.enable", &false);
    for topic in [
        "offsets.topic",
        "transaction.state.log",
        "share.coordinator.state.topic",
    ] {
        set(&format!("{topic}.replication.factor"), &replicas);
        // Kafka's defaults of 50 cost seconds at the first use of each.
        set(&format!("{topic}.num.partitions"), &3);
    }
    for topic in ["transaction.state.log", "share.coordinator.state.topic"] {
        set(&format!("{topic}.min.isr"), &in_sync);
    }

    set("group.initial.rebalance.delay.ms", &0);
    set("group.min.session.timeout.ms", &1000);
    set("group.consumer.min.session.timeout.ms", &1000);
    set("group.consumer.session.timeout.ms", &6000);
    set("group.consumer.min.heartbeat.interval.ms", &500);
    set("group.consumer.heartbeat.interval.ms", &1000);
    set("broker.session.timeout.ms", &3000);
    set("broker.heartbeat.interval.ms", &500);
    set(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        &1000,
    );
    set("log.cleaner.backoff.ms", &1000);
    // The default of 128 MiB would be a third of this node's heap.
    set("log.cleaner.dedupe.buffer.size", &(8 << 20));
    text
}

/// A value of a Java properties file: a backslash starts an escape there.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\")
}

/// Whether something listens on (or holds) this port of the loopback address.
pub(crate) fn port_is_free(port: u16) -> bool {
    TcpListener::bind((HOST, port)).is_ok()
}

/// Ports that nobody holds now. Another program may take one before Kafka does: then try again.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let doing = || "find a free port on the loopback address".to_owned();
    // All bound at once, or the same port could come twice.
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((HOST, 0)))
        .collect::<std::io::Result<_>>()
        .or_fail(doing)?;
    held.iter()
        .map(|socket| Ok(socket.local_addr().or_fail(doing)?.port()))
        .collect()
}

/// The ports of `--port BASE`: BASE, BASE + 1, ..., all of them free.
pub(crate) fn given_ports(base: u16, count: usize) -> Result<Vec<u16>> {
    let ports: Vec<u16> = (base..=u16::MAX).take(count).collect();
    if base == 0 || ports.len() < count {
        return Err(Failure::new(format!(
            "--port {base}: {count} ports from there on do not exist"
        )));
    }
    match ports.iter().find(|port| !port_is_free(**port)) {
        Some(port) => Err(Failure::new(format!(
            "port {port} is in use by another program; give another --port, or none for free ports"
        ))),
        None => Ok(ports),
    }
}

/// A new random cluster id, in the 22 characters Kafka wants.
pub(crate) fn new_cluster_id() -> String {
    // The standard library's hash keys are random; no dependency for 128 bits that need no secrecy.
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    cluster_id(half() << 64 | half())
}

/// URL-safe base64 without padding of 16 bytes.
fn cluster_id(bits: u128) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |value: u128| char::from(ALPHABET[(value & 63) as usize]);
    let mut text: String = (0..21)
        .map(|place| digit(bits >> (122 - 6 * place)))
        .collect();
    // Two bits are left; base64 fills with zeros.
    text.push(digit((bits & 3) << 4));
    // Kafka's tools would read a leading dash as an option.
    if text.starts_with('-') {
        text.replacen('-', "A", 1)
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> Vec<Node> {
        (1..=count)
            .map(|id| Node {
                id,
                port: 9000 + id as u16,
                controller_port: 9100 + id as u16,
                front: None,
                folder: PathBuf::from(format!("/k/node-{id}")),
            })
            .collect()
    }

    fn value<'a>(text: &'a str, key: &str) -> &'a str {
        let found: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter(|(k, _)| *k == key)
            .map(|(_, v)| v)
            .collect();
        assert_eq!(found.len(), 1, "{key} in {text}");
        found[0]
    }

    #[test]
    fn a_lone_node_replicates_nothing_and_lets_producers_create_topics() {
        let cluster = nodes(1);
        let text = properties(&cluster[0], &cluster);
        assert_eq!(value(&text, "controller.quorum.voters"), "1@127.0.0.1:9101");
        assert_eq!(
            value(&text, "listeners"),
            "PLAINTEXT://127.0.0.1:9001,CONTROLLER://127.0.0.1:9101"
        );
        assert_eq!(value(&text, "log.dirs"), "/k/node-1/data");
        assert_eq!(value(&text, "auto.create.topics.enable"), "true");
        for key in [
            "offsets.topic",
            "transaction.state.log",
            "share.coordinator.state.topic",
        ] {
            assert_eq!(value(&text, &format!("{key}.replication.factor")), "1");
        }
        assert_eq!(value(&text, "min.insync.replicas"), "1");
        assert_eq!(value(&text, "group.initial.rebalance.delay.ms"), "0");
    }

    #[test]
    fn three_nodes_stand_for_production() {
        let cluster = nodes(3);
        let text = properties(&cluster[1], &cluster);
        assert_eq!(value(&text, "node.id"), "2");
        assert_eq!(
            value(&text, "controller.quorum.voters"),
            "1@127.0.0.1:9101,2@127.0.0.1:9102,3@127.0.0.1:9103"
        );
        assert_eq!(value(&text, "auto.create.topics.enable"), "false");
        assert_eq!(value(&text, "offsets.topic.replication.factor"), "3");
        assert_eq!(value(&text, "transaction.state.log.min.isr"), "2");
        assert_eq!(value(&text, "min.insync.replicas"), "2");
        assert_eq!(value(&text, "default.replication.factor"), "3");
    }

    #[test]
    fn clients_behind_a_front_are_sent_there_and_brokers_are_not() {
        let mut cluster = nodes(3);
        cluster[1].front = Some(Front {
            advertised: 7000,
            broker_port: 9202,
        });
        let text = properties(&cluster[1], &cluster);
        assert_eq!(
            value(&text, "listeners"),
            "PLAINTEXT://127.0.0.1:9002,BROKERS://127.0.0.1:9202,CONTROLLER://127.0.0.1:9102"
        );
        assert_eq!(
            value(&text, "advertised.listeners"),
            "PLAINTEXT://127.0.0.1:7000,BROKERS://127.0.0.1:9202"
        );
        assert_eq!(value(&text, "inter.broker.listener.name"), "BROKERS");
    }

    #[test]
    fn backslashes_of_a_path_survive_the_format() {
        assert_eq!(escape("a\\b"), "a\\\\b");
    }

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports(6).expect("the loopback address has six ports");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }

    #[test]
    fn a_used_or_impossible_port_is_named() {
        let socket = TcpListener::bind((HOST, 0)).expect("the loopback address has a port");
        let port = socket.local_addr().expect("it is bound").port();
        assert!(
            given_ports(port, 1)
                .expect_err("it is taken")
                .to_string()
                .contains(&port.to_string())
        );
        assert!(
            given_ports(65535, 3)
                .expect_err("there is no 65536")
                .to_string()
                .contains("65535")
        );
        assert!(given_ports(0, 1).is_err());
    }

    #[test]
    fn cluster_ids_are_base64_of_16_bytes() {
        assert_eq!(cluster_id(0), "AAAAAAAAAAAAAAAAAAAAAA");
        // A leading dash is replaced.
        assert_eq!(cluster_id(0b111110 << 122), "AAAAAAAAAAAAAAAAAAAAAA");
        // 00 01 .. 0f
        assert_eq!(
            cluster_id(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f),
            "AAECAwQFBgcICQoLDA0ODw"
        );
        assert_ne!(new_cluster_id(), new_cluster_id());
        assert_eq!(new_cluster_id().len(), 22);
    }

    #[test]
    fn bootstrap_lists_every_node() {
        assert_eq!(bootstrap([1, 2]), "127.0.0.1:1,127.0.0.1:2");
    }
}
