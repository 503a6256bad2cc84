// Each record would be handled twice.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS, REFUNDS.as_input::<Order>(), ORDERS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
