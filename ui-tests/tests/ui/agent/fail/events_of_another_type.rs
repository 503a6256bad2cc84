// Only messages can go to clients.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], events = "/events")]
async fn orders(order: Event<Order>) -> std::time::Duration {
    drop(order);
    std::time::Duration::ZERO
}

fn main() {}
