// One topic per delay: these are the same.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry_topics(["60s", "1m"]))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
