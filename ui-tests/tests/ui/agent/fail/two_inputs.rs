// One call has records of one kind.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>, refunds: Batch<Refund>) {
    drop((orders, refunds));
}

fn main() {}
