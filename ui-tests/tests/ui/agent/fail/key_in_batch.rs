// A batch has many keys.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>, key: Key<String>) {
    drop((orders, key));
}

fn main() {}
