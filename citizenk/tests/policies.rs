//! What happens to records that fail, on the in-memory log with the test's own clock.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use citizenk::{Agent, Policy};

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

#[citizenk::agent(topics = [ORDERS], sends = [DONE], timeout = "5s", on_error = skip)]
async fn slow(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    out.send(&DONE, &order.value.id, order.value.clone())?;
    if order.value.id == 13 {
        std::future::pending::<()>().await;
    }
    Ok(())
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
fn a_key_ends_with_its_last_output_when_an_earlier_one_was_refused() {
    let app = App::new("p").state(Calls::default()).register::<forward>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.hold_deliveries(true);
        app.fail_next(&DONE, 1);
        // One shipment each.
        for (key, id) in [(1, 10), (2, 20), (1, 11)] {
            app.topic(&ORDERS).push(&key, Order { id });
            app.settle().await;
        }
        app.hold_deliveries(false);
        app.settle().await;
        assert_eq!(ids(&app), [20, 11]);
        app.hold_deliveries(true);
        app.advance("1s").await;
        app.release_deliveries(1);
        app.advance("2s").await;
        assert_eq!(ids(&app), [20, 11, 10, 11]);
        let committed = app.committed(&ORDERS).get(&0).copied();
        assert_eq!(committed.unwrap_or(0), 0, "not before the key is right");
        app.hold_deliveries(false);
        app.advance("2s").await;
        assert_eq!(app.committed(&ORDERS)[&0], 3);
        app.stop().await.unwrap();
    });
}

fn ids(app: &TestApp) -> Vec<u32> {
    let sent = app.topic(&DONE).sent();
    let orders = sent.into_iter().filter_map(|sent| sent.value);
    orders.map(|order| order.id).collect()
}

#[test]
fn outputs_that_were_refused_together_wait_together() {
    const COUNT: u32 = 50;
    let app = App::new("p")
        .state(Calls::default())
        .on_produce_error(Policy::retry(5).backoff(Duration::from_secs(1), Duration::from_secs(1)))
        .register::<forward>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.hold_deliveries(true);
        app.fail_next(&DONE, COUNT as usize);
        // One shipment each.
        for id in 0..COUNT {
            app.topic(&ORDERS).push(&1, Order { id });
            app.settle().await;
        }
        app.hold_deliveries(false);
        app.settle().await;
        assert!(app.topic(&DONE).sent().is_empty());
        // One pause with its jitter, not fifty.
        app.advance("2s").await;
        assert_eq!(app.topic(&DONE).sent().len(), COUNT as usize);
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

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = skip)]
async fn forward_or_skip(order: Event<Order>) -> Order {
    order.value
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = dead_letter(LETTERS))]
async fn forward_or_letter(order: Event<Order>) -> Order {
    order.value
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = stop)]
async fn forward_or_stop(order: Event<Order>) -> Order {
    order.value
}

/// Two orders, the output of the first is refused.
async fn refused(app: App) -> TestApp {
    let app = TestApp::new(app)
        .partitions(&ORDERS, 1)
        .partitions(&DONE, 1)
        .start()
        .await
        .unwrap();
    app.fail_next(&DONE, 1);
    for id in [1, 2] {
        app.topic(&ORDERS).push(&id, Order { id });
    }
    app.settle().await;
    app
}

fn keys(app: &TestApp) -> Vec<u32> {
    let done = app.topic(&DONE).sent();
    done.into_iter().filter_map(|sent| sent.key).collect()
}

#[test]
fn a_refused_output_may_be_skipped_and_is_counted() {
    block_on(async {
        let app = refused(App::new("p").register::<forward_or_skip>()).await;
        assert_eq!(keys(&app), [2]);
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        let metrics = app.get("/metrics").await.body;
        let skipped = metrics
            .lines()
            .find(|line| line.contains("reason=\"produce\""));
        assert!(
            skipped.is_some_and(|line| line.ends_with(" 1")),
            "{metrics}"
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn a_refused_output_may_become_a_dead_letter() {
    block_on(async {
        let app = refused(App::new("p").register::<forward_or_letter>()).await;
        assert_eq!(keys(&app), [2]);
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        let letters = app.dead_letters();
        assert_eq!((letters.len(), letters[0].stage.as_str()), (1, "produce"));
        assert_eq!(letters[0].key.as_deref(), Some(b"1".as_slice()));
        assert_eq!(
            letters[0].payload.as_deref(),
            Some(br#"{"id":1}"#.as_slice())
        );
        assert!(letters[0].reason.contains("refused by the test"));
        assert_eq!(
            letters[0].headers.text("citizenk.dead-letter.topic"),
            Some("done")
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn a_refused_output_may_stop_the_service() {
    block_on(async {
        let app = refused(App::new("p").register::<forward_or_stop>()).await;
        let reason = app.stopped().unwrap();
        assert!(
            reason.contains("agent `forward_or_stop`")
                && reason.contains("topic `done`")
                && reason.contains("refused by the test"),
            "{reason}"
        );
        assert_eq!(
            app.committed(&ORDERS).get(&0).copied().unwrap_or(0),
            0,
            "the record whose output is missing comes again"
        );
        assert!(app.stop().await.is_err());
    });
}

const OF_MODULE: Topic<RawBytes> = Topic::raw("letters-of-module");
const OF_AGENT: Topic<RawBytes> = Topic::raw("letters-of-agent");

fn failing(
    name: &'static str,
) -> citizenk::__private::AgentBuilder<Order, citizenk::extract::SingleEvent> {
    Agent::builder::<Event<Order>>(name).topic(&ORDERS)
}

async fn fails(_: Event<Order>, _: Outbox) -> citizenk::Result<()> {
    Err(AgentError::new("always"))
}

#[test]
fn a_modules_policy_wins_over_the_apps_and_an_agents_over_both() {
    let own = Policy::dead_letter(&OF_AGENT);
    let inner = Module::new("inner").component(failing("in_inner").handle(fails));
    let module = Module::new("outer")
        .on_error(Policy::dead_letter(&OF_MODULE))
        .component(failing("in_outer").handle(fails))
        .component(failing("own").on_error(own).handle(fails))
        .include(inner);
    let app = App::new("p")
        .on_error(Policy::dead_letter(&LETTERS))
        .component(failing("in_app").handle(fails))
        .include(module);
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.settle().await;
        let mut letters: Vec<_> = app
            .dead_letters()
            .into_iter()
            .map(|letter| {
                let agent = letter.headers.text("citizenk.dead-letter.agent").unwrap();
                format!("{agent} {}", letter.topic)
            })
            .collect();
        letters.sort();
        assert_eq!(
            letters,
            [
                "in_app letters",
                "in_inner letters-of-module",
                "in_outer letters-of-module",
                "own letters-of-agent"
            ]
        );
        app.stop().await.unwrap();
    });
}
