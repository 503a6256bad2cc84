//! Transactions of a producer: librdkafka's calls on the caller's thread, while the producer's own thread
//! goes on serving delivery reports.
//!
//! In: the calls of [`Transactions`]. Out: how each ended, told apart by what the caller has to do. A
//! commit is never asked for again: its request may have left, and one that comes late could end the
//! next transaction (before KIP-890 a request does not say which one it means). For the same reason every
//! end is checked against the requests that left ([`Requests`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::client::Contact;
use super::super::conf::{Conf, millis};
use super::super::embedded::EmbeddedBroker;
use super::super::error;
use super::super::list::List;
use super::super::membership::Membership;
use super::super::requests::{Counts, Requests};
use super::{ALSO_OWNED, Shared, launch};
use crate::record::TopicPartition;
use crate::transport::transaction::{
    Ended, GroupMetadata, TransactionError, TransactionFault, TransactionSpec, Transactions,
};
use crate::transport::{ProducerHandle, ProducerSpec, TransportError};

/// Kafka's 60 s would hold up readers of committed records for that long after a crash.
const TRANSACTION_TIMEOUT_MS: u64 = 10_000;

/// So much longer than it was told to a call may take before it counts as one that never ends.
const GRACE: Duration = Duration::from_millis(500);

/// While records are waited for, whether one has failed is looked at so often.
const STEP: Duration = Duration::from_millis(50);

/// `InitProducerId` of brokers 2.5, where also offsets are checked against the group's generation
/// (KIP-360, KIP-447).
const INIT_VERSION: i16 = 3;

/// The start of a transactional producer.
pub(in super::super) fn start(
    cluster: &BTreeMap<String, String>,
    contact: Arc<Contact>,
    broker: Option<Arc<EmbeddedBroker>>,
    spec: TransactionSpec,
) -> Result<Box<dyn Transactions>, TransportError> {
    let conf = configure(cluster, &spec)?;
    let requests = Arc::<Requests>::default();
    let spec = ProducerSpec {
        name: spec.name,
        client_id: spec.client_id,
        settings: spec.settings,
    };
    let producer = launch(cluster, contact, broker, spec, conf, Some(requests.clone()))?;
    Ok(Box::new(Transactional {
        shared: producer.shared.clone(),
        producer: Arc::new(producer),
        requests,
        began: Counts::default(),
        refused: 0,
        failed: 0,
        incomplete: None,
        broken: None,
    }))
}

/// Refuses what contradicts itself here: a client that librdkafka refuses leaks its configuration (see
/// `Client::new`), and its texts do not say what to do.
fn configure(
    cluster: &BTreeMap<String, String>,
    spec: &TransactionSpec,
) -> Result<Conf, TransportError> {
    let given = |key: &str| spec.settings.get(key).or_else(|| cluster.get(key));
    let transaction_ms = given("transaction.timeout.ms")
        .and_then(|value| value.parse::<u64>().ok())
        .unwrap_or(TRANSACTION_TIMEOUT_MS);
    let (transaction, message, socket) = (
        transaction_ms.to_string(),
        // A record that is given up in time lets the transaction be aborted before the broker does it.
        (transaction_ms * 4 / 5).to_string(),
        // A call goes on until its request has timed out, whatever time the caller gave it.
        (transaction_ms / 2).max(10).to_string(),
    );
    let mut defaults = vec![
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("linger.ms", "5"),
        // A transaction that follows another at once waits for the end of that one in steps of this.
        ("retry.backoff.ms", "5"),
        ("transaction.timeout.ms", transaction.as_str()),
        ("socket.timeout.ms", socket.as_str()),
    ];
    // Another name of the same setting.
    if given("delivery.timeout.ms").is_none() {
        defaults.push(("message.timeout.ms", message.as_str()));
    }
    let mut conf = Conf::new("producer");
    let owned = [("log.queue", "true")];
    conf.set_all(&defaults, cluster, &spec.settings, &owned, &ALSO_OWNED)?;
    if spec.transactional_id.is_empty() {
        return Err(error::invalid("the transactional id", "is empty"));
    }
    conf.set("transactional.id", &spec.transactional_id)?;
    let number = |key: &str| conf.get(key).and_then(|value| value.parse::<u64>().ok());
    let limit = number("transaction.timeout.ms").unwrap_or(transaction_ms);
    for (key, slack) in [("message.timeout.ms", 0), ("socket.timeout.ms", 100)] {
        let value = number(key).unwrap_or(0);
        if value == 0 || value > limit + slack {
            return Err(error::invalid(
                format!("producer setting `{key}`"),
                format!(
                    "{value} is more than `transaction.timeout.ms` ({limit}): a record must be given up \
                     before its transaction is; lower the one or raise the other (0 means for ever)"
                ),
            ));
        }
    }
    Ok(conf)
}

