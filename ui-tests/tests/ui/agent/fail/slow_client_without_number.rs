// How many values may wait must be said.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], websocket = "/ws", slow_client = drop_oldest)]
async fn orders(order: Event<Order>) -> Order {
    order.value
}

fn main() {}
