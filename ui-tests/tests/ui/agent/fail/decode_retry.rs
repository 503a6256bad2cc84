// The bytes will not change.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_decode_error = retry(5))]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
