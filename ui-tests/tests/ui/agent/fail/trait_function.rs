// A function without body handles nothing.
use ui_tests::*;

trait Service {
    #[citizenk::agent(topics = [ORDERS])]
    async fn orders(orders: Batch<Order>);
}

fn main() {}
