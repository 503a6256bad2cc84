//! An owned librdkafka client.
//!
//! In: a finished configuration. Out: the handle, and what its callbacks heard (`Mail`), to be taken by
//! the thread that polls it. Whoever needs the client alive holds the `Arc`; the last one to let go
//! starts a thread that destroys it, because destroying may wait for a broker and must hold up neither
//! a worker that drops a chunk nor the end of the program.

use std::collections::HashSet;
use std::ffi::{c_char, c_int};
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::conf::{Conf, c_text, millis};
use super::embedded::EmbeddedBroker;
use super::error;
use super::log::LogLimiter;
use super::requests::{self, Requests};
use super::{sasl, security};
use crate::record::TopicPartition;
use crate::transport::oauth::Tokens;
use crate::transport::{TopicMetadata, TransportError};

/// What callbacks heard, in order, for the polling thread.
#[derive(Debug)]
pub(super) enum Mail {
    Rebalance(Code, Vec<TopicPartition>),
    Committed(Vec<(TopicPartition, i64)>, Result<(), TransportError>),
    Error(TransportError),
    Statistics(String),
    Ends(Vec<(TopicPartition, i64)>),
}

/// What callbacks reach through the client's opaque pointer.
#[derive(Debug)]
pub(super) struct Hooks {
    pub(super) name: String,
    /// The cluster's addresses, for errors.
    pub(super) servers: String,
    pub(super) contact: Arc<Contact>,
    pub(super) log: LogLimiter,
    /// Counts requests, where that was asked for.
    pub(super) requests: Option<Arc<Requests>>,
    /// The last certificate that was refused is one for another host.
    pub(super) wrong_host: AtomicBool,
    /// The client, once it is made.
    pub(super) client: OnceLock<Weak<Client>>,
    mail: Mutex<Vec<Mail>>,
    /// The polled queue, while there is one.
    queue: AtomicPtr<rd::rd_kafka_queue_t>,
}

impl Hooks {
    pub(super) fn new(name: &str, servers: Option<&String>, contact: Arc<Contact>) -> Self {
        Self {
            name: name.to_owned(),
            servers: servers.cloned().unwrap_or_default(),
            contact,
            log: LogLimiter::default(),
            requests: None,
            wrong_host: AtomicBool::new(false),
            client: OnceLock::new(),
            mail: Mutex::default(),
            queue: AtomicPtr::default(),
        }
    }

    /// Leaves something for the polling thread. Called by callbacks, inside a poll: that poll must
    /// return now and not wait on for a message.
    pub(super) fn post(&self, mail: Mail) {
        lock(&self.mail).push(mail);
        let queue = self.queue.load(Ordering::Acquire);
        if !queue.is_null() {
            // SAFETY: set while the queue lives (see `Client::new` and `Remains::destroy`).
            unsafe { rd::rd_kafka_queue_yield(queue) }
        }
    }
}

/// Which queue the client's owner polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    /// A group member: everything comes to the consumer queue.
    Group,
    /// A consumer without a group: everything comes to a queue of its own.
    Own,
    /// A producer or admin client: the main queue.
    Main,
}

/// A client and the queue it is polled by.
pub(super) struct Client {
    rk: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    hooks: *mut Hooks,
    abandoned: AtomicBool,
    /// The broker in this process must outlive its clients.
    broker: Option<Arc<EmbeddedBroker>>,
}

// SAFETY: librdkafka's handles may be used from any thread; `hooks` is only ever read, and its parts
// are locked or atomic.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.hooks().name)
    }
}

impl Client {
    pub(super) fn new(
        conf: Conf,
        polled: Polled,
        consumer: bool,
        hooks: Hooks,
        broker: Option<Arc<EmbeddedBroker>>,
    ) -> Result<Arc<Self>, TransportError> {
        let context = format!("starting client `{}`", hooks.name);
        let kind = if consumer {
            rd::rd_kafka_type_t::RD_KAFKA_CONSUMER
        } else {
            rd::rd_kafka_type_t::RD_KAFKA_PRODUCER
        };
        let wants_tokens = hooks.contact.tokens.is_some();
        let hooks = Box::into_raw(Box::new(hooks));
        let mut buffer = [0 as c_char; 512];
        // SAFETY: the configuration is alive. `hooks` stays where it is until the client is destroyed,
        // which is after the last callback.
        let rk = unsafe {
            rd::rd_kafka_conf_set_opaque(conf.raw(), hooks.cast());
            rd::rd_kafka_conf_set_log_cb(conf.raw(), Some(on_log));
            requests::watch(&conf, hooks);
            security::install_verify(&conf);
            if wants_tokens {
                sasl::install(&conf);
            }
            rd::rd_kafka_new(kind, conf.raw(), buffer.as_mut_ptr(), buffer.len())
        };
        // Ours no more, even after a failure: librdkafka has then freed the interceptors in it, and
        // destroying it would free them again (2.12.1). A refused client leaks a few hundred bytes.
        conf.taken();
        if rk.is_null() {
            // SAFETY: no client exists that could use `hooks`; the text is terminated.
            let message = unsafe {
                drop(Box::from_raw(hooks));
                error::text(buffer.as_ptr())
            };
            return Err(error::invalid(context, message));
        }
        // SAFETY: the client is alive; the queues are counted references that we destroy first.
        let queue = unsafe {
            let main = rd::rd_kafka_queue_get_main(rk);
            let queue = match polled {
                Polled::Group => {
                    rd::rd_kafka_poll_set_consumer(rk);
                    rd::rd_kafka_queue_destroy(main);
                    rd::rd_kafka_queue_get_consumer(rk)
                }
                Polled::Own => {
                    let own = rd::rd_kafka_queue_new(rk);
                    rd::rd_kafka_queue_forward(main, own);
                    rd::rd_kafka_queue_destroy(main);
                    own
                }
                Polled::Main => main,
            };
            rd::rd_kafka_set_log_queue(rk, ptr::null_mut());
            (*hooks).queue.store(queue, Ordering::Release);
            queue
        };
        let client = Arc::new(Self {
            rk,
            queue,
            hooks,
            abandoned: AtomicBool::new(false),
            broker,
        });
        if wants_tokens {
            sasl::begin(&client);
        }
        Ok(client)
    }

