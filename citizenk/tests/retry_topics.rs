//! Records that fail, wait on a retry topic and come back, on the in-memory log with the test's clock.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use citizenk::Policy;
use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
}

#[citizenk::message]
struct Refund {
    order: u32,
}

struct Change(u32);

impl citizenk::Message for Change {}

impl From<Order> for Change {
    fn from(order: Order) -> Self {
        Self(order.id)
    }
}

impl From<Refund> for Change {
    fn from(refund: Refund) -> Self {
        Self(refund.order)
    }
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const REFUNDS: Topic<Refund> = Topic::json("refunds");
const DONE: Topic<Order, u32> = Topic::json("done");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");

#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// What was said since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Ids from 10 on fail: 10 to 19 for ever, 20 to 29 until they come back.
fn judge(id: u32, attempt: u32) -> Result<(), std::fmt::Error> {
    match id {
        10..20 => Err(std::fmt::Error),
        20..30 if attempt < 3 => Err(std::fmt::Error),
        _ => Ok(()),
    }
}

fn id(id: u32) -> (u32, Order) {
    (id, Order { id })
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_error = retry(1, backoff = "1s..1s",
    then = retry_topics(["30s", "10m"], then = dead_letter(LETTERS))))]
async fn pay(
    order: Event<Order>,
    Key(key): Key<u32>,
    meta: Meta,
    headers: Headers,
    info: AgentInfo,
    State(calls): State<Calls>,
) -> citizenk::Result<Order> {
    let own: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
    calls.say(format!("{key} try {} at {meta} {own:?}", info.attempt()));
    judge(order.value.id, info.attempt())?;
    Ok(order.value)
}

fn app<C: citizenk::Component>(calls: &Calls) -> App {
    App::new("shop").state(calls.clone()).register::<C>()
}

async fn started<C: citizenk::Component>(calls: &Calls) -> TestApp {
    let app = app::<C>(calls);
    let builder = TestApp::new(app).partitions(&ORDERS, 1);
    builder.start().await.unwrap()
}

fn push(app: &TestApp, ids: impl IntoIterator<Item = u32>) {
    for (key, order) in ids.into_iter().map(id) {
        app.topic(&ORDERS).push(&key, order);
    }
}

const FIRST: Topic<RawBytes> = Topic::raw("shop.pay.retry.30s");
const SECOND: Topic<RawBytes> = Topic::raw("shop.pay.retry.10m");

