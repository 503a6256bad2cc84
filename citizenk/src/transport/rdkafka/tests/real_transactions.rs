//! What only a real Kafka shows of transactions; see `real`.

use super::real::{cluster, fresh};
use super::transactions::{SURE, Worker, fault, spec_of};
use super::*;
use crate::admin::{AdminErrorKind, ResetTo};
use crate::config::TopicNames;
use crate::runtime::clusters::Clusters;
use crate::transport::Spot;
use crate::transport::transaction::{Ended, TransactionFault};

/// The group's committed offset of partition 0.
fn committed(consumer: &Consumer, topic: &str) -> Option<i64> {
    let partition = TopicPartition::new(topic, 0);
    consumer.act(move |control| {
        let answer = control.committed(&[partition], PATIENCE);
        answer.expect("committed offsets")[0]
    })
}

/// A group of one member that has read nothing yet.
fn member(transport: &KafkaTransport, topic: &str) -> Consumer {
    let consumer = Consumer::start(transport, spec(Some(topic), &[topic]));
    while consumer.assigned().is_empty() {}
    consumer
}

fn values(consumer: &Consumer, count: usize) -> Vec<usize> {
    consumer.records(count).iter().map(value).collect()
}

#[test]
fn a_commit_is_read_with_its_offsets_and_an_abort_is_not() {
    let Some(transport) = cluster() else { return };
    let (input, out) = (fresh("in"), fresh("out"));
    fill(&transport, &input, 0, 0..10);
    fill(&transport, &out, 0, 0..1);
    let group = member(&transport, &input);
    let reader = Consumer::start(&transport, spec(None, &[&out]));
    assert_eq!(values(&reader, 1), [0]);
    let mut worker = Worker::ready(&transport, &fresh("worker"), &out);

    worker.begin();
    let aborted = worker.send(100..105);
    worker
        .offsets(&input, 3, &group.metadata())
        .expect("offsets");
    for result in aborted.wait(5) {
        result.expect("delivered");
    }
    assert_eq!(worker.abort().expect("aborted"), SURE);
    assert_eq!(committed(&group, &input), None);

    worker.begin();
    let results = worker.send(1..6);
    for result in results.wait(5) {
        result.expect("delivered");
    }
    // Six, and where the abort ended; of an open transaction only who reads all sees the end.
    let end = |committed_only| {
        let id = TopicPartition::new(out.as_str(), 0);
        let end = transport.offsets(&[id], Spot::End, committed_only, PATIENCE);
        end.expect("an end")
    };
    assert_eq!((end(true), end(false)), (vec![Some(7)], vec![Some(12)]));
    worker
        .offsets(&input, 5, &group.metadata())
        .expect("offsets");
    assert_eq!(worker.commit().expect("committed"), SURE);
    assert_eq!(results.heard(), 5);
    assert_eq!(committed(&group, &input), Some(5));
    // The reader passes over what was aborted and lies before.
    assert_eq!(values(&reader, 5), [1, 2, 3, 4, 5]);

    // Some delivered, some still queued.
    worker.begin();
    worker.send(200..205).wait(5);
    worker.send(205..210);
    assert_eq!(worker.abort().expect("aborted"), SURE);
    worker.begin();
    worker.send(6..7);
    assert_eq!(worker.commit().expect("committed"), SURE);
    assert_eq!(values(&reader, 1), [6]);
    assert_eq!(committed(&group, &input), Some(5));
    reader.close(PATIENCE);
    group.close(PATIENCE);
}

#[test]
fn a_second_producer_with_the_same_id_fences_the_first() {
    let Some(transport) = cluster() else { return };
    let (input, out, id) = (fresh("in"), fresh("out"), fresh("worker"));
    fill(&transport, &input, 0, 0..1);
    fill(&transport, &out, 0, 0..1);
    let group = member(&transport, &input);
    let fenced = (TransactionFault::Fatal, "_FENCED".to_owned());

    // In the middle of a transaction.
    let mut old = Worker::ready(&transport, &id, &out);
    old.begin();
    old.send(100..101).wait(1);
    let mut new = Worker::ready(&transport, &id, &out);
    assert_eq!(fault(old.commit()), fenced);
    assert_eq!(fault(old.abort()), fenced);
    new.begin();
    new.send(1..2);
    assert_eq!(new.commit().expect("committed"), SURE);

    // Before it sends offsets.
    let mut newest = Worker::ready(&transport, &id, &out);
    new.begin();
    let refused = new.offsets(&input, 1, &group.metadata());
    assert_eq!(fault(refused), fenced);
    assert_eq!(committed(&group, &input), None);
    newest.begin();
    newest.send(2..3);
    assert_eq!(newest.commit().expect("committed"), SURE);
    let reader = Consumer::start(&transport, spec(None, &[&out]));
    assert_eq!(values(&reader, 3), [0, 1, 2]);
    reader.close(PATIENCE);
    group.close(PATIENCE);
}

