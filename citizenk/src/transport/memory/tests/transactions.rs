use super::*;
use crate::staging::{OutputTopic, StagedBatch};
use crate::transport::memory::TransactionOrder;
use crate::transport::transaction::{
    Ended, GroupMetadata, TransactionError, TransactionFault, TransactionSpec, Transactions,
};
use crate::transport::{Delivered, DeliverySink, ProducerTopic};

const SURE: Ended = Ended { in_doubt: false };

struct Sink(Journal);

impl DeliverySink for Sink {
    fn delivered(&self, index: usize, result: Result<Delivered, TransportError>) {
        self.0.write(match result {
            Ok(Delivered { partition, offset }) => format!("{index} {partition}@{offset}"),
            Err(error) => format!("{index} {}", error.code),
        });
    }
}

/// A transactional producer that writes to topic `out`.
struct Worker {
    transactions: Box<dyn Transactions>,
    topic: ProducerTopic,
    sink: Arc<dyn DeliverySink>,
}

impl World {
    fn worker(&self, id: &str) -> Worker {
        let spec = TransactionSpec {
            name: id.to_owned(),
            client_id: id.to_owned(),
            transactional_id: id.to_owned(),
            settings: BTreeMap::new(),
        };
        let transactions = self.cluster.transport().start_transactions(spec).unwrap();
        let topic = OutputTopic {
            cluster: "default",
            name: "out".to_owned(),
            partitioner: Partitioner::Murmur2,
        };
        let topic = transactions.producer().topic(&topic).unwrap();
        Worker {
            transactions,
            topic,
            sink: Arc::new(Sink(self.journal.clone())),
        }
    }

    fn ready(&self, id: &str) -> Worker {
        let mut worker = self.worker(id);
        worker.transactions.init(DRAIN).unwrap();
        worker
    }

    fn out(&self) -> Vec<String> {
        let records = self.cluster.records("out");
        records
            .iter()
            .map(|record| String::from_utf8_lossy(record.payload.as_deref().unwrap()).into_owned())
            .collect()
    }
}

impl Worker {
    fn send(&self, values: &[&str]) {
        let mut batch = StagedBatch::default();
        for value in values {
            batch
                .record(0)
                .partition(Some(0))
                .finish(Some(value.as_bytes()));
        }
        let producer = self.transactions.producer();
        let taken = producer.produce(&[self.topic], &batch, 0..values.len(), &self.sink);
        assert_eq!(taken, values.len());
    }

    fn commit(&mut self) -> Result<Ended, TransactionError> {
        self.transactions.commit(DRAIN)
    }

    fn abort(&mut self) -> Result<Ended, TransactionError> {
        self.transactions.abort(DRAIN)
    }
}

impl Client {
    fn metadata(&self) -> GroupMetadata {
        self.handle.group_metadata().expect("a group")
    }
}

fn fault<T: std::fmt::Debug>(result: Result<T, TransactionError>) -> (TransactionFault, String) {
    let error = result.expect_err("refused");
    (error.fault, error.error.code)
}

fn fenced() -> (TransactionFault, String) {
    (TransactionFault::Fatal, "_FENCED".to_owned())
}

