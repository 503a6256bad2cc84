//! A consumer: one librdkafka client and the one thread that polls it.
//!
//! In: records, rebalances and errors from librdkafka; commands of the runtime through `Control`
//! (`control`), between two polls. Out: calls to the [`ConsumerEvents`], on that thread alone. The
//! thread (`poll`) owns everything: partitions and what is fetched but not handed over (`slots`),
//! taking and giving back partitions (`rebalance`), lost positions (`reset`), the orderly end
//! (`close`), and without a group the partitions that a second thread finds (`discover`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::client::{Client, Contact, Hooks, Polled, lock};
use super::conf::Conf;
use super::embedded::EmbeddedBroker;
use super::membership::Membership;
use super::{error, list::List};
use crate::record::TopicPartition;
use crate::transport::transaction::GroupMetadata;
use crate::transport::{ConsumerEvents, ConsumerHandle, ConsumerSpec, Spot, TransportError};

mod callbacks;
pub(super) use callbacks::known;
mod close;
mod control;
mod discover;
mod ends;
mod fetches;
pub(super) use fetches::Token;
mod poll;
mod rebalance;
mod reset;
mod slots;

use poll::Poller;

/// What the runtime depends on: it tracks offsets itself, and a lost position is a message to us
/// (`reset`) and not librdkafka's silent jump.
const OWNED: [(&str, &str); 5] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
    ("auto.offset.reset", "error"),
    ("log.queue", "true"),
];

/// Time for leaving the group when the handle is dropped without a close.
const LEAVE_ON_DROP: Duration = Duration::from_secs(5);

/// What the consumer's threads and its handle share.
#[derive(Debug)]
struct Shared {
    client: Arc<Client>,
    /// Woken and not yet ticked: further wakes have nothing to add.
    woken: AtomicBool,
    /// The polling thread, once it runs.
    thread: OnceLock<Thread>,
    closing: Mutex<Option<Duration>>,
    /// Without a group: the topics that are read, and how often they changed.
    wanted: Mutex<Wanted>,
    /// Partition counts of topics, as the discovering thread found them.
    found: Mutex<Vec<(String, usize)>>,
    /// Signalled when `closing` is set or `wanted` has changed.
    stop: Condvar,
}

/// What a consumer without a group reads.
#[derive(Debug, Default)]
struct Wanted {
    topics: Vec<String>,
    /// Counts changes, for the thread that looks for partitions.
    version: u64,
    /// The polling thread has not looked for partitions of topics that are gone.
    shrunk: bool,
}

impl Shared {
    fn close_requested(&self) -> Option<Duration> {
        *lock(&self.closing)
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.client.wake();
            if let Some(thread) = self.thread.get() {
                thread.unpark();
            }
        }
    }

    /// The polling thread waits without polling, until it is woken.
    fn sleep(&self, wait: Duration) {
        if !self.woken.load(Ordering::Acquire) {
            std::thread::park_timeout(wait);
        }
    }

    fn close(&self, leave: Duration) {
        lock(&self.closing).get_or_insert(leave);
        self.stop.notify_all();
        self.client.wake();
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

struct Handle {
    name: String,
    group: bool,
    /// Weak: a handle that is kept after the close must not keep the client's threads and sockets.
    shared: Weak<Shared>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumer({})", self.name)
    }
}

impl Handle {
    fn gone(&self, doing: &str) -> TransportError {
        error::error(
            format!("consumer `{}` {doing}", self.name),
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__STATE,
        )
    }
}

impl ConsumerHandle for Handle {
    fn subscribe(&self, topics: &[String]) -> Result<(), TransportError> {
        check_names(&self.name, topics)?;
        let shared = self
            .shared
            .upgrade()
            .ok_or_else(|| self.gone("subscribing"))?;
        if self.group {
            // A client that is given topics while it closes aborts the process (librdkafka 2.12.1, an assertion).
            let closing = lock(&shared.closing);
            return match *closing {
                Some(_) => Err(self.gone("subscribing")),
                None => subscribe(&shared.client, &self.name, topics),
            };
        }
        {
            // Under the lock that goes with the signal, so that it is not missed.
            let _closing = lock(&shared.closing);
            let mut wanted = lock(&shared.wanted);
            wanted.topics = topics.to_vec();
            wanted.version += 1;
            wanted.shrunk = true;
        }
        shared.stop.notify_all();
        shared.wake();
        Ok(())
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        spot: Spot,
        timeout: Duration,
    ) -> Result<Vec<i64>, TransportError> {
        let shared = self
            .shared
            .upgrade()
            .ok_or_else(|| self.gone("asking for offsets"))?;
        control::offsets(&shared.client, &self.name, partitions, spot, timeout)
    }