#[test]
fn offsets_of_a_generation_that_is_gone_are_refused() {
    let Some(transport) = cluster() else { return };
    let (input, out) = (fresh("in"), fresh("out"));
    fill(&transport, &input, 0, 0..10);
    fill(&transport, &out, 0, 0..1);
    let first = member(&transport, &input);
    let stale = first.metadata();
    let second = Consumer::start(&transport, spec(Some(&input), &[&input]));
    while second.assigned().is_empty() {}
    let mut worker = Worker::ready(&transport, &fresh("worker"), &out);
    worker.begin();
    worker.send(100..101);
    let refused = fault(worker.offsets(&input, 5, &stale));
    let gone = (TransactionFault::Abortable, "ILLEGAL_GENERATION".to_owned());
    assert_eq!(refused, gone);
    assert_eq!(fault(worker.commit()), gone);
    assert_eq!(worker.abort().expect("aborted"), SURE);
    assert_eq!(committed(&first, &input), None);

    // The same producer goes on with the membership as of now; a member that left is nobody's.
    worker.begin();
    worker
        .offsets(&input, 5, &first.metadata())
        .expect("a fresh one");
    assert_eq!(worker.commit().expect("committed"), SURE);
    assert_eq!(committed(&first, &input), Some(5));
    let left = second.metadata();
    second.close(PATIENCE);
    worker.begin();
    let refused = fault(worker.offsets(&input, 7, &left));
    assert_eq!(refused.0, TransactionFault::Abortable, "{}", refused.1);
    assert_eq!(worker.abort().expect("aborted"), SURE);
    assert_eq!(committed(&first, &input), Some(5));
    first.close(PATIENCE);
}

#[test]
fn a_record_that_the_broker_refuses_costs_transaction_and_producer() {
    let Some(transport) = cluster() else { return };
    let out = fresh("out");
    fill(&transport, &out, 0, 0..1);
    let id = fresh("worker");
    let large = spec_of(&id, &[("message.max.bytes", "9000000")]);
    let mut worker = Worker::with(&transport, &out, large);
    worker.transactions.init(PATIENCE).expect("initialised");
    worker.begin();
    worker.send(100..101).wait(1);
    let results = worker.send_large(5_000_000);
    let refused = fault(worker.commit());
    assert_eq!(refused.0, TransactionFault::Abortable, "{}", refused.1);
    let code = results.wait(1).remove(0).expect_err("too large").code;
    assert_eq!(code, "MSG_SIZE_TOO_LARGE");
    // The same producer's next records would be refused as out of order.
    let doubtful = Ended { in_doubt: true };
    assert_eq!(worker.abort().expect("aborted"), doubtful);
    let mut worker = Worker::ready(&transport, &id, &out);
    worker.begin();
    worker.send(1..2);
    assert_eq!(worker.commit().expect("committed"), SURE);
    let reader = Consumer::start(&transport, spec(None, &[&out]));
    assert_eq!(values(&reader, 2), [0, 1]);
    reader.close(PATIENCE);
}

#[test]
fn a_dropped_producer_s_transaction_is_ended_by_its_successor() {
    let Some(transport) = cluster() else { return };
    let (out, id) = (fresh("out"), fresh("worker"));
    fill(&transport, &out, 0, 0..1);
    let mut old = Worker::ready(&transport, &id, &out);
    old.begin();
    old.send(100..101).wait(1);
    let queued = old.send(101..102);
    let start = Instant::now();
    drop(old);
    queued.wait(1);
    let mut new = Worker::ready(&transport, &id, &out);
    new.begin();
    new.send(1..2);
    assert_eq!(new.commit().expect("committed"), SURE);
    let reader = Consumer::start(&transport, spec(None, &[&out]));
    assert_eq!(values(&reader, 2), [0, 1]);
    // Not after the timeout of the transaction, which holds up readers of committed records.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    println!("dropped, succeeded and read: {took:?}");
    reader.close(PATIENCE);
}

