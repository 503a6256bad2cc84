// 30 of what?
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = retry_topics(["30"]))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
