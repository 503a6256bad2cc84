// Clients must find it.
use ui_tests::*;

#[citizenk::websocket_in(topic = ORDERS)]
async fn orders(Json(order): Json<Order>) -> (String, Order) {
    ("k".to_owned(), order)
}

fn main() {}