#[tokio::test(start_paused = true)]
async fn records_and_offsets_become_visible_together() {
    let world = World::new(1);
    world.cluster.create_topic("out", 1);
    let client = world.client("a");
    world.push(0, &["x"]);
    world.settle().await;
    let mut worker = world.ready("w");
    worker.transactions.begin().unwrap();
    worker.send(&["1", "2"]);
    let group = client.metadata();
    let offsets = [(tp(0), 1)];
    worker
        .transactions
        .send_offsets(&offsets, &group, DRAIN)
        .unwrap();
    assert_eq!(world.settle().await, ["0 0@0", "1 0@1"]);
    assert!(world.out().is_empty());
    assert_eq!(world.cluster.end_offsets("out"), [0]);
    assert!(world.cluster.committed("g", "t").is_empty());
    assert_eq!(worker.commit().unwrap(), SURE);
    assert_eq!(world.out(), ["1", "2"]);
    assert_eq!(world.cluster.committed("g", "t"), [(0, 1)]);

    worker.transactions.begin().unwrap();
    worker.send(&["3"]);
    worker
        .transactions
        .send_offsets(&[(tp(0), 9)], &group, DRAIN)
        .unwrap();
    assert_eq!(worker.abort().unwrap(), SURE);
    assert_eq!(world.journal.take(), ["0 0@2"]);
    assert_eq!(world.out(), ["1", "2"]);
    assert_eq!(world.cluster.committed("g", "t"), [(0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_read_at_once_and_its_sinks_have_heard() {
    let world = World::new(1);
    let reader = world.client("a");
    world.settle().await;
    let mut worker = world.ready("w");
    let topic = OutputTopic {
        cluster: "default",
        name: "t".to_owned(),
        partitioner: Partitioner::Murmur2,
    };
    worker.topic = worker.transactions.producer().topic(&topic).unwrap();
    for values in [["0", "1"], ["2", "3"]] {
        worker.transactions.begin().unwrap();
        worker.send(&values);
        assert!(world.journal.take().is_empty(), "nobody has heard yet");
        assert_eq!(worker.commit().unwrap(), SURE);
        assert_eq!(world.journal.take().len(), 2, "the sinks have");
        assert_eq!(worker.transactions.producer().in_flight(), 0);
        let read = world.settle().await;
        let from = values[0];
        assert_eq!(read, [format!("a t/0@{from} {}", values.join(","))]);
    }
    drop(reader);
}

#[tokio::test(start_paused = true)]
async fn a_newer_producer_fences_an_older_one_and_ends_what_it_left() {
    let world = World::new(1);
    let mut old = world.ready("w");
    let mut other = world.ready("another");
    old.transactions.begin().unwrap();
    other.transactions.begin().unwrap();
    old.send(&["lost"]);
    other.send(&["kept"]);
    let mut new = world.worker("w");
    assert_eq!(world.settle().await.len(), 2);
    new.transactions.init(DRAIN).unwrap();
    old.send(&["late"]);
    assert_eq!(world.journal.take(), ["0 _FENCED"]);
    assert_eq!(fault(old.commit()), fenced());
    assert_eq!(fault(old.abort()), fenced());
    assert_eq!(fault(old.transactions.begin()), fenced());
    drop(old);
    new.transactions.begin().unwrap();
    new.send(&["new"]);
    assert_eq!(new.commit().unwrap(), SURE);
    assert_eq!(other.commit().unwrap(), SURE);
    assert_eq!(world.out(), ["new", "kept"]);
}

#[tokio::test(start_paused = true)]
async fn offsets_of_an_older_generation_are_refused() {
    let world = World::new(2);
    let first = world.client("a");
    world.settle().await;
    let mut worker = world.ready("w");
    let stale = first.metadata();
    let _second = world.client("b");
    world.settle().await;
    worker.transactions.begin().unwrap();
    let refused = worker
        .transactions
        .send_offsets(&[(tp(0), 1)], &stale, DRAIN);
    let code = (TransactionFault::Abortable, "ILLEGAL_GENERATION".to_owned());
    assert_eq!(fault(refused), code);
    assert_eq!(fault(worker.commit()), code);
    worker.send(&["x"]);
    assert_eq!(world.journal.take(), ["0 _STATE"]);
    worker.abort().unwrap();
    worker.transactions.begin().unwrap();
    let fresh = first.metadata();
    worker
        .transactions
        .send_offsets(&[(tp(0), 1)], &fresh, DRAIN)
        .unwrap();
    // Lost before the commit: the next owner may have begun from the old offset.
    assert!(world.cluster.lose_member("g", "a"));
    world.settle().await;
    assert_eq!(fault(worker.commit()), code);
    worker.abort().unwrap();
    assert!(world.cluster.committed("g", "t").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_may_be_committed_while_its_partitions_are_revoked() {
    let world = World::new(2);
    world.cluster.create_topic("out", 1);
    let first = world.client("a");
    world.settle().await;
    let mut worker = world.ready("w");
    worker.transactions.begin().unwrap();
    worker.send(&["x"]);
    let group = first.metadata();
    let call = lock(&first.desk).drain.add();
    let _second = world.client("b");
    turns().await;
    assert!(world.journal.contains("a revoking [t/1]"));
    let offsets = [(tp(0), 1), (tp(1), 2)];
    worker
        .transactions
        .send_offsets(&offsets, &group, DRAIN)
        .unwrap();
    assert_eq!(worker.commit().unwrap(), SURE);
    drop(call);
    world.settle().await;
    assert_eq!(world.cluster.committed("g", "t"), [(0, 1), (1, 2)]);
    assert_eq!(world.out(), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_record_makes_the_commit_abortable() {
    let world = World::new(1);
    let mut worker = world.ready("w");
    worker.transactions.begin().unwrap();
    let error = failure("MSG_SIZE_TOO_LARGE", false);
    world.cluster.fail_next("out", 1, &error);
    worker.send(&["a", "b"]);
    let inconsistent = (TransactionFault::Abortable, "_INCONSISTENT".to_owned());
    assert_eq!(fault(worker.commit()), inconsistent);
    // As with a real client, whose sequence numbers then have a gap.
    assert_eq!(worker.abort().unwrap(), Ended { in_doubt: true });
    assert!(world.out().is_empty());
    worker.transactions.begin().unwrap();
    worker.send(&["far too large".repeat(100_000).as_str()]);
    assert_eq!(fault(worker.commit()), inconsistent);
    assert_eq!(worker.abort().unwrap(), SURE);
    // Outside of a transaction nothing is taken.
    world.settle().await;
    worker.send(&["c"]);
    assert_eq!(world.journal.take(), ["0 _STATE"]);
}

#[tokio::test(start_paused = true)]
async fn ordered_faults_go_as_ordered() {
    let world = World::new(1);
    world.cluster.create_topic("out", 1);
    let client = world.client("a");
    world.settle().await;
    let order = |order| world.cluster.order_transaction(order);
    let unknown = || (TransactionFault::Fatal, "_TIMED_OUT".to_owned());

    let mut worker = world.ready("w");
    order(TransactionOrder::AbortableCommit);
    worker.transactions.begin().unwrap();
    worker.send(&["aborted"]);
    assert_eq!(fault(worker.commit()).0, TransactionFault::Abortable);
    order(TransactionOrder::DoubtfulEnd);
    assert_eq!(worker.abort().unwrap(), Ended { in_doubt: true });

    order(TransactionOrder::LostCommit { happened: true });
    worker.transactions.begin().unwrap();
    worker.send(&["happened"]);
    assert_eq!(fault(worker.commit()), unknown());
    assert_eq!(fault(worker.abort()), unknown());
    assert_eq!(world.out(), ["happened"]);

    let mut worker = world.ready("w");
    order(TransactionOrder::LostCommit { happened: false });
    worker.transactions.begin().unwrap();
    worker.send(&["did not"]);
    assert_eq!(fault(worker.commit()), unknown());
    assert_eq!(fault(worker.transactions.begin()), unknown());

    let mut worker = world.ready("w");
    order(TransactionOrder::FencedOffsets);
    worker.transactions.begin().unwrap();
    let group = client.metadata();
    let sent = worker.transactions.send_offsets(&[], &group, DRAIN);
    assert_eq!(fault(sent), fenced());

    let mut worker = world.ready("w");
    order(TransactionOrder::FencedBegin);
    assert_eq!(fault(worker.transactions.begin()), fenced());
    assert_eq!(world.out(), ["happened"]);
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn an_absent_broker_ends_calls_as_their_timeouts_would() {
    let world = World::new(1);
    world.cluster.create_topic("out", 1);
    let mut worker = world.ready("w");
    worker.transactions.begin().unwrap();
    world.cluster.set_available(false);
    worker.send(&["waits"]);
    assert_eq!(fault(worker.abort()).0, TransactionFault::Retriable);
    assert_eq!(world.journal.take(), ["0 _PURGE_QUEUE"]);
    let mut second = world.worker("w2");
    let refused = second.transactions.init(DRAIN);
    assert_eq!(fault(refused).0, TransactionFault::Retriable);
    world.cluster.set_available(true);
    assert_eq!(worker.abort().unwrap(), SURE);

    worker.transactions.begin().unwrap();
    world.cluster.set_available(false);
    worker.send(&["expires"]);
    assert_eq!(fault(worker.commit()).0, TransactionFault::Fatal);
    tokio::time::advance(Duration::from_secs(8)).await;
    assert_eq!(world.settle().await, ["0 _MSG_TIMED_OUT"]);
    world.cluster.set_available(true);

    second.transactions.init(DRAIN).unwrap();
    second.transactions.begin().unwrap();
    world.cluster.hold_deliveries(true);
    second.send(&["held"]);
    let (fault, code) = fault(second.commit());
    assert_eq!((fault, &*code), (TransactionFault::Fatal, "_TIMED_OUT"));
    drop(second);
    world.cluster.hold_deliveries(false);
    assert_eq!(world.settle().await, ["0 0@0"]);
    assert!(world.out().is_empty());
}

#[tokio::test(start_paused = true)]
async fn calls_out_of_order_are_fatal_and_a_reader_without_group_has_no_metadata() {
    let world = World::new(1);
    let mut worker = world.worker("w");
    assert_eq!(
        fault(worker.transactions.begin()),
        (TransactionFault::Fatal, "_STATE".to_owned())
    );
    let mut worker = world.ready("w");
    worker.transactions.begin().unwrap();
    let again = worker.transactions.begin();
    assert_eq!(fault(again).0, TransactionFault::Fatal);
    let reader = world.client_of("r", None);
    assert!(reader.handle.group_metadata().is_none());
    world.settle().await;
    let foreign = GroupMetadata(Box::new(()));
    let mut worker = world.ready("w");
    worker.transactions.begin().unwrap();
    let sent = worker.transactions.send_offsets(&[], &foreign, DRAIN);
    assert_eq!(fault(sent).0, TransactionFault::Abortable);
    assert_eq!(fault(worker.commit()).0, TransactionFault::Abortable);
}
