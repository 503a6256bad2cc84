// The handle would hide the type `str` in this module.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn str(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
