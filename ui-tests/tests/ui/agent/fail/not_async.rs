// Handlers are asynchronous.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
