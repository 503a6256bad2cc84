//! MirrorMaker 2 as a process: started when its topic is full, watched by the length of its output.
//!
//! Its topic holds twice the records that count. While the first half is copied, Java loads and compiles what it runs,
//! which a mirror that stays up does once: CPU counts from when that half is in the output until all is. A second
//! figure leaves nothing out that comes after the first record in the output.

use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::service::LOOK;
use super::{Measured, PARTITIONS, Result, fill};
use crate::cluster::{Cluster, Length};
use crate::rounds::limit;
use crate::{child, usage};

const MAIN_CLASS: &str = "org.apache.kafka.connect.mirror.MirrorMaker";
/// As Kafka's own script starts it, and few words.
const JAVA: [&str; 10] = [
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];
/// With these in its surroundings Java takes more options, which could open a port.
const OPTIONS_FROM_OUTSIDE: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];
const PROPERTIES: &str = "mm2.properties";
const LOG: &str = "log";
/// Until the first record is in the output: Java, Connect and three connectors start, on a busy machine.
const STARTS: Duration = Duration::from_secs(120);
/// Made whether heartbeats are emitted or not, and always under this name.
const HEARTBEATS: &str = "heartbeats";

/// Where MirrorMaker 2 is.
pub(super) struct MirrorMaker<'a> {
    /// Java's class path.
    pub(super) classes: &'a OsStr,
    /// Of its properties and its log.
    pub(super) folder: &'a Path,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mirrored {
    /// The second half of the topic.
    pub(super) warm: Measured,
    /// All of it, per as many records.
    pub(super) whole: Measured,
}

impl MirrorMaker<'_> {
    pub(super) fn measure(
        &self,
        cluster: &mut Cluster,
        records: u64,
        bytes: usize,
        turn: &str,
    ) -> Result<Mirrored> {
        let names = Names::of(turn);
        let mut topics = vec![names.topic.clone(), names.output.clone()];
        for topic in &topics {
            cluster.create(topic, PARTITIONS)?;
        }
        let all = 2 * records;
        fill(cluster.servers(), &names.topic, all, bytes)?;
        topics.extend(names.internal());
        // Where one is there already, it is somebody's.
        if !cluster.has(HEARTBEATS)? {
            topics.push(HEARTBEATS.to_owned());
        }
        for topic in &topics[2..] {
            cluster.adopt(topic);
        }
        let output = cluster.length(&names.output)?;
        let folder = self.folder.join(turn);
        fs::create_dir_all(&folder)?;
        let properties = folder.join(PROPERTIES);
        fs::write(&properties, names.properties(cluster.servers()))?;
        let mut process = Process::start(command(self.classes, &properties), folder)?;
        let first = process.until(&output, 1, STARTS)?;
        let warm = process.until(&output, records, limit(records))?;
        let last = process.until(&output, all, limit(records))?;
        let peak_kib = process.peak()?;
        process.stop()?;
        if last.copied != all {
            return Err(format!("{} copies of {all} records by MirrorMaker 2", last.copied).into());
        }
        drop(output);
        for topic in &topics {
            cluster.delete(topic)?;
        }
        Ok(Mirrored {
            warm: between(&warm, &last, records, peak_kib)?,
            whole: between(&first, &last, records, peak_kib)?,
        })
    }
}

/// What its clusters and topics are called in one run. Both clusters are the same Kafka.
struct Names {
    source: String,
    target: String,
    topic: String,
    /// As its default policy names it; the other one keeps the name, which on one Kafka would be a circle.
    output: String,
}

impl Names {
    fn of(turn: &str) -> Self {
        let (source, topic) = (format!("{turn}-from"), format!("{turn}-in"));
        Self {
            output: format!("{source}.{topic}"),
            target: format!("{turn}-to"),
            source,
            topic,
        }
    }

    /// The topics that it makes for itself.
    fn internal(&self) -> Vec<String> {
        let source = &self.source;
        let mut topics: Vec<String> = ["configs", "offsets", "status"]
            .iter()
            .map(|what| format!("mm2-{what}.{source}.internal"))
            .collect();
        topics.push(format!("{source}.checkpoints.internal"));
        topics
    }

    /// The copy and nothing beside it, in one task; clients as MirrorMaker 2 sets them.
    fn properties(&self, servers: &str) -> String {
        let Self {
            source,
            target,
            topic,
            ..
        } = self;
        let mut text = format!(
            "clusters = {source}, {target}\n\
             {source}.bootstrap.servers = {servers}\n\
             {target}.bootstrap.servers = {servers}\n\
             {source}->{target}.enabled = true\n\
             {source}->{target}.topics = {topic}\n\
             tasks.max = 1\n\
             offset.storage.partitions = 1\n\
             status.storage.partitions = 1\n"
        );
        for what in [
            "",
            "config.storage.",
            "offset.storage.",
            "status.storage.",
            "heartbeats.topic.",
            "checkpoints.topic.",
        ] {
            text += &format!("{what}replication.factor = 1\n");
        }
        for what in [
            "sync.topic.configs",
            "sync.topic.acls",
            "emit.heartbeats",
            "heartbeats.replication",
            "emit.checkpoints",
            // Only checkpoints read them.
            "emit.offset-syncs",
            "refresh.groups",
        ] {
            text += &format!("{what}.enabled = false\n");
        }
        // The only thing of it that would listen; if it ever did, then here alone.
        text += "dedicated.mode.enable.internal.rest = false\nlisteners = http://127.0.0.1:0\n";
        text
    }
}

fn command(classes: &OsStr, properties: &Path) -> Command {
    let mut command = Command::new("java");
    child::without_surroundings(&mut command);
    for name in OPTIONS_FROM_OUTSIDE {
        command.env_remove(name);
    }
    command
        .args(JAVA)
        .arg("-cp")
        .arg(classes)
        .arg(MAIN_CLASS)
        .arg(properties);
    command
}

