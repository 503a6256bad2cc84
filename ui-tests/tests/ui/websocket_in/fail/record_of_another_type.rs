// The record is one of the topic.
use ui_tests::*;

#[citizenk::websocket_in(topic = ORDERS, route = "/ws/orders")]
async fn orders(Json(order): Json<Order>) -> (String, Alert) {
    ("k".to_owned(), Alert { id: order.id })
}

fn main() {}
