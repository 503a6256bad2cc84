// Faults of the attribute and of the signature are shown together.
use ui_tests::*;

#[citizenk::agent(topics = [], batchsize = 3)]
fn orders(orders: &Batch<Order>) {
    let _ = orders;
}

fn main() {}
