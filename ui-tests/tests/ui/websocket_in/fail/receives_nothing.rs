// It takes messages.
use ui_tests::*;

#[citizenk::websocket_in(topic = ORDERS, route = "/ws/orders")]
async fn orders() -> (String, Order) {
    ("k".to_owned(), Order { id: 1 })
}

fn main() {}
