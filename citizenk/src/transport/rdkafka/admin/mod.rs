//! The light client of a cluster, which keeps `last_contact` true when no other client has anything to say, and those
//! beside it that are made when they are needed: one that administers, one that sees only what is committed.
//!
//! In: the cluster's settings, then requests (`topics`, `configs`, `groups`; what is under way is owned by
//! `calls`). Out: answers; touches of the contact. The thread that looks at the contact, and lets go of a client with
//! requests that were given up, sleeps on a condition and ends when the transport is dropped.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::client::{Client, Contact, Hooks, Polled, lock};
use super::conf::Conf;
use super::embedded::EmbeddedBroker;
use super::{Settings, error, offsets, security};
use crate::admin::{
    AdminPort, AdminReply, ClusterDescription, ConfigChange, ConfigEntry, Each, GroupDescription,
    GroupListing, NewTopic, Spot, TopicDescription, TopicListing,
};
use crate::record::TopicPartition;
use crate::transport::{TopicMetadata, TransportError};

mod calls;
mod configs;
mod groups;
mod topics;

use calls::Calls;

/// How long nothing may be heard before the cluster is asked.
const SILENCE: Duration = Duration::from_secs(10);
const HEAR: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a partition ends depends on what its client may read.
const ALL: (&str, &str) = ("isolation.level", "read_uncommitted");
const COMMITTED: (&str, &str) = ("isolation.level", "read_committed");

#[derive(Debug)]
pub(super) struct Admin(Arc<Clients>);

/// What the thread that looks at the contact has, too.
#[derive(Debug)]
struct Clients {
    light: Arc<Client>,
    /// Made when it is first asked: each client has threads and connections.
    committed: OnceLock<Arc<Client>>,
    /// Made at the first request, and anew when they are retired.
    calls: Mutex<Option<Arc<Calls>>>,
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Admin {
    pub(super) fn start(
        settings: &BTreeMap<String, String>,
        contact: Arc<Contact>,
        embedded: bool,
    ) -> Result<Self, TransportError> {
        let clients = Arc::new(Clients {
            light: Self::connect(settings, contact.clone(), ALL)?,
            committed: OnceLock::new(),
            calls: Mutex::new(None),
            stopped: Mutex::new(false),
            changed: Condvar::new(),
        });
        let watched = clients.clone();
        std::thread::Builder::new()
            .name("ck-contact".to_owned())
            .spawn(move || watch_contact(&watched, &contact, embedded))
            .map_err(|error| error::invalid("starting a thread", error.to_string()))?;
        Ok(Self(clients))
    }

    /// Without a group, or of one that it never joins.
    fn connect(
        settings: &BTreeMap<String, String>,
        contact: Arc<Contact>,
        own: (&str, &str),
    ) -> Result<Arc<Client>, TransportError> {
        let mut conf = Conf::new("cluster");
        let own = [("log.queue", "true"), own];
        conf.set_all(&[], settings, &BTreeMap::new(), &own, &[])?;
        security::install(&conf);
        let hooks = Hooks::new("admin", settings.get("bootstrap.servers"), contact);
        // A consumer: unlike a producer it never creates a topic by asking for it.
        Client::new(conf, Polled::Main, true, hooks, None)
    }

    pub(super) fn topics(
        &self,
        only: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError> {
        let asked = self.0.light.metadata(only, timeout);
        if asked.is_err() {
            // The reason waits to be heard.
            // SAFETY: the client is alive; polling is allowed on any thread.
            unsafe { rd::rd_kafka_poll(self.0.light.rk(), super::conf::millis(HEAR)) };
        }
        asked
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.0.light
    }

    /// To which partitions end before the first transaction that is still open.
    pub(super) fn committed(
        &self,
        settings: &Settings,
        contact: Arc<Contact>,
    ) -> Result<&Client, TransportError> {
        let committed = &self.0.committed;
        if let Some(client) = committed.get() {
            return Ok(client);
        }
        let client = Self::connect(&settings.0, contact, COMMITTED)?;
        Ok(committed.get_or_init(|| client))
    }

    /// What administers the cluster.
    pub(super) fn port(
        &self,
        settings: &Settings,
        contact: Arc<Contact>,
        embedded: Option<Arc<EmbeddedBroker>>,
    ) -> Result<KafkaAdmin, TransportError> {
        let mut kept = lock(&self.0.calls);
        let calls = match &*kept {
            Some(calls) if !calls.is_retired() => calls.clone(),
            // Not the light client: what is given up ends with its own.
            _ => Arc::new(Calls::start(Self::connect(
                &settings.0,
                contact.clone(),
                ALL,
            )?)?),
        };
        *kept = Some(calls.clone());
        Ok(KafkaAdmin {
            calls,
            embedded,
            settings: settings.clone(),
            contact,
        })
    }
}

/// Administers a cluster through librdkafka.
#[derive(Debug)]
pub(super) struct KafkaAdmin {
    calls: Arc<Calls>,
    embedded: Option<Arc<EmbeddedBroker>>,
    settings: Settings,
    contact: Arc<Contact>,
}

impl KafkaAdmin {
    /// For requests about offsets of this group, through a client of its own that goes with the answer.
    ///
    /// A client without a group crashes the program when such a request meets a broker that is not the
    /// coordinator (librdkafka 2.12, issue 5040): it wants to tell its own group. This one has it, but never
    /// subscribes: no broker sees a member.
    fn calls_of(&self, group: &str) -> Result<Calls, TransportError> {
        let client = Admin::connect(&self.settings.0, self.contact.clone(), ("group.id", group))?;
        Calls::start(client)
    }

    fn not_embedded<T: Send + 'static>(what: &str) -> AdminReply<T> {
        let code = Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
        let error = error::with_message(what, code, "not available on the embedded broker");
        Box::pin(std::future::ready(Err(error)))
    }
}

impl AdminPort for KafkaAdmin {
    /// librdkafka keeps the coordinator it once found for as long as it is asked for, also when that broker
    /// is gone or says that another one is it (2.12). Only a new client asks again.
    fn forget_coordinators(&self) {
        self.calls.retire();
    }

