// The records must go somewhere.
use ui_tests::*;

#[citizenk::websocket_in(route = "/ws/orders")]
async fn orders(Json(order): Json<Order>) -> (String, Order) {
    ("k".to_owned(), order)
}

fn main() {}
