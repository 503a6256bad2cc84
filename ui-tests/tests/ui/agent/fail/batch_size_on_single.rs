// An event is one record.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], batch_size = 100)]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {}
