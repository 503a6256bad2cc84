// Tries stand around the topics.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry_topics(["30s"], then = retry(3)))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
