// The handle has the function's name; `handle = ..` gives it another.
use ui_tests::*;

mod orders {}

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