struct Transactional {
    shared: Arc<Shared>,
    producer: Arc<dyn ProducerHandle>,
    requests: Arc<Requests>,
    /// The counts when the transaction began: of requests, and of records refused and failed.
    began: Counts,
    refused: usize,
    failed: usize,
    /// Offsets were refused here, which librdkafka does not know: no commit without them.
    incomplete: Option<TransactionError>,
    /// Nothing can be done with this producer any more.
    broken: Option<TransactionError>,
}

impl fmt::Debug for Transactional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transactions({})", self.shared.name)
    }
}

/// What librdkafka says about an error.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    code: Code,
    retriable: bool,
    abort: bool,
}

/// What the caller has to do.
fn fault(verdict: Verdict) -> TransactionFault {
    if verdict.retriable {
        return TransactionFault::Retriable;
    }
    match verdict.code {
        // librdkafka (2.12.1) calls some of these abortable when offsets are added.
        Code::RD_KAFKA_RESP_ERR__FENCED
        | Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED
        | Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH => TransactionFault::Fatal,
        Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
        | Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION
        | Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT
        | Code::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT
        | Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED => TransactionFault::Unsupported,
        _ if verdict.abort => TransactionFault::Abortable,
        _ => TransactionFault::Fatal,
    }
}

/// Makes one call of librdkafka.
fn make(
    shared: &Shared,
    what: &str,
    call: impl FnOnce(*mut rd::rd_kafka_t) -> *mut rd::rd_kafka_error_t,
) -> Result<(), TransactionError> {
    let raw = call(shared.client.rk());
    if raw.is_null() {
        return Ok(());
    }
    let context = format!(
        "producer `{}` {what} at {}",
        shared.name,
        shared.client.hooks().servers
    );
    // SAFETY: a live error object, which `take` destroys.
    let (verdict, taken) = unsafe {
        let verdict = Verdict {
            code: rd::rd_kafka_error_code(raw),
            retriable: rd::rd_kafka_error_is_retriable(raw) != 0,
            abort: rd::rd_kafka_error_txn_requires_abort(raw) != 0,
        };
        (verdict, error::take(raw, || context))
    };
    taken.map_err(|(_, error)| TransactionError {
        fault: fault(verdict),
        error,
    })
}

impl Transactional {
    /// Makes one call of librdkafka.
    fn call(
        &mut self,
        what: &str,
        call: impl FnOnce(*mut rd::rd_kafka_t) -> *mut rd::rd_kafka_error_t,
    ) -> Result<(), TransactionError> {
        match &self.broken {
            Some(broken) => Err(broken.clone()),
            None => make(&self.shared, what, call),
        }
    }

    /// Notes an error after which this producer is of no use.
    fn judged<T>(&mut self, result: Result<T, TransactionError>) -> Result<T, TransactionError> {
        if let Err(error) = &result
            && matches!(
                error.fault,
                TransactionFault::Fatal | TransactionFault::Unsupported
            )
        {
            self.broken.get_or_insert_with(|| error.clone());
        }
        result
    }

    /// A call that does not come back.
    fn given_up(&self, timeout: Duration) -> TransactionError {
        TransactionError {
            fault: TransactionFault::Fatal,
            error: error::with_message(
                format!(
                    "producer `{}` sending offsets at {}",
                    self.shared.name,
                    self.shared.client.hooks().servers
                ),
                Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
                format!("no answer within {timeout:?}; the producer has to be replaced"),
            ),
        }
    }

