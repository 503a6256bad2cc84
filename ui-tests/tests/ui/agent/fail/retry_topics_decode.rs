// The bytes will not change, however late.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_decode_error = retry_topics(["30s"]))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
