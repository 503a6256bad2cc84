// There is nothing to constrain.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>)
where
    Order: Clone,
{
    drop(orders);
}

fn main() {}
