// A module nobody includes is dead code.
#![deny(dead_code)]

use ui_tests::*;

#[citizenk::module]
mod billing {
    use super::*;

    #[citizenk::agent(topics = [ORDERS])]
    async fn orders(orders: Batch<Order>) {
        drop(orders);
    }
}

fn main() {}
