//! A secured Kafka, services run as processes, and what they print.

pub(crate) mod web;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use citizenk::prelude::*;
use citizenk::{OauthToken, cli};
use clap::Parser;

/// A broker that was heard within 30 s is ready, so the end of that takes a while.
const PATIENCE: Duration = Duration::from_secs(100);
const SERVICE: &str = "CITIZENK_SECURED_SERVICE";

#[citizenk::message]
#[derive(Clone)]
struct Order {
    id: u64,
}

const ORDERS: Topic<Order, u64> = Topic::json("orders");

#[citizenk::repeat_every("500ms")]
async fn send(producer: Producer) {
    match producer.send(&ORDERS, &1, Order { id: 1 }).await {
        Ok(_) => println!("sent"),
        Err(error) => println!("not sent: {error}"),
    }
}

#[citizenk::agent(topics = [ORDERS])]
async fn receive(order: Event<Order>) {
    println!("got {}", order.value.id);
}

/// A token without a signature, as Kafka's validator for tests takes it.
pub(crate) fn signed(subject: &str, life: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).unwrap();
    let claims = format!(
        r#"{{"sub":"{subject}","iat":{},"exp":{}}}"#,
        now - 60,
        now + life
    );
    let part = |text: &str| {
        openssl::base64::encode_block(text.as_bytes())
            .replace('+', "-")
            .replace('/', "_")
            .replace('=', "")
    };
    format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims))
}

/// The same without a consumer group.
#[citizenk::agent(topics = [ORDERS], group = none)]
async fn look(order: Event<Order>) {
    println!("saw {}", order.value.id);
}

#[derive(Parser)]
enum Commands {
    #[command(flatten)]
    Service(cli::Command),
}

/// The service, where this process was started as one; it does not return then.
#[expect(
    clippy::disallowed_methods,
    reason = "its exit code is what the tests look at"
)]
pub(crate) fn serve() {
    let Some(command) = std::env::var_os(SERVICE) else {
        return;
    };
    fn number(name: &str) -> Option<i64> {
        std::env::var(name).ok()?.parse().ok()
    }
    let mut app = App::new("secured")
        .register::<send>()
        .oauth_token(async |_cx| {
            let life: i64 = number("TOKEN_LIFE").unwrap_or(3600);
            let says: i64 = number("TOKEN_SAYS").unwrap_or(life);
            let now = SystemTime::now();
            let expires = match u64::try_from(says) {
                Ok(says) => now + Duration::from_secs(says),
                Err(_) => now - Duration::from_secs(says.unsigned_abs()),
            };
            Ok::<_, std::io::Error>(OauthToken::new(signed("alice", life), expires))
        });
    app = if std::env::var_os("GROUPLESS").is_some() {
        app.register::<look>()
    } else {
        app.register::<receive>()
    };
    if std::env::var_os("EXACTLY_ONCE").is_some() {
        app = app.guarantee(citizenk::Guarantee::ExactlyOnce);
    }
    let Commands::Service(command) =
        Commands::parse_from(["secured".into(), command, "--http=127.0.0.1:0".into()]);
    std::process::exit(i32::from(command.execute(app).code()));
}

/// The cluster that `xtask` has started.
pub(crate) struct Kafka {
    folder: String,
    listeners: serde_json::Value,
    /// No other run has this.
    pub(crate) run: u128,
}

impl Kafka {
    pub(crate) fn find() -> Option<Self> {
        let folder = std::env::var("CITIZENK_SECURED_KAFKA").ok()?;
        let text = std::fs::read_to_string(format!("{folder}/listeners.json")).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Some(Self {
            folder,
            listeners: serde_json::from_str(&text).unwrap(),
            run: now.unwrap().as_nanos(),
        })
    }

    pub(crate) fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    pub(crate) fn port(&self, listener: &str) -> u64 {
        self.listeners["ports"][listener].as_u64().unwrap()
    }

    pub(crate) fn program(&self, listener: &str) -> Program {
        Program {
            env: Vec::new(),
            secrets: Vec::new(),
        }
        .with(
            "KAFKA_BOOTSTRAP_SERVERS",
            &format!("localhost:{}", self.port(listener)),
        )
        .with("KAFKA_CONSUMER_BROKER_ADDRESS_FAMILY", "v4")
        .with("KAFKA_PRODUCER_BROKER_ADDRESS_FAMILY", "v4")
        .with("KAFKA_PRODUCER_MESSAGE_TIMEOUT_MS", "5000")
        .topic(&format!("open-{listener}-{}", self.run))
        .group(&format!("open-{}", self.run))
    }

    pub(crate) fn tls(&self, listener: &str, protocol: &str) -> Program {
        self.program(listener)
            .with("KAFKA_SECURITY_PROTOCOL", protocol)
            .with("KAFKA_SSL_CA_LOCATION", &self.path("ca.pem"))
    }

    pub(crate) fn plain(&self, user: &str) -> Program {
        self.tls("PLAIN", "SASL_SSL")
            .with("KAFKA_SASL_MECHANISM", "PLAIN")
            .user(user)
    }

    pub(crate) fn oauth(&self) -> Program {
        self.tls("OAUTH", "SASL_SSL")
            .with("KAFKA_SASL_MECHANISM", "OAUTHBEARER")
            // How every token begins.
            .secret("eyJhbGci")
    }