    fn wake(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.wake();
        }
    }

    fn close(&self, leave: Duration) {
        if let Some(shared) = self.shared.upgrade() {
            shared.close(leave);
        }
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        let membership = Membership::of(&self.shared.upgrade()?.client)?;
        Some(GroupMetadata(Box::new(membership)))
    }

    fn member_id(&self) -> Option<String> {
        Membership::of(&self.shared.upgrade()?.client)?.member_id()
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError> {
        match self.shared.upgrade() {
            Some(shared) => control::committed(&shared.client, &self.name, partitions, timeout),
            None => Err(self.gone("asking for committed offsets")),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close(LEAVE_ON_DROP);
    }
}

pub(super) fn start(
    cluster: &BTreeMap<String, String>,
    contact: Arc<Contact>,
    broker: Option<Arc<EmbeddedBroker>>,
    mut spec: ConsumerSpec,
    events: Box<dyn ConsumerEvents>,
) -> Result<Arc<dyn ConsumerHandle>, TransportError> {
    check_names(&spec.name, &spec.topics)?;
    // A member that does not poll for longer is thrown out of its group: while others wait for it in a
    // rebalance, a drain gets a fifth of that; when it leaves, nearly all.
    let poll_limit = longest_poll(cluster, &spec);
    let last_drain = spec.drain.min(poll_limit * 4 / 5);
    spec.drain = spec.drain.min(poll_limit / 5);
    let conf = configure(cluster, &spec, broker.is_some())?;
    let polled = match spec.group {
        Some(_) => Polled::Group,
        None => Polled::Own,
    };
    let hooks = Hooks::new(&spec.name, cluster.get("bootstrap.servers"), contact);
    let client = Client::new(conf, polled, true, hooks, broker)?;
    let shared = Arc::new(Shared {
        client: client.clone(),
        woken: AtomicBool::new(false),
        closing: Mutex::new(None),
        wanted: Mutex::new(Wanted {
            topics: spec.topics.clone(),
            ..Wanted::default()
        }),
        found: Mutex::default(),
        stop: Condvar::new(),
        thread: OnceLock::new(),
    });
    if spec.group.is_some() {
        subscribe(&client, &spec.name, &spec.topics)?;
    } else {
        discover::start(&shared, &spec.name)?;
    }
    let name = spec.name.clone();
    let handle = Handle {
        name: name.clone(),
        group: spec.group.is_some(),
        shared: Arc::downgrade(&shared),
    };
    let poller = Poller::new(shared, spec, last_drain, events);
    std::thread::Builder::new()
        .name(format!("ck-{name}"))
        .spawn(move || poller.run())
        .map_err(|error| error::invalid("starting the polling thread", error.to_string()))?;
    Ok(Arc::new(handle))
}

fn check_names(consumer: &str, topics: &[String]) -> Result<(), TransportError> {
    match topics
        .iter()
        .find(|name| name.is_empty() || name.contains('\0'))
    {
        Some(name) => Err(error::invalid(
            format!("consumer `{consumer}`"),
            format!("`{}` is not a topic name", name.escape_default()),
        )),
        None => Ok(()),
    }
}

fn configure(
    cluster: &BTreeMap<String, String>,
    spec: &ConsumerSpec,
    embedded: bool,
) -> Result<Conf, TransportError> {
    let mut defaults = vec![
        // A queue that is full is looked at again after this time; librdkafka's 1000 ms stall it.
        ("fetch.queue.backoff.ms", "2"),
        ("queued.min.messages", "5000"),
        // What is fetched and not handed over; with `fetch.max.bytes`, which one answer may add, this
        // bounds the client's memory (docs/settings.md).
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.max.bytes", "16777216"),
        // A broker answers as soon as it has a record, but the embedded one only after the whole wait: there
        // this is what an idle topic's next record waits at most. Less costs CPU time for nothing (measured
        // on idle `hello`: 2 % of a core with 10 ms, 0.3 % with 100).
        ("fetch.wait.max.ms", "100"),
        // When a group's topic is created later or grows, this is how soon its members know.
        ("topic.metadata.refresh.interval.ms", "30000"),
    ];
    // In the newer protocol the broker assigns, and librdkafka refuses a strategy of ours.
    let given = |key| spec.settings.get(key).or_else(|| cluster.get(key));
    if given("group.protocol").is_none_or(|protocol| protocol != "consumer") {
        defaults.push(("partition.assignment.strategy", "cooperative-sticky"));
        if embedded {
            // It deals a group's partitions a second before a session is over, however soon all have joined.
            defaults.push(("session.timeout.ms", "3000"));
            defaults.push(("heartbeat.interval.ms", "500"));
        }
    }
    let mut conf = Conf::new("consumer");
    conf.set_all(
        &defaults,
        cluster,
        &spec.settings,
        &OWNED,
        &["client.id", "group.id"],
    )?;
    conf.set("client.id", &spec.client_id)?;
    if spec.ends {
        conf.set("enable.partition.eof", "true")?;
    }
    if let Some(group) = &spec.group {
        conf.set("group.id", group)?;
    }
    callbacks::install(&conf);
    Ok(conf)
}

fn longest_poll(cluster: &BTreeMap<String, String>, spec: &ConsumerSpec) -> Duration {
    let millis = spec
        .settings
        .get("max.poll.interval.ms")
        .or_else(|| cluster.get("max.poll.interval.ms"))
        .and_then(|value| value.parse().ok())
        .unwrap_or(300_000);
    Duration::from_millis(millis)
}

/// Any thread: librdkafka hands the list to its own thread.
fn subscribe(client: &Client, consumer: &str, names: &[String]) -> Result<(), TransportError> {
    let mut topics = List::with_capacity(names.len());
    for topic in names {
        // A leading `^` would be read as a pattern; no topic's name begins so.
        topics.add_named(topic, -1, i64::from(rd::RD_KAFKA_OFFSET_INVALID));
    }
    // SAFETY: client and list are alive; the list is copied.
    let code = unsafe { rd::rd_kafka_subscribe(client.rk(), topics.as_ptr()) };
    error::check(code, || format!("consumer `{consumer}` subscribing"))
}
