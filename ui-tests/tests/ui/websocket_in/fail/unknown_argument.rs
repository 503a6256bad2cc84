// Methods are for routes.
use ui_tests::*;

#[citizenk::websocket_in(topic = ORDERS, rout = "/ws/orders")]
async fn orders(Json(order): Json<Order>) -> (String, Order) {
    ("k".to_owned(), order)
}

fn main() {}
