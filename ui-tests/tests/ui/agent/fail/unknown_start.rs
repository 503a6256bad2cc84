// A new group starts at one of two ends.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], start = lates)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
