// Nothing the arguments could borrow from.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders<'a>(orders: Batch<&'a str>) {
    drop(orders);
}

fn main() {}
