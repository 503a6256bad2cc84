//! What happens to records that fail, on the in-memory log with the test's own clock.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const DONE: Topic<Order, u32> = Topic::json("done");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");

/// What handlers were called with.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Fails on id 13, for ever.
fn judge(order: &Order) -> Result<(), std::fmt::Error> {
    if order.id == 13 {
        Err(std::fmt::Error)
    } else {
        Ok(())
    }
}

#[citizenk::agent(topics = [ORDERS], output = DONE,
                  on_error = retry(2, backoff = "1s..10s", then = dead_letter(LETTERS)),
                  on_decode_error = dead_letter(LETTERS))]
async fn lettered(
    order: Event<Order>,
    info: AgentInfo,
    State(calls): State<Calls>,
) -> citizenk::Result<Order> {
    calls.say(format!("{} try {}", order.value.id, info.attempt()));
    judge(&order.value)?;
    Ok(order.value)
}

#[test]
fn retries_wait_hold_the_order_and_end_in_a_dead_letter() {
    let calls = Calls::default();
    let app = App::new("p").state(calls.clone()).register::<lettered>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in [1, 13, 2] {
            app.topic(&ORDERS).push(&id, Order { id });
        }
        app.settle().await;
        assert_eq!(
            calls.all(),
            ["1 try 1", "13 try 1"],
            "the second try waits, and order 2 behind it"
        );
        assert_eq!(app.committed(&ORDERS)[&0], 1);
        app.advance("999ms").await;
        assert_eq!(calls.all().len(), 2, "not before its time");
        app.advance("1ms").await;
        assert_eq!(calls.all().len(), 3);
        app.advance("2s").await;
        assert_eq!(
            calls.all()[2..],
            ["13 try 2", "13 try 3", "2 try 1"],
            "pauses double"
        );
        let letters = app.dead_letters();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].key.as_deref(), Some(b"13".as_slice()));
        assert_eq!(
            letters[0].payload.as_deref(),
            Some(br#"{"id":13}"#.as_slice())
        );
        assert_eq!(letters[0].stage, "handler");
        assert_eq!(
            letters[0].headers.text("citizenk.dead-letter.attempts"),
            Some("3")
        );
        assert_eq!(
            letters[0].headers.text("citizenk.dead-letter.offset"),
            Some("1")
        );
        let done: Vec<_> = app
            .topic(&DONE)
            .sent()
            .into_iter()
            .map(|sent| (sent.key, sent.value))
            .collect();
        assert_eq!(
            done,
            [
                (Some(1), Some(Order { id: 1 })),
                (Some(2), Some(Order { id: 2 }))
            ]
        );
        assert_eq!(app.committed(&ORDERS)[&0], 3);
        app.stop().await.unwrap();
    });
}

#[test]
fn undecodable_bytes_become_a_letter_as_they_are() {
    let app = App::new("p").state(Calls::default()).register::<lettered>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS)
            .push_raw(Some(b"k"), br#"{"id":"seven"}"#);
        app.settle().await;
        let letters = app.dead_letters();
        assert_eq!((letters.len(), letters[0].stage.as_str()), (1, "decode"));
        assert!(letters[0].reason.contains("id"), "{}", letters[0].reason);
        assert_eq!(
            letters[0].payload.as_deref(),
            Some(br#"{"id":"seven"}"#.as_slice())
        );
        assert_eq!(app.committed(&ORDERS)[&0], 1);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS])]
async fn strict(order: Event<Order>, State(calls): State<Calls>) -> citizenk::Result<()> {
    calls.say(order.value.id.to_string());
    Ok(())
}

#[test]
fn an_undecodable_record_stops_the_service_unless_told_otherwise() {
    let calls = Calls::default();
    let app = App::new("p").state(calls.clone()).register::<strict>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.topic(&ORDERS).push_raw(None, b"{");
        app.topic(&ORDERS).push(&2, Order { id: 2 });
        app.settle().await;
        let reason = app.stopped().unwrap();
        assert!(
            reason.contains("agent `strict`") && reason.contains("orders/0@1"),
            "{reason}"
        );
        assert_eq!(calls.all(), ["1"], "nothing behind it is handled");
        assert_eq!(app.committed(&ORDERS)[&0], 1, "it is not committed");
        assert!(app.stop().await.is_err());
    });
}

#[citizenk::agent(topics = [ORDERS], on_error = skip)]
async fn wishes(order: Event<Order>, State(calls): State<Calls>) -> citizenk::Result<()> {
    calls.say(order.value.id.to_string());
    match order.value.id {
        1 => panic!("one too many"),
        2 => Err(AgentError::stop("never two")),
        _ => "x".parse::<u32>().or_skip().map(|_| ()),
    }
}

