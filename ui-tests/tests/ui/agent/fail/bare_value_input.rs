// A value without its event is no input: every type would look like one.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(order: Order) {
    drop(order);
}

fn main() {}
