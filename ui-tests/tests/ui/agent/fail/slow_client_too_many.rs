// No more is kept than that.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], websocket = "/ws", slow_client = drop_oldest(5000))]
async fn orders(order: Event<Order>) -> Order {
    order.value
}

fn main() {}
