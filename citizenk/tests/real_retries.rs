//! Retry topics, dead letters and `redrive` against a real Kafka; left out where `cargo xtask real` has not
//! started one.
//!
//! The service is this program run once more, as a process that can be killed, and so are its commands.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use citizenk::cli;
use citizenk::prelude::*;
use clap::Parser;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(60);
/// What the program that is a service is to do.
const ARGUMENTS: &str = "CITIZENK_RETRIES_SERVICE";
/// Set while the world outside is away.
const BROKEN: &str = "CITIZENK_RETRIES_BROKEN";
const PARTITIONS: i32 = 2;
/// One in this many fails.
const BAD: u32 = 4;

#[citizenk::message]
#[derive(Clone)]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const DONE: Topic<Order, u32> = Topic::json("done");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");

fn millis() -> u128 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("after 1970").as_millis()
}

#[citizenk::agent(topics = [ORDERS], output = DONE,
    on_error = retry_topics(["1s", "3s"], then = dead_letter(LETTERS)))]
async fn pay(order: Event<Order>, info: AgentInfo, meta: Meta) -> citizenk::Result<Order> {
    let id = order.value.id;
    println!("pay {id} {} {} {}", info.attempt(), millis(), meta.offset);
    if std::env::var_os(BROKEN).is_some() && id.is_multiple_of(BAD) {
        return Err(AgentError::new(format!("no money for {id}")));
    }
    Ok(order.value)
}

/// Another reader of the orders.
#[citizenk::agent(topics = [ORDERS], group = none)]
async fn audit(order: Event<Order>) {
    println!("audit {}", order.value.id);
}

#[derive(Parser)]
enum Commands {
    #[command(flatten)]
    Service(cli::Command),
}

/// Not a test by itself: the service that the other starts.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "its exit code is what the test looks at"
)]
fn service() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    // The name of the test stands on the line already.
    println!();
    let app = App::new("shop").register::<pay>().register::<audit>();
    let Commands::Service(command) =
        Commands::parse_from(std::iter::once("shop").chain(arguments.split(' ')));
    std::process::exit(i32::from(command.execute(app).code()));
}

/// A broker, and topics that no earlier run has used.
struct Place {
    servers: String,
    prefix: String,
    group: String,
}

/// A record as a client that is not citizenk reads it.
struct Got {
    key: String,
    place: (i32, i64),
    timestamp: i64,
    headers: BTreeMap<String, String>,
}

impl Got {
    fn fact(&self, name: &str) -> &str {
        let name = format!("citizenk.dead-letter.{name}");
        self.headers.get(&name).map_or("", String::as_str)
    }
}

impl Place {
    async fn find() -> Option<Self> {
        std::env::var_os("CITIZENK_REAL_KAFKA")?;
        let run = millis();
        let place = Self {
            servers: std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("xtask sets the address"),
            prefix: format!("retries-{run}."),
            group: format!("shop-{run}"),
        };
        let admin: AdminClient<_> = place.config().create().unwrap();
        let names = ["orders", "done", "letters"].map(|name| place.real(name));
        let retries = ["1s", "3s"].map(|delay| place.retry(delay));
        let names = names.iter().chain(&retries);
        let new: Vec<_> = names
            .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)))
            .collect();
        for created in admin
            .create_topics(&new, &AdminOptions::new())
            .await
            .unwrap()
        {
            created.expect("a topic nobody has used");
        }
        Some(place)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("group.id", "retries-observer")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("partitioner", "murmur2_random");
        config
    }

    fn real(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    fn retry(&self, delay: &str) -> String {
        self.real(&format!("{}.pay.retry.{delay}", self.group))
    }

    fn push(&self, orders: std::ops::Range<u32>) {
        let producer: BaseProducer = self.config().create().unwrap();
        for id in orders {
            let (topic, key, value) = (
                self.real("orders"),
                id.to_string(),
                format!("{{\"id\":{id}}}"),
            );
            let record = BaseRecord::to(&topic).key(&key).payload(&value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// All that is on a topic, by its name on the broker.
    fn all(&self, topic: &str) -> Vec<Got> {
        let reader: BaseConsumer = self.config().create().unwrap();
        let mut from_the_start = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            from_the_start
                .add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
        reader.assign(&from_the_start).unwrap();
        let mut open: BTreeSet<i32> = (0..PARTITIONS).collect();
        let (begun, mut all) = (Instant::now(), Vec::new());
        while !open.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{topic} cannot be read");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match reader.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => all.push(Got {
                    key: record.key().map(text).unwrap_or_default(),
                    place: (record.partition(), record.offset()),
                    timestamp: record.timestamp().to_millis().unwrap_or(0),
                    headers: record
                        .headers()
                        .iter()
                        .flat_map(|headers| headers.iter())
                        .map(|header| {
                            (
                                header.key.to_owned(),
                                text(header.value.unwrap_or_default()),
                            )
                        })
                        .collect(),
                }),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(_)) | None => {}
            }
        }
        all
    }

    /// Waits until a topic has so many records.
    fn read(&self, topic: &str, count: usize) -> Vec<Got> {
        let begun = Instant::now();
        loop {
            let all = self.all(topic);
            if all.len() >= count {
                return all;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{topic} has {} of {count}",
                all.len()
            );
        }
    }

    fn program(&self, arguments: &str, broken: bool) -> Program {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["service", "--exact", "--nocapture", "--test-threads=1"])
            .env(ARGUMENTS, arguments)
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.servers)
            .env("CITIZENK_TOPIC_PREFIX", &self.prefix)
            .env("CITIZENK_GROUP", &self.group)
            .env("CITIZENK_HTTP", "127.0.0.1:0")
            .env("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", "6000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if broken {
            command.env(BROKEN, "1");
        }
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stream).lines().map_while(Result::ok);
                lines.map(|line| sender.send(line)).find(Result::is_err)
            });
        }
        Program {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Runs a command to its end: its exit code and what it says.
    fn command(&self, arguments: &str) -> (Option<i32>, String) {
        let mut program = self.program(arguments, false);
        while let Ok(line) = program.lines.recv_timeout(PATIENCE) {
            program.said.push(line);
        }
        let status = program.child.wait().unwrap();
        (status.code(), program.said.join("\n"))
    }
}

