//! The producer's thread: delivery reports to their sinks, log lines, statistics, and the end.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::client::{Client, lock};
use super::super::conf::millis;
use super::super::error;
use super::super::security;
use super::alone::Alone;
use super::proof::Proven;
use super::{Shared, lone};
use crate::transport::{Delivered, TransportError};

/// Longest wait for something to report; a wake ends it.
const WAIT: Duration = Duration::from_secs(1);
/// While someone waits for room it is told again, in case it began to wait after it was told.
const WAIT_FULL: Duration = Duration::from_millis(100);
/// How long a dropped producer goes on sending what it has.
const LAST_SENDS: Duration = Duration::from_secs(5);
const LAST_REPORTS: Duration = Duration::from_secs(1);

/// One client's events.
struct Server<'a> {
    shared: &'a Arc<Shared>,
    client: &'a Client,
    /// Sends again what has to be.
    alone: Option<&'a mut Alone>,
    proven: Proven,
}

pub(super) fn run(shared: &Arc<Shared>, alone: Option<&mut Alone>) {
    let client = &shared.client;
    let mut server = Server {
        shared,
        client,
        alone,
        proven: Proven::new(Instant::now()),
    };
    while !shared.stop.load(Ordering::Acquire) {
        let full = shared.full.load(Ordering::Acquire);
        server.serve(if full { WAIT_FULL } else { WAIT });
        if full || shared.full.load(Ordering::Acquire) {
            shared.space.notify_waiters();
        }
    }
    if !shared.transactional {
        server.serve_until_landed(LAST_SENDS);
    }
    let unsent = shared.in_flight.load(Ordering::Acquire);
    if unsent == 0 {
        return;
    }
    tracing::warn!(
        producer = shared.name,
        unsent,
        "the producer was dropped before its records were acknowledged; they are reported as failed"
    );
    server.end();
    let unreported = shared.in_flight.load(Ordering::Acquire);
    if unreported > 0 {
        tracing::error!(
            producer = shared.name,
            unreported,
            "records were never reported"
        );
        // Their tickets would be used after the pool is gone.
        shared.client.abandon();
    }
}

/// Serves the client that sends records again, as long as the producer lives.
pub(super) fn run_alone(shared: &Arc<Shared>, client: &Client) {
    let mut server = Server {
        shared,
        client,
        alone: None,
        proven: Proven::new(Instant::now()),
    };
    while !shared.stop.load(Ordering::Acquire) {
        server.serve(WAIT_FULL);
    }
    server.serve_until_landed(LAST_SENDS);
    if shared.in_flight.load(Ordering::Acquire) > 0 {
        server.end();
    }
}

fn purge(client: &Client) {
    let flags = (rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT) as c_int;
    // SAFETY: the client is alive.
    unsafe { rd::rd_kafka_purge(client.rk(), flags) };
}

