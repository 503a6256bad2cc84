// A topic is named once, in its constant, with its types.
use ui_tests::*;

#[citizenk::agent(topics = ["video-orders"])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
