//! Calls and their faults. The embedded broker shows neither fencing nor what is invisible: see
//! `real_transactions`.

use ::rdkafka::bindings as rd;
use ::rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::conf::Conf;
use super::*;
use crate::transport::transaction::{
    Ended, GroupMetadata, TransactionError, TransactionFault, TransactionSpec, Transactions,
};

pub(super) const SURE: Ended = Ended { in_doubt: false };
const DOUBTFUL: Ended = Ended { in_doubt: true };

/// API keys of the protocol.
const PRODUCE: i16 = 0;
const INIT_PRODUCER_ID: i16 = 22;
const ADD_PARTITIONS: i16 = 24;
const ADD_OFFSETS: i16 = 25;
const END: i16 = 26;
const OFFSET_COMMIT: i16 = 28;

pub(super) fn spec_of(id: &str, settings: &[(&str, &str)]) -> TransactionSpec {
    TransactionSpec {
        name: id.to_owned(),
        client_id: id.to_owned(),
        transactional_id: id.to_owned(),
        settings: map(settings),
    }
}

/// A transactional producer that writes to one topic.
pub(super) struct Worker {
    pub(super) transactions: Box<dyn Transactions>,
    topic: ProducerTopic,
}

impl Worker {
    pub(super) fn new(transport: &KafkaTransport, id: &str, topic: &str) -> Self {
        Self::with(transport, topic, spec_of(id, &[]))
    }

    pub(super) fn with(transport: &KafkaTransport, topic: &str, spec: TransactionSpec) -> Self {
        let transactions = transport.start_transactions(spec).expect("a producer");
        let topic = output(topic, Partitioner::Murmur2);
        let topic = transactions.producer().topic(&topic).expect("a topic");
        Self {
            transactions,
            topic,
        }
    }

    pub(super) fn ready(transport: &KafkaTransport, id: &str, topic: &str) -> Self {
        let mut worker = Self::new(transport, id, topic);
        worker.transactions.init(PATIENCE).expect("initialised");
        worker
    }

    /// Enqueues records of partition 0.
    pub(super) fn send(&self, values: std::ops::Range<usize>) -> Arc<Results> {
        let mut batch = StagedBatch::default();
        for value in values {
            batch
                .record(0)
                .partition(Some(0))
                .finish(Some(value.to_string().as_bytes()));
        }
        self.enqueue(&batch)
    }

    /// Enqueues one record of this many bytes.
    pub(super) fn send_large(&self, bytes: usize) -> Arc<Results> {
        let mut batch = StagedBatch::default();
        batch
            .record(0)
            .partition(Some(0))
            .finish(Some(&vec![b'x'; bytes]));
        self.enqueue(&batch)
    }

    fn enqueue(&self, batch: &StagedBatch) -> Arc<Results> {
        let results = Arc::new(Results::default());
        let sink: Arc<dyn DeliverySink> = results.clone();
        let producer = self.transactions.producer();
        let (mut taken, start) = (0, Instant::now());
        // All at once, as soon as the topic's leaders have answered.
        while taken == 0 {
            assert!(start.elapsed() < PATIENCE, "nothing is taken");
            taken = producer.produce(&[self.topic], batch, 0..batch.len(), &sink);
        }
        assert_eq!(taken, batch.len());
        results
    }

    pub(super) fn begin(&mut self) {
        self.transactions.begin().expect("begun");
    }

    pub(super) fn commit(&mut self) -> Result<Ended, TransactionError> {
        self.transactions.commit(PATIENCE)
    }

    pub(super) fn abort(&mut self) -> Result<Ended, TransactionError> {
        self.transactions.abort(PATIENCE)
    }

    pub(super) fn offsets(
        &mut self,
        topic: &str,
        next: i64,
        group: &GroupMetadata,
    ) -> Result<(), TransactionError> {
        let offsets = [(TopicPartition::new(topic, 0), next)];
        self.transactions.send_offsets(&offsets, group, PATIENCE)
    }
}

impl Results {
    pub(super) fn heard(&self) -> usize {
        client::lock(&self.by_index).len()
    }
}

impl Consumer {
    pub(super) fn metadata(&self) -> GroupMetadata {
        self.handle.group_metadata().expect("a group")
    }
}

