// `topics` is a list, also with one topic.
use ui_tests::*;

#[citizenk::agent(topics = ORDERS)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