    /// Waits for the reports of all records: some mean more to us than to librdkafka (`proof`). Not after one that failed,
    /// for then librdkafka does not send the others, and says so when it is asked to commit.
    fn landed(&self, until: Instant, timeout: Duration) -> Result<(), TransactionError> {
        let shared = &self.shared;
        while self.producer.flush(STEP) > 0 {
            let spoilt = self.has_failed()
                || shared.refused.load(Ordering::Acquire) > self.refused
                || self.is_fatal();
            if spoilt {
                break;
            }
            if Instant::now() >= until {
                // No request to commit has left.
                return Err(TransactionError {
                    fault: TransactionFault::Abortable,
                    error: error::with_message(
                        format!("producer `{}` committing", shared.name),
                        Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
                        format!("not all records were acknowledged within {timeout:?}"),
                    ),
                });
            }
        }
        Ok(())
    }

    /// Gives up what is left behind a record that was refused. What a broker sends back stands in the queue again, which
    /// librdkafka (2.12.1) has emptied before, and an abort waits until its time is over. The gap in the sequence harms
    /// nobody: this producer is replaced ([`Self::ended`]).
    fn purge(&self, until: Instant) {
        // A client that is of no use any more refuses the abort, and nothing is to be waited for.
        while self.has_failed()
            && !self.is_fatal()
            && self.producer.in_flight() > 0
            && Instant::now() < until
        {
            // SAFETY: the client is alive.
            unsafe {
                let flags = rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_NON_BLOCKING;
                rd::rd_kafka_purge(self.shared.client.rk(), flags);
            }
            self.producer.flush(STEP);
        }
    }

    /// A record of this transaction was not delivered.
    fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire) > self.failed
    }

    fn is_fatal(&self) -> bool {
        self.broken.is_some() || self.shared.client.fatal(String::new()).is_some()
    }

    fn ended(&self) -> Ended {
        // librdkafka (2.12.1) does not give back the sequence number of a record that the broker refused:
        // what comes next would be refused as out of order.
        Ended {
            in_doubt: self.has_failed() || self.requests.counts().doubtful_since(self.began),
        }
    }

    /// Why the transaction must not be committed, where librdkafka does not know it.
    fn incomplete(&self) -> Option<TransactionError> {
        if self.broken.is_some() {
            return None;
        }
        let refused = self.shared.refused.load(Ordering::Acquire) - self.refused;
        self.incomplete.clone().or_else(|| {
            (refused > 0).then(|| TransactionError {
                fault: TransactionFault::Abortable,
                error: error::with_message(
                    format!("producer `{}` committing", self.shared.name),
                    Code::RD_KAFKA_RESP_ERR__INCONSISTENT,
                    format!(
                        "{refused} records of the transaction were not accepted; see their errors"
                    ),
                ),
            })
        })
    }
}

impl Transactions for Transactional {
    fn producer(&self) -> &Arc<dyn ProducerHandle> {
        &self.producer
    }

    fn init(&mut self, timeout: Duration) -> Result<(), TransactionError> {
        // SAFETY: the client is alive.
        let mut result = self.call("initialising transactions", |rk| unsafe {
            rd::rd_kafka_init_transactions(rk, millis(timeout))
        });
        let old = self
            .requests
            .init_version()
            .is_some_and(|version| version < INIT_VERSION);
        let unknown = Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
        if old
            || matches!(&result, Err(error) if error.error.code == error::name(unknown) && error.fault == TransactionFault::Unsupported)
        {
            result = Err(TransactionError {
                fault: TransactionFault::Unsupported,
                error: error::with_message(
                    format!("cluster {}", self.shared.client.hooks().servers),
                    unknown,
                    "exactly once needs Kafka brokers 2.5 or newer; upgrade them, or ask for at least \
                     once",
                ),
            });
        }
        self.judged(result)
    }

