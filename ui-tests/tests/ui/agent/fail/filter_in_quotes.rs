// A filter is named, not spelled.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], websocket = "/ws", filter = "wanted")]
async fn orders(order: Event<Order>) -> Order {
    order.value
}

fn main() {}