pub(super) fn fault<T: std::fmt::Debug>(
    result: Result<T, TransactionError>,
) -> (TransactionFault, String) {
    let error = result.expect_err("refused");
    (error.fault, error.error.code)
}

pub(super) fn errors(transport: &KafkaTransport, key: i16, codes: &[Code]) {
    let broker = transport.embedded.as_ref().expect("embedded");
    // SAFETY: the cluster is alive, the codes are copied.
    unsafe {
        rd::rd_kafka_mock_push_request_errors_array(
            broker.cluster(),
            key,
            codes.len(),
            codes.as_ptr(),
        );
    }
}

pub(super) fn delay(transport: &KafkaTransport, millis: i32) {
    let broker = transport.embedded.as_ref().expect("embedded");
    // SAFETY: the cluster is alive; broker 1 is its only one.
    unsafe { rd::rd_kafka_mock_broker_set_rtt(broker.cluster(), 1, millis) };
}

fn versions(transport: &KafkaTransport, key: i16, from: i16, to: i16) {
    let broker = transport.embedded.as_ref().expect("embedded");
    // SAFETY: the cluster is alive.
    unsafe { rd::rd_kafka_mock_set_apiversion(broker.cluster(), key, from, to) };
}

fn down(transport: &KafkaTransport, down: bool) {
    transport
        .embedded
        .as_ref()
        .expect("embedded")
        .set_down(down);
}

fn with_topic() -> KafkaTransport {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    transport
}

#[test]
fn a_transaction_goes_through_all_its_calls() {
    let transport = with_topic();
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    let mut worker = Worker::ready(&transport, "w", "t");
    for round in 0..3 {
        worker.begin();
        let results = worker.send(0..10);
        worker
            .offsets("t", round, &consumer.metadata())
            .expect("sent");
        assert_eq!(worker.commit().expect("committed"), SURE);
        assert_eq!(
            results.heard(),
            10,
            "all sinks heard before the commit ended"
        );
        for result in results.wait(10) {
            result.expect("delivered");
        }
        worker.begin();
        worker.send(0..10);
        assert_eq!(worker.abort().expect("aborted"), SURE);
    }
    worker.begin();
    assert_eq!(worker.commit().expect("an empty one"), SURE);
    let outside = worker.send(0..1);
    assert_eq!(
        outside.wait(1)[0].as_ref().expect_err("refused").code,
        "_STATE"
    );
    consumer.close(PATIENCE);
    drop((consumer, worker));
    ends(transport);
}

#[test]
fn what_an_abort_finds_queued_is_reported_as_purged() {
    let transport = with_topic();
    let settings = [("linger.ms", "4000")];
    let mut worker = Worker::with(&transport, "t", spec_of("w", &settings));
    worker.transactions.init(PATIENCE).expect("initialised");
    worker.begin();
    let results = worker.send(0..100);
    assert_eq!(worker.abort().expect("aborted"), SURE);
    for result in results.wait(100) {
        assert_eq!(result.expect_err("purged").code, "_PURGE_QUEUE");
    }
    worker.begin();
    let results = worker.send(0..10);
    assert_eq!(worker.commit().expect("committed"), SURE);
    assert_eq!(results.heard(), 10);
    assert_eq!(worker.transactions.producer().in_flight(), 0);
}

