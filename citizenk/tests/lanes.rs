//! Who gets which records, and when their offsets move, on the in-memory log.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use tokio::sync::Semaphore;

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const CACHE: Topic<Order, u32> = Topic::json("cache");

/// What handlers saw, by worker-independent name.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Calls wait here until a test lets them go on.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Gate {
    fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }

    fn let_go(&self, calls: usize) {
        self.0.add_permits(calls);
    }
}

#[citizenk::agent(topics = [ORDERS])]
async fn quick(order: Event<Order>, State(seen): State<Seen>) {
    seen.say(format!("quick {}", order.value.id));
}

#[citizenk::agent(topics = [ORDERS])]
async fn gated(order: Event<Order>, State(seen): State<Seen>, State(gate): State<Gate>) {
    gate.pass().await;
    seen.say(format!("gated {}", order.value.id));
}

#[citizenk::agent(topics = [ORDERS], concurrency = 2)]
async fn parallel(
    order: Event<Order>,
    Key(key): Key<u32>,
    State(seen): State<Seen>,
    State(gate): State<Gate>,
) {
    seen.say(format!("begin {key}:{}", order.value.id));
    if key != 9 {
        gate.pass().await;
    }
    seen.say(format!("end {key}:{}", order.value.id));
}

#[test]
fn keys_run_at_once_each_in_order_and_the_offset_waits_for_the_oldest() {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = App::new("g")
        .state(seen.clone())
        .state(gate.clone())
        .register::<parallel>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for (key, id) in [(1, 0), (1, 1), (9, 2), (2, 3)] {
            app.topic(&ORDERS).push(&key, Order { id });
        }
        app.settle().await;
        // Key 1 waits and holds its second record back; key 9 passes and makes room for key 2.
        assert_eq!(
            seen.all(),
            ["begin 1:0", "begin 9:2", "end 9:2", "begin 2:3"]
        );
        assert_eq!(app.committed(&ORDERS).get(&0).copied().unwrap_or(0), 0);
        gate.let_go(3);
        app.settle().await;
        let mut order_of_1: Vec<String> = seen.all();
        order_of_1.retain(|line| line.contains(" 1:"));
        assert_eq!(order_of_1, ["begin 1:0", "end 1:0", "begin 1:1", "end 1:1"]);
        assert_eq!(app.committed(&ORDERS)[&0], 4);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_clean_rebalance_waits_for_started_calls_and_repeats_nothing() {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = App::new("g")
        .state(seen.clone())
        .state(gate.clone())
        .register::<gated>();
    block_on(async {
        let app = TestApp::new(app)
            .workers(2)
            .partitions(&ORDERS, 4)
            .start()
            .await
            .unwrap();
        assert_eq!((app.owned_by(0).len(), app.owned_by(1).len()), (2, 2));
        for id in 0..12 {
            app.topic(&ORDERS).push(&id, Order { id });
        }
        app.settle().await;
        gate.let_go(usize::MAX >> 4);
        app.rebalance().await;
        app.settle().await;
        let mut all = seen.all();
        all.sort();
        let mut once: Vec<String> = (0..12).map(|id| format!("gated {id}")).collect();
        once.sort();
        assert_eq!(all, once);
        assert_eq!(app.lag(&ORDERS), 0);
        app.stop().await.unwrap();
    });
}

#[derive(Clone, Default)]
struct Known(Arc<Mutex<BTreeMap<u32, u32>>>);

#[citizenk::agent(topics = [CACHE], group = none)]
async fn remember(order: Event<Order>, State(known): State<Known>) {
    known.0.lock().unwrap().insert(order.value.id, 1);
}

#[citizenk::agent(topics = [ORDERS], after = [remember], start = latest)]
async fn enriched(order: Event<Order>, State(known): State<Known>, State(seen): State<Seen>) {
    let known = known.0.lock().unwrap().contains_key(&order.value.id);
    seen.say(format!("{} known {known}", order.value.id));
}

#[test]
fn a_cache_is_read_by_every_worker_and_awaited_by_those_after_it() {
    let seen = Seen::default();
    let shared = seen.clone();
    // A function: every worker has a cache of its own.
    let app = move || {
        App::new("g")
            .state(Known::default())
            .state(shared.clone())
            .register::<remember>()
            .register::<enriched>()
    };
    block_on(async {
        let mut app = TestApp::new(app).workers(2).start().await.unwrap();
        app.topic(&CACHE).push(&7, Order { id: 7 });
        app.settle().await;
        app.restart().await.unwrap();
        for id in 0..8 {
            app.topic(&ORDERS).push(&id, Order { id: 7 });
        }
        app.settle().await;
        assert_eq!(seen.all(), vec!["7 known true"; 8]);
        assert!(
            app.committed(&CACHE).is_empty(),
            "a group-less agent commits nothing"
        );
        app.stop().await.unwrap();
    });
}

#[citizenk::repeat_every("1s", max_repetitions = 3, wait_first = true)]
async fn tick(State(seen): State<Seen>, State(gate): State<Gate>) {
    seen.say("tick");
    gate.pass().await;
}

#[citizenk::on_event(startup)]
async fn begin(State(seen): State<Seen>) {
    seen.say("startup");
}

#[citizenk::on_event(assigned)]
async fn given(partitions: Partitions, State(seen): State<Seen>) {
    seen.say(format!("assigned {}", partitions.iter().count()));
}

#[citizenk::on_event(revoked)]
async fn taken(partitions: Partitions, State(seen): State<Seen>) {
    seen.say(format!("revoked {}", partitions.iter().count()));
}

#[citizenk::on_event(shutdown)]
async fn end(State(seen): State<Seen>) {
    seen.say("shutdown");
}

#[test]
fn hooks_run_in_their_order() {
    let seen = Seen::default();
    let app = App::new("g")
        .state(seen.clone())
        .register::<begin>()
        .register::<given>()
        .register::<taken>()
        .register::<end>()
        .register::<quick>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 3)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.settle().await;
        app.stop().await.unwrap();
        assert_eq!(
            seen.all(),
            ["startup", "assigned 3", "quick 1", "revoked 3", "shutdown"]
        );
    });
}

