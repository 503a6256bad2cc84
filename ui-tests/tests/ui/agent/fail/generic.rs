// Nobody chooses the type.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders<T>(orders: Batch<T>) {
    drop(orders);
}

fn main() {}
