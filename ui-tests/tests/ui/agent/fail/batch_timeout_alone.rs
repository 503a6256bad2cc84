// A batch of one record is complete at once.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batch_timeout = "200ms")]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
