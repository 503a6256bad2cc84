// Dead letters need a place.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on_error = dead_letter)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
