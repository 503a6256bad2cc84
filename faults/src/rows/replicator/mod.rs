//! Faults of the Replicator: it, its source or its target is killed, frozen or refuses.
//!
//! The source is the tier's cluster, the target a Kafka of the row's own behind a proxy; between them runs
//! `examples/replicator` as a process.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use xtask::failure::{Failure, OrFail, Result};
use xtask::kafka::Kafka;
use xtask::process::{self, Signal};
use xtask::workspace::Workspace;

use super::{PATIENCE, RATE, Row, bounded};
use crate::cluster::NODES;
use crate::observe::Source;
use crate::proxy::{Mode, Proxy};
use crate::trial::Trial;
use crate::worker::memory;

mod copies;

use copies::judge;

/// A group's member that was killed is missed after its session; then its partitions are dealt anew.
const TAKEN_OVER: Duration = Duration::from_secs(70);
/// What is copied again after a kill: what came within the commit interval, and a second.
const AGAIN: u64 = 2;
/// When a mapping says that its target does not answer.
const SAID: Duration = Duration::from_secs(30);
const BUILD: Duration = Duration::from_secs(30 * 60);
const TOOL: Duration = Duration::from_secs(60);
const ENDS: Duration = Duration::from_secs(15);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "R1",
        what: "the Replicator is killed under load, and started again",
        target: "0 lost, at most what came within the commit interval twice for each kill",
        quick: true,
        // After each kill the group waits for the dead member's session, 45 seconds.
        limit: 240,
        run: killed,
    },
    Row {
        name: "R2",
        what: "the Replicator is told to stop under load, and started again",
        target: "0 lost, 0 twice; exit 0",
        quick: true,
        limit: 120,
        run: stopped,
    },
    Row {
        name: "R3",
        what: "the target's broker is killed, frozen, unreachable and reset while records flow",
        target: "0 lost, 0 twice; a mapping says within 30 s that its target does not answer, and goes on by itself",
        quick: false,
        limit: 240,
        run: target_gone,
    },
    Row {
        name: "R5",
        what: "brokers of the source are killed and frozen, one and all",
        target: "0 lost, 0 twice",
        quick: false,
        limit: 240,
        run: source_gone,
    },
    Row {
        name: "R4",
        what: "the target refuses what it is given, for one of two mappings: too large, and then not allowed",
        target: "0 lost, every key ends in order; the mapping says so, another goes on, and it recovers by itself",
        quick: false,
        limit: 180,
        run: target_refuses,
    },
    Row {
        name: "R6",
        what: "the target stands still while the source sends much",
        target: "once its buffers are full the Replicator's memory grows by 20 % at most; 0 lost, recovers by itself",
        quick: false,
        limit: 300,
        run: target_stalls,
    },
];

/// A target, and the Replicator between it and the tier's cluster.
struct Bench {
    replicator: Option<Child>,
    kafka: Kafka,
    proxy: Proxy,
    runtime: Runtime,
    /// What is written.
    target: Source,
    port: u16,
    starts: usize,
}

impl Bench {
    fn open(trial: &mut Trial<'_>) -> Result<Self> {
        let workspace = Workspace::find()?;
        let mut build = workspace.cargo();
        build.args(["build", "--quiet", "-p", "replicator"]);
        process::run(build, "building the Replicator", BUILD)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .or_fail(|| "start the runtime of a proxy".into())?;
        let proxy = Proxy::start(runtime.handle()).or_fail(|| "start a proxy".into())?;
        let kafka = Kafka::start_behind(&workspace, vec![proxy.port()])?;
        proxy.lead_to(kafka.ports()[0]);
        let target = Source {
            servers: format!("127.0.0.1:{}", proxy.port()),
            topic: trial.output.topic.clone(),
        };
        trial.topics(&[])?;
        let mut bench = Self {
            replicator: None,
            kafka,
            proxy,
            runtime,
            target,
            port: 0,
            starts: 0,
        };
        let other = bench.other();
        for topic in [bench.target.topic.clone(), other.topic] {
            bench.create(&topic, trial.partitions)?;
        }
        let mapping = |name: &str, target: &str| {
            json!({
                "name": name, "source_topic_name": trial.input.topic, "target_topic_name": target,
            })
        };
        let file = json!({
            "mappings": [mapping("a", &bench.target.topic), mapping("other", &bench.other().topic)],
            "comment": "faults",
        });
        fs::write(trial.folder.join("mappings.json"), file.to_string())
            .or_fail(|| "write the mappings".into())?;
        bench.start(trial)?;
        Ok(bench)
    }

