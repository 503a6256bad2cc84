// Delays come first.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry_topics(then = skip))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
