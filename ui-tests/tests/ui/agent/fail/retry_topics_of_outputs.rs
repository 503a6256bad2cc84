// Outputs are sent again, their records are not.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_produce_error = retry(2, then = retry_topics(["30s"])))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
