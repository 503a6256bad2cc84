//! What a record carries.

use super::*;

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn look(
    order: Event<Order>,
    Key(key): Key<u32>,
    headers: Headers,
    meta: Meta,
    State(seen): State<Seen>,
) -> Order {
    let trace = headers.text("trace").unwrap_or("none");
    let millis = meta.timestamp.millis().unwrap();
    let place = format!("{}@{}", meta.partition, meta.offset);
    seen.say(format!("{key} {} {trace} {millis} {place}", order.value.id));
    order.value
}

pub(crate) async fn a_record_keeps_key_headers_and_timestamp(broker: Broker) {
    let mut world = broker.open(&[("orders", 2), ("done", 2)]).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<look>())
        .await;
    let push = Push::order(7)
        .on(1)
        .header("trace", "a")
        .at(1_700_000_000_123);
    world.push("orders", [push.header("trace", "b")]);
    let done = world.read("done", 1).await;
    assert_eq!(
        seen.all(),
        ["7 7 b 1700000000123 1@0"],
        "the last header counts"
    );
    assert_eq!((done[0].key(), done[0].text()), ("7", r#"{"id":7}"#));
    world.stop().await.unwrap();
    assert_eq!(world.committed("orders").get(&1), Some(&1));
}

#[citizenk::agent(topics = [ORDERS])]
async fn admits(order: Event<Option<Order>>, Key(key): Key<u32>, State(seen): State<Seen>) {
    seen.say(format!("{key} {}", order.value.is_some()));
}

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn wants_values(order: Event<Order>) -> Order {
    order.value
}

pub(crate) async fn tombstones_reach_those_who_admit_them(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    let app = app(&seen, &Gate::closed());
    world
        .start(app.register::<admits>().register::<wants_values>())
        .await;
    world.push_orders([1]);
    world.push("orders", [Push::tombstone().key(1).on(0)]);
    world.push_orders([2]);
    world.until_at(3).await;
    assert_eq!(seen.all(), ["1 true", "1 false", "2 true"]);
    assert_eq!(world.read("done", 2).await.len(), 2);
    let metrics = world.metrics().await;
    let skipped = metrics
        .lines()
        .find(|line| line.contains("reason=\"tombstone\""));
    assert!(
        skipped.is_some_and(|line| line.contains("wants_values") && line.ends_with(" 1")),
        "{metrics}"
    );
    world.stop().await.unwrap();
}

#[citizenk::message]
struct Refund {
    order: u32,
}

const REFUNDS: Topic<Refund, u32> = Topic::json("refunds");

#[citizenk::message]
struct Change(String);

impl From<Order> for Change {
    fn from(order: Order) -> Self {
        Self(format!("order {}", order.id))
    }
}

impl From<Refund> for Change {
    fn from(refund: Refund) -> Self {
        Self(format!("refund {}", refund.order))
    }
}

#[citizenk::agent(topics = [ORDERS.as_input::<Change>(), REFUNDS.as_input::<Change>()])]
async fn audit(change: Event<Change>, State(seen): State<Seen>) {
    seen.say(change.value.0);
}

pub(crate) async fn topics_of_several_types_feed_one_agent(broker: Broker) {
    let mut world = broker.open(&[("orders", 1), ("refunds", 1)]).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<audit>())
        .await;
    world.push_orders([1]);
    world.push("refunds", [Push::value(r#"{"order":2}"#).key(2)]);
    let mut all = seen.until(&world, 2).await;
    all.sort();
    assert_eq!(all, ["order 1", "refund 2"]);
    world.stop().await.unwrap();
    assert_eq!(world.position(), 1);
    assert_eq!(world.committed("refunds").get(&0), Some(&1));
}

const BLOBS: Topic<RawBytes> = Topic::raw("orders");
const COPIES: Topic<RawBytes> = Topic::raw("done");

#[citizenk::agent(topics = [BLOBS], output = COPIES)]
async fn copy(blob: Event<RawBytes>) -> RawBytes {
    blob.value
}

pub(crate) async fn a_large_record_passes(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    world
        .start(App::new("conformance").register::<copy>())
        .await;
    // Brokers refuse more than 1 MiB with its frame unless they are told otherwise.
    let large: Vec<u8> = (0..900_000_u32).map(|n| (n % 251) as u8).collect();
    world.push("orders", [Push::value(large.clone()), Push::value("")]);
    let copies = world.read("done", 2).await;
    assert_eq!(copies[0].value, Some(large));
    assert_eq!(copies[1].value, Some(Vec::new()), "empty is not null");
    world.until_at(2).await;
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS])]
async fn report(
    order: Event<Order>,
    producer: Producer,
    State(seen): State<Seen>,
) -> citizenk::Result<()> {
    let id = order.value.id;
    let sent = producer.send(&DONE, &id, order.value).await?;
    seen.say(format!("{id} {}@{}", sent.partition, sent.offset));
    Ok(())
}

pub(crate) async fn a_producer_answers_where_the_record_stands(broker: Broker) {
    let mut world = broker.open(&[("orders", 1), ("done", 3)]).await;
    let seen = Seen::default();
    world
        .start(
            app(&seen, &Gate::closed())
                .register::<report>()
                .topic(&DONE),
        )
        .await;
    world.push_orders(0..6);
    let mut answered = seen.until(&world, 6).await;
    answered.sort();
    let mut stand: Vec<String> = world
        .read("done", 6)
        .await
        .iter()
        .map(|got| format!("{} {}@{}", got.key(), got.partition, got.offset))
        .collect();
    stand.sort();
    assert_eq!(answered, stand);
    world.stop().await.unwrap();
}