    fn begin(&mut self) -> Result<(), TransactionError> {
        self.began = self.requests.counts();
        self.refused = self.shared.refused.load(Ordering::Acquire);
        self.failed = self.shared.failed.load(Ordering::Acquire);
        self.incomplete = None;
        // SAFETY: the client is alive.
        let result = self.call("beginning a transaction", |rk| unsafe {
            rd::rd_kafka_begin_transaction(rk)
        });
        self.judged(result)
    }

    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<(), TransactionError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let membership = group.0.downcast_ref::<Membership>();
        let Some(membership) = membership.filter(|membership| membership.is_checkable()) else {
            let error = error::with_message(
                format!("producer `{}` sending offsets", self.shared.name),
                Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
                "the consumer is not a member of its group just now; abort, and take the group's \
                 metadata anew",
            );
            let fault = TransactionFault::Abortable;
            let error = TransactionError { fault, error };
            self.incomplete = Some(error.clone());
            return Err(error);
        };
        let (shared, membership) = (self.shared.clone(), membership.clone());
        let offsets = offsets.to_vec();
        let (answer, answered) = mpsc::sync_channel(1);
        // On a thread of its own, for librdkafka (2.12.1) keeps to no time here: where the group's
        // coordinator is gone it waits for the next connection to come up or break, for ever if none
        // does. A call that is given up goes on without us and keeps its client until it ends; the
        // producer that replaces this one fences what it may still send.
        let call = move || {
            let list = List::at(&offsets);
            // SAFETY: client, list and metadata are alive; both are copied.
            let result = make(&shared, "sending offsets", |rk| unsafe {
                rd::rd_kafka_send_offsets_to_transaction(
                    rk,
                    list.as_ptr(),
                    membership.as_ptr(),
                    millis(timeout),
                )
            });
            // Nobody waits any more when it was given up.
            let _ = answer.send(result);
        };
        let name = format!("ck-{}-txn", self.shared.name);
        let result = match std::thread::Builder::new().name(name).spawn(call) {
            Ok(_detached) => answered
                .recv_timeout(timeout + GRACE)
                .unwrap_or_else(|_| Err(self.given_up(timeout))),
            Err(cause) => Err(TransactionError {
                fault: TransactionFault::Abortable,
                error: error::invalid("starting a thread to send offsets", cause.to_string()),
            }),
        };
        self.judged(result)
    }

    fn commit(&mut self, timeout: Duration) -> Result<Ended, TransactionError> {
        let until = Instant::now() + timeout;
        self.landed(until, timeout)?;
        if let Some(error) = self.incomplete() {
            return Err(error);
        }
        let timeout = until.saturating_duration_since(Instant::now()).max(STEP);
        // SAFETY: the client is alive.
        let result = self.call("committing", |rk| unsafe {
            rd::rd_kafka_commit_transaction(rk, millis(timeout))
        });
        let left = self.requests.counts().ended_since(self.began);
        let result = result.map_err(|mut error| {
            // Once the request has left, no error says that nothing happened.
            let unknown = left && error.fault == TransactionFault::Abortable;
            if unknown || error.fault == TransactionFault::Retriable {
                error.fault = TransactionFault::Fatal;
            }
            error
        });
        self.judged(result)?;
        Ok(self.ended())
    }

    fn abort(&mut self, timeout: Duration) -> Result<Ended, TransactionError> {
        let until = Instant::now() + timeout;
        self.purge(until);
        let timeout = until.saturating_duration_since(Instant::now()).max(STEP);
        // SAFETY: the client is alive.
        let result = self.call("aborting", |rk| unsafe {
            rd::rd_kafka_abort_transaction(rk, millis(timeout))
        });
        let left = self.requests.counts().ended_since(self.began);
        let result = result.map_err(|mut error| {
            let again = error.fault == TransactionFault::Retriable && !left;
            if !again && error.fault != TransactionFault::Unsupported {
                error.fault = TransactionFault::Fatal;
            }
            error
        });
        self.judged(result)?;
        Ok(self.ended())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_follow_librdkafka_but_for_what_no_retry_mends() {
        let judge = |code, retriable, abort| {
            fault(Verdict {
                code,
                retriable,
                abort,
            })
        };
        let unsupported = Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
        // So it says while it does not know the broker's versions.
        assert_eq!(judge(unsupported, true, false), TransactionFault::Retriable);
        assert_eq!(
            judge(unsupported, false, false),
            TransactionFault::Unsupported
        );
        let forbidden = Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
        assert_eq!(judge(forbidden, false, true), TransactionFault::Unsupported);
        let stale = Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
        assert_eq!(judge(stale, false, true), TransactionFault::Abortable);
        let fenced = Code::RD_KAFKA_RESP_ERR__FENCED;
        assert_eq!(judge(fenced, false, true), TransactionFault::Fatal);
    }
}
