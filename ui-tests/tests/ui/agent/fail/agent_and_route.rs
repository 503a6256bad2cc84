// A function is one component.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
#[citizenk::route(get = "/orders")]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
