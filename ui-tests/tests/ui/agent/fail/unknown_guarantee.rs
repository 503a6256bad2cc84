// The two guarantees have names.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], guarantee = exactly_one)]
async fn orders(order: Event<Order>) {
    drop(order);
}

#[citizenk::agent(topics = [ORDERS], guarantee = "exactly_once")]
async fn more_orders(order: Event<Order>) {
    drop(order);
}

fn main() {}
