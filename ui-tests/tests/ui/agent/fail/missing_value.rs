// An argument is `key = value`.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batch_size)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
