// No delay, no topic.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry_topics([]))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