/// How far the copy was, and at which cost.
#[derive(Clone, Copy, Debug)]
struct Look {
    copied: u64,
    /// Seconds.
    cpu: f64,
    at: Instant,
}

/// What `records` cost, by what those between two looks did.
fn between(from: &Look, to: &Look, records: u64, peak_kib: u64) -> Result<Measured> {
    let copied = to.copied.saturating_sub(from.copied);
    if copied == 0 {
        let what = "MirrorMaker 2 was through before it was looked at twice; copy more --records";
        return Err(what.into());
    }
    let share = records as f64 / copied as f64;
    Ok(Measured {
        cpu: (to.cpu - from.cpu) * share,
        wall: to.at.duration_since(from.at).as_secs_f64() * share,
        peak_kib,
    })
}

/// One that runs; ended with this value.
struct Process {
    child: Child,
    /// Removed when all went well.
    folder: PathBuf,
}

impl Process {
    fn start(mut command: Command, folder: PathBuf) -> Result<Self> {
        let log = File::create(folder.join(LOG))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start MirrorMaker 2: {error}"))?;
        Ok(Self { child, folder })
    }

    /// Waits until so many records are in the output.
    fn until(&mut self, output: &Length, records: u64, patience: Duration) -> Result<Look> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failure(&format!("ended ({status})")));
            }
            let look = Look {
                copied: u64::try_from(output.now()?)?,
                cpu: usage::cpu_of(self.child.id())?,
                at: Instant::now(),
            };
            if look.copied >= records {
                return Ok(look);
            }
            if begun.elapsed() > patience {
                let Look { copied, .. } = look;
                let seconds = patience.as_secs();
                return Err(self.failure(&format!(
                    "copied {copied} of {records} records within {seconds} s"
                )));
            }
            thread::park_timeout(LOOK);
        }
    }

    fn failure(&self, what: &str) -> Box<dyn Error> {
        let log = self.folder.join(LOG);
        format!("MirrorMaker 2 {what}; its words are in {}", log.display()).into()
    }

    fn peak(&self) -> Result<u64> {
        usage::memory_of(self.child.id(), usage::PEAK)
    }

    fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already when all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_copies_one_topic_and_listens_nowhere() {
        let names = Names::of("turn");
        assert_eq!(names.output, "turn-from.turn-in");
        let text = names.properties("here:1");
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "clusters = turn-from, turn-to",
            "turn-to.bootstrap.servers = here:1",
            "turn-from->turn-to.topics = turn-in",
            "replication.factor = 1",
            "emit.heartbeats.enabled = false",
            "emit.checkpoints.enabled = false",
            "sync.topic.configs.enabled = false",
            "dedicated.mode.enable.internal.rest = false",
            "listeners = http://127.0.0.1:0",
        ] {
            assert!(lines.contains(&line), "{line} in {text}");
        }
        // It refuses settings of a topic that it is told not to write.
        assert!(!text.contains("offset-syncs.topic"), "{text}");
    }

    #[test]
    fn its_topics_are_of_this_run() {
        let names = Names::of("turn");
        let internal = names.internal();
        assert_eq!(internal.len(), 4);
        assert!(internal.iter().all(|name| name.contains("turn-from")));
    }

    #[test]
    fn java_gets_no_options_from_outside() {
        let command = command("libs/*".as_ref(), "p".as_ref());
        for name in OPTIONS_FROM_OUTSIDE {
            let mut changed = command.get_envs();
            assert!(changed.any(|(key, value)| key == name && value.is_none()));
        }
        let arguments: Vec<_> = command.get_args().skip(JAVA.len()).collect();
        assert_eq!(arguments, ["-cp", "libs/*", MAIN_CLASS, "p"]);
    }

    #[test]
    fn what_was_copied_between_two_looks_counts() {
        let begun = Instant::now();
        let look = |copied, cpu, seconds| Look {
            copied,
            cpu,
            at: begun + Duration::from_secs(seconds),
        };
        let (from, to) = (look(150, 9.0, 1), look(200, 10.0, 3));
        let measured = between(&from, &to, 100, 7).unwrap();
        assert_eq!((measured.cpu, measured.wall), (2.0, 4.0));
        assert_eq!(measured.peak_kib, 7);
        assert!(between(&to, &to, 100, 7).is_err());
    }

    /// A process that copies nothing to a topic of one partition.
    fn idle(name: &str, script: &str) -> (Cluster, Process, PathBuf) {
        let mut cluster = Cluster::mock().unwrap();
        cluster.create("things", 1).unwrap();
        let folder = std::env::temp_dir().join(format!("bench-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::start(command, folder.clone()).unwrap();
        (cluster, process, folder)
    }

    #[test]
    fn one_that_ends_is_named_with_its_log() {
        let (cluster, mut process, folder) = idle("mirror-ends", "echo no topic; exit 3");
        let output = cluster.length("things").unwrap();
        let limit = Duration::from_secs(30);
        let error = process.until(&output, 1, limit).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        let path = folder.join(LOG).display().to_string();
        assert!(error.contains(&path), "{error}");
        let log = fs::read_to_string(folder.join(LOG)).unwrap();
        assert_eq!(log, "no topic\n");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn one_that_copies_nothing_is_not_waited_for_for_ever() {
        let (cluster, mut process, folder) = idle("mirror-waits", "exec sleep 60");
        let output = cluster.length("things").unwrap();
        let limit = Duration::from_millis(50);
        let error = process.until(&output, 1, limit).unwrap_err().to_string();
        assert!(error.contains("copied 0 of 1 records"), "{error}");
        process.stop().unwrap();
        assert!(!folder.exists());
    }
}
