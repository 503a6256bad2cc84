//! A producer: one librdkafka client and the thread that serves its delivery reports.
//!
//! In: staged batches, by reference: librdkafka copies each record while it is enqueued (`send`). Out:
//! one call to the batch's [`DeliverySink`] per record, on the serving thread (`serve`), told apart by
//! pooled tickets (`ticket`), so that a record costs no allocation here; or the answer to whoever waits for
//! a record sent alone (`lone`). Topic handles live as long as the producer (`topics`). Of a batch that was
//! refused for one record the others go again (`alone`), and so do records that may have been lost (`proof`). The
//! first batches to a topic wait for its leaders (`opening`). A transactional producer is one whose calls
//! `transactions` adds. Dropping the handle lets the serving thread send what is queued, for a
//! limited time, and report the rest as failed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use tokio::sync::Notify;

use super::client::{Client, Contact, Hooks, Polled, lock};
use super::conf::{Conf, millis};
use super::embedded::EmbeddedBroker;
use super::error;
use super::requests::Requests;
use crate::staging::{Answer, OutputTopic, StagedBatch};
use crate::transport::{DeliverySink, ProducerHandle, ProducerSpec, ProducerTopic, TransportError};

mod alone;
mod lone;
mod opening;
mod proof;
mod send;
mod serve;
mod ticket;
mod topics;
mod transactions;

pub(super) use transactions::start as start_transactions;

use alone::Alone;
use opening::Openings;
use ticket::Tickets;
use topics::Topics;

/// What may be changed by settings.
const DEFAULTS: [(&str, &str); 4] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "5"),
    ("message.timeout.ms", "120000"),
];

/// What the topic handles and the runtime decide.
const ALSO_OWNED: [&str; 3] = ["client.id", "partitioner", "transactional.id"];

/// librdkafka's `queue.buffering.max.kbytes`, unless it is set.
const QUEUE_KBYTES: usize = 1_048_576;

/// What the handle and the serving thread share.
struct Shared {
    client: Arc<Client>,
    name: String,
    tickets: Tickets,
    in_flight: AtomicUsize,
    /// A record found the queue full, and since then none found room.
    full: AtomicBool,
    space: Notify,
    empty_lock: Mutex<()>,
    /// Signalled when nothing is in flight.
    empty: Condvar,
    statistics: Mutex<Option<String>>,
    stop: AtomicBool,
    openings: Openings,
    /// Records refused inside `produce` or perhaps not written, and ones reported as failed although they may have
    /// been sent.
    refused: AtomicUsize,
    failed: AtomicUsize,
    /// What a dropped producer has not sent is of no use: its transaction is lost.
    transactional: bool,
}

impl Shared {
    fn landed(&self, count: usize) {
        if count > 0 && self.in_flight.fetch_sub(count, Ordering::AcqRel) == count {
            drop(lock(&self.empty_lock));
            self.empty.notify_all();
        }
    }
}

struct Producer {
    shared: Arc<Shared>,
    topics: RwLock<Arc<Topics>>,
    /// A record larger than the whole queue never finds room in it.
    queue_bytes: usize,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Producer({})", self.shared.name)
    }
}

pub(super) fn start(
    cluster: &BTreeMap<String, String>,
    contact: Arc<Contact>,
    broker: Option<Arc<EmbeddedBroker>>,
    spec: ProducerSpec,
) -> Result<Arc<dyn ProducerHandle>, TransportError> {
    let mut conf = Conf::new("producer");
    conf.set_all(
        &DEFAULTS,
        cluster,
        &spec.settings,
        &[("log.queue", "true")],
        &ALSO_OWNED,
    )?;
    Ok(Arc::new(launch(
        cluster, contact, broker, spec, conf, None,
    )?))
}

