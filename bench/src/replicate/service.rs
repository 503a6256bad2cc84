//! The Replicator as a process: started, held while its topic is filled, let go, and measured.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Measured, Result};
use crate::settings::{CONSUMER, PRODUCER, fetch_wait};
use crate::{child, usage};

const STARTS: Duration = Duration::from_secs(30);
/// How often one looks whether a change is done.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// How often a measurement looks whether all is copied: each look is work for who is measured.
const GLANCE: Duration = Duration::from_millis(100);
/// For those requests that want to know why.
const BODY: &str = r#"{"comment": "bench"}"#;

pub(super) struct Service {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Service {
    /// Copies `{group}-in` to `output`.
    pub(super) fn start(
        binary: &Path,
        servers: &str,
        group: &str,
        output: &str,
        settings: &Value,
    ) -> Result<Self> {
        let mut mapping = json!({
            "name": "bench", "source_topic_name": format!("{group}-in"), "target_topic_name": output,
        });
        for (name, value) in settings.as_object().into_iter().flatten() {
            mapping[name] = value.clone();
        }
        let mut surroundings = Vec::new();
        for (side, key, value) in CONSUMER
            .into_iter()
            .chain([fetch_wait(false)])
            .map(|(key, value)| ("SOURCE", key, value))
            .chain(PRODUCER.map(|(key, value)| ("TARGET", key, value)))
        {
            // How long a record may take is its own.
            if key != "message.timeout.ms" {
                let key = key.to_ascii_uppercase().replace('.', "_");
                surroundings.push((format!("KAFKA_{side}_EXTRA_CONFIG_{key}"), value));
            }
        }
        Self::with(binary, servers, group, &[mapping], &surroundings)
    }

    /// With settings of its own, but for these.
    pub(super) fn with(
        binary: &Path,
        servers: &str,
        group: &str,
        mappings: &[Value],
        surroundings: &[(String, &str)],
    ) -> Result<Self> {
        let folder = std::env::temp_dir().join(group);
        fs::create_dir_all(&folder)?;
        let file = json!({ "mappings": mappings, "comment": "bench" });
        fs::write(folder.join("mappings.json"), file.to_string())?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = Command::new(binary);
        child::without_surroundings(&mut command);
        let child = command
            .envs(surroundings.iter().map(|(name, value)| (name, value)))
            .env("FILE_DATA_PATH", &folder)
            .env("KAFKA_SOURCE_SERVER_URL", servers)
            .env("KAFKA_TARGET_SERVER_URL", servers)
            .env("KAFKA_SOURCE_GROUP_NAME", group)
            .env("CITIZENK_HTTP", format!("127.0.0.1:{port}"))
            .env("LOG_LEVEL", "warning")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut service = Self {
            child,
            port,
            folder,
        };
        service.until("all run", STARTS, LOOK, |rows| {
            let runs = |row: &Value| {
                ["running", "idle"].contains(&row["state"].as_str().unwrap_or_default())
            };
            rows.len() == mappings.len() && rows.iter().all(runs)
        })?;
        Ok(service)
    }

    pub(super) fn ask(&self, method: &str, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(STARTS))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             If-Match: *\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        if !head.starts_with("HTTP/1.1 2") {
            return Err(format!("{path}: {answer}").into());
        }
        Ok(body.to_owned())
    }

    /// What it says about its mappings; nothing before it answers.
    pub(super) fn rows(&self) -> Vec<Value> {
        let stats = self.ask("GET", "/api/stats").unwrap_or_default();
        let stats: Value = serde_json::from_str(&stats).unwrap_or_default();
        let rows = stats[0]["mappings"].as_array();
        rows.cloned().unwrap_or_default()
    }

    pub(super) fn until(
        &mut self,
        what: &str,
        patience: Duration,
        look: Duration,
        is: impl Fn(&[Value]) -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            let rows = self.rows();
            if is(&rows) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the Replicator ended ({status})").into());
            }
            if begun.elapsed() > patience {
                return Err(format!("not in time: {what}; {:?}", rows.first()).into());
            }
            std::thread::park_timeout(look);
        }
    }

    pub(super) fn pause(&mut self) -> Result<()> {
        self.ask("POST", "/api/mappings/bench/pause")?;
        Ok(())
    }

    /// Lets it go until so many records are acknowledged.
    pub(super) fn measure(&mut self, records: u64, patience: Duration) -> Result<Measured> {
        let (begun, before) = (Instant::now(), self.cpu()?);
        self.ask("POST", "/api/mappings/bench/resume")?;
        self.until("all are copied", patience, GLANCE, |rows| {
            rows.iter()
                .all(|row| row["target_count"].as_u64() >= Some(records))
        })?;
        Ok(Measured {
            cpu: self.cpu()? - before,
            wall: begun.elapsed().as_secs_f64(),
            peak_kib: self.peak()?,
        })
    }

    /// Seconds of all its threads, in the kernel and outside.
    pub(super) fn cpu(&self) -> Result<f64> {
        usage::cpu_of(self.child.id())
    }

    fn peak(&self) -> Result<u64> {
        usage::memory_of(self.child.id(), usage::PEAK)
    }

    pub(super) fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended already when all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