#[test]
fn a_fenced_producer_is_fatal_in_every_call() {
    let fencing = [
        (ADD_PARTITIONS, Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (ADD_OFFSETS, Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (
            OFFSET_COMMIT,
            Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
        ),
        (END, Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (END, Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
    ];
    let transport = with_topic();
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    for (key, code) in fencing {
        let mut worker = Worker::ready(&transport, "w", "t");
        worker.begin();
        errors(&transport, key, &[code]);
        worker.send(0..1);
        let group = consumer.metadata();
        let result = match worker.offsets("t", 1, &group) {
            Ok(()) => worker.commit().map(|_| ()),
            Err(error) => Err(error),
        };
        let fenced = (TransactionFault::Fatal, "_FENCED".to_owned());
        assert_eq!(fault(result), fenced, "{key} {code:?}");
        assert_eq!(fault(worker.abort()), fenced, "{key} {code:?}");
        assert_eq!(fault(worker.transactions.begin()), fenced);
    }
    consumer.close(PATIENCE);
}

#[test]
fn a_coordinator_that_is_busy_is_asked_again() {
    let busy = [
        Code::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    ];
    let transport = with_topic();
    let mut worker = Worker::new(&transport, "w", "t");
    errors(&transport, INIT_PRODUCER_ID, &busy[1..]);
    worker.transactions.init(PATIENCE).expect("initialised");
    errors(&transport, ADD_PARTITIONS, &busy);
    worker.begin();
    worker.send(0..10);
    assert_eq!(worker.commit().expect("committed"), SURE);
    errors(&transport, END, &busy);
    worker.begin();
    worker.send(0..10);
    // More than one request to end it left.
    assert_eq!(worker.commit().expect("committed"), DOUBTFUL);
    worker.begin();
    worker.send(0..10);
    assert_eq!(worker.commit().expect("committed"), SURE);
}

#[test]
fn a_connection_that_breaks_leaves_the_end_in_doubt() {
    let transport = with_topic();
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    let mut worker = Worker::ready(&transport, "w", "t");
    for key in [END, ADD_PARTITIONS, ADD_OFFSETS, OFFSET_COMMIT] {
        errors(&transport, key, &[Code::RD_KAFKA_RESP_ERR__TRANSPORT]);
        worker.begin();
        worker.send(0..10);
        worker.offsets("t", 1, &consumer.metadata()).expect("sent");
        assert_eq!(worker.commit().expect("committed"), DOUBTFUL, "{key}");
    }
    errors(&transport, END, &[Code::RD_KAFKA_RESP_ERR__TRANSPORT]);
    worker.begin();
    worker.send(0..10).wait(10);
    assert_eq!(worker.abort().expect("aborted"), DOUBTFUL);
    worker.begin();
    worker.send(0..10);
    assert_eq!(worker.commit().expect("committed"), SURE);
    consumer.close(PATIENCE);
}

#[test]
fn stale_offsets_and_refused_records_make_a_transaction_abortable() {
    let transport = with_topic();
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    let mut worker = Worker::ready(&transport, "w", "t");
    for code in [
        Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
        Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
    ] {
        worker.begin();
        errors(&transport, OFFSET_COMMIT, &[code]);
        let refused = fault(worker.offsets("t", 1, &consumer.metadata()));
        assert_eq!(refused.0, TransactionFault::Abortable, "{code:?}");
        assert_eq!(fault(worker.commit()), refused, "{code:?}");
        assert_eq!(worker.abort().expect("aborted"), SURE);
    }
    worker.begin();
    let foreign = GroupMetadata(Box::new(()));
    let refused = fault(worker.offsets("t", 1, &foreign));
    assert_eq!(refused.0, TransactionFault::Abortable);
    worker.send(0..1);
    assert_eq!(fault(worker.commit()), refused, "not without its offsets");
    assert_eq!(worker.abort().expect("aborted"), SURE);
    worker.begin();
    worker.send(0..1);
    assert_eq!(worker.commit().expect("committed"), SURE);
    errors(
        &transport,
        ADD_OFFSETS,
        &[Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED],
    );
    worker.begin();
    let refused = fault(worker.offsets("t", 1, &consumer.metadata()));
    assert_eq!(refused.0, TransactionFault::Unsupported);
    let mut worker = Worker::ready(&transport, "w", "t");
    worker.begin();
    errors(
        &transport,
        PRODUCE,
        &[Code::RD_KAFKA_RESP_ERR_INVALID_RECORD],
    );
    let results = worker.send(0..1);
    assert_eq!(fault(worker.commit()).0, TransactionFault::Abortable);
    let code = results.wait(1).remove(0).expect_err("refused").code;
    assert_eq!(code, "INVALID_RECORD");
    assert_eq!(worker.abort().expect("aborted"), DOUBTFUL);
    let mut worker = Worker::ready(&transport, "w", "t");
    worker.begin();
    let code = worker.send_large(2_000_000).wait(1).remove(0);
    assert_eq!(code.expect_err("refused").code, "MSG_SIZE_TOO_LARGE");
    worker.send(0..1);
    let inconsistent = (TransactionFault::Abortable, "_INCONSISTENT".to_owned());
    assert_eq!(fault(worker.commit()), inconsistent);
    assert_eq!(worker.abort().expect("aborted"), SURE);
    worker.begin();
    worker.send(0..1);
    assert_eq!(worker.commit().expect("committed"), SURE);
    consumer.close(PATIENCE);
}

#[test]
fn a_commit_without_answer_is_fatal_and_nothing_hangs() {
    let transport = with_topic();
    let mut worker = Worker::ready(&transport, "w", "t");
    worker.begin();
    let results = worker.send(0..10);
    results.wait(10);
    delay(&transport, 3000);
    let start = Instant::now();
    let unknown = fault(worker.transactions.commit(Duration::from_millis(200)));
    assert_eq!(unknown, (TransactionFault::Fatal, "_TIMED_OUT".to_owned()));
    assert_eq!(fault(worker.abort()), unknown);
    assert_eq!(fault(worker.transactions.begin()), unknown);
    drop(worker);
    assert!(
        start.elapsed() < Duration::from_millis(2500),
        "{:?}",
        start.elapsed()
    );
    delay(&transport, 0);
    let mut next = Worker::ready(&transport, "w", "t");
    next.begin();
    next.send(0..1);
    assert_eq!(next.commit().expect("committed"), SURE);
    drop(next);
    ends(transport);
}

#[test]
fn calls_that_time_out_before_an_end_was_asked_for_are_told_apart() {
    let transport = with_topic();
    let short = Duration::from_millis(300);
    let mut worker = Worker::new(&transport, "w", "t");
    delay(&transport, 3000);
    let timed_out = fault(worker.transactions.init(short));
    assert_eq!(timed_out.0, TransactionFault::Retriable, "{}", timed_out.1);
    delay(&transport, 0);
    worker.transactions.init(PATIENCE).expect("resumed");
    worker.begin();
    worker.send(0..1).wait(1);
    down(&transport, true);
    let results = worker.send(0..10);
    // Without a connection no request to end leaves.
    let timed_out = fault(worker.transactions.abort(short));
    assert_eq!(timed_out.0, TransactionFault::Retriable, "{}", timed_out.1);
    assert_eq!(results.wait(10).len(), 10);
    down(&transport, false);
    worker.abort().expect("aborted");
    worker.begin();
    worker.send(0..10);
    delay(&transport, 3000);
    let early = fault(worker.transactions.commit(short));
    assert_eq!(early.0, TransactionFault::Abortable, "{}", early.1);
}

#[test]
fn offsets_that_no_broker_takes_come_back_in_bounded_time() {
    let transport = with_topic();
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    let group = consumer.metadata();
    let offsets = [(TopicPartition::new("t", 0), 1)];
    let short = Duration::from_millis(100);
    for away in [true, false] {
        let mut worker = Worker::ready(&transport, "w", "t");
        worker.begin();
        if away {
            down(&transport, true);
        } else {
            delay(&transport, 3000);
        }
        let start = Instant::now();
        let refused = fault(worker.transactions.send_offsets(&offsets, &group, short));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
        // A connection that broke may be known at once.
        let known = away && refused.0 == TransactionFault::Retriable;
        assert!(known || refused.0 == TransactionFault::Fatal, "{refused:?}");
        down(&transport, false);
        delay(&transport, 0);
    }
    let mut worker = Worker::ready(&transport, "w", "t");
    worker.begin();
    worker.offsets("t", 1, &group).expect("taken");
    worker.commit().expect("committed");
    consumer.close(PATIENCE);
}

/// librdkafka waits for the group's coordinator it knows without a limit, although another broker has
/// become it: here the call comes back, and a new producer finds the other one.
#[test]
fn a_group_coordinator_that_is_gone_holds_up_nobody() {
    let transport = KafkaTransport::embedded(EmbeddedOptions { brokers: 3 }).expect("embedded");
    transport.create_topic("t", 1).expect("created");
    let embedded = transport.embedded.as_ref().expect("embedded");
    let lead = |kind: &std::ffi::CStr, name: &std::ffi::CStr, broker: i32| {
        let cluster = embedded.cluster();
        // SAFETY: the cluster is alive, the texts are terminated and copied.
        unsafe {
            rd::rd_kafka_mock_coordinator_set(cluster, kind.as_ptr(), name.as_ptr(), broker);
            rd::rd_kafka_mock_partition_set_leader(cluster, c"t".as_ptr(), 0, 1);
        }
    };
    lead(c"transaction", c"w", 1);
    lead(c"group", c"g", 3);
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    consumer.assigned();
    let group = consumer.metadata();
    let mut worker = Worker::ready(&transport, "w", "t");
    worker.begin();
    worker.offsets("t", 1, &group).expect("taken");
    worker.commit().expect("committed");
    // SAFETY: the cluster is alive.
    unsafe { rd::rd_kafka_mock_broker_set_down(embedded.cluster(), 3) };
    lead(c"group", c"g", 2);
    worker.begin();
    let offsets = [(TopicPartition::new("t", 0), 2)];
    let start = Instant::now();
    let short = Duration::from_millis(500);
    let sent = worker.transactions.send_offsets(&offsets, &group, short);
    assert!(start.elapsed() < Duration::from_secs(3), "{sent:?}");
    let mut worker = Worker::ready(&transport, "w", "t");
    worker.begin();
    worker.offsets("t", 2, &group).expect("taken");
    worker.commit().expect("committed");
    consumer.close(PATIENCE);
}

#[test]
fn a_dropped_one_does_not_hang_and_its_sinks_hear() {
    let transport = with_topic();
    let mut worker = Worker::ready(&transport, "w", "t");
    worker.begin();
    worker.send(0..1).wait(1);
    down(&transport, true);
    let results = worker.send(0..100);
    let start = Instant::now();
    drop(worker);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    for result in results.wait(100) {
        result.expect_err("not sent");
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    ends(transport);
}

#[test]
fn older_brokers_are_refused_with_a_clear_text() {
    // Before 2.5, and before there were transactions.
    for (from, to) in [(0, 1), (-1, -1)] {
        let transport = with_topic();
        versions(&transport, INIT_PRODUCER_ID, from, to);
        let mut worker = Worker::new(&transport, "w", "t");
        let error = worker.transactions.init(PATIENCE).expect_err("too old");
        assert_eq!(error.fault, TransactionFault::Unsupported, "{error}");
        assert!(
            error.to_string().contains("brokers 2.5 or newer"),
            "{error}"
        );
        let again = worker.transactions.begin().expect_err("too old");
        assert_eq!(again.fault, TransactionFault::Unsupported);
    }
    let transport = with_topic();
    let denied = Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    errors(&transport, INIT_PRODUCER_ID, &[denied]);
    let refused = fault(
        Worker::new(&transport, "w", "t")
            .transactions
            .init(PATIENCE),
    );
    assert_eq!(refused.0, TransactionFault::Unsupported);
}

#[test]
fn settings_that_contradict_are_refused_by_name() {
    let transport = broker();
    let refused = |settings: &[(&str, &str)]| {
        let error = transport
            .start_transactions(spec_of("w", settings))
            .expect_err("refused");
        error.to_string()
    };
    let long = refused(&[("message.timeout.ms", "20000")]);
    assert!(long.contains("`message.timeout.ms`"), "{long}");
    assert!(long.contains("`transaction.timeout.ms` (10000)"), "{long}");
    assert!(refused(&[("delivery.timeout.ms", "20000")]).contains("`message.timeout.ms`"));
    assert!(refused(&[("message.timeout.ms", "0")]).contains("for ever"));
    assert!(refused(&[("socket.timeout.ms", "60000")]).contains("`socket.timeout.ms`"));
    assert!(refused(&[("transactional.id", "x")]).contains("set by citizenk"));
    // These librdkafka itself refuses, when the client is made.
    assert!(refused(&[("enable.idempotence", "false")]).contains("`enable.idempotence=true`"));
    assert!(refused(&[("acks", "1")]).contains("`acks` must be set to `all`"));
    // The defaults follow the one that is given.
    let short = spec_of("w", &[("transaction.timeout.ms", "3000")]);
    transport.start_transactions(short).expect("accepted");
    assert!(transport.start_transactions(spec_of("", &[])).is_err());
}

#[test]
fn consumers_read_committed_records_by_default() {
    let level = Conf::new("consumer").get("isolation.level");
    assert_eq!(level.as_deref(), Some("read_committed"));
    let transport = with_topic();
    let reader = Consumer::start(&transport, spec(None, &["t"]));
    assert!(reader.handle.group_metadata().is_none());
    reader.close(PATIENCE);
}
