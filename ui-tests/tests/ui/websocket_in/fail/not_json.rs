// A message is JSON.
use ui_tests::*;

#[citizenk::websocket_in(topic = ORDERS, route = "/ws/orders")]
async fn orders(order: Order) -> (String, Order) {
    ("k".to_owned(), order)
}

fn main() {}
