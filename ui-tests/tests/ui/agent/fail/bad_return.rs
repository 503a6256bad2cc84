// A number says nothing about the record.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) -> u32 {
    drop(orders);
    7
}

fn main() {}