#[test]
fn a_tick_is_skipped_while_the_last_one_runs_and_repetitions_end() {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = App::new("g")
        .state(seen.clone())
        .state(gate.clone())
        .register::<tick>();
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        app.settle().await;
        assert!(seen.all().is_empty(), "it waits first");
        app.advance("3s").await;
        assert_eq!(
            seen.all().len(),
            1,
            "two more were due while the first still ran"
        );
        gate.let_go(10);
        app.advance("10s").await;
        assert_eq!(seen.all().len(), 3);
        let metrics = app.get("/metrics").await.body;
        assert!(
            metrics.contains("citizenk_timer_ticks_total{timer=\"tick\",result=\"skipped\"} 2"),
            "{metrics}"
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn the_web_sends_to_topics_and_calls_agents() {
    let seen = Seen::default();
    let app = App::new("g").state(seen.clone()).register::<quick>();
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let sent = app.post("/topics/orders?key=7", &Order { id: 7 }).await;
        assert_eq!(sent.status, 200, "{}", sent.body);
        app.settle().await;
        let called = app.post("/agents/quick/orders", &Order { id: 8 }).await;
        assert_eq!(called.status, 200, "{}", called.body);
        assert_eq!(seen.all(), ["quick 7", "quick 8"]);
        let wrong = app
            .request("POST", "/topics/orders", Some(r#"{"id":"x"}"#.to_owned()))
            .await;
        assert_eq!(wrong.status, 422, "{}", wrong.body);
        assert!(wrong.body.contains("\"id\""), "{}", wrong.body);
        assert_eq!(app.get("/health/ready").await.status, 200);
        assert!(
            app.get("/openapi.json")
                .await
                .body
                .contains("/topics/orders")
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn what_retention_took_is_counted_and_the_rest_is_handled() {
    let seen = Seen::default();
    let app = App::new("g").state(seen.clone()).register::<quick>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in 0..5 {
            app.topic(&ORDERS).push(&id, Order { id });
        }
        app.truncate(&ORDERS, 0, 3);
        app.settle().await;
        assert_eq!(seen.all(), ["quick 3", "quick 4"]);
        assert_eq!(app.committed(&ORDERS)[&0], 5);
        let metrics = app.get("/metrics").await.body;
        let lost = metrics
            .lines()
            .find(|line| line.starts_with("citizenk_retention_lost_records_total"));
        assert!(lost.is_some_and(|line| line.ends_with(" 3")), "{metrics}");
        let stats = app.get("/stats").await.body;
        assert!(stats.contains("\"skipped_offsets\":3"), "{stats}");
        app.stop().await.unwrap();
    });
}

#[test]
fn a_lost_workers_unsettled_records_are_handled_by_another() {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = App::new("g")
        .state(seen.clone())
        .state(gate.clone())
        .register::<gated>();
    block_on(async {
        let app = TestApp::new(app)
            .workers(2)
            .partitions(&ORDERS, 2)
            .start()
            .await
            .unwrap();
        let lost = app.owned_by(0)[0].partition;
        app.topic(&ORDERS)
            .push_to(lost, None, br#"{"id":1}"#, Headers::new());
        app.settle().await;
        app.lose_worker(0).await;
        app.settle().await;
        // The first worker's call is not waited for: its session is over.
        assert!(app.owned_by(1).iter().any(|own| own.partition == lost));
        assert_eq!(app.committed(&ORDERS).get(&lost).copied().unwrap_or(0), 0);
        gate.let_go(10);
        app.settle().await;
        assert_eq!(app.lag(&ORDERS), 0);
        let calls = seen.all().len();
        assert!(
            (1..=2).contains(&calls),
            "at least once, and at most once each worker: {calls}"
        );
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS])]
async fn stuck(_order: Event<Order>) {
    std::future::pending().await
}

#[test]
fn a_call_that_never_ends_is_cut_off_and_the_stop_says_so() {
    let app = App::new("g").register::<stuck>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.settle().await;
        let error = app.stop().await.unwrap_err().to_string();
        assert!(
            error.contains("the drain deadline passed with 1 calls"),
            "{error}"
        );
    });
}

const DONE: Topic<Order, u32> = Topic::json("done");

/// Whether what fails at first goes well now.
#[derive(Clone, Default)]
struct Mended(Arc<AtomicBool>);

#[citizenk::agent(topics = [ORDERS], sends = [DONE], batch_size = 10, on_error = retry(3, backoff = "60s..60s"), guarantee = exactly_once)]
async fn in_tens(
    orders: Batch<Order>,
    outbox: Outbox,
    State(mended): State<Mended>,
) -> BatchOutcome {
    orders
        .iter()
        .map(|order| {
            if order.id == 15 && !mended.0.load(Ordering::SeqCst) {
                return Outcome::retry("not yet");
            }
            outbox.send(&DONE, &order.id, order.clone()).into()
        })
        .collect()
}

/// The outputs of a batch that ends half done must not leave with those of the batch before it.
#[test]
fn with_exactly_once_a_batch_that_ends_half_done_leaves_nothing() {
    let mended = Mended::default();
    let app = {
        let mended = mended.clone();
        move || {
            let app = App::new("g").state(mended.clone());
            app.register::<in_tens>()
        }
    };
    block_on(async {
        let mut app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in 0..20 {
            app.topic(&ORDERS).push(&id, Order { id });
        }
        app.settle().await;
        mended.0.store(true, Ordering::SeqCst);
        app.restart().await.unwrap();
        app.settle().await;
        let sent = app.topic(&DONE).sent();
        let mut ids: Vec<u32> = sent
            .iter()
            .filter_map(|record| Some(record.value.as_ref()?.id))
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, Vec::from_iter(0..20));
        assert_eq!(app.committed(&ORDERS)[&0], 20);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], concurrency = 2, on_error = retry(3, backoff = "60s..60s"))]
async fn stumbles(
    order: Event<Order>,
    Key(key): Key<u32>,
    State(seen): State<Seen>,
) -> citizenk::Result<()> {
    seen.say(format!("{key}:{}", order.value.id));
    if order.value.id == 0 {
        return Err(AgentError::retry("not yet"));
    }
    Ok(())
}

/// At the end of a lane a record that waits to be tried again is given up, and so is what stands behind it.
#[test]
fn a_record_that_is_given_up_is_not_overtaken_by_its_key() {
    let seen = Seen::default();
    let app = App::new("g").state(seen.clone()).register::<stumbles>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for (key, id) in [(1, 0), (1, 1), (2, 2)] {
            app.topic(&ORDERS).push(&key, Order { id });
        }
        app.settle().await;
        app.stop().await.unwrap();
        assert_eq!(seen.all(), ["1:0", "2:2"]);
    });
}

