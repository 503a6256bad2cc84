//! How long an abort takes.

use ::rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::transactions::{Worker, spec_of};
use super::*;

/// API key of the protocol.
const PRODUCE: i16 = 0;

#[test]
fn an_abort_does_not_wait_for_what_comes_back_behind_a_refused_record() {
    let transport = broker();
    transport.create_topic("t", 1).expect("created");
    let spec = spec_of("back", &[("batch.num.messages", "1"), ("linger.ms", "0")]);
    let mut worker = Worker::with(&transport, "t", spec);
    worker.transactions.init(PATIENCE).expect("initialised");
    worker.begin();
    // The others are still on their way when the first is refused: they come back to be sent again, and never are.
    let behind = Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    let broker = transport.embedded.as_ref().expect("embedded");
    // SAFETY: the cluster is alive; broker 1 is its only one; three pairs of an error and milliseconds follow.
    unsafe {
        rd::rd_kafka_mock_broker_push_request_error_rtts(
            broker.cluster(),
            1,
            PRODUCE,
            3,
            Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            0,
            behind,
            1_000,
            behind,
            1_000,
        )
    };
    let results = worker.send(0..3);
    results.wait(1)[0].as_ref().expect_err("refused");
    let begun = Instant::now();
    worker.abort().expect("aborted");
    // Each record has 8 s.
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let results = results.wait(3);
    let given_up = |result: &Result<Delivered, TransportError>| {
        let error = result.as_ref().expect_err("not delivered");
        error.code == "_PURGE_QUEUE"
    };
    assert!(results[1..].iter().all(given_up), "{results:?}");
}
