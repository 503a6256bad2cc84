// Names stand in paths and metrics.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], name = "my agent")]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
