// There are four policies.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = ignore)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
