// An agent that waits for itself never starts.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], after = [orders])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
