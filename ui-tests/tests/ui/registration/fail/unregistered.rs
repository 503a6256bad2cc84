// A handler nobody registers is dead code.
#![deny(dead_code)]

use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
