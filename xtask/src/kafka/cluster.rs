//! Starting a cluster: format each node, start each process, wait until all answer.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::config::{self, Node};
use crate::kafka::dist::Dist;
use crate::kafka::secured;
use crate::kafka::state::{NodeState, State};
use crate::process;

pub(crate) const MAIN_CLASS: &str = "kafka.Kafka";
const FORMAT_CLASS: &str = "kafka.tools.StorageTool";
const STARTED: &str = "Kafka Server started";
const PORT_TAKEN: &str = "Address already in use";
const HEAP: [&str; 2] = ["-Xms256m", "-Xmx400m"];
const LOGGING: [&str; 2] = [
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
];

const FORMAT_LIMIT: Duration = Duration::from_secs(60);
const START_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// How long nodes may take to end when asked; their data goes away anyway.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(10);
/// Free ports are found before Kafka binds them: a loser of that race starts again.
const ATTEMPTS: usize = 3;

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    /// The first of consecutive client ports; free ones if not given.
    pub(crate) port: Option<u16>,
    /// Where the clients of each node are told to connect, if not to the node itself.
    pub(crate) advertised: Option<Vec<u16>>,
    /// The process a temporary cluster belongs to. Without one the cluster outlives us.
    pub(crate) owner: Option<u32>,
    /// One node that asks its clients who they are.
    pub(crate) secured: bool,
}

/// A running cluster and the handles of its processes.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) state: State,
    pub(crate) children: Vec<Child>,
    pub(crate) nodes: Vec<Node>,
    /// How long each node's log was when its process was started.
    begun: Vec<u64>,
}

impl Started {
    /// Starts the process of a node, whose earlier one has ended if there was one.
    pub(crate) fn start_node(&mut self, dist: &Dist, folder: &Path, index: usize) -> Result<()> {
        let node = &self.nodes[index];
        let properties = node.properties_file();
        let mut command = dist.java(&[HEAP, LOGGING].concat(), MAIN_CLASS);
        command
            .arg(&properties)
            .current_dir(&node.folder)
            .stdin(Stdio::null());
        let length = fs::metadata(node.log_file()).map_or(0, |file| file.len());
        log_to(&mut command, node)?;
        if self.state.owner.is_none() {
            // Out of reach of the terminal's Ctrl-C and of a `timeout` around us.
            command.process_group(0);
        }
        let child = command.spawn().or_fail(|| "start `java`".into())?;
        let state = NodeState {
            id: node.id,
            pid: child.id(),
            port: node.port,
            properties,
        };
        if index < self.children.len() {
            self.state.nodes[index] = state;
            self.children[index] = child;
            self.begun[index] = length;
        } else {
            self.state.nodes.push(state);
            self.children.push(child);
            self.begun.push(length);
        }
        self.state.write(folder)
    }

    /// Whether the node said so in its log (it is then a member of the cluster) and takes connections.
    pub(crate) fn is_ready(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        self.said(index).contains(STARTED) && answers(node.port)
    }

    /// What the node's process has logged so far.
    fn said(&self, index: usize) -> String {
        let text = fs::read(self.nodes[index].log_file()).unwrap_or_default();
        let begun = usize::try_from(self.begun[index])
            .unwrap_or(0)
            .min(text.len());
        String::from_utf8_lossy(&text[begun..]).into_owned()
    }

    /// The exit status of a node's process, once it has ended.
    pub(crate) fn ended(&mut self, index: usize) -> Result<Option<ExitStatus>> {
        let id = self.nodes[index].id;
        self.children[index]
            .try_wait()
            .or_fail(|| format!("watch node {id}"))
    }
}

/// Starts a cluster in a folder of its own; when that fails nothing of it is left running.
pub(crate) fn start(dist: &Dist, folder: &Path, plan: &Plan) -> Result<Started> {
    let mut attempt = 1;
    loop {
        let nodes = lay_out(folder, plan)?;
        let mut started = Started {
            state: State {
                owner: plan.owner,
                nodes: Vec::new(),
            },
            children: Vec::new(),
            nodes,
            begun: Vec::new(),
        };
        let result = launch(dist, folder, &mut started, plan);
        let Err(failure) = result else {
            return Ok(started);
        };
        let raced = started
            .nodes
            .iter()
            .any(|node| log(node).contains(PORT_TAKEN));
        stop(&mut started)?;
        if plan.port.is_some() || !raced || attempt == ATTEMPTS || failure.is_interrupted() {
            return Err(failure);
        }
        attempt += 1;
        eprintln!("kafka: another program took a port first; attempt {attempt} of {ATTEMPTS}");
    }
}

/// Ends every node and collects our children among them.
pub(crate) fn stop(started: &mut Started) -> Result<()> {
    let result = started.state.stop(STOP_GRACE);
    for child in &mut started.children {
        // Ended above (or was never ours to end); this only collects its exit status.
        let _ = child.try_wait();
    }
    result
}

