// There is nothing to send.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], output = ALERTS)]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {}
