// Only timers run on one worker; an agent's partitions are shared out.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], on = one)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