    pub(super) fn rk(&self) -> *mut rd::rd_kafka_t {
        self.rk
    }

    pub(super) fn queue(&self) -> *mut rd::rd_kafka_queue_t {
        self.queue
    }

    pub(super) fn hooks(&self) -> &Hooks {
        // SAFETY: lives until the client is destroyed.
        unsafe { &*self.hooks }
    }

    pub(super) fn take_mail(&self) -> Vec<Mail> {
        std::mem::take(&mut *lock(&self.hooks().mail))
    }

    /// Makes a thread that waits on the queue return.
    pub(super) fn wake(&self) {
        // SAFETY: the queue lives as long as the client.
        unsafe { rd::rd_kafka_queue_yield(self.queue) }
    }

    /// Never destroy this client: it did not end in time, and destroying it might hang or crash.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// The error librdkafka calls fatal, if one was raised.
    pub(super) fn fatal(&self, context: impl Into<String>) -> Option<TransportError> {
        let mut buffer = [0 as c_char; 512];
        // SAFETY: the client is alive, the buffer has the length that is given.
        let code = unsafe { rd::rd_kafka_fatal_error(self.rk, buffer.as_mut_ptr(), buffer.len()) };
        if code == error::OK {
            return None;
        }
        // SAFETY: librdkafka terminated the text.
        let message = unsafe { error::text(buffer.as_ptr()) };
        let mut error = error::with_message(context, code, message);
        (error.fatal, error.retriable) = (true, false);
        Some(error)
    }

    /// A handle on a topic with librdkafka's own defaults.
    pub(super) fn topic(self: &Arc<Self>, name: &str) -> Result<TopicHandle, TransportError> {
        self.topic_with(name, ptr::null_mut())
    }

    /// A handle on a topic; takes the configuration.
    pub(super) fn topic_with(
        self: &Arc<Self>,
        name: &str,
        conf: *mut rd::rd_kafka_topic_conf_t,
    ) -> Result<TopicHandle, TransportError> {
        let c_name = c_text(name);
        // SAFETY: the client is alive, the name is copied, the configuration is taken on success.
        let rkt = unsafe { rd::rd_kafka_topic_new(self.rk, c_name.as_ptr(), conf) };
        if rkt.is_null() {
            // SAFETY: takes no pointer; the configuration is still ours (null is allowed for none).
            let code = unsafe {
                let code = rd::rd_kafka_last_error();
                if !conf.is_null() {
                    rd::rd_kafka_topic_conf_destroy(conf);
                }
                code
            };
            return Err(error::error(format!("topic `{name}`"), code));
        }
        Ok(TopicHandle {
            rkt,
            _client: self.clone(),
        })
    }