#[test]
fn a_record_passes_through_the_retry_topics_to_the_dead_letters() {
    let calls = Calls::default();
    block_on(async {
        let app = started::<pay>(&calls).await;
        let written = app.now().timestamp_millis().to_string();
        push(&app, [13, 1]);
        app.settle().await;
        assert_eq!(calls.take(), ["13 try 1 at orders/0@0 []"]);
        app.advance("1s").await;
        assert_eq!(
            calls.take(),
            ["13 try 2 at orders/0@0 []", "1 try 1 at orders/0@1 []"],
            "the next record is not held up"
        );
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        let waiting = app.topic(&FIRST).sent();
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].key.as_deref(), Some("13"));
        let story = |record: &citizenk::testing::SentRecord<RawBytes, String>, name: &str| {
            let name = format!("citizenk.retry.{name}");
            record.headers.text(&name).unwrap_or_default().to_owned()
        };
        let due = (app.now() + Duration::from_secs(30)).timestamp_millis();
        for (name, expected) in [
            ("due", due.to_string().as_str()),
            ("topic", "orders"),
            ("partition", "0"),
            ("offset", "0"),
            ("attempts", "2"),
            ("stage", "1"),
            ("agent", "pay"),
        ] {
            assert_eq!(story(&waiting[0], name), expected, "{name}");
        }
        assert!(!story(&waiting[0], "reason").is_empty());

        app.advance("29s").await;
        app.advance("999ms").await;
        assert_eq!(calls.take(), [""; 0], "not before its time");
        assert_eq!(app.committed(&FIRST).values().sum::<i64>(), 0);
        app.advance("1ms").await;
        assert_eq!(
            calls.take(),
            ["13 try 3 at orders/0@0 []"],
            "it shows itself as on its source"
        );
        app.advance("1s").await;
        assert_eq!(calls.take(), ["13 try 4 at orders/0@0 []"]);
        assert_eq!(app.committed(&FIRST).values().sum::<i64>(), 1);
        let waiting = app.topic(&SECOND).sent();
        assert_eq!(story(&waiting[0], "stage"), "2");
        assert_eq!(story(&waiting[0], "attempts"), "4");
        assert_eq!(story(&waiting[0], "offset"), "0");

        app.advance("9m").await;
        assert!(calls.take().is_empty());
        app.advance("1m").await;
        app.advance("1s").await;
        assert_eq!(
            calls.take(),
            ["13 try 5 at orders/0@0 []", "13 try 6 at orders/0@0 []"]
        );
        let letters = app.dead_letters();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].payload.as_deref(), Some(&br#"{"id":13}"#[..]));
        for (name, expected) in [
            ("topic", "orders"),
            ("partition", "0"),
            ("offset", "0"),
            ("timestamp", &written),
            ("attempts", "6"),
            ("stage", "handler"),
            ("agent", "pay"),
        ] {
            let name = format!("citizenk.dead-letter.{name}");
            assert_eq!(letters[0].headers.text(&name), Some(expected), "{name}");
        }
        let rest = letters[0].headers.iter();
        assert_eq!(
            rest.filter(|(name, _)| name.starts_with("citizenk.retry."))
                .count(),
            0
        );
        assert_eq!(app.committed(&SECOND).values().sum::<i64>(), 1);
        assert_eq!(app.topic(&DONE).sent().len(), 1);
        let metrics = app.get("/metrics").await.body;
        let mut sent: Vec<_> = metrics
            .lines()
            .filter_map(|line| {
                line.strip_prefix(r#"citizenk_retry_records_total{agent="pay",topic=""#)
            })
            .map(|line| (line.split('"').next().unwrap(), line.ends_with("} 1")))
            .filter(|(_, once)| *once)
            .map(|(topic, _)| topic)
            .collect();
        sent.sort_unstable();
        assert_eq!(
            sent,
            ["orders", FIRST.name()],
            "once per topic it came from"
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn a_waiting_record_survives_a_restart_and_a_rebalance() {
    let calls = Calls::default();
    block_on(async {
        let mut app = started::<pay>(&calls).await;
        push(&app, [20]);
        app.advance("1s").await;
        app.advance("10s").await;
        let begun = tokio::time::Instant::now();
        app.restart().await.unwrap();
        app.rebalance().await;
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "a waiting lane ends at once"
        );
        calls.take();
        app.advance("19s").await;
        assert!(calls.take().is_empty(), "the time already waited counts");
        app.advance("1s").await;
        assert_eq!(calls.take(), ["20 try 3 at orders/0@0 []"]);
        assert_eq!(app.topic(&DONE).sent()[0].value, Some(Order { id: 20 }));
        assert_eq!(app.committed(&FIRST).values().sum::<i64>(), 1);
        assert!(app.topic(&SECOND).sent().is_empty());
        app.stop().await.unwrap();
    });
}

#[test]
fn a_record_settles_when_the_retry_topic_has_it() {
    let calls = Calls::default();
    block_on(async {
        let app = started::<pay>(&calls).await;
        app.hold_deliveries(true);
        push(&app, [20]);
        app.advance("1s").await;
        assert_eq!(app.committed(&ORDERS).get(&0).copied().unwrap_or(0), 0);
        app.hold_deliveries(false);
        app.settle().await;
        assert_eq!(app.committed(&ORDERS)[&0], 1);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], output = DONE,
    on_error = retry_topics(["10m"], then = dead_letter(LETTERS)))]
async fn late(order: Event<Order>) -> citizenk::Result<Order> {
    judge(order.value.id, 1)?;
    Ok(order.value)
}

#[test]
fn many_that_wait_hold_up_nobody_and_are_no_stall() {
    block_on(async {
        let app = started::<late>(&Calls::default()).await;
        // More than a lane takes into memory.
        push(&app, (0..1000).map(|_| 13));
        app.settle().await;
        assert_eq!(app.committed(&ORDERS)[&0], 1000);
        app.advance("2m").await;
        push(&app, [1]);
        app.advance("1s").await;
        assert_eq!(app.topic(&DONE).sent().len(), 1);
        let ready = app.get("/health/ready").await;
        assert_eq!(ready.status, 200, "{}", ready.body);
        assert!(app.dead_letters().is_empty());
        app.advance("8m").await;
        assert_eq!(app.dead_letters().len(), 1000);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], output = DONE, concurrency = 4,
    on_error = retry_topics(["30s"], then = skip))]
async fn keyed(
    order: Event<Order>,
    meta: Meta,
    info: AgentInfo,
    State(calls): State<Calls>,
) -> citizenk::Result<Order> {
    calls.say(format!(
        "{} try {} at {meta}",
        order.value.id,
        info.attempt()
    ));
    judge(order.value.id, info.attempt() + 1)?;
    Ok(order.value)
}

#[test]
fn keys_that_run_at_once_come_back_as_well() {
    let calls = Calls::default();
    block_on(async {
        let app = started::<keyed>(&calls).await;
        push(&app, [13, 21, 1]);
        app.settle().await;
        assert_eq!(calls.take().len(), 3);
        assert_eq!(app.committed(&ORDERS)[&0], 3);
        app.advance("10s").await;
        push(&app, [22]);
        app.advance("19s").await;
        assert_eq!(calls.take(), ["22 try 1 at orders/0@3"]);
        app.advance("1s").await;
        let mut back = calls.take();
        back.sort();
        assert_eq!(back, ["13 try 2 at orders/0@0", "21 try 2 at orders/0@1"]);
        app.advance("10s").await;
        assert_eq!(calls.take(), ["22 try 2 at orders/0@3"]);
        let mut done: Vec<_> = app.topic(&DONE).sent().into_iter().map(|d| d.key).collect();
        done.sort();
        assert_eq!(done, [Some(1), Some(21), Some(22)]);
        let first: Topic<RawBytes> = Topic::raw("shop.keyed.retry.30s");
        assert_eq!(app.committed(&first).values().sum::<i64>(), 3);
        assert!(app.dead_letters().is_empty());
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], batch_size = 10, batch_timeout = "2s",
    on_error = retry_topics(["30s"], then = dead_letter(LETTERS)))]
async fn batched(orders: Batch<Event<Order>>, State(calls): State<Calls>) -> BatchOutcome {
    let ids: Vec<String> = orders.iter().map(|o| o.value.id.to_string()).collect();
    calls.say(ids.join("+"));
    orders
        .iter()
        .map(|order| judge(order.value.id, 1))
        .collect()
}

#[test]
fn a_batch_of_a_retry_topic_holds_what_is_due() {
    let calls = Calls::default();
    block_on(async {
        let builder = TestApp::new(app::<batched>(&calls)).partitions(&ORDERS, 1);
        const FIRST: Topic<RawBytes> = Topic::raw("shop.batched.retry.30s");
        let app = builder.partitions(&FIRST, 1).start().await.unwrap();
        push(&app, [1, 10, 11]);
        app.advance("2s").await;
        assert_eq!(calls.take(), ["1+10+11"]);
        app.advance("10s").await;
        push(&app, [12]);
        app.advance("2s").await;
        assert_eq!(calls.take(), ["12"]);
        app.advance("18s").await;
        assert_eq!(
            calls.take(),
            ["10+11"],
            "what is due does not wait for what is not"
        );
        app.advance("12s").await;
        assert!(calls.take().is_empty(), "a batch waits for its timeout");
        app.advance("2s").await;
        assert_eq!(calls.take(), ["12"]);
        let offsets: Vec<_> = app
            .dead_letters()
            .iter()
            .map(|l| {
                l.headers
                    .text("citizenk.dead-letter.offset")
                    .map(str::to_owned)
            })
            .collect();
        assert_eq!(offsets, ["1", "2", "3"].map(|o| Some(o.to_owned())));
        assert_eq!(app.committed(&FIRST)[&0], 3);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS.as_input::<Change>(), REFUNDS.as_input::<Change>()],
    on_error = retry_topics(["30s"], then = dead_letter(LETTERS)))]
async fn audit(
    change: Event<Change>,
    meta: Meta,
    info: AgentInfo,
    State(calls): State<Calls>,
) -> citizenk::Result<()> {
    let lane = info.topic().unwrap_or_default().to_owned();
    calls.say(format!("{} of {} in {lane}", change.value.0, meta.topic));
    judge(change.value.0, info.attempt())?;
    Ok(())
}

#[citizenk::agent(topics = [ORDERS.as_input::<Change>(), REFUNDS.as_input::<Change>()],
    batch_size = 10, batch_timeout = "2s", group = "batches",
    on_error = retry_topics(["30s"], then = skip))]
