//! Partitions that stand still: who is reported, with which cause, and who is healed.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use citizenk::Exit;
use citizenk::prelude::*;
use citizenk::testing::{TestApp, Withheld, block_on};
use tokio::sync::Semaphore;

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    text: String,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const CACHE: Topic<Order, u32> = Topic::json("cache");
const DONE: Topic<Order, u32> = Topic::json("done");

/// Calls wait here until a test lets them go on.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

#[citizenk::agent(topics = [ORDERS])]
async fn gated(_order: Event<Order>, State(gate): State<Gate>) {
    gate.0.acquire().await.unwrap().forget();
}

#[citizenk::agent(topics = [ORDERS], on_error = retry(10_000, backoff = "1s..1s"))]
async fn failing(_order: Event<Order>, State(gate): State<Gate>) -> citizenk::Result<()> {
    gate.0.try_acquire()?.forget();
    Ok(())
}

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn copying(order: Event<Order>) -> Order {
    order.value
}

#[citizenk::agent(topics = [ORDERS], batch_size = 100, batch_timeout = "5m")]
async fn batched(_orders: Batch<Order>) {}

#[citizenk::agent(topics = [CACHE], group = none)]
async fn cached(_order: Event<Order>, State(gate): State<Gate>) {
    gate.0.acquire().await.unwrap().forget();
}

#[citizenk::agent(topics = [ORDERS], after = [cached])]
async fn later(_order: Event<Order>) {}

#[citizenk::agent(topics = [ORDERS])]
async fn counting(_order: Event<Order>, State(count): State<Count>) {
    count.0.fetch_add(1, Ordering::Relaxed);
}

async fn start(app: App) -> TestApp {
    TestApp::new(app)
        .partitions(&ORDERS, 1)
        .start()
        .await
        .unwrap()
}

fn push(app: &TestApp) {
    let text = "x".to_owned();
    app.topic(&ORDERS).push(&1, Order { text });
}

async fn readiness(app: &TestApp) -> (u16, String) {
    let answer = app.get("/health/ready").await;
    (answer.status, answer.body)
}

async fn metric(app: &TestApp, line: &str) {
    let metrics = app.get("/metrics").await.body;
    assert!(
        metrics.lines().any(|found| found == line),
        "{line}\nnot in\n{metrics}"
    );
}

/// A stall is reported after 30 s and not before, and is over after `cure`.
async fn stalls(app: TestApp, name: &str, cause: &str, text: &str, cure: impl AsyncFn(&TestApp)) {
    push(&app);
    app.advance("25s").await;
    assert_eq!(readiness(&app).await.0, 200);
    app.advance("8s").await;
    let (status, body) = readiness(&app).await;
    assert_eq!(status, 503, "{body}");
    for part in ["orders/0 since 2025-01-01T00:00:", text, name] {
        assert!(body.contains(part), "{part}\nnot in\n{body}");
    }
    let partition = r#"group="g",topic="orders",partition="0""#;
    metric(&app, &format!("citizenk_consumer_stalled{{{partition}}} 1")).await;
    app.advance("60s").await;
    metric(
        &app,
        &format!("citizenk_stalls_total{{group=\"g\",cause=\"{cause}\"}} 1"),
    )
    .await;
    cure(&app).await;
    app.advance("3s").await;
    let (status, body) = readiness(&app).await;
    assert_eq!(status, 200, "{body}");
    metric(&app, &format!("citizenk_consumer_stalled{{{partition}}} 0")).await;
    assert_eq!(app.stopped(), None);
    app.stop().await.unwrap();
}

fn closed() -> Gate {
    Gate(Arc::new(Semaphore::new(0)))
}

#[test]
fn a_call_that_does_not_end_is_reported() {
    let gate = closed();
    let app = App::new("g").state(gate.clone()).register::<gated>();
    block_on(async {
        let app = start(app).await;
        let text = "a handler call is running";
        stalls(
            app,
            "agent `gated`",
            "handler",
            text,
            async |_: &TestApp| {
                gate.0.add_permits(1);
            },
        )
        .await;
    });
}

