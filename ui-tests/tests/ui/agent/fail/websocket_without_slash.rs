// A route starts with a slash.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], websocket = "ws")]
async fn orders(order: Event<Order>) -> Order {
    order.value
}

fn main() {}
