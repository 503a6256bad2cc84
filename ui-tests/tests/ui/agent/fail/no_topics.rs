// An agent without topics would never be called.
use ui_tests::*;

#[citizenk::agent()]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