/// Sends half a MiB for each order; those of the first key wait until a test lets them go on.
#[citizenk::agent(topics = [ORDERS], sends = [BLOBS], concurrency = 4, guarantee = exactly_once)]
async fn swells(
    order: Event<Order>,
    Key(key): Key<u32>,
    outbox: Outbox,
    State(seen): State<Seen>,
    State(gate): State<Gate>,
) -> citizenk::Result<()> {
    seen.say(order.value.id.to_string());
    if key == 0 {
        gate.pass().await;
    }
    outbox.send(&BLOBS, &order.value.id, RawBytes::from(vec![0; 1 << 19]))?;
    Ok(())
}

const BLOBS: Topic<RawBytes, u32> = Topic::raw("blobs");

/// Outputs leave in the order of offsets: behind a record that takes long they wait, and must not fill memory.
#[test]
fn outputs_that_wait_for_their_transaction_hold_up_what_makes_more() {
    const COUNT: u32 = 80;
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = App::new("g")
        .state(seen.clone())
        .state(gate.clone())
        .register::<swells>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in 0..COUNT {
            // The first order and the sixth have one key.
            let key = if id == 5 { 0 } else { id };
            app.topic(&ORDERS).push(&key, Order { id });
        }
        app.advance("1s").await;
        // 16 MiB and what was running.
        let begun = seen.all().len();
        assert!((32..=40).contains(&begun), "{begun} begun");
        gate.let_go(1);
        app.advance("1s").await;
        let begun = seen.all();
        assert!(
            begun.contains(&"5".to_owned()),
            "what was overtaken starts: {begun:?}"
        );
        gate.let_go(1);
        app.advance("5s").await;
        assert_eq!(seen.all().len(), COUNT as usize);
        assert_eq!(app.topic(&BLOBS).sent().len(), COUNT as usize);
        assert_eq!(app.committed(&ORDERS)[&0], i64::from(COUNT));
        app.stop().await.unwrap();
    });
}

