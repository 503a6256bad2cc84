// Everything that may go to clients.
use ui_tests::*;

/// What a client asks for.
#[derive(serde::Deserialize)]
struct Wanted {
    id: Option<u32>,
}

fn wanted(order: &Order, wanted: &Wanted) -> bool {
    wanted.id.is_none_or(|id| id == order.id)
}

#[citizenk::agent(topics = [ORDERS], websocket = "/ws", events = "/events", filter = wanted, slow_client = coalesce)]
async fn filtered(order: Event<Order>) -> citizenk::Result<Option<Order>> {
    Ok(Some(order.value))
}

#[citizenk::agent(topics = [ORDERS], batch_size = 100, websocket = "/batches", slow_client = drop_oldest(10))]
async fn batches(orders: Batch<Order>, State(limit): State<usize>) -> Vec<u32> {
    orders.iter().take(limit).map(|order| order.id).collect()
}

#[citizenk::agent(topics = [ORDERS], group = "live", start = earliest, sends = [ALERTS], events = "/all", slow_client = disconnect)]
async fn with_outbox(order: Event<Order>, out: Outbox) -> citizenk::Result<String> {
    out.send(&ALERTS, &"k".to_owned(), Alert { id: order.value.id })?;
    Ok(String::new())
}

#[test]
fn it_registers() {
    let _ = App::new("live")
        .state(3_usize)
        .register::<filtered>()
        .register::<batches>()
        .register::<with_outbox>();
}
