//! Kafka through librdkafka: real clusters and the broker embedded in this process.
//!
//! In: a cluster's settings, then a [`ConsumerSpec`] or a [`ProducerSpec`] per client. Out: chunks and
//! events from one polling thread per consumer (`consumer`), delivery results from one thread per
//! producer (`producer`). Every client handle is owned by an `Arc<Client>` (`client`) that its
//! messages share: the handle is destroyed, on a thread of its own, when the last of them is gone.
//!
//! Raw bindings and not rdkafka's consumers and producers, because those hand out one message at a
//! time, poll in slices of 100 ms and hide the rebalance callback (see ARCHITECTURE.md).
#![allow(
    unsafe_code,
    reason = "librdkafka is a C library: this folder is the one place that calls it"
)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::admin::AdminPort;
use crate::record::TopicPartition;
use crate::transport::oauth::Tokens;
use crate::transport::transaction::{TransactionSpec, Transactions};
use crate::transport::{
    BrokerKind, ConsumerEvents, ConsumerHandle, ConsumerSpec, ProducerHandle, ProducerSpec, Spot,
    TopicMetadata, Transport, TransportError,
};

mod admin;
mod chunk;
mod client;
mod conf;
mod consumer;
mod copied;
mod embedded;
mod error;
mod list;
mod log;
mod membership;
mod offsets;
mod producer;
mod requests;
mod sasl;
mod security;
#[cfg(test)]
mod tests;

pub(crate) use conf::check as check_setting;
#[cfg(any(test, feature = "testing"))]
pub use embedded::SendRefusal;
pub(crate) use embedded::{EmbeddedBroker, EmbeddedOptions};

use admin::Admin;
use client::Contact;

/// One cluster, reached through librdkafka.
#[derive(Debug)]
pub(crate) struct KafkaTransport {
    settings: Settings,
    embedded: Option<Arc<EmbeddedBroker>>,
    contact: Arc<Contact>,
    /// Made at the first use: a program that only prints its topics needs no connection.
    admin: OnceLock<Admin>,
    admin_start: Mutex<()>,
}

/// The settings all clients of a cluster share. Their values are never printed: some are secrets.
#[derive(Clone)]
pub(crate) struct Settings(BTreeMap<String, String>);

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl KafkaTransport {
    /// A cluster that `bootstrap.servers` of the settings names. Nothing is connected yet.
    pub(crate) fn new(settings: BTreeMap<String, String>) -> Result<Self, TransportError> {
        if settings
            .get("bootstrap.servers")
            .is_none_or(|servers| servers.trim().is_empty())
        {
            return Err(error::invalid(
                "setting `bootstrap.servers`",
                "no broker address is given",
            ));
        }
        Ok(Self::with(settings, None))
    }

    /// A fresh broker inside this process, which lives as long as the transport and its clients.
    pub(crate) fn embedded(options: EmbeddedOptions) -> Result<Self, TransportError> {
        Ok(Self::on_embedded(EmbeddedBroker::start(options)?))
    }

    /// A broker inside this process that other transports may use too.
    pub(crate) fn on_embedded(broker: Arc<EmbeddedBroker>) -> Self {
        let settings = [(
            "bootstrap.servers".to_owned(),
            broker.bootstrap_servers().to_owned(),
        )];
        Self::with(settings.into(), Some(broker))
    }

    fn with(settings: BTreeMap<String, String>, embedded: Option<Arc<EmbeddedBroker>>) -> Self {
        Self {
            settings: Settings(settings),
            embedded,
            contact: Arc::default(),
            admin: OnceLock::new(),
            admin_start: Mutex::new(()),
        }
    }

    /// Where the tokens of its clients come from, if they need any; before the first client is started.
    pub(crate) fn with_tokens(mut self, tokens: Option<Arc<Tokens>>) -> Self {
        self.contact = Arc::new(Contact::with_tokens(tokens));
        self
    }

    /// The addresses other clients reach this cluster at.
    pub(crate) fn bootstrap_servers(&self) -> &str {
        self.settings
            .0
            .get("bootstrap.servers")
            .map_or("", String::as_str)
    }

    fn light(&self) -> Result<&Admin, TransportError> {
        let _one_at_a_time = client::lock(&self.admin_start);
        self.light_locked()
    }

    fn light_locked(&self) -> Result<&Admin, TransportError> {
        if let Some(admin) = self.admin.get() {
            return Ok(admin);
        }
        let admin = Admin::start(
            &self.settings.0,
            self.contact.clone(),
            self.embedded.is_some(),
        )?;
        Ok(self.admin.get_or_init(|| admin))
    }
}

impl Transport for KafkaTransport {
    fn held_chunks(&self) -> usize {
        chunk::held()
    }

    fn kind(&self) -> BrokerKind {
        match self.embedded {
            Some(_) => BrokerKind::Embedded,
            None => BrokerKind::Kafka,
        }
    }

    #[cfg(feature = "web")]
    fn inside(&self) -> Option<&str> {
        self.embedded
            .as_ref()
            .map(|broker| broker.bootstrap_servers())
    }

    fn start_consumer(
        &self,
        spec: ConsumerSpec,
        events: Box<dyn ConsumerEvents>,
    ) -> Result<Arc<dyn ConsumerHandle>, TransportError> {
        self.light()?;
        consumer::start(
            &self.settings.0,
            self.contact.clone(),
            self.embedded.clone(),
            spec,
            events,
        )
    }

    fn start_producer(
        &self,
        spec: ProducerSpec,
    ) -> Result<Arc<dyn ProducerHandle>, TransportError> {
        self.light()?;
        producer::start(
            &self.settings.0,
            self.contact.clone(),
            self.embedded.clone(),
            spec,
        )
    }

    fn start_transactions(
        &self,
        spec: TransactionSpec,
    ) -> Result<Box<dyn Transactions>, TransportError> {
        self.light()?;
        producer::start_transactions(
            &self.settings.0,
            self.contact.clone(),
            self.embedded.clone(),
            spec,
        )
    }

    fn topics(
        &self,
        only: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<TopicMetadata>, TransportError> {
        let asked = self.light()?.topics(only, timeout);
        // That nobody answered is told with the reason, e.g. a wrong password.
        asked.map_err(|error| match self.contact.trouble() {
            Some(trouble) if error.retriable => TransportError {
                message: format!("{}: {trouble}", error.message),
                ..error
            },
            _ => error,
        })
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        at: Spot,
        committed_only: bool,
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError> {
        let light = self.light()?;
        let client = if committed_only {
            light.committed(&self.settings, self.contact.clone())?
        } else {
            light.client()
        };
        offsets::ask(client, partitions, at, timeout)
    }

    fn admin(&self) -> Result<Arc<dyn AdminPort>, TransportError> {
        let _one_at_a_time = client::lock(&self.admin_start);
        let (contact, embedded) = (self.contact.clone(), self.embedded.clone());
        let port = self
            .light_locked()?
            .port(&self.settings, contact, embedded)?;
        Ok(Arc::new(port))
    }

    fn last_contact(&self) -> Option<Duration> {
        self.contact.elapsed()
    }

    fn trouble(&self) -> Option<String> {
        self.contact.trouble()
    }

    fn create_topic(&self, name: &str, partitions: usize) -> Result<(), TransportError> {
        match &self.embedded {
            Some(broker) => broker.create_topic(name, partitions),
            None => Err(error::invalid(
                format!("creating topic `{name}`"),
                "topics of a Kafka cluster are created by its administration",
            )),
        }
    }
}
