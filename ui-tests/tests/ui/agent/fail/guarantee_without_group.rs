// Nothing is committed without a group, so nothing can be guaranteed.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], group = none, guarantee = exactly_once)]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {}
