// A parsec is no unit of time.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batch_size = 100, batch_timeout = "5 parsecs")]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