    /// What the other mapping writes.
    fn other(&self) -> Source {
        Source {
            servers: self.target.servers.clone(),
            topic: format!("{}-other", self.target.topic),
        }
    }

    fn create(&self, topic: &str, partitions: i32) -> Result<()> {
        let doing = || format!("create {topic} on the target");
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.target.servers)
            .create()
            .or_fail(doing)?;
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(TOOL));
        let answers = self
            .runtime
            .block_on(admin.create_topics([&new], &options))
            .or_fail(doing)?;
        match answers.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            other => Err(Failure::new(format!("cannot {}: {other:?}", doing()))),
        }
    }

    /// Changes a setting of the target's topic.
    fn configure(&self, setting: &str) -> Result<()> {
        let address = format!("127.0.0.1:{}", self.kafka.ports()[0]);
        let mut tool = self.kafka.tool("configs", &address)?;
        let topic = ["--entity-type", "topics", "--entity-name"];
        tool.args(["--alter"]).args(topic).arg(&self.target.topic);
        match setting.split_once('=') {
            Some(_) => tool.args(["--add-config", setting]),
            None => tool.args(["--delete-config", setting]),
        };
        tool.stdin(Stdio::null()).stdout(Stdio::null());
        process::run(tool, "changing a topic", TOOL)
    }

    /// Turns everybody away who does this with the target's topic, or no more.
    fn deny(&self, operation: &str, denied: bool) -> Result<()> {
        let address = format!("127.0.0.1:{}", self.kafka.ports()[0]);
        let mut tool = self.kafka.tool("acls", &address)?;
        if denied {
            tool.arg("--add");
        } else {
            tool.args(["--remove", "--force"]);
        }
        tool.args(["--deny-principal", "User:*", "--operation", operation]);
        tool.args(["--topic", &self.target.topic]);
        tool.stdin(Stdio::null()).stdout(Stdio::null());
        process::run(tool, "changing who may use a topic", TOOL)
    }

    fn start(&mut self, trial: &mut Trial<'_>) -> Result<()> {
        let doing = || "start the Replicator".to_owned();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_fail(doing)?;
        self.port = free.local_addr().or_fail(doing)?.port();
        drop(free);
        let log = trial.folder.join(format!("replicator-{}.log", self.starts));
        self.starts += 1;
        let log = File::create(log).or_fail(doing)?;
        let child = Command::new(Workspace::find()?.target().join("debug/replicator"))
            .env("FILE_DATA_PATH", &trial.folder)
            .env("KAFKA_SOURCE_SERVER_URL", trial.cluster.servers())
            .env("KAFKA_TARGET_SERVER_URL", &self.target.servers)
            .env("KAFKA_SOURCE_GROUP_NAME", &trial.group)
            .env("READ_MAPPINGS_EVERY_SECONDS", "1")
            .env("CACULATE_STATS_EVERY_SECONDS", "1")
            .env("CITIZENK_HTTP", format!("127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .stdout(log.try_clone().or_fail(doing)?)
            .stderr(log)
            .spawn()
            .or_fail(doing)?;
        self.replicator = Some(child);
        for name in ["a", "other"] {
            trial.until(&format!("`{name}` runs"), TAKEN_OVER, |trial| {
                self.look()?;
                let row = self.row(name);
                let running = row["state"] == "running" || row["state"] == "idle";
                let all = row["assignments"].as_array().map_or(0, Vec::len);
                Ok(running && all == trial.partitions as usize)
            })?;
        }
        Ok(())
    }

    /// Fails if the Replicator has ended by itself.
    fn look(&mut self) -> Result<()> {
        let ended = match &mut self.replicator {
            Some(child) => child.try_wait().or_fail(|| "see the Replicator".into())?,
            None => None,
        };
        match ended {
            Some(status) => Err(Failure::new(format!("the Replicator ended: {status}"))),
            None => Ok(()),
        }
    }

    /// What its stats say about a mapping; nothing while it does not answer.
    fn row(&self, name: &str) -> Value {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(
                b"GET /api/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().unwrap_or_default();
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let stats: Value = serde_json::from_str(body).unwrap_or_default();
        let rows = stats[0]["mappings"].as_array().cloned().unwrap_or_default();
        let mut rows = rows.into_iter();
        rows.find(|row| row["name"] == name).unwrap_or_default()
    }

    fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.replicator.take() {
            child.kill().or_fail(|| "kill the Replicator".into())?;
            child.wait().or_fail(|| "see its end".into())?;
        }
        Ok(())
    }

    fn stop(&mut self, trial: &mut Trial<'_>) -> Result<()> {
        let Some(child) = self.replicator.take() else {
            return Ok(());
        };
        process::signal(child.id(), Signal::SIGTERM);
        let status = process::wait(child, "the Replicator's end", ENDS)?;
        trial.expect(status.success(), || format!("it ended with {status}"));
        Ok(())
    }

    /// Waits until everything that was sent has been copied by both mappings; what has is not looked for again.
    fn caught_up(&mut self, trial: &mut Trial<'_>, limit: Duration) -> Result<Duration> {
        let ends = |source: &Source| -> Result<i64> {
            Ok(source.ends()?.iter().map(|end| end.high).sum())
        };
        let sources = [self.target.clone(), self.other()];
        let mut wanted = 0;
        trial.until("the source answers", PATIENCE, |trial| {
            let end = ends(&trial.input);
            wanted = *end.as_ref().unwrap_or(&0);
            Ok(end.is_ok())
        })?;
        trial.until("everything sent is copied", limit, |_| {
            self.look()?;
            // A broker that has just come back does not know its partitions yet.
            let there = |source| ends(source).is_ok_and(|copied| copied >= wanted);
            Ok(sources.iter().all(there))
        })
    }

    /// Records flow from the source to the target.
    fn flow(&mut self, trial: &mut Trial<'_>) -> Result<()> {
        let before = trial.acknowledged();
        trial.until("records are sent", PATIENCE, |trial| {
            Ok(trial.acknowledged() > before + 20)
        })?;
        self.caught_up(trial, PATIENCE).map(|_| ())
    }

    /// Ends the load and judges both copies: at most so many records may stand twice in each. Where the target has refused
    /// records, those that followed them may, too.
    fn finish(mut self, trial: &mut Trial<'_>, twice: u64, refused: bool) -> Result<()> {
        trial.end_load()?;
        self.caught_up(trial, PATIENCE)?;
        self.stop(trial)?;
        let input = trial.input.inputs()?;
        for source in [self.target.clone(), self.other()] {
            let copied = source.inputs()?;
            let judged = judge(&input, &copied);
            trial.figure(format!(
                "{} copied, {} lost, {} twice",
                judged.records, judged.lost, judged.twice
            ));
            trial.expect(judged.lost == 0, || format!("{} are lost", judged.lost));
            trial.expect(refused || judged.twice <= twice, || {
                format!(
                    "{} stand twice in the target, at most {twice} may",
                    judged.twice
                )
            });
            if refused {
                trial.figure(format!("{} keys came out of order", judged.disorder));
                trial.expect(judged.stale == 0, || {
                    format!("{} keys end out of order", judged.stale)
                });
            } else {
                trial.expect(judged.disorder == 0, || {
                    format!("{} keys are out of order", judged.disorder)
                });
            }
        }
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut child) = self.replicator.take() {
            // It may be frozen or gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn begin(trial: &mut Trial<'_>) -> Result<Bench> {
    let mut bench = Bench::open(trial)?;
    trial.load(RATE)?;
    bench.flow(trial)?;
    Ok(bench)
}

fn killed(trial: &mut Trial<'_>) -> Result<()> {
    let mut bench = begin(trial)?;
    let rounds = trial.rounds(1, 10);
    for _ in 0..rounds {
        let moment = Duration::from_millis(200 + trial.dice.below(2_000) as u64);
        trial.hold(moment)?;
        bench.kill()?;
        bench.start(trial)?;
        bench.flow(trial)?;
    }
    bench.finish(trial, rounds as u64 * RATE * AGAIN, false)
}

fn stopped(trial: &mut Trial<'_>) -> Result<()> {
    let mut bench = begin(trial)?;
    for _ in 0..trial.rounds(2, 10) {
        let moment = Duration::from_millis(200 + trial.dice.below(2_000) as u64);
        trial.hold(moment)?;
        bench.stop(trial)?;
        bench.start(trial)?;
        bench.flow(trial)?;
    }
    bench.finish(trial, 0, false)
}

/// Waits until the mapping says what is wrong, and then until it does no more.
fn says(bench: &mut Bench, trial: &mut Trial<'_>) -> Result<()> {
    let mut said = String::new();
    let took = trial.until("the mapping says so", 2 * SAID, |_| {
        bench.look()?;
        let row = bench.row("a");
        said = row["detail"].as_str().unwrap_or_default().to_owned();
        Ok(row["state"] == "error")
    })?;
    trial.target("said after", took, SAID + Duration::from_secs(5));
    trial.expect(said.contains(&bench.target.topic), || {
        format!("it says `{said}`")
    });
    Ok(())
}

/// As [`says`], in words of the broker's, and the other mapping goes on.
fn says_why(bench: &mut Bench, trial: &mut Trial<'_>, code: &str) -> Result<()> {
    says(bench, trial)?;
    let detail = bench.row("a")["detail"].to_string();
    trial.expect(detail.contains(code), || format!("it says {detail}"));
    let other = bench.row("other");
    trial.expect(other["state"] == "running", || {
        format!("the other mapping is {}", other["state"])
    });
    Ok(())
}

fn well_again(bench: &mut Bench, trial: &mut Trial<'_>) -> Result<()> {
    let took = bench.caught_up(trial, PATIENCE)?;
    trial.figure(format!("caught up after {:.1} s", took.as_secs_f64()));
    trial.until("the mapping is well again", PATIENCE, |_| {
        bench.look()?;
        let state = bench.row("a")["state"].clone();
        Ok(state == "running" || state == "idle")
    })?;
    bench.flow(trial)
}

fn target_gone(trial: &mut Trial<'_>) -> Result<()> {
    let mut bench = begin(trial)?;
    bench.kafka.signal(0, Signal::SIGKILL);
    trial.until("the broker ends", PATIENCE, |_| bench.kafka.has_ended(0))?;
    says(&mut bench, trial)?;
    bench.kafka.start_node(0)?;
    trial.until("it is back", PATIENCE, |_| Ok(bench.kafka.is_ready(0)))?;
    well_again(&mut bench, trial)?;

    bench.kafka.signal(0, Signal::SIGSTOP);
    trial.hold(Duration::from_secs(10))?;
    bench.kafka.signal(0, Signal::SIGCONT);
    well_again(&mut bench, trial)?;

    for mode in [
        Mode::Refuse,
        Mode::Reset,
        Mode::Hold {
            requests: false,
            responses: true,
        },
    ] {
        bench.proxy.switch(mode);
        trial.hold(Duration::from_secs(5))?;
        bench.proxy.switch(Mode::Pass);
        well_again(&mut bench, trial)?;
    }
    bench.finish(trial, 0, false)
}

fn source_gone(trial: &mut Trial<'_>) -> Result<()> {
    let mut bench = begin(trial)?;
    for node in 0..trial.rounds(1, NODES) {
        trial.cluster.signal(node, Signal::SIGKILL);
        trial.hold(Duration::from_secs(5))?;
        trial.heal()?;
        bench.flow(trial)?;
    }
    for node in 0..NODES {
        trial.cluster.signal(node, Signal::SIGSTOP);
    }
    trial.hold(Duration::from_secs(10))?;
    for node in 0..NODES {
        trial.cluster.signal(node, Signal::SIGCONT);
    }
    trial.heal()?;
    bench.flow(trial)?;
    trial.cluster.switch(Mode::Reset);
    trial.hold(Duration::from_secs(5))?;
    trial.cluster.switch(Mode::Pass);
    bench.flow(trial)?;
    bench.finish(trial, 0, false)
}

fn target_refuses(trial: &mut Trial<'_>) -> Result<()> {
    let mut bench = begin(trial)?;
    // Smaller than any record is.
    bench.configure("max.message.bytes=60")?;
    says_why(&mut bench, trial, "MSG_SIZE_TOO_LARGE")?;
    bench.configure("max.message.bytes")?;
    well_again(&mut bench, trial)?;
    // Without the second a client does not even learn what partitions there are.
    for operation in ["Write", "Describe"] {
        bench.deny(operation, true)?;
        says_why(&mut bench, trial, "TOPIC_AUTHORIZATION_FAILED")?;
        bench.deny(operation, false)?;
        well_again(&mut bench, trial)?;
    }
    bench.finish(trial, 0, true)
}

fn target_stalls(trial: &mut Trial<'_>) -> Result<()> {
    /// In the minute and a half of the row more than lanes and queues hold.
    const FAST: u64 = 2_000;
    const PADDING: usize = 2_000;
    let mut bench = begin(trial)?;
    let Some(replicator) = bench.replicator.as_ref().map(Child::id) else {
        return Err(Failure::new("the Replicator does not run"));
    };
    bench.kafka.signal(0, Signal::SIGSTOP);
    trial.load_padded(FAST, PADDING)?;
    let long = trial.seconds(30, 120);
    bounded(trial, long, |_| memory(replicator))?;
    let waiting = trial.acknowledged();
    trial.expect(waiting > 50_000, || {
        format!("only {waiting} records came: buffers may hold them all")
    });
    trial.end_load()?;
    bench.kafka.signal(0, Signal::SIGCONT);
    let took = bench.caught_up(trial, 3 * PATIENCE)?;
    trial.figure(format!("caught up after {:.0} s", took.as_secs_f64()));
    // What was given up while it was on its way may have arrived all the same.
    bench.finish(trial, 0, true)
}
