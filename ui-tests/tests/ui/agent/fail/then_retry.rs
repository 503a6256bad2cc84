// What ends the retries cannot be more retries.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry(5, then = retry(5)))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
