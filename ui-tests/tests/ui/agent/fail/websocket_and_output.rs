// Returned values go to one place.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], output = ALERTS, websocket = "/ws")]
async fn orders(order: Event<Order>) -> Alert {
    Alert { id: order.value.id }
}

fn main() {}
