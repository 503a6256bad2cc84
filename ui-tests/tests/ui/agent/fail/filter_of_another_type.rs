// The filter judges what is returned.
use ui_tests::*;

fn wanted(_: &Alert, _: &Vec<(String, String)>) -> bool {
    true
}

#[citizenk::agent(topics = [ORDERS], websocket = "/ws", filter = wanted)]
async fn orders(order: Event<Order>) -> Order {
    order.value
}

fn main() {}
