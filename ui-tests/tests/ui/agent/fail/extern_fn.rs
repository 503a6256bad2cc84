// Handlers have Rust's calling convention.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async extern "C" fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
