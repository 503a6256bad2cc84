// Under another name the second input is not seen, but it is no extractor either.
use ui_tests::*;

type Refunds = Batch<Refund>;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>, refunds: Refunds) {
    drop((orders, refunds));
}

fn main() {}
