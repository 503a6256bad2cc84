// Numbers are written without quotes.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batch_size = "100")]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