/// A process, which ends with this value.
struct Program {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Program {
    /// Reads on until it has said so many lines that begin like this.
    fn until(&mut self, begin: &str, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.count(begin) < count {
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(wait) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!(
                    "{error}: {} of {count} `{begin}` in\n{}",
                    self.count(begin),
                    self.said.join("\n")
                ),
            }
        }
    }

    fn count(&self, begin: &str) -> usize {
        self.said
            .iter()
            .filter(|line| line.starts_with(begin))
            .count()
    }

    /// Ends it at once; answers the calls it has made.
    fn kill(mut self) -> Vec<[u64; 4]> {
        self.child.kill().unwrap();
        // Its streams end with it.
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        self.calls()
    }

    /// Calls of `pay`: order, attempt, when, the offset it shows.
    fn calls(&self) -> Vec<[u64; 4]> {
        let calls = self
            .said
            .iter()
            .filter_map(|line| line.strip_prefix("pay "));
        calls
            .map(|call| {
                let numbers: Vec<u64> = call.split(' ').map(|word| word.parse().unwrap()).collect();
                numbers.try_into().unwrap()
            })
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; nothing it holds has to be said goodbye to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keys(records: &[Got]) -> BTreeSet<u32> {
    records.iter().map(|got| got.key.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_records_wait_elsewhere_become_letters_and_are_redriven() {
    let Some(place) = Place::find().await else {
        return;
    };
    const ALL: u32 = 20;
    let bad: BTreeSet<u32> = (0..ALL).filter(|id| id.is_multiple_of(BAD)).collect();
    place.push(0..ALL);
    let first = place.program("run", true);
    // Every order once: who fails holds up nobody.
    let done = place.read(&place.real("done"), ALL as usize - bad.len());
    assert!(keys(&done).is_disjoint(&bad));
    // Those that failed are on the retry topic; the worker is killed while they wait.
    place.read(&place.retry("1s"), bad.len());
    let mut calls = first.kill();
    let second = place.program("run", true);
    let letters = place.read(&place.real("letters"), bad.len());
    assert_eq!(keys(&letters), bad);
    let on_orders = place.all(&place.real("orders"));
    for letter in &letters {
        let source = on_orders
            .iter()
            .find(|order| order.key == letter.key)
            .unwrap();
        assert_eq!(letter.fact("topic"), place.real("orders"));
        let at = (
            letter.fact("partition").parse().unwrap(),
            letter.fact("offset").parse().unwrap(),
        );
        assert_eq!(at, source.place);
        assert_eq!(letter.fact("timestamp"), source.timestamp.to_string());
        assert_eq!(
            (letter.fact("stage"), letter.fact("attempts")),
            ("handler", "3")
        );
        assert_eq!(
            letter.fact("reason"),
            format!("no money for {}", letter.key)
        );
    }
    calls.extend(second.kill());
    for id in &bad {
        let mut tries: Vec<_> = calls
            .iter()
            .filter(|call| call[0] == u64::from(*id))
            .collect();
        tries.sort_by_key(|call| call[2]);
        tries.dedup_by_key(|call| call[1]);
        let waits: Vec<u64> = tries
            .windows(2)
            .map(|pair| pair[1][2] - pair[0][2])
            .collect();
        assert!(
            matches!(waits[..], [one, three] if one >= 950 && three >= 2950),
            "{id}: {tries:?}"
        );
        assert!(
            tries.iter().all(|call| call[3] == tries[0][3]),
            "it shows itself as on its source"
        );
    }

    // The cause is gone.
    let mut third = place.program("run", false);
    third.until("audit", ALL as usize);
    let before = place.all(&place.retry("1s")).len();
    let (code, said) = place.command("redrive letters --agent pay --key 8 --dry-run");
    assert_eq!(code, Some(0), "{said}");
    let to = place.retry("1s");
    assert!(said.contains(&format!("would send to `{to}`: 1")), "{said}");
    assert!(said.contains("no money for 8"), "{said}");
    assert_eq!(place.all(&to).len(), before, "a dry run sends nothing");

    let (code, said) = place.command("redrive letters --agent pay --reason money");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("sent to `{to}`: {}", bad.len())),
        "{said}"
    );
    assert!(!said.contains("every reader"), "{said}");
    let done = place.read(&place.real("done"), ALL as usize);
    assert_eq!(keys(&done), (0..ALL).collect::<BTreeSet<_>>());
    third.until("pay", bad.len());
    assert!(
        third.calls().iter().all(|call| call[1] == 1),
        "tries count anew"
    );
    assert_eq!(
        third.count("audit"),
        ALL as usize,
        "nobody else sees them again"
    );

    let (code, said) = place.command("redrive letters --to-source --limit 2");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("every reader of these topics sees them again"),
        "{said}"
    );
    third.until("audit", ALL as usize + 2);
    place.read(&place.real("done"), ALL as usize + 2);
    assert_eq!(
        place.all(&place.real("letters")).len(),
        bad.len(),
        "letters stay"
    );
}