#[test]
fn a_panic_is_an_error_and_a_wish_wins_over_the_policy() {
    let calls = Calls::default();
    let app = App::new("p").state(calls.clone()).register::<wishes>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in [0, 1, 2] {
            app.topic(&ORDERS).push(&id, Order { id });
        }
        app.settle().await;
        assert_eq!(calls.all(), ["0", "1", "2"]);
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        assert!(app.stopped().unwrap().contains("never two"));
        assert!(app.stop().await.is_err());
    });
}

#[citizenk::agent(topics = [ORDERS], sends = [DONE], timeout = "5s", on_error = skip)]
async fn slow(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    out.send(&DONE, &order.value.id, order.value.clone())?;
    if order.value.id == 13 {
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[test]
fn a_timeout_drops_the_attempt_and_its_outputs() {
    let app = App::new("p").register::<slow>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&13, Order { id: 13 });
        app.topic(&ORDERS).push(&2, Order { id: 2 });
        app.settle().await;
        assert!(app.topic(&DONE).sent().is_empty());
        app.advance("5s").await;
        let done: Vec<_> = app
            .topic(&DONE)
            .sent()
            .into_iter()
            .filter_map(|sent| sent.key)
            .collect();
        assert_eq!(done, [2]);
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        app.stop().await.unwrap();
    });
}

#[test]
fn what_is_done_leaves_while_a_later_call_waits() {
    let app = App::new("p").register::<slow>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.topic(&ORDERS).push(&13, Order { id: 13 });
        app.settle().await;
        let done: Vec<_> = app
            .topic(&DONE)
            .sent()
            .into_iter()
            .filter_map(|sent| sent.key)
            .collect();
        assert_eq!(done, [1]);
        assert_eq!(app.committed(&ORDERS)[&0], 1);
        app.advance("5s").await;
        assert_eq!(
            app.topic(&DONE).sent().len(),
            1,
            "the cut-off call left nothing"
        );
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = retry(3, backoff = "1s..1s"))]
async fn forward(order: Event<Order>, State(calls): State<Calls>) -> Order {
    calls.say(order.value.id.to_string());
    order.value
}

#[test]
fn refused_outputs_are_sent_again_without_calling_the_handler_again() {
    let calls = Calls::default();
    let app = App::new("p").state(calls.clone()).register::<forward>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.fail_next(&DONE, 1);
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.settle().await;
        assert!(app.topic(&DONE).sent().is_empty());
        assert_eq!(
            app.committed(&ORDERS).get(&0).copied().unwrap_or(0),
            0,
            "not before its output arrived"
        );
        app.advance("1s").await;
        assert_eq!(app.topic(&DONE).sent().len(), 1);
        assert_eq!(calls.all(), ["1"]);
        assert_eq!(app.committed(&ORDERS)[&0], 1);
        app.stop().await.unwrap();
    });
}

#[test]
fn an_offset_waits_for_the_acknowledgement_of_its_outputs() {
    let app = App::new("p").state(Calls::default()).register::<forward>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.hold_deliveries(true);
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.settle().await;
        assert_eq!(app.committed(&ORDERS).get(&0).copied().unwrap_or(0), 0);
        app.hold_deliveries(false);
        app.settle().await;
        assert_eq!(app.committed(&ORDERS)[&0], 1);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], batch_size = 3, batch_timeout = "2s",
                  on_error = retry(1, backoff = "1s..1s", then = skip))]
async fn batched(orders: Batch<Order>, State(calls): State<Calls>) -> citizenk::Result<()> {
    let ids: Vec<String> = orders.iter().map(|order| order.id.to_string()).collect();
    calls.say(ids.join("+"));
    orders.iter().try_for_each(judge)?;
    Ok(())
}

#[test]
fn a_failing_batch_falls_back_to_single_records() {
    let calls = Calls::default();
    let app = App::new("p").state(calls.clone()).register::<batched>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in [1, 13, 2] {
            app.topic(&ORDERS).push(&id, Order { id });
        }
        app.advance("1s").await;
        assert_eq!(calls.all(), ["1+13+2", "1+13+2", "1", "13", "2"]);
        assert_eq!(app.committed(&ORDERS)[&0], 3);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_batch_that_is_not_full_goes_when_its_first_record_has_waited_long_enough() {
    let calls = Calls::default();
    let app = App::new("p").state(calls.clone()).register::<batched>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 2)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS)
            .push_to(0, None, br#"{"id":1}"#, Headers::new());
        app.advance("1s").await;
        app.topic(&ORDERS)
            .push_to(0, None, br#"{"id":2}"#, Headers::new());
        app.topic(&ORDERS)
            .push_to(1, None, br#"{"id":3}"#, Headers::new());
        app.advance("999ms").await;
        assert!(calls.all().is_empty());
        app.advance("1ms").await;
        assert_eq!(calls.all(), ["1+2"], "partitions are never mixed");
        app.advance("1s").await;
        assert_eq!(calls.all(), ["1+2", "3"]);
        app.stop().await.unwrap();
    });
}
