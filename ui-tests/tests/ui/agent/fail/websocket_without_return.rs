// Nothing is returned that clients could get.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], websocket = "/ws")]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {}
