// A request has no records.
use ui_tests::*;

#[citizenk::route(get = "/orders")]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {}
