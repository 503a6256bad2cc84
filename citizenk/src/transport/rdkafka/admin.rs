//! The light client of a cluster that asks for topics, and keeps `last_contact` true when no other
//! client has anything to say.
//!
//! In: nothing but the cluster's settings. Out: topic lists; touches of the contact. Its thread sleeps
//! on a condition and ends when the transport is dropped.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::bindings as rd;

use super::client::{Client, Contact, Hooks, Polled, lock};
use super::conf::Conf;
use super::security;
use crate::transport::{TopicMetadata, TransportError};

/// How long nothing may be heard before the cluster is asked.
const SILENCE: Duration = Duration::from_secs(10);
const HEAR: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Admin {
    client: Arc<Client>,
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Admin {
    pub(super) fn start(
        settings: &BTreeMap<String, String>,
        contact: Arc<Contact>,
    ) -> Result<Self, TransportError> {
        let mut conf = Conf::new("cluster");
        conf.set_all(
            &[],
            settings,
            &BTreeMap::new(),
            &[("log.queue", "true")],
            &[],
        )?;
        security::install(&conf);
        let hooks = Hooks::new("admin", settings.get("bootstrap.servers"), contact.clone());
        // A consumer without a group: unlike a producer it never creates a topic by asking for it.
        let client = Client::new(conf, Polled::Main, true, hooks, None)?;
        let stop = Arc::new(Stop::default());
        let watch = (client.clone(), stop.clone());
        std::thread::Builder::new()
            .name("ck-contact".to_owned())
            .spawn(move || watch_contact(&watch.0, &contact, &watch.1))
            .map_err(|error| super::error::invalid("starting a thread", error.to_string()))?;
        Ok(Self { client, stop })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn topics(
        &self,
        only: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError> {
        let asked = self.client.metadata(only, timeout);
        if asked.is_err() {
            // The reason waits to be heard.
            // SAFETY: the client is alive; polling is allowed on any thread.
            unsafe { rd::rd_kafka_poll(self.client.rk(), super::conf::millis(HEAR)) };
        }
        asked
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        *lock(&self.stop.stopped) = true;
        self.stop.changed.notify_all();
    }
}

fn watch_contact(client: &Arc<Client>, contact: &Contact, stop: &Stop) {
    loop {
        // SAFETY: the client is alive; nobody else polls it. Serves its log lines.
        unsafe { rd::rd_kafka_poll(client.rk(), 0) };
        drop(client.take_mail());
        if contact.elapsed().is_none_or(|silent| silent >= SILENCE) {
            // The answer touches the contact by itself; that there is none is what silence means.
            let _ = probe(client);
        }
        let stopped = lock(&stop.stopped);
        let (stopped, _) = stop
            .changed
            .wait_timeout_while(stopped, LOOK_EVERY, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        if *stopped {
            return;
        }
    }
}

/// Asks for the brokers only. Not with a plain request for metadata: one that names no topic asks for all
/// this client was ever asked for, and lets the broker create those that do not exist (librdkafka 2.12).
fn probe(client: &Arc<Client>) -> bool {
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
        let answered = limited == super::error::OK
            && !event.is_null()
            && rd::rd_kafka_event_error(event) == super::error::OK;
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        answered
    }
}