/// The order 1 waits for the gate before it is done; the output of others leaves at once.
#[citizenk::agent(topics = [ORDERS], output = DONE, concurrency = 2, on_produce_error = retry(3, backoff = "60s..60s"))]
async fn one_waits(
    order: Event<Order>,
    State(seen): State<Seen>,
    State(gate): State<Gate>,
) -> Order {
    if order.value.id == 1 {
        gate.pass().await;
        gate.pass().await;
        seen.say("passed");
    }
    order.value.clone()
}

#[test]
fn calls_go_on_while_refused_outputs_wait_to_be_sent_again() {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = App::new("g")
        .state(seen.clone())
        .state(gate.clone())
        .register::<one_waits>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.fail_next(&DONE, 1);
        for id in [0, 1] {
            app.topic(&ORDERS).push(&id, Order { id });
        }
        app.advance("1s").await;
        gate.let_go(1);
        app.advance("1s").await;
        gate.let_go(1);
        app.advance("1s").await;
        assert_eq!(
            seen.all(),
            ["passed"],
            "the lane waits for a minute, its calls do not"
        );
        assert!(app.topic(&DONE).sent().is_empty());
        app.advance("60s").await;
        assert_eq!(app.topic(&DONE).sent().len(), 2);
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        app.stop().await.unwrap();
    });
}
