//! What handlers send.

use super::*;

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn one(order: Event<Order>) -> Option<Order> {
    (order.value.id == 1).then_some(Order { id: 10 })
}

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn many(order: Event<Order>) -> citizenk::Result<Vec<Order>> {
    let id = order.value.id;
    Ok((0..id).map(|n| Order { id: 20 + n }).collect())
}

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn pair(order: Event<Order>) -> (u32, Order) {
    (30 + order.value.id, order.value)
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_error = skip)]
async fn perhaps(order: Event<Order>) -> Result<Order, std::fmt::Error> {
    if order.value.id == 1 {
        return Err(std::fmt::Error);
    }
    Ok(Order { id: 40 })
}

pub(crate) async fn returned_values_of_every_shape_are_sent(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let app = App::new("conformance")
        .register::<one>()
        .register::<many>()
        .register::<pair>()
        .register::<perhaps>();
    world.start(app).await;
    world.push_orders([1, 2]);
    world.until_at(2).await;
    let mut sent: Vec<String> = world
        .all("done")
        .iter()
        .map(|got| format!("{}: {}", got.key(), got.text()))
        .collect();
    sent.sort();
    let expected = [
        r#"1: {"id":10}"#,
        r#"1: {"id":20}"#,
        r#"2: {"id":20}"#,
        r#"2: {"id":21}"#,
        r#"2: {"id":40}"#,
        r#"31: {"id":1}"#,
        r#"32: {"id":2}"#,
    ];
    assert_eq!(sent, expected);
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], sends = [DONE])]
async fn told(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    let id = order.value.id;
    out.record(&DONE)
        .key(&70)
        .header("trace", "x")
        .header("trace", "y")
        .partition(2)
        .timestamp(1_600_000_000_456)
        .send(Order { id })?;
    out.record(&DONE).partition(1).send(Order { id: id + 1 })?;
    out.tombstone(&DONE, &9)?;
    Ok(())
}

pub(crate) async fn an_outbox_sends_what_it_is_told(broker: Broker) {
    let mut world = broker.open(&[("orders", 1), ("done", 3)]).await;
    world
        .start(App::new("conformance").register::<told>())
        .await;
    world.push_orders([5]);
    world.until_at(1).await;
    let done = world.read("done", 3).await;
    let told = done.iter().find(|got| got.key.as_deref() == Some("70"));
    let told = told.expect("sent with its key");
    assert_eq!((told.partition, told.text()), (2, r#"{"id":5}"#));
    assert_eq!(told.timestamp, Some(1_600_000_000_456));
    assert_eq!(told.headers["trace"], "y");
    let keyless = done.iter().find(|got| got.key.is_none());
    let keyless = keyless.expect("sent without key");
    assert_eq!((keyless.partition, keyless.text()), (1, r#"{"id":6}"#));
    let gone = done.iter().find(|got| got.key.as_deref() == Some("9"));
    assert_eq!(gone.expect("sent").value, None, "a tombstone has no value");
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], sends = [DONE], on_error = stop)]
async fn elsewhere(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    out.send(&DONE, &1, order.value.clone())?;
    out.send(&LETTERS, &"1".to_owned(), RawBytes::default())?;
    Ok(())
}

pub(crate) async fn an_undeclared_topic_is_named(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    world
        .start(App::new("conformance").register::<elsewhere>())
        .await;
    world.push_orders([1]);
    let error = world.ended().await.to_string();
    assert!(error.contains("`letters` is not declared"), "{error}");
    assert!(error.contains("elsewhere"), "{error}");
    assert_eq!(world.position(), 0);
    assert!(
        world.all("done").is_empty(),
        "a failed attempt leaves nothing"
    );
}
