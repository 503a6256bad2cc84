// The runtime cannot make a `bool`.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(order: Event<Order>, dry_run: bool) {
    drop((order, dry_run));
}

fn main() {}
