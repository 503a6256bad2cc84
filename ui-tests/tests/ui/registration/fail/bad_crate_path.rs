// The library is not there.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], crate = nowhere)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