    fn cluster(&self, timeout: Duration) -> AdminReply<ClusterDescription> {
        self.describe_cluster(timeout)
    }

    /// The admin API describes topics, but does not list them: this request blocks, on a thread of the
    /// runtime's pool for that.
    fn topics(&self, timeout: Duration) -> AdminReply<Vec<TopicListing>> {
        let client = self.calls.client().clone();
        blocking("listing topics", move || {
            let listed = client.metadata(None, timeout)?;
            Ok(listed
                .into_iter()
                .map(|topic| TopicListing {
                    name: topic.name,
                    partitions: topic.partitions,
                })
                .collect())
        })
    }

    fn describe_topics(
        &self,
        names: Vec<String>,
        timeout: Duration,
    ) -> AdminReply<Each<TopicDescription>> {
        self.describe(names, timeout)
    }

    fn create_topic(&self, topic: NewTopic, dry: bool, timeout: Duration) -> AdminReply<()> {
        self.create(&topic, dry, timeout)
    }

    fn delete_topic(&self, name: String, timeout: Duration) -> AdminReply<()> {
        self.delete(&name, timeout)
    }

    fn add_partitions(&self, name: String, total: usize, timeout: Duration) -> AdminReply<()> {
        self.grow(&name, total, timeout)
    }

    fn topic_configs(
        &self,
        names: Vec<String>,
        timeout: Duration,
    ) -> AdminReply<Each<Vec<ConfigEntry>>> {
        self.configs(names, timeout)
    }

    fn alter_configs(
        &self,
        topic: String,
        changes: Vec<ConfigChange>,
        timeout: Duration,
    ) -> AdminReply<()> {
        self.alter(&topic, &changes, timeout)
    }

    fn groups(&self, timeout: Duration) -> AdminReply<Vec<GroupListing>> {
        self.list_groups(timeout)
    }

    fn describe_group(&self, name: String, timeout: Duration) -> AdminReply<GroupDescription> {
        self.describe_one_group(name, timeout)
    }

    fn delete_group(&self, name: String, timeout: Duration) -> AdminReply<()> {
        self.remove_group(&name, timeout)
    }

