//! The program as its user meets it: exit codes, texts, signals.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// The program with these arguments and no settings from the environment of the test.
fn hello(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hello"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, _) in std::env::vars() {
        if ["KAFKA_", "CITIZENK_", "APP_", "RUST_LOG"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Ends with the test, whatever happens.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = hello(arguments).spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The test may be over.
                let _ = send.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits for a line of the log.
    fn says(&self, text: &str) -> String {
        let start = Instant::now();
        let mut seen = String::new();
        while let Ok(line) = self
            .lines
            .recv_timeout(PATIENCE.saturating_sub(start.elapsed()))
        {
            if line.contains(text) {
                return line;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("`{text}` was not said:\n{seen}");
    }

    /// The address behind these words of the log.
    fn address(&self, words: &str) -> String {
        let line = self.says(words);
        let (_, rest) = line.split_once(words).unwrap();
        let address: String = rest
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
            .collect();
        address
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    fn ended(&mut self, within: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < within, "still running after {within:?}");
            std::thread::yield_now();
        }
    }
}

/// Runs to the end and answers exit code and everything printed.
fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = hello(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_culprit() {
    for (arguments, culprit) in [
        (&["--htp", "x"][..], "--htp"),
        (&["--http", "nonsense"], "--http"),
        (
            &["--topic", "greetigns=x", "--http", "127.0.0.1:0"],
            "did you mean `greetings`?",
        ),
        (
            &["--consumer", "enable.auto.commit=true"],
            "enable.auto.commit",
        ),
        (
            &["--http", "127.0.0.1:0", "--consumer", "fetch.wait.max.sm=5"],
            "did you mean `fetch.wait.max.ms`?",
        ),
        (&["--config", "/nowhere.toml"], "/nowhere.toml"),
    ] {
        let (code, text) = fails(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(culprit), "{arguments:?}: {text}");
    }
}

#[test]
fn wrong_client_settings_are_all_named_before_anything_is_opened() {
    let settings = [
        "--consumer",
        "fetch.wait.max.sm=5",
        "--producer",
        "linger.ms=soon",
    ];
    let (code, text) = fails(&[&["--http", "127.0.0.1:0"][..], &settings].concat());
    assert_eq!(code, Some(2), "{text}");
    for culprit in [
        "2 mistakes",
        "`fetch.wait.max.sm`",
        "--producer: `linger.ms`",
    ] {
        assert!(text.contains(culprit), "{culprit}: {text}");
    }
    assert!(!text.contains("serving HTTP"), "{text}");
}

#[test]
fn a_secret_is_printed_nowhere() {
    let secret = "sasl.password=CANARY";
    for arguments in [
        &["--consumer", secret, "topics"][..],
        &["--consumer", secret, "--http", "nonsense"],
    ] {
        let (_, text) = fails(arguments);
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[test]
fn documents_need_no_broker() {
    for (command, part) in [
        ("agents", "greet"),
        ("topics", "greetings"),
        ("openapi", "\"openapi\": \"3.1"),
    ] {
        let (code, text) = fails(&[command]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(part), "{command}: {text}");
    }
}

#[test]
fn a_signal_drains_and_ends_with_0() {
    let mut running = Running::start(&["--http", "127.0.0.1:0"]);
    running.says("assigned");
    running.signal("-TERM");
    assert_eq!(running.ended(PATIENCE).code(), Some(0));
    let mut printed = String::new();
    running
        .child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut printed)
        .unwrap();
    running.says("stopped");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = fails(&["--http", &address]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[test]
fn a_dead_broker_is_a_state_and_does_not_hold_the_end() {
    let mut running = Running::start(&[
        "--bootstrap-servers",
        "127.0.0.1:1",
        "--http",
        "127.0.0.1:0",
    ]);
    running.says("brokers are down");
    running.signal("-TERM");
    assert!(
        running.ended(PATIENCE).code().is_some(),
        "it ended by itself"
    );
}

/// Sends a greeting through the web API and answers the response.
fn greet(address: &str, name: &str) -> String {
    let body = format!("{{\"name\":\"{name}\"}}");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /topics/greetings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// A program whose handler is in the middle of a call that does not end: nobody reads what it prints, and
/// this name fills the pipe.
fn stuck(arguments: &[&str]) -> Running {
    let running = Running::start(
        &[
            &["--http", "127.0.0.1:0", "--log", "info,citizenk=debug"],
            arguments,
        ]
        .concat(),
    );
    let address = running.address("serving HTTP address=");
    running.says("assigned");
    greet(&address, &"x".repeat(200_000));
    running.says("has held its thread");
    running
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-TERM")] {
        let mut running = stuck(&["--drain", "10m"]);
        running.signal(first);
        running.says("a second signal ends the program at once");
        running.signal(second);
        assert_eq!(running.ended(PATIENCE).code(), Some(130));
    }
}

#[test]
fn a_call_that_does_not_end_is_cut_off_at_the_drain_deadline() {
    let mut running = stuck(&["--drain", "100ms"]);
    running.signal("-TERM");
    let said = running.says("error: ");
    assert!(
        said.contains("the drain deadline passed") && said.contains("processed again"),
        "{said}"
    );
    assert_eq!(running.ended(PATIENCE).code(), Some(4));
}

#[test]
fn a_policy_that_says_stop_ends_with_3_and_names_agent_and_record() {
    // Replies are no greetings: the first one that comes back cannot be decoded.
    let mut running = Running::start(&["--http", "127.0.0.1:0", "--topic", "replies=greetings"]);
    let address = running.address("serving HTTP address=");
    running.says("assigned");
    greet(&address, "Ada");
    let said = running.says("error: ");
    assert!(
        said.contains("agent `greet` stopped the service")
            && said.contains("greetings/")
            && said.contains("could not decode"),
        "{said}"
    );
    assert_eq!(running.ended(PATIENCE).code(), Some(3));
}

/// A running service, the address of its broker, and three greetings on it.
fn with_greetings() -> (Running, String) {
    let running = Running::start(&["--http", "127.0.0.1:0"]);
    let broker = running.address("when the process ends");
    running.says("assigned");
    for name in ["Ada", "Bob", "Eve"] {
        let value = format!("{{\"name\":\"{name}\"}}");
        let (code, text) = fails(&[
            "send",
            "greetings",
            &value,
            "--key",
            name,
            "--header",
            "tenant=x",
            "--bootstrap-servers",
            &broker,
        ]);
        assert_eq!(code, Some(0), "{text}");
    }
    (running, broker)
}

#[test]
fn tail_prints_what_a_topic_has_and_ends() {
    let (_service, broker) = with_greetings();
    let tail = |arguments: &[&str]| {
        let always = ["tail", "greetings", "--bootstrap-servers", &broker];
        let output = hello(&[&always[..], arguments].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let newest = tail(&["--from", "-2", "--to", "latest", "--format", "raw"]);
    assert_eq!(newest, "{\"name\":\"Bob\"}\n{\"name\":\"Eve\"}\n");
    let all = ["--from", "earliest", "--to", "latest"];
    let objects = tail(&[&all[..], &["--format", "json", "--filter", "key=Ada"]].concat());
    for part in [
        "\"topic\":\"greetings\"",
        "\"key\":\"Ada\"",
        "\"value\":{\"name\":\"Ada\"}",
        "{\"name\":\"tenant\",\"value\":\"x\"}",
    ] {
        assert!(objects.contains(part), "{objects}");
    }
    assert_eq!(objects.lines().count(), 1);
    let filtered = ["--filter", "value.name=Bob", "--filter", "header.tenant=x"];
    let table = tail(&[&all[..], &filtered].concat());
    assert!(table.ends_with("  Bob  {\"name\":\"Bob\"}\n"), "{table}");
    assert_eq!(table.lines().count(), 1);
    assert_eq!(
        tail(&["--from", "earliest", "--max", "2"]).lines().count(),
        2
    );
    // A reader that has seen enough is no error.
    let mut child = hello(&["tail", "greetings", "--from", "earliest"])
        .args(["--to", "latest", "--bootstrap-servers", &broker])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(!said.contains("error"), "{said}");
}

#[test]
fn tail_follows_until_it_is_told_to_stop() {
    let (_service, broker) = with_greetings();
    let mut tail = Running::start(&[
        "tail",
        "greetings",
        "--from",
        "-1",
        "--bootstrap-servers",
        &broker,
    ]);
    let mut lines = BufReader::new(tail.child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("Eve"));
    let (code, text) = fails(&[
        "send",
        "greetings",
        "{\"name\":\"Ida\"}",
        "--bootstrap-servers",
        &broker,
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert!(lines.next().unwrap().unwrap().contains("Ida"));
    tail.signal("-INT");
    assert_eq!(tail.ended(PATIENCE).code(), Some(0));
}

#[test]
fn tail_refuses_what_it_does_not_understand() {
    for (arguments, culprit) in [
        (&["greetings", "--from", "yesterday"][..], "--from"),
        (&["greetings", "--to", "-soon"], "--to"),
        (&["greetings", "--filter", "name=Ada"], "header.NAME=TEXT"),
        (&["greetigns"], "did you mean `greetings`?"),
    ] {
        let (code, text) = fails(&[&["tail", "--embedded"], arguments].concat());
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(culprit), "{arguments:?}: {text}");
    }
}
