// It is unclear which one counts.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batch_size = 100, batch_size = 200)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