async fn audit_batches(
    changes: Batch<Event<Change>>,
    State(calls): State<Calls>,
) -> citizenk::Result<()> {
    let ids: Vec<String> = changes.iter().map(|c| c.value.0.to_string()).collect();
    calls.say(format!("batch {}", ids.join("+")));
    changes.iter().try_for_each(|c| judge(c.value.0, 1))?;
    Ok(())
}

#[test]
fn each_record_is_decoded_as_its_own_topic_says() {
    let calls = Calls::default();
    block_on(async {
        const ONE: Topic<RawBytes> = Topic::raw("shop.audit.retry.30s");
        let app = TestApp::new(app::<audit>(&calls))
            .partitions(&ONE, 1)
            .start()
            .await
            .unwrap();
        push(&app, [10]);
        app.topic(&REFUNDS).push(&"r".into(), Refund { order: 11 });
        push(&app, [12]);
        app.settle().await;
        assert_eq!(calls.take().len(), 3);
        app.advance("30s").await;
        let mut back = calls.take();
        back.sort();
        assert_eq!(
            back,
            [
                "10 of orders in shop.audit.retry.30s",
                "11 of refunds in shop.audit.retry.30s",
                "12 of orders in shop.audit.retry.30s"
            ]
        );
        let mut letters: Vec<_> = app.dead_letters().into_iter().map(|l| l.payload).collect();
        letters.sort();
        assert_eq!(letters.len(), 3);
        assert_eq!(letters[2].as_deref(), Some(&br#"{"order":11}"#[..]));
        app.stop().await.unwrap();
    });
}

#[test]
fn a_batch_never_mixes_topics_even_on_a_retry_topic() {
    let calls = Calls::default();
    block_on(async {
        const ONE: Topic<RawBytes> = Topic::raw("batches.audit_batches.retry.30s");
        let app = TestApp::new(app::<audit_batches>(&calls))
            .partitions(&ONE, 1)
            .partitions(&ORDERS, 1)
            .partitions(&REFUNDS, 1)
            .start()
            .await
            .unwrap();
        push(&app, [10, 12]);
        app.topic(&REFUNDS).push(&"r".into(), Refund { order: 11 });
        app.advance("2s").await;
        assert_eq!(calls.take().len(), 4, "the batches, and two records alone");
        app.advance("32s").await;
        let back = calls.take();
        let batches: Vec<_> = back.iter().filter(|call| call.contains('+')).collect();
        assert_eq!(batches, ["batch 10+12"], "{back:?}");
        assert!(back.contains(&"batch 11".to_owned()));
        app.stop().await.unwrap();
    });
}

#[test]
fn names_are_mapped_like_those_of_every_topic() {
    let calls = Calls::default();
    block_on(async {
        let app = TestApp::new(app::<pay>(&calls))
            .partitions(&ORDERS, 1)
            .env("CITIZENK_TOPIC_PREFIX", "staging.")
            .start()
            .await
            .unwrap();
        push(&app, [20]);
        app.advance("1s").await;
        assert_eq!(app.topic(&FIRST).sent().len(), 1, "under its real name");
        app.advance("30s").await;
        assert_eq!(
            calls.take().last().map(String::as_str),
            Some("20 try 3 at staging.orders/0@0 []")
        );
        let info = app.get("/info").await;
        assert!(
            info.body.contains("staging.shop.pay.retry.30s"),
            "{}",
            info.body
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn what_is_no_retried_record_meets_the_decode_policy() {
    let calls = Calls::default();
    block_on(async {
        let app = started::<pay>(&calls).await;
        app.topic(&FIRST).push_raw(Some(b"1"), br#"{"id":1}"#);
        app.settle().await;
        let reason = app.stopped().unwrap();
        assert!(
            reason.contains("shop.pay.retry.30s") && reason.contains("citizenk.retry.topic"),
            "{reason}"
        );
        assert!(app.stop().await.is_err());
    });
}

#[test]
fn wrong_retry_topics_do_not_build() {
    let agent = |name: &str, policy: Policy| {
        citizenk::Agent::builder::<Event<Order>>(name)
            .topic(&ORDERS)
            .on_error(policy)
    };
    let (zero, half) = (Duration::ZERO, Duration::from_secs(30));
    let handler = async |_: Event<Order>, _: Outbox| ();
    let app = App::new("shop")
        .component(agent("zero", Policy::retry_topics([zero])).handle(handler))
        .component(agent("twice", Policy::retry_topics([half, half])).handle(handler))
        .component(
            agent("alone", Policy::retry_topics([half]))
                .groupless()
                .handle(handler),
        )
        .component(agent("not a name", Policy::retry_topics([half])).handle(handler))
        .component(
            agent("outputs", Policy::stop())
                .on_produce_error(Policy::retry(1).then_retry_topics([half]))
                .on_decode_error(Policy::retry_topics([half]))
                .handle(handler),
        );
    let error = app.check().unwrap_err().to_string();
    for part in [
        "agent `zero`: has a retry topic without delay",
        "agent `twice`: has two retry topics of 30s",
        "agent `alone`: reads without a group",
        "`shop.not a name.retry.30s` contains ' '",
        "`on_produce_error` cannot have `retry_topics`",
        "`on_decode_error` cannot have `retry_topics`",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}
