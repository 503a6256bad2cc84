// One event has one outcome.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(order: Event<Order>) -> BatchOutcome {
    drop(order);
    BatchOutcome::default()
}

fn main() {}
