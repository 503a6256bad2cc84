//! The workers' processes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use crate::balancer::Targets;

/// How long a worker may take until it serves HTTP.
const START: Duration = Duration::from_secs(60);
/// How long it may take to leave the group and end.
const STOP: Duration = Duration::from_secs(30);
/// What every service logs as soon as it can be asked; its address follows.
const SERVING: &str = "serving HTTP address=";

struct Worker {
    number: usize,
    address: SocketAddr,
    child: Child,
}

/// Workers that were started here; they end with it.
pub struct Fleet {
    program: PathBuf,
    /// Variables of every worker, beside those of this process.
    env: Vec<(String, String)>,
    targets: Targets,
    workers: Vec<Worker>,
    started: usize,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fleet({})", self.workers.len())
    }
}

impl Fleet {
    /// No workers yet; `program` is what each of them runs, `targets` learns where they are.
    #[must_use]
    pub fn new(program: PathBuf, env: Vec<(String, String)>, targets: Targets) -> Self {
        Self {
            program,
            env,
            targets,
            workers: Vec::new(),
            started: 0,
        }
    }

    /// Starts a worker and waits until it serves; its number.
    ///
    /// # Errors
    /// It does not start, or ends before it serves.
    pub async fn add(&mut self) -> io::Result<usize> {
        let mut child = Command::new(&self.program)
            .envs(self.env.iter().cloned())
            .env("CITIZENK_HTTP", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        self.started += 1;
        let number = self.started;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (Some(out), Some(err)) = (out, err) else {
            return Err(io::Error::other("a worker without output"));
        };
        let (out, err) = (BufReader::new(out).lines(), BufReader::new(err).lines());
        let serving = timeout(START, address(number, out, err)).await;
        let address = serving.map_err(|_| {
            io::Error::other(format!("worker {number} does not serve within {START:?}"))
        })??;
        println!("worker {number} is at http://{address}");
        self.workers.push(Worker {
            number,
            address,
            child,
        });
        self.tell();
        Ok(number)
    }

    fn tell(&self) {
        let addresses = self.workers.iter().map(|worker| worker.address);
        self.targets.set(addresses.collect());
    }

    fn take(&mut self, number: usize) -> io::Result<Worker> {
        let found = self
            .workers
            .iter()
            .position(|worker| worker.number == number);
        let worker = found.map(|place| self.workers.remove(place));
        // Nobody is sent there any more.
        self.tell();
        worker.ok_or_else(|| io::Error::other(format!("there is no worker {number}")))
    }

    /// Ends a worker as an orchestrator does: it finishes what it began and leaves the group.
    ///
    /// # Errors
    /// There is no such worker, or it cannot be signalled.
    pub async fn stop(&mut self, number: usize) -> io::Result<()> {
        let mut worker = self.take(number)?;
        terminate(&worker.child).await?;
        if timeout(STOP, worker.child.wait()).await.is_err() {
            worker.child.kill().await?;
        }
        println!("worker {number} has stopped");
        Ok(())
    }

    /// Ends a worker as a crash does. It is still in the list of the balancer's targets until it is gone.
    ///
    /// # Errors
    /// There is no such worker, or it cannot be killed.
    pub async fn kill(&mut self, number: usize) -> io::Result<()> {
        let mut worker = self.take(number)?;
        worker.child.kill().await?;
        println!("worker {number} was killed");
        Ok(())
    }

    /// Number and address of each worker.
    #[must_use]
    pub fn list(&self) -> Vec<(usize, SocketAddr)> {
        let all = self.workers.iter();
        all.map(|worker| (worker.number, worker.address)).collect()
    }

    /// Stops all.
    pub async fn end(&mut self) {
        for (number, _) in self.list() {
            if let Err(error) = self.stop(number).await {
                eprintln!("worker {number}: {error}");
            }
        }
    }
}

/// `SIGTERM`, which the standard library cannot send.
async fn terminate(child: &Child) -> io::Result<()> {
    let Some(id) = child.id() else {
        return Ok(());
    };
    let killed = Command::new("kill").arg(id.to_string()).status().await?;
    if killed.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("`kill {id}` fails")))
}

/// Passes on what a worker says; its address, once it has said that.
async fn address(
    number: usize,
    mut out: Lines<BufReader<ChildStdout>>,
    mut err: Lines<BufReader<ChildStderr>>,
) -> io::Result<SocketAddr> {
    loop {
        let line = tokio::select! {
            line = out.next_line() => line?,
            line = err.next_line() => line?,
        };
        let Some(line) = line else {
            return Err(io::Error::other(format!("worker {number} has ended")));
        };
        println!("{number}: {line}");
        let found = line
            .split_once(SERVING)
            .and_then(|(_, rest)| rest.split_whitespace().next());
        let Some(found) = found else { continue };
        let address = found.parse().map_err(io::Error::other)?;
        tokio::spawn(async move {
            while let Ok(Some(line)) = out.next_line().await {
                println!("{number}: {line}");
            }
        });
        tokio::spawn(async move {
            while let Ok(Some(line)) = err.next_line().await {
                println!("{number}: {line}");
            }
        });
        return Ok(address);
    }
}
