//! Records that somebody waits for, one by one.

use super::*;
use crate::staging::{Answer, Outcome, Receipt};

/// Enqueues a record; the receipt, or the answer when the queue is full.
fn enqueue(
    producer: &Arc<dyn ProducerHandle>,
    topic: ProducerTopic,
    record: &StagedBatch,
) -> Result<Arc<Receipt>, Answer> {
    let receipt = Arc::<Receipt>::default();
    let answer = Answer::to(&receipt);
    producer.produce_one(topic, record, answer)?;
    Ok(receipt)
}

fn wait(receipts: Vec<Arc<Receipt>>) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut outcomes = Vec::new();
        for receipt in receipts {
            let answered = std::future::poll_fn(|cx| receipt.poll(cx));
            outcomes.push(
                tokio::time::timeout(PATIENCE, answered)
                    .await
                    .expect("answered"),
            );
        }
        outcomes
    })
}

fn one(value: &[u8]) -> StagedBatch {
    let mut batch = StagedBatch::default();
    batch.record(0).partition(Some(0)).finish(Some(value));
    batch
}

#[test]
fn they_keep_their_order_among_themselves_and_with_batches() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(&transport, &[]);
    let topic = opened(&producer, "t");
    let results = Arc::new(Results::default());
    let sink: Arc<dyn DeliverySink> = results.clone();
    let mut receipts = Vec::new();
    for index in 0..200_usize {
        let mut record = StagedBatch::default();
        let mut writer = record.record(0);
        writer.key_bytes(b"k");
        // Some go another way in the client.
        if index.is_multiple_of(3) {
            writer
                .header("h", Some(b"x"))
                .timestamp(Some(1_600_000_000_000));
        }
        writer.finish(Some(b"v"));
        drop(writer);
        receipts.push(enqueue(&producer, topic, &record).expect("room"));
        if index == 99 {
            let mut batch = StagedBatch::default();
            for _ in 0..50 {
                batch.record(0).finish(Some(b"w"));
            }
            assert_eq!(producer.produce(&[topic], &batch, 0..50, &sink), 50);
        }
    }
    let places: Vec<_> = wait(receipts).into_iter().map(Result::unwrap).collect();
    let expected: Vec<_> = (0..100).chain(150..250).map(|offset| (0, offset)).collect();
    assert_eq!(places, expected);
    let between = results.wait(50);
    assert!(
        (100..150).eq(between
            .into_iter()
            .map(|result| result.expect("delivered").offset))
    );
    assert_eq!(producer.flush(PATIENCE), 0);
    assert_eq!(producer.in_flight(), 0);
}

#[test]
fn one_that_cannot_be_accepted_is_answered_at_once() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(&transport, &[("message.max.bytes", "2000")]);
    let topic = opened(&producer, "t");
    // So that the partitions are known.
    let first = enqueue(&producer, topic, &one(b"first")).expect("room");
    wait(vec![first])[0].as_ref().expect("delivered");
    let to = |partition| {
        let mut batch = StagedBatch::default();
        batch
            .record(0)
            .partition(Some(partition))
            .finish(Some(b"v"));
        batch
    };
    let mut receipts: Vec<_> = [one(&[0; 5000]), to(9), to(-3)]
        .iter()
        .map(|record| enqueue(&producer, topic, record).expect("answered"))
        .collect();
    receipts.push(enqueue(&producer, ProducerTopic(7), &one(b"v")).expect("answered"));
    receipts.push(enqueue(&producer, topic, &one(b"last")).expect("room"));
    let codes: Vec<_> = wait(receipts)
        .into_iter()
        .map(|outcome| outcome.map_or_else(|error| error.code, |place| format!("{place:?}")))
        .collect();
    assert_eq!(
        codes,
        [
            "MSG_SIZE_TOO_LARGE",
            "_UNKNOWN_PARTITION",
            "_UNKNOWN_PARTITION",
            "_INVALID_ARG",
            "(0, 1)"
        ]
    );
    // Records count as landed after their answers were given.
    assert_eq!(producer.flush(PATIENCE), 0);
    assert_eq!(producer.in_flight(), 0);
}

#[test]
fn a_full_queue_gives_the_answer_back_and_says_when_there_is_room() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(
        &transport,
        &[("queue.buffering.max.messages", "10"), ("linger.ms", "1")],
    );
    let topic = producer
        .topic(&output("t", Partitioner::Murmur2))
        .expect("a topic");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut times_full = 0;
    let mut receipts = Vec::new();
    while receipts.len() < 300 {
        let space = producer.space().notified();
        let receipt = Arc::<Receipt>::default();
        match producer.produce_one(topic, &one(b"v"), Answer::to(&receipt)) {
            Ok(()) => receipts.push(receipt),
            Err(answer) => {
                times_full += 1;
                // The answer is the caller's again: nobody else gives it.
                drop(answer);
                wait(vec![receipt])[0].as_ref().expect_err("given up");
                runtime
                    .block_on(async { tokio::time::timeout(PATIENCE, space).await })
                    .expect("room is made");
            }
        }
    }
    assert!(times_full > 0);
    for (index, outcome) in wait(receipts).into_iter().enumerate() {
        assert_eq!(outcome, Ok((0, index as i64)));
    }
}

#[test]
fn a_dropped_producer_answers_for_what_it_could_not_send() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let producer = producer(&transport, &[("message.timeout.ms", "3000")]);
    let topic = opened(&producer, "t");
    let first = enqueue(&producer, topic, &one(b"first")).expect("room");
    wait(vec![first])[0].as_ref().expect("delivered");
    transport
        .embedded
        .as_ref()
        .expect("embedded")
        .set_down(true);
    let kept = enqueue(&producer, topic, &one(b"v")).expect("room");
    // One that nobody waits for any more.
    drop(enqueue(&producer, topic, &one(b"v")).expect("room"));
    drop(producer);
    let error = wait(vec![kept]).remove(0).expect_err("not sent");
    assert!(error.context.contains("t/0"), "{error}");
}
