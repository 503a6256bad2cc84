// Policies are words, so that a misspelled one is found.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = "skip")]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
