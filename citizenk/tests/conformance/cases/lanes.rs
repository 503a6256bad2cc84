//! In what order records are handled, how many at a time, and when their offsets move.

use super::*;

#[citizenk::agent(topics = [ORDERS])]
async fn quick(order: Event<Order>, State(seen): State<Seen>) {
    seen.say(order.value.id);
}

#[citizenk::agent(topics = [ORDERS])]
async fn gated(_order: Event<Order>, State(gate): State<Gate>) {
    gate.pass().await;
}

pub(crate) async fn an_offset_waits_for_every_agent_of_the_topic(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let (seen, gate) = (Seen::default(), Gate::closed());
    let app = app(&seen, &gate).register::<quick>().register::<gated>();
    world.start(app).await;
    world.push_orders([1, 2]);
    assert_eq!(seen.until(&world, 2).await, ["1", "2"]);
    assert_eq!(world.position(), 0);
    gate.let_go(1);
    world.until_at(1).await;
    gate.let_go(1);
    world.until_at(2).await;
    world.stop().await.unwrap();
}

fn ids(orders: &[Order]) -> String {
    let ids: Vec<String> = orders.iter().map(|order| order.id.to_string()).collect();
    ids.join("+")
}

#[citizenk::agent(topics = [ORDERS], batch_size = 3, batch_timeout = "10m")]
async fn threes(orders: Batch<Order>, State(seen): State<Seen>) {
    seen.say(ids(&orders));
}

pub(crate) async fn a_full_batch_goes_at_once(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<threes>())
        .await;
    world.push_orders(1..=7);
    world.until_at(6).await;
    assert_eq!(seen.all(), ["1+2+3", "4+5+6"]);
    // The seventh waits for others and is not lost with the service.
    world.stop().await.unwrap();
    assert_eq!(world.position(), 6);
}

#[citizenk::agent(topics = [ORDERS], batch_size = 1000, batch_timeout = "200ms")]
async fn patient(orders: Batch<Order>, State(seen): State<Seen>) {
    seen.say(ids(&orders));
}

pub(crate) async fn a_batch_goes_when_its_time_is_over(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<patient>())
        .await;
    world.push_orders([1, 2]);
    world.until_at(2).await;
    // A slow machine may need more than 200 ms between the two.
    assert_eq!(seen.all().join("+"), "1+2");
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], concurrency = 4)]
async fn by_key(
    order: Event<Order>,
    Key(key): Key<u32>,
    State(seen): State<Seen>,
    State(gate): State<Gate>,
) {
    if key == 0 {
        gate.pass().await;
    }
    for _ in 0..order.value.id % 5 {
        tokio::task::yield_now().await;
    }
    seen.say(format!("{key} {:02}", order.value.id));
}

pub(crate) async fn keys_keep_their_order_while_others_overtake(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let (seen, gate) = (Seen::default(), Gate::closed());
    world.start(app(&seen, &gate).register::<by_key>()).await;
    world.push("orders", (0..40).map(|id| Push::order(id).key(id % 4)));
    // The key 0 stands; the others overtake it, at least up to what fits beside it.
    let before = seen.until(&world, 3).await;
    assert!(
        before.iter().all(|line| !line.starts_with('0')),
        "{before:?}"
    );
    assert_eq!(world.position(), 0, "the oldest record is not done");
    gate.let_go(10);
    world.until_at(40).await;
    for key in 0..4 {
        let mut all = seen.all();
        all.retain(|line| line.starts_with(&key.to_string()));
        assert_eq!(all.len(), 10);
        assert!(all.is_sorted(), "{all:?}");
    }
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], output = DONE, batch_size = 2, batch_timeout = "100ms")]
async fn odd_ones(orders: Batch<Order>) -> Vec<(u32, Order)> {
    let odd = orders.into_iter().filter(|order| order.id % 2 == 1);
    odd.map(|order| (order.id, order)).collect()
}

pub(crate) async fn a_batch_without_outputs_is_settled(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    world
        .start(App::new("conformance").register::<odd_ones>())
        .await;
    world.push_orders([2, 4, 5, 6]);
    world.until_at(4).await;
    let done = world.read("done", 1).await;
    assert_eq!((done.len(), done[0].key()), (1, "5"));
    world.stop().await.unwrap();
}
