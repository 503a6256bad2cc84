// Trying again for ever is a stuck partition.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry(backoff = "1s..10s"))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