/// Empties the folder and writes each node's properties.
fn lay_out(folder: &Path, plan: &Plan) -> Result<Vec<Node>> {
    let ports = match plan.port {
        Some(base) => config::given_ports(base, plan.nodes)?,
        None => config::free_ports(plan.nodes)?,
    };
    // For the controllers, and for the brokers among themselves.
    let inner = loop {
        let found = config::free_ports(2 * plan.nodes + secured::PORTS)?;
        if found.iter().all(|port| !ports.contains(port)) {
            break found;
        }
    };
    let front = |index: usize| {
        let advertised = *plan.advertised.as_ref()?.get(index)?;
        Some(config::Front {
            advertised,
            broker_port: inner[plan.nodes + index],
        })
    };
    let nodes: Vec<Node> = ports
        .into_iter()
        .enumerate()
        .map(|(index, port)| Node {
            id: index + 1,
            port,
            controller_port: inner[index],
            front: front(index),
            folder: folder.join(format!("node-{}", index + 1)),
        })
        .collect();
    if folder.exists() {
        fs::remove_dir_all(folder).or_fail(|| format!("remove {}", folder.display()))?;
    }
    for node in &nodes {
        fs::create_dir_all(&node.folder).or_fail(|| format!("create {}", node.folder.display()))?;
        let file = node.properties_file();
        let mut text = config::properties(node, &nodes);
        if plan.secured {
            let ports = &inner[2 * plan.nodes..];
            text += &secured::lay_out(folder, node.port, node.controller_port, ports)?;
        }
        fs::write(&file, text).or_fail(|| format!("write {}", file.display()))?;
    }
    Ok(nodes)
}

fn launch(dist: &Dist, folder: &Path, started: &mut Started, plan: &Plan) -> Result<()> {
    // Written before there is anything to find, so that there is never anything not to be found.
    started.state.write(folder)?;
    eprintln!(
        "kafka: formatting {} in {}",
        count(started.nodes.len()),
        folder.display()
    );
    let users = if plan.secured {
        secured::scram_users()
    } else {
        Vec::new()
    };
    format_all(dist, &started.nodes, &users)?;
    for index in 0..started.nodes.len() {
        started.start_node(dist, folder, index)?;
    }
    wait_until_ready(started)
}

fn format_all(dist: &Dist, nodes: &[Node], users: &[String]) -> Result<()> {
    let id = config::new_cluster_id();
    let mut running = Vec::new();
    for node in nodes {
        let mut command = dist.java(&["-Xmx128m"], FORMAT_CLASS);
        command
            .args(["format", "-t", &id, "-c"])
            .arg(node.properties_file())
            .args(users);
        command.current_dir(&node.folder).stdin(Stdio::null());
        log_to(&mut command, node)?;
        running.push(command.spawn().or_fail(|| "start `java`".into())?);
    }
    // Every one is waited for before the first failure is reported: none is left behind.
    let results: Vec<Result<()>> = running
        .into_iter()
        .zip(nodes)
        .map(|(child, node)| finish_format(child, node))
        .collect();
    results.into_iter().collect()
}

fn finish_format(child: Child, node: &Node) -> Result<()> {
    let what = format!("formatting node {}", node.id);
    let status = process::wait(child, &what, FORMAT_LIMIT)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{what} failed ({status}):\n{}",
        tail(&log(node))
    )))
}

fn log_to(command: &mut std::process::Command, node: &Node) -> Result<()> {
    let path = node.log_file();
    let doing = || format!("open {}", path.display());
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .or_fail(doing)?;
    command
        .stdout(file.try_clone().or_fail(doing)?)
        .stderr(file);
    Ok(())
}

fn wait_until_ready(started: &mut Started) -> Result<()> {
    let begun = Instant::now();
    let mut told = Duration::ZERO;
    let nodes = started.nodes.len();
    let mut waiting: Vec<usize> = (0..nodes).collect();
    while !waiting.is_empty() {
        for index in 0..nodes {
            if let Some(status) = started.ended(index)? {
                return Err(Failure::new(format!(
                    "Kafka node {} ended ({status}):\n{}",
                    started.nodes[index].id,
                    tail(&started.said(index))
                )));
            }
        }
        waiting.retain(|index| !started.is_ready(*index));
        let passed = begun.elapsed();
        if passed >= START_LIMIT && !waiting.is_empty() {
            let logs: Vec<String> = waiting
                .iter()
                .map(|index| tail(&started.said(*index)))
                .collect();
            return Err(Failure::new(format!(
                "Kafka was not ready after {} s:\n{}",
                START_LIMIT.as_secs(),
                logs.join("\n")
            )));
        }
        if passed >= told + process::TELL {
            told = passed;
            let ready = nodes - waiting.len();
            eprintln!(
                "kafka: {ready} of {} ready after {} s (at most {} s)",
                count(nodes),
                passed.as_secs(),
                START_LIMIT.as_secs()
            );
        }
        process::pause()?;
    }
    eprintln!(
        "kafka: {} ready after {:.1} s",
        count(nodes),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((config::HOST, port)), CONNECT_LIMIT).is_ok()
}

fn log(node: &Node) -> String {
    fs::read(node.log_file())
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

/// The end of a log, which is where the reason of a failure stands.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// "1 node", "3 nodes".
pub(crate) fn count(nodes: usize) -> String {
    if nodes == 1 {
        "1 node".into()
    } else {
        format!("{nodes} nodes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_end() {
        let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let tail = tail(&text);
        assert_eq!(tail.lines().count(), 25);
        assert!(tail.ends_with("line 99"));
    }

    #[test]
    fn layout_writes_one_file_of_properties_per_node() {
        let folder = std::env::temp_dir().join(format!("xtask-layout-{}", std::process::id()));
        let plan = Plan {
            nodes: 3,
            port: None,
            advertised: None,
            owner: None,
            secured: false,
        };
        let nodes = lay_out(&folder, &plan).expect("the temporary folder is writable");
        assert_eq!(
            nodes.iter().map(|node| node.id).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        for node in &nodes {
            let text = fs::read_to_string(node.properties_file()).expect("it was just written");
            assert!(text.contains(&format!("node.id={}", node.id)));
        }
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
