// Arguments are never ignored.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batchsize = 100)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
