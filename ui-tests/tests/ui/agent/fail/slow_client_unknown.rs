// There are three ways with slow clients.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], websocket = "/ws", slow_client = drop_newest(10))]
async fn orders(order: Event<Order>) -> Order {
    order.value
}

fn main() {}
