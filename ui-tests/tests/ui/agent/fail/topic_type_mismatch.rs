// The topic carries refunds.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS, REFUNDS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
