// The topic carries alerts.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], output = ALERTS)]
async fn orders(order: Event<Order>) -> Option<Refund> {
    drop(order);
    None
}

fn main() {}
