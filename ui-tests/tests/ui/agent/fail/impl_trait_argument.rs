// The runtime makes arguments by their type.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>, db: impl Clone) {
    drop((orders, db));
}

fn main() {}
