//! Where a service begins to read, and who reads what.

use std::collections::BTreeSet;

use super::*;

#[citizenk::agent(topics = [ORDERS])]
async fn from_the_first(order: Event<Order>, State(seen): State<Seen>) {
    seen.say(order.value.id);
}

pub(crate) async fn a_new_group_starts_at_the_beginning(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world.push_orders([1, 2]);
    world
        .start(app(&seen, &Gate::closed()).register::<from_the_first>())
        .await;
    world.until_at(2).await;
    assert_eq!(seen.all(), ["1", "2"]);
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], start = latest)]
async fn from_now_on(order: Event<Order>, State(seen): State<Seen>) {
    seen.say(order.value.id);
}

pub(crate) async fn a_new_group_may_start_at_the_end(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    let app = app(&seen, &Gate::closed()).register::<from_now_on>();
    world.push_orders([1, 2]);
    world.start(app.clone()).await;
    // The position is the group's at once, not with its first record.
    world.until_at(2).await;
    world.stop().await.unwrap();
    world.push_orders([3]);
    world.start(app).await;
    world.until_at(3).await;
    assert_eq!(seen.all(), ["3"], "it holds for a new group only");
    world.stop().await.unwrap();
}

pub(crate) async fn a_restart_goes_on_at_the_commit(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    let app = app(&seen, &Gate::closed()).register::<from_the_first>();
    let mut next = 0;
    for _ in 0..3 {
        world.start(app.clone()).await;
        world.push_orders(next..next + 50);
        next += 50;
        seen.until(&world, next as usize - 10).await;
        world.stop().await.unwrap();
        assert_eq!(
            world.position(),
            seen.len() as i64,
            "a clean stop commits what was handled"
        );
    }
    world.start(app).await;
    world.until_at(i64::from(next)).await;
    world.stop().await.unwrap();
    let expected: Vec<String> = (0..next).map(|id| id.to_string()).collect();
    assert_eq!(seen.all(), expected, "each once and in order");
}

#[citizenk::agent(topics = [ORDERS], group = "conformance-audit")]
async fn audited(_order: Event<Order>, State(gate): State<Gate>) {
    gate.pass().await;
}

pub(crate) async fn a_group_of_its_own_commits_for_itself(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = app(&seen, &gate)
        .register::<from_the_first>()
        .register::<audited>();
    world.start(app).await;
    world.push_orders([1, 2]);
    world.until_at(2).await;
    assert_eq!(seen.len(), 2, "it does not wait for the other group");
    gate.let_go(2);
    world.stop().await.unwrap();
}

const CACHE: Topic<Order, u32> = Topic::json("cache");

/// How many orders the cache knows.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<BTreeSet<u32>>>);

#[citizenk::agent(topics = [CACHE], group = none)]
async fn remember(order: Event<Order>, State(known): State<Known>) {
    known.0.lock().unwrap().insert(order.value.id);
}

#[citizenk::agent(topics = [ORDERS], after = [remember])]
async fn enriched(order: Event<Order>, State(known): State<Known>, State(seen): State<Seen>) {
    let known = known.0.lock().unwrap().len();
    seen.say(format!("{} of {known}", order.value.id));
}

pub(crate) async fn a_cache_is_full_before_those_after_it_run(broker: Broker) {
    let mut world = broker.open(&[("orders", 1), ("cache", 4)]).await;
    world.push("cache", (0..200).map(|id| Push::order(id).anywhere()));
    world.push_orders([7]);
    for run in 1..=2 {
        // A fresh cache each time: it is read again from its beginning.
        let (seen, known) = (Seen::default(), Known::default());
        let app = app(&seen, &Gate::closed())
            .state(known)
            .register::<remember>()
            .register::<enriched>();
        world.start(app).await;
        world.until_at(run).await;
        assert_eq!(seen.all(), ["7 of 200"]);
        world.stop().await.unwrap();
        world.push_orders([7]);
    }
    assert!(
        world.committed("cache").is_empty(),
        "nothing is committed without a group"
    );
}

const NEWS: Topic<Order, u32> = Topic::json("done");

#[citizenk::agent(topics = [NEWS], output = CACHE, group = "conformance-fill", guarantee = exactly_once)]
async fn fill(order: Event<Order>) -> Order {
    order.value.clone()
}

pub(crate) async fn a_cache_that_ends_with_the_mark_of_a_transaction_is_full(broker: Broker) {
    let mut world = broker
        .open(&[("orders", 1), ("cache", 4), ("done", 1)])
        .await;
    world.push("done", (0..20).map(Push::order));
    world.start(App::new("filler").register::<fill>()).await;
    let filled = || world.all("cache").len() == 20;
    world.until("the cache is filled", filled).await;
    world.stop().await.unwrap();
    world.push_orders([7]);
    let (seen, known) = (Seen::default(), Known::default());
    let app = app(&seen, &Gate::closed())
        .state(known)
        .register::<remember>()
        .register::<enriched>();
    world.start(app).await;
    world.until_at(1).await;
    assert_eq!(seen.all(), ["7 of 20"]);
    world.stop().await.unwrap();
}

/// How often partitions were given to a worker.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<usize>>);

#[citizenk::on_event(assigned)]
async fn given(partitions: Partitions, State(given): State<Given>) {
    if partitions.iter().count() > 0 {
        *given.0.lock().unwrap() += 1;
    }
}

pub(crate) async fn two_workers_share_and_one_takes_over(broker: Broker) {
    let mut world = broker.open_for(2, &[("orders", 4)]).await;
    let (seen, moves) = (Seen::default(), Given::default());
    let app = app(&seen, &Gate::closed())
        .state(moves.clone())
        .register::<given>()
        .register::<from_the_first>();
    world.start(app).await;
    // The embedded broker takes no commits while a group is forming.
    let shared = || *moves.0.lock().unwrap() >= 2;
    world.until("both have partitions", shared).await;
    let some = |from: u32| (from..from + 100).map(|id| Push::order(id).anywhere());
    world.push("orders", some(0));
    seen.until(&world, 100).await;
    world.stop_worker(0).await.unwrap();
    world.push("orders", some(100));
    seen.until(&world, 200).await;
    world.stop_worker(1).await.unwrap();
    assert_eq!(world.committed("orders").values().sum::<i64>(), 200);
    let distinct: BTreeSet<String> = seen.all().into_iter().collect();
    assert_eq!(
        (distinct.len(), seen.len()),
        (200, 200),
        "nothing lost and nothing twice"
    );
}
