// The future outlives the call.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: &Batch<Order>) {
    let _ = orders;
}

fn main() {}
