// What is wrong in the body is rustc's to say.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) {
    let = orders;
}

fn main() {}