    fn committed(
        &self,
        group: String,
        timeout: Duration,
    ) -> AdminReply<Vec<(TopicPartition, i64)>> {
        self.committed_of(&group, None, timeout)
    }

    fn settled(
        &self,
        group: String,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> AdminReply<Vec<(TopicPartition, i64)>> {
        self.committed_of(&group, Some(&partitions), timeout)
    }

    fn alter_offsets(
        &self,
        group: String,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> AdminReply<Each<()>> {
        self.set_offsets(&group, offsets, timeout)
    }

    /// One thread of the runtime's pool per request waits, as for [`AdminPort::topics`].
    fn list_offsets(
        &self,
        topic: String,
        partitions: Vec<i32>,
        at: Spot,
        timeout: Duration,
    ) -> AdminReply<Vec<Option<i64>>> {
        if self.embedded.is_some() && matches!(at, Spot::Time(_)) {
            return Self::not_embedded("offsets by time");
        }
        let client = self.calls.client().clone();
        blocking("asking for offsets", move || {
            let topic: Arc<str> = topic.into();
            let ids = partitions.into_iter();
            let ids = ids.map(|partition| TopicPartition::new(topic.clone(), partition));
            offsets::ask(&client, &ids.collect::<Vec<_>>(), at, timeout)
        })
    }
}

/// What a blocking request answers.
fn blocking<T: Send + 'static>(
    what: &'static str,
    ask: impl FnOnce() -> Result<T, TransportError> + Send + 'static,
) -> AdminReply<T> {
    Box::pin(async move {
        let asked = tokio::task::spawn_blocking(ask).await;
        asked.unwrap_or_else(|_| Err(error::error(what, Code::RD_KAFKA_RESP_ERR__DESTROY)))
    })
}

impl Drop for Admin {
    fn drop(&mut self) {
        *lock(&self.0.stopped) = true;
        self.0.changed.notify_all();
    }
}

fn watch_contact(clients: &Clients, contact: &Contact, embedded: bool) {
    loop {
        for client in std::iter::once(&clients.light).chain(clients.committed.get()) {
            // SAFETY: the client is alive; nobody else polls it. Serves its log lines.
            unsafe { rd::rd_kafka_poll(client.rk(), 0) };
            drop(client.take_mail());
        }
        // Also where nobody asks again: what was given up must not outlast the time it has in librdkafka.
        let retired = lock(&clients.calls).take_if(|calls| calls.is_retired());
        drop(retired);
        if contact.elapsed().is_none_or(|silent| silent >= SILENCE) {
            // The answer touches the contact by itself; that there is none is what silence means.
            let _ = probe(&clients.light, embedded);
        }
        let stopped = lock(&clients.stopped);
        let (stopped, _) = clients
            .changed
            .wait_timeout_while(stopped, LOOK_EVERY, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        if *stopped {
            return;
        }
    }
}

/// Asks for the brokers only. Not with a plain request for metadata: one that names no topic asks for all
/// this client was ever asked for, and lets the broker create those that do not exist (librdkafka 2.12). The embedded broker names no controller,
/// for which the question would wait; it is asked for all topics.
pub(super) fn probe(client: &Arc<Client>, embedded: bool) -> bool {
    if embedded {
        return client.metadata(None, PROBE_TIMEOUT).is_ok();
    }
    let mut buffer = [0 as c_char; 512];
    // SAFETY: the client is alive; options, queue and event are destroyed once, after their last use; a
    // null event is "no answer in time".
    unsafe {
        let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER;
        let options = rd::rd_kafka_AdminOptions_new(client.rk(), operation);
        let timeout = super::conf::millis(PROBE_TIMEOUT);
        let limited = rd::rd_kafka_AdminOptions_set_request_timeout(
            options,
            timeout,
            buffer.as_mut_ptr(),
            buffer.len(),
        );
        let queue = rd::rd_kafka_queue_new(client.rk());
        rd::rd_kafka_DescribeCluster(client.rk(), options, queue);
        let event = rd::rd_kafka_queue_poll(queue, timeout);
        let answered = limited == error::OK
            && !event.is_null()
            && rd::rd_kafka_event_error(event) == error::OK;
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        answered
    }
}
