// rustc names what is not there, once.
use ui_tests::*;

#[citizenk::agent(topics = [ORDER])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
