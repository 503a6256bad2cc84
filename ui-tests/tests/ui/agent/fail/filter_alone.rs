// There are no clients to filter for.
use ui_tests::*;

fn wanted(_: &Order, _: &u32) -> bool {
    true
}

#[citizenk::agent(topics = [ORDERS], filter = wanted)]
async fn orders(order: Event<Order>) {
    drop((order, wanted));
}

fn main() {}
