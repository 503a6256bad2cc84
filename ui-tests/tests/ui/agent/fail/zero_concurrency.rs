// No key at a time is no progress.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], concurrency = 0)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
