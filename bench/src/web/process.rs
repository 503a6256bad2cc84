//! The parts of a measurement as processes of their own: started, listened to line by line, told to end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::{Result, SUBCOMMAND};
use crate::child;

/// More than any part says before somebody listens.
const LINES: usize = 16;
/// Until a part that was told to end has ended.
const ENDS: Duration = Duration::from_secs(30);

/// A port that is free now.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits; `park_timeout` may return early.
pub(super) fn rest(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

pub(super) struct Process {
    part: &'static str,
    child: Child,
    /// Its end is the part's.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    pub(super) fn start(
        part: &'static str,
        arguments: &[(&str, String)],
        variables: &[(String, String)],
    ) -> Result<Self> {
        let mut command = child::program(&std::env::current_exe()?, &[]);
        command.args([SUBCOMMAND, part]);
        for (name, value) in arguments {
            command.args([*name, value.as_str()]);
        }
        child::without_surroundings(&mut command);
        command.envs(variables.iter().cloned());
        Self::spawn(part, command)
    }

    fn spawn(part: &'static str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("a child without output")?;
        let (tell, lines) = mpsc::sync_channel(LINES);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    // Nobody listens any more.
                    break;
                }
            }
        });
        Ok(Self {
            part,
            input: child.stdin.take(),
            child,
            lines,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it says next; `None`: nothing in time.
    pub(super) fn heard<T: DeserializeOwned>(&self, patience: Duration) -> Result<Option<T>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Some(serde_json::from_str(&line)?)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(format!("{} ended early", self.part).into()),
        }
    }

    /// What it must say next.
    pub(super) fn hear<T: DeserializeOwned>(&self, patience: Duration) -> Result<T> {
        let heard = self.heard(patience)?;
        heard.ok_or_else(|| {
            let seconds = patience.as_secs();
            format!("{} said nothing for {seconds} s", self.part).into()
        })
    }

    /// Asks it for its last word.
    pub(super) fn last_word<T: DeserializeOwned>(&mut self) -> Result<T> {
        drop(self.input.take());
        self.hear(ENDS)
    }

    /// Tells it to end and waits until it has.
    pub(super) fn end(mut self) -> Result<()> {
        drop(self.input.take());
        let begun = Instant::now();
        // Its output ends with it.
        while let Some(left) = ENDS.checked_sub(begun.elapsed()) {
            if self.lines.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
                let status = self.child.wait()?;
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("{} failed ({status})", self.part).into())
                };
            }
        }
        Err(format!("{} does not end", self.part).into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already when all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own: status and body.
pub(super) fn ask(
    port: u16,
    method: &str,
    path: &str,
    patience: Duration,
) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(patience))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.ok_or("an answer without status")?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn("shell", command).unwrap()
    }

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_part_speaks_and_ends_with_its_input() {
        let mut part = shell("echo 1; cat; echo 2");
        assert_eq!(part.hear::<u32>(SOON).unwrap(), 1);
        let nothing = part.heard::<u32>(Duration::from_millis(1)).unwrap();
        assert_eq!(nothing, None);
        assert_eq!(part.last_word::<u32>().unwrap(), 2);
        part.end().unwrap();
    }

    #[test]
    fn a_part_that_fails_or_ends_early_is_an_error() {
        let part = shell("exit 3");
        let early = part.hear::<u32>(SOON).unwrap_err().to_string();
        assert_eq!(early, "shell ended early");
        assert!(part.end().unwrap_err().to_string().contains("failed"));
    }
}