#[test]
fn a_transaction_that_the_broker_timed_out_cannot_be_committed() {
    let Some(transport) = cluster() else { return };
    let (out, id) = (fresh("out"), fresh("worker"));
    fill(&transport, &out, 0, 0..1);
    let short = spec_of(&id, &[("transaction.timeout.ms", "2000")]);
    let mut old = Worker::with(&transport, &out, short);
    old.transactions.init(PATIENCE).expect("initialised");
    old.begin();
    old.send(100..101).wait(1);
    fill(&transport, &out, 0, 1..2);
    let reader = Consumer::start(&transport, spec(None, &[&out]));
    // The second record is readable when the broker has aborted what lies before it.
    assert_eq!(values(&reader, 2), [0, 1]);
    let refused = fault(old.commit());
    assert_eq!(refused, (TransactionFault::Fatal, "_FENCED".to_owned()));
    let mut new = Worker::ready(&transport, &id, &out);
    new.begin();
    new.send(2..3);
    assert_eq!(new.commit().expect("committed"), SURE);
    assert_eq!(values(&reader, 1), [2]);
    reader.close(PATIENCE);
}

#[test]
fn a_small_transaction_takes_milliseconds() {
    let Some(transport) = cluster() else { return };
    let (input, out) = (fresh("in"), fresh("out"));
    fill(&transport, &input, 0, 0..200);
    fill(&transport, &out, 0, 0..1);
    let group = member(&transport, &input);
    let mut worker = Worker::ready(&transport, &fresh("worker"), &out);
    let mut whole = Vec::new();
    let mut commits = Vec::new();
    for next in 1..=100 {
        let start = Instant::now();
        worker.begin();
        worker.send(0..10);
        let metadata = group.metadata();
        worker.offsets(&input, next, &metadata).expect("offsets");
        let commit = Instant::now();
        assert_eq!(worker.commit().expect("committed"), SURE);
        commits.push(commit.elapsed());
        whole.push(start.elapsed());
    }
    for (what, mut times) in [("commit", commits), ("whole", whole)] {
        times.sort();
        println!(
            "{what} of a transaction of 10 records: median {:?}, slowest {:?}",
            times[50], times[99]
        );
        assert!(times[50] < Duration::from_millis(500), "{:?}", times[50]);
    }
    assert_eq!(committed(&group, &input), Some(100));
    group.close(PATIENCE);
}

#[test]
fn a_group_is_not_moved_while_a_transaction_with_its_offsets_is_open() {
    let Some(transport) = cluster() else { return };
    let transport = Arc::new(transport);
    let (input, out) = (fresh("in"), fresh("out"));
    fill(&transport, &input, 0, 0..10);
    fill(&transport, &out, 0, 0..1);
    let group = member(&transport, &input);
    let mut worker = Worker::ready(&transport, &fresh("worker"), &out);
    worker.begin();
    worker.send(1..2).wait(1);
    worker
        .offsets(&input, 3, &group.metadata())
        .expect("offsets");
    group.close(PATIENCE);

    let admin = crate::app::topics::admin(
        &Clusters::unnamed(transport.clone()),
        &TopicNames::default(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let to = ResetTo::Latest;
    let plan = runtime.block_on(admin.plan_reset(&input, &[&input], to));
    let plan = plan.expect("a plan");
    assert_eq!((plan.members, plan.changes[0].before), (0, None));
    let early = runtime.block_on(admin.apply(&plan)).expect_err("too early");
    assert_eq!(early.kind, AdminErrorKind::NotEmpty, "{early}");
    assert_eq!(early.code, "UNSTABLE_OFFSET_COMMIT");
    assert_eq!(worker.commit().expect("committed"), SURE);
    // The offsets of the transaction are there now, or will be in a moment.
    let late = loop {
        let late = runtime.block_on(admin.apply(&plan)).expect_err("too late");
        if late.kind != AdminErrorKind::NotEmpty {
            break late;
        }
    };
    assert_eq!(late.kind, AdminErrorKind::Changed, "{late}");
    let plan = runtime.block_on(admin.plan_reset(&input, &[&input], to));
    let plan = plan.expect("a plan");
    assert_eq!(
        (plan.changes[0].before, plan.changes[0].after),
        (Some(3), 10)
    );
    let moved = runtime.block_on(admin.apply(&plan)).expect("moved");
    assert_eq!(moved, plan.changes.len());
}
