// A batch of no records never comes.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batch_size = 0)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