impl Server<'_> {
    fn serve_until_landed(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while self.shared.in_flight.load(Ordering::Acquire) > 0 && Instant::now() < end {
            self.serve(WAIT_FULL);
        }
    }

    /// What is not sent is not sent any more.
    fn end(&mut self) {
        self.alone = None;
        purge(self.client);
        self.serve_until_landed(LAST_REPORTS);
    }

    /// Waits for one event and serves it.
    fn serve(&mut self, wait: Duration) {
        let (shared, client) = (self.shared, self.client);
        // SAFETY: the queue lives as long as the client; the event is destroyed after its use.
        unsafe {
            let event = rd::rd_kafka_queue_poll(client.queue(), millis(wait));
            if event.is_null() {
                return;
            }
            match rd::rd_kafka_event_type(event) {
                rd::RD_KAFKA_EVENT_DR => {
                    let mut reported = 0;
                    self.proven.renew(Instant::now());
                    loop {
                        let message = rd::rd_kafka_event_message_next(event);
                        if message.is_null() {
                            break;
                        }
                        let open = self.proven.leaves_open(&*message);
                        let again = match self.alone.as_deref_mut() {
                            Some(alone) => alone.takes(shared, &*message, open),
                            None => false,
                        };
                        if !again {
                            report(shared, &*message, open);
                            reported += 1;
                        }
                    }
                    // After they were told: a flush ends with this.
                    shared.landed(reported);
                }
                rd::RD_KAFKA_EVENT_ERROR => {
                    let code = rd::rd_kafka_event_error(event);
                    let text = error::text(rd::rd_kafka_event_error_string(event));
                    let context =
                        format!("producer `{}` at {}", shared.name, client.hooks().servers);
                    let error = match client.fatal(context.clone()) {
                        Some(fatal) => fatal,
                        None => security::raised(client.hooks(), context, code, text),
                    };
                    // The records it concerns are reported one by one; this is for the reader of the log.
                    let level = if error.fatal { 3 } else { 4 };
                    let log = &client.hooks().log;
                    log.write(&shared.name, level, "ERROR", &error.to_string());
                }
                rd::RD_KAFKA_EVENT_STATS => {
                    let json = error::text(rd::rd_kafka_event_stats(event));
                    *lock(&shared.statistics) = Some(json);
                }
                rd::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
                    let got = rd::rd_kafka_event_log(
                        event,
                        &raw mut facility,
                        &raw mut line,
                        &raw mut level,
                    );
                    if got == 0 {
                        client.hooks().log.write(
                            &shared.name,
                            level,
                            &error::text(facility),
                            &error::text(line),
                        );
                    }
                }
                _ => {}
            }
            rd::rd_kafka_event_destroy(event);
        }
    }
}

/// # Safety
/// The message is a delivery report of a record this producer enqueued, seen for the first time.
unsafe fn report(shared: &Shared, message: &rd::rd_kafka_message_t, open: bool) {
    let result = if open {
        shared.refused.fetch_add(1, Ordering::AcqRel);
        // SAFETY: the message is alive by the caller's promise and holds its topic.
        let topic = unsafe { error::text(rd::rd_kafka_topic_name(message.rkt)) };
        Err(error::with_message(
            format!("producing to {topic}/{}", message.partition),
            Code::RD_KAFKA_RESP_ERR__RETRY,
            "a later record was acknowledged and this one never; it may not have been written",
        ))
    } else if message.err == error::OK {
        Ok(Delivered {
            partition: message.partition,
            offset: message.offset,
        })
    } else {
        if message.err != Code::RD_KAFKA_RESP_ERR__PURGE_QUEUE {
            shared.failed.fetch_add(1, Ordering::AcqRel);
        }
        // SAFETY: the message is alive by the caller's promise.
        let mut failed = unsafe { failure(message) };
        if message.err == Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
            && let Some(trouble) = shared.client.hooks().contact.trouble()
        {
            failed.message = format!("{}: {trouble}", failed.message);
        }
        Err(failed)
    };
    // SAFETY: the opaque is the record's ticket or its answer, and each record is reported once.
    unsafe {
        match lone::answer(message._private) {
            Some(answer) => answer.give(result.map(|place| (place.partition, place.offset))),
            None => shared.tickets.report(message._private, result),
        }
    }
}

/// # Safety
/// The message is alive.
unsafe fn failure(message: &rd::rd_kafka_message_t) -> TransportError {
    // SAFETY: the message holds its topic; texts are null or terminated.
    let (topic, detail) = unsafe {
        (
            error::text(rd::rd_kafka_topic_name(message.rkt)),
            error::text(rd::rd_kafka_message_produce_errstr(message)),
        )
    };
    let context = if message.partition < 0 {
        format!("producing to `{topic}`")
    } else {
        format!("producing to {topic}/{}", message.partition)
    };
    if message.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE {
        let size = message.len + message.key_len;
        let text = format!("{size} bytes are more than the topic's `max.message.bytes`");
        error::with_message(context, message.err, text)
    } else if detail.is_empty() {
        error::error(context, message.err)
    } else {
        error::with_message(context, message.err, detail)
    }
}
