// A backoff is a range.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry(5, backoff = "1s"))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