    fn tool(&self, class: &str, arguments: &[&str]) {
        let java = std::env::var("CITIZENK_KAFKA_TOOL").unwrap();
        let mut words = java.lines();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .arg(class)
            .arg("--bootstrap-server")
            .arg(format!("127.0.0.1:{}", self.listeners["open"]))
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success(), "{class} {arguments:?}");
    }

    pub(crate) fn acl(&self, arguments: &[&str]) {
        self.tool("org.apache.kafka.tools.AclCommand", arguments);
    }

    pub(crate) fn scram_password(&self, user: &str, password: &str) {
        let config = format!("SCRAM-SHA-256=[password={password}]");
        self.tool(
            "kafka.admin.ConfigCommand",
            &[
                "--alter",
                "--add-config",
                &config,
                "--entity-type",
                "users",
                "--entity-name",
                user,
            ],
        );
    }
}

/// A service to start.
pub(crate) struct Program {
    env: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl Program {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What must not be printed.
    pub(crate) fn secret(mut self, text: &str) -> Self {
        self.secrets.push(text.to_owned());
        self
    }

    pub(crate) fn user(self, name: &str) -> Self {
        let password = format!("canary-{name}-password");
        self.with("KAFKA_SASL_USERNAME", name)
            .with("KAFKA_SASL_PASSWORD", &password)
            .secret(&password)
    }

    pub(crate) fn topic(self, name: &str) -> Self {
        self.with("CITIZENK_TOPICS", &format!("orders={name}"))
    }

    pub(crate) fn group(self, name: &str) -> Self {
        self.with("CITIZENK_GROUP", name)
    }

    fn spawn(self, command: &str) -> Running {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["service", "--exact", "--nocapture", "--test-threads=1"])
            .envs(self.env)
            .env(SERVICE, command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in out {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Running {
            child,
            lines,
            text: String::new(),
            secrets: self.secrets,
            address: None,
            deadline: Instant::now() + PATIENCE,
        }
    }

    pub(crate) fn start(self) -> Running {
        self.spawn("run")
    }

    /// Runs a command to its end.
    pub(crate) fn run(self, command: &str) -> Ended {
        self.spawn(command).end()
    }
}

/// A service that runs; it ends with this value.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    text: String,
    secrets: Vec<String>,
    address: Option<String>,
    deadline: Instant,
}

impl Running {
    /// The next line, within this time.
    fn line(&mut self, wait: Duration) -> Result<String, RecvTimeoutError> {
        let line = self.lines.recv_timeout(wait)?;
        self.text.push_str(&line);
        self.text.push('\n');
        if self.address.is_none()
            && let Some((_, rest)) = line.split_once("http://")
        {
            let address = rest.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')));
            self.address = address.into_iter().next().map(str::to_owned);
        }
        Ok(line)
    }

    /// Reads on until a line has all of this.
    pub(crate) fn until(&mut self, texts: &[&str]) {
        self.deadline = Instant::now() + PATIENCE;
        loop {
            let wait = self.deadline.saturating_duration_since(Instant::now());
            match self.line(wait) {
                Ok(line) if texts.iter().all(|text| line.contains(text)) => return,
                Ok(_) => {}
                Err(error) => panic!("{error}: no line with {texts:?} in\n{}", self.text),
            }
        }
    }

    /// What the service answers: status line, headers and body.
    fn get(&mut self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address.as_ref()?).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Asks and keeps the answer among what was printed.
    pub(crate) fn keep(&mut self, path: &str) {
        let answer = self.get(path).unwrap();
        self.text.push_str(&answer);
    }

    fn until_health(&mut self, wanted: impl Fn(&str) -> bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // What it prints must be taken, or it could not go on; the wait is the pace of asking.
            let next = Instant::now() + Duration::from_millis(200);
            while let Ok(_line) = self.line(next.saturating_duration_since(Instant::now())) {}
            let answer = self.get("/health/ready").unwrap_or_default();
            if wanted(&answer) {
                self.text.push_str(&answer);
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {answer}\n{}", self.text);
        }
    }

    pub(crate) fn until_ready(&mut self) {
        self.until_health(|answer| answer.starts_with("HTTP/1.1 200"), "not ready");
    }

    pub(crate) fn until_not_ready(&mut self, texts: &[&str]) {
        self.until_health(
            |answer| {
                answer.starts_with("HTTP/1.1 503") && texts.iter().all(|text| answer.contains(text))
            },
            &format!("not unready with {texts:?}"),
        );
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to stop and waits for that.
    pub(crate) fn stop(self) -> Ended {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(asked.unwrap().success());
        self.end()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.line(deadline.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("does not end:\n{}", self.text),
            }
        }
        Ended {
            code: self.child.wait().unwrap().code(),
            text: std::mem::take(&mut self.text),
            secrets: std::mem::take(&mut self.secrets),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a failed test; one that has ended is not killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Everything it printed and answered.
    pub(crate) text: String,
    secrets: Vec<String>,
}

impl Ended {
    pub(crate) fn shows_no_secret(&self) {
        assert!(!self.secrets.is_empty() || !self.text.contains("canary-"));
        for secret in &self.secrets {
            let found = self.text.lines().find(|line| line.contains(secret));
            assert!(found.is_none(), "{found:?}");
        }
    }
}
