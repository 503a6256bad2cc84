//! Records that go again: refused for what stood beside them in their batch, or perhaps not written (`proof`).
//!
//! A broker that finds one record too large refuses the whole batch, and a batch has records of many
//! senders. In: such reports. Out: the same records once more, each in a batch of its own, and the
//! reports of that, so that only the guilty one is refused. What was refused comes after what was sent
//! meanwhile to the same partition; among themselves these records keep their order.
//!
//! Owned by the serving thread. The second client is made when it is first needed and has a thread of
//! its own, for sending may have to wait for room.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::bindings::rd_kafka_vtype_t as Kind;

use super::super::client::{Client, Contact, Hooks, Polled};
use super::super::conf::Conf;
use super::super::embedded::EmbeddedBroker;
use super::{ALSO_OWNED, DEFAULTS, Shared, serve, watch_events};
use crate::transport::{ProducerSpec, TransportError};

/// How the second client is to be made.
pub(super) struct Alone {
    pub(super) cluster: BTreeMap<String, String>,
    pub(super) contact: Arc<Contact>,
    pub(super) broker: Option<Arc<EmbeddedBroker>>,
    pub(super) spec: ProducerSpec,
    pub(super) client: Option<Arc<Client>>,
}

/// Whether a record was refused although nothing may be wrong with it.
fn is_suspect(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
            | Code::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE
            | Code::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD
    )
}

impl Alone {
    /// Sends a record again that was refused, or of which it is open whether it was written; false when it has to
    /// be reported as it is.
    ///
    /// # Safety
    /// The message is a delivery report of a record that has not been reported on.
    pub(super) unsafe fn takes(
        &mut self,
        shared: &Arc<Shared>,
        message: &rd::rd_kafka_message_t,
        open: bool,
    ) -> bool {
        if !(open || is_suspect(message.err)) || message.partition < 0 {
            return false;
        }
        if !open && self.client.is_none() {
            tracing::warn!(
                producer = shared.name,
                "a broker refused a batch for one of its records; records of such batches are sent again one by one"
            );
        }
        if open {
            // SAFETY: the message is alive by the caller's promise and holds its topic.
            let topic = unsafe { super::error::text(rd::rd_kafka_topic_name(message.rkt)) };
            tracing::warn!(
                producer = shared.name,
                topic,
                partition = message.partition,
                "a record may not have been written although a later one was; it is sent again"
            );
        }
        let client = match self.client(shared) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(producer = shared.name, %error, "cannot send records again one by one");
                return false;
            }
        };
        // SAFETY: the message is alive by the caller's promise, and so is the client.
        let failed = unsafe { again(client, message) };
        if failed != super::error::OK {
            tracing::warn!(producer = shared.name, error = %super::error::error("sending it alone", failed), "a record is not sent again");
        }
        failed == super::error::OK
    }

    fn client(&mut self, shared: &Arc<Shared>) -> Result<&Arc<Client>, TransportError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.start(shared)?,
        };
        Ok(self.client.insert(client))
    }

    fn start(&self, shared: &Arc<Shared>) -> Result<Arc<Client>, TransportError> {
        let Self { cluster, spec, .. } = self;
        let mut conf = Conf::new("producer");
        conf.set_all(
            &DEFAULTS,
            cluster,
            &spec.settings,
            &[("log.queue", "true")],
            &ALSO_OWNED,
        )?;
        for (key, value) in [
            ("client.id", spec.client_id.as_str()),
            ("batch.num.messages", "1"),
            ("linger.ms", "0"),
            // Whoever asks for them asks for those of the first client.
            ("statistics.interval.ms", "0"),
        ] {
            conf.set(key, value)?;
        }
        watch_events(&conf);
        let servers = cluster.get("bootstrap.servers");
        let hooks = Hooks::new(&spec.name, servers, self.contact.clone());
        let client = Client::new(conf, Polled::Main, false, hooks, self.broker.clone())?;
        let (shared, served) = (shared.clone(), client.clone());
        std::thread::Builder::new()
            .name(format!("ck-{}-alone", shared.name))
            .spawn(move || serve::run_alone(&shared, &served))
            .map_err(|error| {
                super::error::invalid("starting the producer's thread", error.to_string())
            })?;
        Ok(client)
    }
}

/// Enqueues a copy of a reported record, with the same ticket, for the partition it was for.
///
/// # Safety
/// The message is alive and was reported by a producer.
unsafe fn again(client: &Arc<Client>, message: &rd::rd_kafka_message_t) -> Code {
    let item = |vtype, u| rd::rd_kafka_vu_t { vtype, u };
    let mem = |ptr, size| rd::rd_kafka_vu_s__bindgen_ty_1 {
        mem: rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size },
    };
    // SAFETY: alive by the caller's promise; name and bytes are copied in the call, headers before it;
    // those are librdkafka's once the record is enqueued, else ours to destroy.
    unsafe {
        let mut given = ptr::null_mut();
        let mut headers = ptr::null_mut();
        if rd::rd_kafka_message_headers(message, &raw mut given) == super::error::OK {
            headers = rd::rd_kafka_headers_copy(given);
        }
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp = rd::rd_kafka_message_timestamp(message, &raw mut kind);
        let items = [
            item(
                Kind::RD_KAFKA_VTYPE_TOPIC,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    cstr: rd::rd_kafka_topic_name(message.rkt),
                },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_PARTITION,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    i32_: message.partition,
                },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_MSGFLAGS,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    // The queue is this client's own, and another thread empties it.
                    i: rd::RD_KAFKA_MSG_F_COPY | rd::RD_KAFKA_MSG_F_BLOCK,
                },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_VALUE,
                mem(message.payload, message.len),
            ),
            item(Kind::RD_KAFKA_VTYPE_KEY, mem(message.key, message.key_len)),
            item(
                Kind::RD_KAFKA_VTYPE_TIMESTAMP,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    i64_: timestamp.max(0),
                },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_OPAQUE,
                rd::rd_kafka_vu_s__bindgen_ty_1 {
                    ptr: message._private,
                },
            ),
            item(
                Kind::RD_KAFKA_VTYPE_HEADERS,
                rd::rd_kafka_vu_s__bindgen_ty_1 { headers },
            ),
        ];
        // The headers come last: without any they are left away.
        let used = items.len() - usize::from(headers.is_null());
        let failed = rd::rd_kafka_produceva(client.rk(), items.as_ptr(), used);
        if failed.is_null() {
            return super::error::OK;
        }
        let code = rd::rd_kafka_error_code(failed);
        rd::rd_kafka_error_destroy(failed);
        if !headers.is_null() {
            rd::rd_kafka_headers_destroy(headers);
        }
        code
    }
}
