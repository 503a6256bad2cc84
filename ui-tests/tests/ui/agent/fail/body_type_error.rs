// The body is emitted once, so it is wrong once.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) {
    let count: u32 = "many";
    drop((orders, count));
}

fn main() {}