/// Makes the client and starts the serving thread.
fn launch(
    cluster: &BTreeMap<String, String>,
    contact: Arc<Contact>,
    broker: Option<Arc<EmbeddedBroker>>,
    spec: ProducerSpec,
    mut conf: Conf,
    requests: Option<Arc<Requests>>,
) -> Result<Producer, TransportError> {
    conf.set("client.id", &spec.client_id)?;
    let queue_bytes = spec
        .settings
        .get("queue.buffering.max.kbytes")
        .or_else(|| cluster.get("queue.buffering.max.kbytes"))
        .and_then(|value| value.parse::<usize>().ok())
        .unwrap_or(QUEUE_KBYTES)
        .saturating_mul(1024);
    watch_events(&conf);
    let transactional = requests.is_some();
    // What is refused in a transaction spoils all of it: its owner sends again, or leaves out.
    let mut alone = (!transactional).then(|| Alone {
        cluster: cluster.clone(),
        contact: contact.clone(),
        broker: broker.clone(),
        spec: spec.clone(),
        client: None,
    });
    let mut hooks = Hooks::new(&spec.name, cluster.get("bootstrap.servers"), contact);
    hooks.requests = requests;
    let client = Client::new(conf, Polled::Main, false, hooks, broker)?;
    let shared = Arc::new(Shared {
        client,
        name: spec.name,
        tickets: Tickets::default(),
        in_flight: AtomicUsize::new(0),
        full: AtomicBool::new(false),
        space: Notify::new(),
        empty_lock: Mutex::new(()),
        empty: Condvar::new(),
        statistics: Mutex::new(None),
        stop: AtomicBool::new(false),
        openings: Openings::default(),
        refused: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        transactional,
    });
    let served = shared.clone();
    std::thread::Builder::new()
        .name(format!("ck-{}-out", shared.name))
        .spawn(move || serve::run(&served, alone.as_mut()))
        .map_err(|error| error::invalid("starting the producer's thread", error.to_string()))?;
    Ok(Producer {
        shared,
        topics: RwLock::default(),
        queue_bytes,
    })
}

/// Events and not callbacks: only so does a flush wait without taking the reports for itself.
fn watch_events(conf: &Conf) {
    // SAFETY: the configuration is alive.
    unsafe {
        rd::rd_kafka_conf_set_events(
            conf.raw(),
            rd::RD_KAFKA_EVENT_DR
                | rd::RD_KAFKA_EVENT_ERROR
                | rd::RD_KAFKA_EVENT_STATS
                | rd::RD_KAFKA_EVENT_LOG,
        );
    }
}

impl ProducerHandle for Producer {
    fn topic(&self, topic: &OutputTopic) -> Result<ProducerTopic, TransportError> {
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.find(topic)? {
            return Ok(found);
        }
        drop(known);
        let mut known = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have come first.
        if let Some(found) = known.find(topic)? {
            return Ok(found);
        }
        let (grown, index) = known.with(&self.shared, topic)?;
        *known = Arc::new(grown);
        Ok(index)
    }

    fn produce(
        &self,
        topics: &[ProducerTopic],
        batch: &StagedBatch,
        range: Range<usize>,
        sink: &Arc<dyn DeliverySink>,
    ) -> usize {
        // A clone: a sink that hears of a failure in here may ask for topics.
        let known = self
            .topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.enqueue(&known, topics, batch, range, sink)
    }

    fn produce_one(
        &self,
        topic: ProducerTopic,
        record: &StagedBatch,
        answer: Answer,
    ) -> Result<(), Answer> {
        self.enqueue_lone(topic, record, answer)
    }

    fn space(&self) -> &Notify {
        &self.shared.space
    }

    fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    fn flush(&self, timeout: Duration) -> usize {
        let end = Instant::now() + timeout;
        if self.in_flight() == 0 {
            return 0;
        }
        // Sends without lingering, and waits until librdkafka has reported all.
        // SAFETY: the client is alive; the serving thread takes the reports.
        unsafe { rd::rd_kafka_flush(self.shared.client.rk(), millis(timeout)) };
        let left = end.saturating_duration_since(Instant::now());
        let guard = lock(&self.shared.empty_lock);
        let _ = self
            .shared
            .empty
            .wait_timeout_while(guard, left, |()| self.in_flight() > 0);
        self.in_flight()
    }

    fn statistics(&self) -> Option<String> {
        lock(&self.shared.statistics).clone()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.client.wake();
    }
}
