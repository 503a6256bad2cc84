//! The service under test, as a process that can be killed, frozen and asked to stop.
//!
//! In: options. Out: its journal, its log, its end. The process ends with this value, and with this
//! program however that ends.

pub(crate) mod service;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use xtask::failure::{Failure, OrFail, Result};
use xtask::process::{self, Signal};

use crate::history::Deed;
use crate::journal::Reader;

/// The name of the hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "worker";
pub(crate) const AGENT: &str = "work";
/// What cannot be decoded becomes a dead letter.
pub(crate) const LETTERS: &str = "--letters";
/// For one answer of a worker.
const ANSWER: Duration = Duration::from_secs(5);

/// What one worker is to be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// How many keys of a partition at once; 0 for the default.
    pub(crate) concurrency: usize,
    /// Flags of the service under test and of the program it is.
    pub(crate) flags: Vec<String>,
}

impl Plan {
    pub(crate) fn with(mut self, flag: &str, value: &str) -> Self {
        self.flags.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    pub(crate) fn concurrency(mut self, keys: usize) -> Self {
        self.concurrency = keys;
        self
    }

    /// A member that keeps its partitions while it is away for less than a session.
    pub(crate) fn instance(self, id: &str) -> Self {
        self.with("--consumer", &format!("group.instance.id={id}"))
    }
}

/// Where a worker finds its work.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) servers: &'a str,
    pub(crate) group: &'a str,
    pub(crate) input: &'a str,
    pub(crate) output: &'a str,
    pub(crate) letters: &'a str,
    pub(crate) folder: &'a Path,
}

#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
    pub(crate) journal: Reader,
    /// Whether its end is wanted; an end that is not is a failure of the row.
    pub(crate) may_end: bool,
    pub(crate) ended: Option<(ExitStatus, Instant)>,
}

impl Worker {
    /// Must be called on the main thread: the worker ends with the thread that started it.
    pub(crate) fn start(name: &str, plan: &Plan, place: &Place<'_>) -> Result<Self> {
        let file = |ending: &str| place.folder.join(format!("{name}.{ending}"));
        let log = file("log");
        let doing = || format!("start the worker {name}");
        let output = File::create(&log).or_fail(doing)?;
        let mut command = Command::new(std::env::current_exe().or_fail(doing)?);
        command
            .arg(SUBCOMMAND)
            .arg("--journal")
            .arg(file("journal"));
        command.args([
            "--bootstrap-servers",
            place.servers,
            "--group",
            place.group,
            "--http",
            "127.0.0.1:0",
        ]);
        command.args([
            "--topic",
            &format!("items={}", place.input),
            "--topic",
            &format!("done={}", place.output),
        ]);
        if plan.flags.iter().any(|flag| flag == LETTERS) {
            command.args(["--topic", &format!("letters={}", place.letters)]);
        }
        for setting in [
            "session.timeout.ms=6000",
            "heartbeat.interval.ms=1000",
            "max.poll.interval.ms=10000",
            "topic.metadata.refresh.interval.ms=5000",
            "check.crcs=true",
        ] {
            command.args(["--consumer", setting]);
        }
        command.args(["--producer", "message.timeout.ms=8000"]);
        if plan.concurrency > 0 {
            let settings = file("toml");
            fs::write(
                &settings,
                format!("[agents.{AGENT}]\nconcurrency = {}\n", plan.concurrency),
            )
            .or_fail(doing)?;
            command.arg("--config").arg(settings);
        }
        command.args(&plan.flags);
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if ["KAFKA_", "CITIZENK_", "APP_", "RUST_LOG"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            {
                command.env_remove(&variable);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().or_fail(doing)?)
            .stderr(output);
        Ok(Self {
            child: command.spawn().or_fail(doing)?,
            log,
            journal: Reader::new(file("journal")),
            may_end: false,
            ended: None,
        })
    }

    /// Looks whether it has ended, and at its journal.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        if self.ended.is_none() {
            let status = self.child.try_wait().or_fail(|| "watch a worker".into())?;
            self.ended = status.map(|status| (status, Instant::now()));
        }
        self.journal.refresh().or_fail(|| "read a journal".into())
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.ended.is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            process::signal(self.child.id(), signal);
        }
    }

    /// The partitions it has now, by its own account.
    pub(crate) fn owned(&self) -> BTreeSet<i32> {
        let mut owned = BTreeSet::new();
        for entry in &self.journal.entries {
            match &entry.deed {
                Deed::Assigned(list) => owned.extend(list),
                Deed::Revoked(list) => owned.retain(|partition| !list.contains(partition)),
                _ => {}
            }
        }
        owned
    }

    /// Whether it has heard from the group.
    pub(crate) fn is_assigned(&self) -> bool {
        self.journal
            .entries
            .iter()
            .any(|entry| matches!(entry.deed, Deed::Assigned(_)))
    }

    pub(crate) fn log(&self) -> String {
        fs::read(&self.log)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// What it answers to a request by HTTP: the status, and everything that follows.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, String)> {
        let doing = || format!("ask a worker for {path}");
        let log = self.log();
        let mut words = log
            .lines()
            .filter(|line| line.contains("serving HTTP"))
            .flat_map(str::split_whitespace);
        let address = words
            .find_map(|word| word.strip_prefix("address="))
            .ok_or_else(|| Failure::new(format!("cannot {}: it does not serve HTTP", doing())))?;
        let mut stream = TcpStream::connect(address).or_fail(doing)?;
        stream.set_read_timeout(Some(ANSWER)).or_fail(doing)?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).or_fail(doing)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).or_fail(doing)?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok((status.unwrap_or(0), answer))
    }

    /// The sum of a metric over all its series.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let (_, text) = self.get("/metrics")?;
        let begin = format!("{name}{{");
        let lines = text.lines().filter(|line| line.starts_with(&begin));
        Ok(lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }

    /// The bytes of memory it holds.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory(self.child.id())
    }

    /// The seconds of processor time it has used.
    pub(crate) fn processor(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        // User and system time, in ticks of which Linux reports 100 a second.
        let ticks = words.get(11)?.parse::<u64>().ok()? + words.get(12)?.parse::<u64>().ok()?;
        Some(ticks as f64 / 100.0)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has ended already when the row went well; a frozen one ends as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of memory that a process holds.
pub(crate) fn memory(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}