    /// Asks a broker for all topics, or one; topics that do not exist are left out. Blocks.
    pub(super) fn metadata(
        self: &Arc<Self>,
        only: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError> {
        let topic = only.map(|name| self.topic(name)).transpose()?;
        self.ask(topic.is_none(), topic.as_ref(), timeout)
    }

    /// Asks a broker for these topics, all in one request; those that do not exist are left out. Blocks.
    pub(super) fn metadata_of(
        self: &Arc<Self>,
        names: &[String],
        timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError> {
        // One request cannot name some topics, but it can ask for those that the client knows.
        let known: Result<Vec<_>, _> = names.iter().map(|name| self.topic(name)).collect();
        let known = known?;
        let mut topics = self.ask(false, None, timeout)?;
        drop(known);
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        topics.retain(|topic| names.contains(topic.name.as_str()));
        Ok(topics)
    }

    /// All topics, this one, or those that the client knows.
    fn ask(
        &self,
        all: bool,
        only: Option<&TopicHandle>,
        timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError> {
        let rkt = only.map_or(ptr::null_mut(), TopicHandle::raw);
        let mut raw = ptr::null();
        // SAFETY: client and topic are alive; `raw` is filled on success.
        let code = unsafe {
            rd::rd_kafka_metadata(
                self.rk,
                c_int::from(all),
                rkt,
                &raw mut raw,
                millis(timeout),
            )
        };
        error::check(code, || "asking for the cluster's topics".to_owned())?;
        // SAFETY: filled: `topic_cnt` topics with terminated names, freed once after copying.
        let topics = unsafe {
            let count = usize::try_from((*raw).topic_cnt).unwrap_or(0);
            let topics = if count == 0 {
                &[][..]
            } else {
                std::slice::from_raw_parts((*raw).topics, count)
            };
            let copied: Vec<_> = topics
                .iter()
                .filter(|topic| topic.err == error::OK && topic.partition_cnt > 0)
                .map(|topic| TopicMetadata {
                    name: error::text(topic.topic),
                    partitions: usize::try_from(topic.partition_cnt).unwrap_or(0),
                })
                .collect();
            rd::rd_kafka_metadata_destroy(raw);
            copied
        };
        Ok(topics)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.abandoned.load(Ordering::Relaxed) {
            return;
        }
        let remains = Remains {
            rk: self.rk,
            queue: self.queue,
            hooks: self.hooks,
            broker: self.broker.take(),
        };
        // Without a thread the client stays: leaking it is the lesser evil than blocking here.
        let _ = std::thread::Builder::new()
            .name("ck-destroy".to_owned())
            .spawn(move || remains.destroy());
    }
}

/// What is left of a client when nobody uses it any more.
struct Remains {
    rk: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    hooks: *mut Hooks,
    broker: Option<Arc<EmbeddedBroker>>,
}

// SAFETY: the only owner of handles that may be used from any thread.
unsafe impl Send for Remains {}

impl Remains {
    fn destroy(self) {
        // SAFETY: the last reference is gone, so are all messages, topics and lists made from it.
        // Consumers are closed by their own thread before, hence "no close". `hooks` is freed after
        // the client's threads have ended.
        unsafe {
            (*self.hooks)
                .queue
                .store(ptr::null_mut(), Ordering::Release);
            rd::rd_kafka_queue_destroy(self.queue);
            rd::rd_kafka_destroy_flags(self.rk, rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
            drop(Box::from_raw(self.hooks));
        }
        drop(self.broker);
    }
}

/// A counted topic handle.
#[derive(Debug)]
pub(super) struct TopicHandle {
    rkt: *mut rd::rd_kafka_topic_t,
    _client: Arc<Client>,
}

// SAFETY: librdkafka's topic handles may be used from any thread.
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

impl TopicHandle {
    pub(super) fn raw(&self) -> *mut rd::rd_kafka_topic_t {
        self.rkt
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: our reference, given back once, before the client's (`_client` drops after).
        unsafe { rd::rd_kafka_topic_destroy(self.rkt) }
    }
}

/// What all clients of a cluster share: when a broker last answered, what they have complained of since, and
/// where their tokens come from.
#[derive(Debug)]
pub(super) struct Contact {
    start: Instant,
    /// Milliseconds since `start`, plus 1; 0: never.
    last: AtomicU64,
    /// The last complaint and when it came.
    trouble: Mutex<Option<(u64, String)>>,
    pub(super) tokens: Option<Arc<Tokens>>,
}

impl Default for Contact {
    fn default() -> Self {
        Self::with_tokens(None)
    }
}

impl Contact {
    pub(super) fn with_tokens(tokens: Option<Arc<Tokens>>) -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
            trouble: Mutex::default(),
            tokens,
        }
    }

    /// A client complains of its connection.
    pub(super) fn complain(&self, error: &TransportError) {
        // That all are down only says that each has said why; a request's timeout says nothing at all.
        if !matches!(&*error.code, "_ALL_BROKERS_DOWN" | "_TIMED_OUT") {
            let text = format!("{} ({})", error.message, error.code);
            *lock(&self.trouble) = Some((self.now(), text));
        }
    }

    /// The last complaint, unless a broker has answered since.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = lock(&self.trouble);
        let (at, text) = trouble.as_ref()?;
        (*at >= self.last.load(Ordering::Relaxed)).then(|| text.clone())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn touch(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn elapsed(&self) -> Option<Duration> {
        match self.last.load(Ordering::Relaxed) {
            0 => None,
            last => Some(Duration::from_millis(self.now().saturating_sub(last))),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn on_log(
    rk: *const rd::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: librdkafka gives a live client, whose opaque is its `Hooks`, and terminated texts.
    unsafe {
        let hooks = rd::rd_kafka_opaque(rk).cast::<Hooks>();
        if !hooks.is_null() {
            (*hooks).log.write(
                &(*hooks).name,
                level,
                &error::text(facility),
                &error::text(line),
            );
        }
    }
}
