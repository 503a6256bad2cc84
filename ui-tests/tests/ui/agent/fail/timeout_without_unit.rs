// 20 what?
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], timeout = 20)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
