// `output` is the topic's constant.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], output = "alerts")]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