#[test]
fn a_call_that_fails_again_and_again_is_reported() {
    let gate = closed();
    let app = App::new("g").state(gate.clone()).register::<failing>();
    block_on(async {
        let app = start(app).await;
        let text = "the handler fails and was tried again";
        stalls(
            app,
            "agent `failing`",
            "retry",
            text,
            async |_: &TestApp| {
                gate.0.add_permits(1);
            },
        )
        .await;
    });
}

#[test]
fn outputs_without_acknowledgement_are_reported() {
    let app = App::new("g").register::<copying>();
    block_on(async {
        let app = start(app).await;
        app.hold_deliveries(true);
        let text = "outputs are not acknowledged";
        stalls(
            app,
            "agent `copying`",
            "outputs",
            text,
            async |app: &TestApp| app.hold_deliveries(false),
        )
        .await;
    });
}

#[test]
fn who_waits_on_purpose_is_not_reported() {
    let gate = closed();
    let app = App::new("g")
        .state(gate)
        .register::<cached>()
        .register::<later>();
    let batches = App::new("g").register::<batched>();
    block_on(async {
        let app = start(app).await;
        let text = "x".to_owned();
        app.topic(&CACHE).push(&1, Order { text });
        let app = {
            // What is there at start is what `later` waits for.
            let mut app = app;
            app.restart().await.unwrap();
            app
        };
        push(&app);
        app.advance("60s").await;
        let (_, body) = readiness(&app).await;
        assert!(body.contains("cache/"), "{body}");
        assert!(!body.contains("orders/0"), "{body}");

        let app = start(batches).await;
        push(&app);
        app.advance("60s").await;
        let (status, body) = readiness(&app).await;
        assert_eq!(status, 200, "{body}");
    });
}

/// One record arrives, then the client falls silent, and so many records come.
async fn silent(count: &Count, until: Withheld) -> TestApp {
    let app = App::new("g").state(count.clone()).register::<counting>();
    let app = start(app).await;
    push(&app);
    app.settle().await;
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    app.withhold(&ORDERS, 0, Some(until));
    push(&app);
    app
}

