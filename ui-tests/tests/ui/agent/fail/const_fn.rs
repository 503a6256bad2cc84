// Nothing is handled at compile time.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
const fn orders(orders: Batch<Order>) {
    std::mem::forget(orders);
}

fn main() {}
