// A batch has many keys, so which one has the value?
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], output = ALERTS)]
async fn orders(orders: Batch<Order>) -> Alert {
    Alert { id: orders[0].id }
}

fn main() {}
