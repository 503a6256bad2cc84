// A list of topics names each once.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], sends = [ALERTS, ALERTS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
