// A tick has no record.
use ui_tests::*;

#[citizenk::repeat_every("5s")]
async fn report(order: Event<Order>) {
    drop(order);
}

fn main() {}
