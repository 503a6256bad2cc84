// An empty list is no topic either.
use ui_tests::*;

#[citizenk::agent(topics = [])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
