// Only `none` is a word, other groups have names.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], group = audit)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