#[test]
fn a_client_that_delivers_nothing_is_healed_by_a_seek() {
    let count = Count::default();
    block_on(async {
        let app = silent(&count, Withheld::UntilSeek).await;
        app.advance("20s").await;
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        // Its end is not known to a client that fetches nothing: the broker is asked, and the time until it
        // has answered counts.
        app.advance("12s").await;
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        metric(&app, r#"citizenk_stalls_total{group="g",cause="client"} 1"#).await;
        assert_eq!(readiness(&app).await.0, 200);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_client_that_ignores_the_seek_is_healed_by_fetching_anew() {
    let count = Count::default();
    block_on(async {
        let app = silent(&count, Withheld::UntilRestart).await;
        app.advance("32s").await;
        let (status, body) = readiness(&app).await;
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("the Kafka client delivers nothing"), "{body}");
        app.advance("30s").await;
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(app.stopped(), None);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_client_that_nothing_heals_ends_the_process() {
    let count = Count::default();
    block_on(async {
        let app = silent(&count, Withheld::ForEver).await;
        app.advance("100s").await;
        let error = app.stop().await.unwrap_err();
        assert_eq!(Exit::from(&error), Exit::STALLED, "{error}");
        assert!(
            error.to_string().contains("orders/0 from offset 1"),
            "{error}"
        );
    });
}

#[test]
fn an_end_without_records_is_no_reason_to_end() {
    let count = Count::default();
    block_on(async {
        let app = App::new("g").state(count.clone()).register::<counting>();
        let app = start(app).await;
        app.empty_end(&ORDERS, 0, 2);
        push(&app);
        app.advance("10m").await;
        let (status, body) = readiness(&app).await;
        assert_eq!((status, app.stopped()), (200, None), "{body}");
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        app.stop().await.unwrap();
    });
}

/// Nothing is left of what was read, and behind it stand only marks: no seek back brings an answer.
#[test]
fn an_end_without_records_behind_records_that_are_gone_is_no_reason_to_end() {
    let count = Count::default();
    block_on(async {
        let app = App::new("g").state(count.clone()).register::<counting>();
        let app = start(app).await;
        push(&app);
        app.settle().await;
        app.truncate(&ORDERS, 0, 1);
        app.empty_end(&ORDERS, 0, 30);
        app.advance("10m").await;
        let (status, body) = readiness(&app).await;
        assert_eq!((status, app.stopped()), (200, None), "{body}");
        let partition = r#"group="g",topic="orders",partition="0""#;
        metric(
            &app,
            &format!("citizenk_consumer_lag_records{{{partition}}} 0"),
        )
        .await;
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        app.stop().await.unwrap();
    });
}

/// Who cannot ask the broker does not know, and does not end.
#[test]
fn a_broker_that_is_away_is_no_reason_to_end() {
    let count = Count::default();
    block_on(async {
        let app = silent(&count, Withheld::ForEver).await;
        app.advance("70s").await;
        assert_eq!(readiness(&app).await.0, 503);
        app.broker_available(false);
        app.advance("10m").await;
        assert_eq!(app.stopped(), None);
        app.broker_available(true);
        app.withhold(&ORDERS, 0, None);
        app.advance("60s").await;
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [CACHE])]
async fn cached_by_group(_order: Event<Order>) {}

#[citizenk::agent(topics = [ORDERS], after = [cached_by_group])]
async fn after_group(_order: Event<Order>, State(count): State<Count>) {
    count.0.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_cache_of_a_group_is_complete_at_an_end_without_records() {
    let count = Count::default();
    let app = App::new("g")
        .state(count.clone())
        .register::<cached_by_group>()
        .register::<after_group>();
    block_on(async {
        let mut app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .partitions(&CACHE, 6)
            .start()
            .await
            .unwrap();
        let text = "x".to_owned();
        app.topic(&CACHE).push(&1, Order { text });
        for partition in 0..6 {
            app.empty_end(&CACHE, partition, 3);
        }
        // What is there at start is what `after_group` waits for.
        app.restart().await.unwrap();
        push(&app);
        app.advance("15s").await;
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_zero_time_switches_the_watchdog_off() {
    let app = App::new("g").state(closed()).register::<gated>();
    block_on(async {
        let app = TestApp::new(app)
            .env("CITIZENK_STALL_AFTER", "0s")
            .start()
            .await
            .unwrap();
        push(&app);
        app.advance("10m").await;
        assert_eq!(readiness(&app).await.0, 200);
    });
}

/// The bytes that wait, by partition.
async fn waiting(app: &TestApp) -> Vec<usize> {
    let metrics = app.get("/metrics").await.body;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("citizenk_consumer_queued_bytes{"));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn what_waits_is_bounded_by_bytes() {
    const PARTITIONS: usize = 16;
    const LIMIT: usize = 64 * 1024;
    const RECORD: usize = 1024;
    // The intake stops between two chunks, and those of the memory transport have 100 records.
    const CHUNK: usize = 100 * (RECORD + 20);
    let gate = closed();
    let app = App::new("g").state(gate.clone()).register::<gated>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, PARTITIONS)
            .env("CITIZENK_PARTITION_BUFFER_BYTES", &LIMIT.to_string())
            .start()
            .await
            .unwrap();
        let records = 400 * PARTITIONS;
        for key in 0..records as u32 {
            let text = "x".repeat(RECORD);
            app.topic(&ORDERS).push(&key, Order { text });
        }
        app.advance("10s").await;
        let held = waiting(&app).await;
        assert_eq!(held.len(), PARTITIONS);
        assert!(held.iter().all(|bytes| *bytes < LIMIT + CHUNK), "{held:?}");
        assert!(held.iter().all(|bytes| *bytes > 0), "{held:?}");
        // And nothing is forgotten.
        gate.0.add_permits(records);
        app.advance("10s").await;
        assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), records as i64);
        app.stop().await.unwrap();
    });
}
